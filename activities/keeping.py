"""Writing requests to the ledger."""

from collections.abc import Callable, Sequence
from typing import Any

from temporalio import activity

from clearance import contract
from clearance.kept import Kept


class KeepingActivities:
    """The ledger, as workflows reach it."""

    @property
    def activities(self) -> Sequence[Callable[..., Any]]:
        """What a worker registers; workflows call them as local activities."""
        return [self.keep]

    @activity.defn(name=contract.ACTIVITY_KEEP)
    async def keep(self, kept: Kept) -> None:
        """Write what the ledger doesn't have of a request."""

"""Where the ledger's requests come from."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Protocol

from clearance.kept import Kept


class Execution(Protocol):
    """A request that has ended, as Temporal lists it."""

    @property
    def id(self) -> str:
        """Of the approval."""

    @property
    def run_id(self) -> str:
        """Of the execution."""

    @property
    def close_time(self) -> datetime | None:
        """When it ended."""


class Source(Protocol):
    """Where requests end: ``clearance.ended.Ended``."""

    queue: str

    async def is_served(self) -> bool:
        """Whether whole records are to be had."""

    def executions(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        approved: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[Execution]:
        """What has ended in this time."""

    def status_of(self, execution: Any) -> str | None:
        """How one ended; None where the list doesn't tell."""

    async def read(self, execution: Any) -> Kept:
        """All of one. Raises InvalidRequest and NotFound where there is nothing to be kept."""

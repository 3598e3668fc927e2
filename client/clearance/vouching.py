"""Signing what goes to a request that takes only what is signed."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus

from .delivery import Delivering
from .errors import Refused
from .requests import ApprovalRequest
from .signatures import DecisionKey
from .views import ApprovalSummary

if TYPE_CHECKING:
    from .signing import Signer

T = TypeVar("T", bound=BaseModel)


class Vouching(Delivering):
    """What deciding and acting have in common: both may have to be signed."""

    def __init__(
        self,
        client: Client,
        queue: str,
        answer_timeout: timedelta,
        *,
        whole_ids: bool,
        signer: "Signer | None",
        inbox: str | None,
        decision_keys: Callable[[], tuple[DecisionKey, ...]],
    ) -> None:
        """As ``Delivering``; with the keys that sign, where people decide who have none, and what
        new requests pin."""
        super().__init__(client, queue, answer_timeout, whole_ids=whole_ids)
        self._signer = signer
        self._inbox = inbox
        self._decision_keys = decision_keys

    def _signed(
        self, said: T, description: WorkflowExecutionDescription, listed: ApprovalSummary
    ) -> T:
        """A decision or an act as its request takes it: where that pins keys, signed.

        Raises:
            Refused: there is no key here, or none that the request pins. Nothing was sent.
        """
        if not listed.decision_keys or description.status != WorkflowExecutionStatus.RUNNING:
            return said
        if self._signer is None:
            where = f" at {self._inbox}" if self._inbox else ""
            raise Refused(f"this request takes only signed decisions: decide in the inbox{where}")
        execution = description.raw_description.workflow_execution_info.first_run_id
        return self._signer.sign(
            said,
            listed.decision_keys,
            approval_id=description.id,
            execution=execution or description.run_id,
        )

    def _check_pinned(self, id: str, request: ApprovalRequest) -> None:
        """Raise Refused where what was approved need not have been signed, and here it has to be."""
        keys = self._decision_keys()
        if keys and not _pins_only(request, keys):
            raise Refused(
                f"{id} was decided without a signature of our inbox: here only signed decisions count"
            )


def is_same(stored: ApprovalRequest, asked: ApprovalRequest, keys: tuple[DecisionKey, ...]) -> bool:
    """Whether a stored request is the one that is asked: it may pin an older choice of the same keys."""
    alike = stored.model_copy(update={"decision_keys": asked.decision_keys}) == asked
    return alike and (stored.decision_keys == asked.decision_keys or _pins_only(stored, keys))


def _pins_only(request: ApprovalRequest, keys: tuple[DecisionKey, ...]) -> bool:
    """Whether a request pins some of these keys, and no other."""
    return bool(request.decision_keys) and set(request.decision_keys) <= set(keys)

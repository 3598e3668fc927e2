"""What the server keeps for a request and no worker has taken yet: recorded, and without effect."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryReverseRequest
from temporalio.client import Client

from . import contract
from .acts import UNSIGNED, Act
from .keys import InvalidKeys
from .models import Decision
from .requests import ApprovalRequest
from .rules import refuse_bare_signal
from .stored import UNREADABLE
from .text import one_line

_LATEST = 100
"""Events that are looked at. The server may keep ten thousand, and a reader wants to see the last."""

_NOUNS: Mapping[str, str] = {
    "commented": "comment",
    "asked": "question",
    "answered": "answer",
    "delegated": "delegation",
    "withdrawn": "withdrawal",
}
_DECISIONS = ("approval", "rejection", "request for changes")


@dataclass(frozen=True)
class Untaken:
    """One decision or act. Whether it counts, the gate says when a worker takes it."""

    what: str
    """``approval``, ``rejection``, ``request for changes``, ``comment`` ..."""
    who: str | None
    """In whose name; None where it has none."""

    @property
    def decides(self) -> bool:
        """Whether it is a decision."""
        return self.what in _DECISIONS

    def sentence(self, reader: str | None = None) -> str:
        """What ``reader`` is told of it."""
        article = "An" if self.what[0] in "aeiou" else "A"
        by = f"by {one_line(self.who)}" if self.who else "without a name"
        whose = (
            f"Your {self.what}" if reader and self.who == reader else f"{article} {self.what} {by}"
        )
        return f"{whose} is recorded; it takes effect when a worker is back."


async def untaken(client: Client, request: ApprovalRequest, id: str) -> tuple[Untaken, ...]:
    """What came since a worker last completed a task of a request, the latest last; each once.

    One call of the server, of which the last 100 events are read.

    Args:
        client: made by ``clearance.connect``.
        request: as it was asked.
        id: of its workflow.

    Raises:
        temporalio.service.RPCError: Temporal fails.
    """
    asked = GetWorkflowExecutionHistoryReverseRequest(
        namespace=client.namespace, maximum_page_size=_LATEST
    )
    asked.execution.workflow_id = id
    answer = await client.workflow_service.get_workflow_execution_history_reverse(asked)
    found: dict[Untaken, None] = {}
    for event in answer.history.events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            break
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            one = await _read(client, request, event)
            found |= {one: None} if one else {}
    return tuple(reversed(found))


async def _read(client: Client, request: ApprovalRequest, event: HistoryEvent) -> Untaken | None:
    """What a stored signal says; None where it says nothing that could count."""
    signal = event.workflow_execution_signaled_event_attributes
    try:
        [said] = await client.data_converter.decode(signal.input.payloads)
        if signal.signal_name == contract.SIGNAL_APPROVE:
            at = event.event_time.ToDatetime(UTC)
            refused = refuse_bare_signal(request, said, now=at, deadline=None)
            return None if refused else Untaken("approval" if said else "rejection", None)
        if signal.signal_name == contract.SIGNAL_DECIDE:
            return _decision(request, Decision.model_validate(said))
        if signal.signal_name == contract.SIGNAL_ACT:
            return _act(request, Act.model_validate(said))
    except (InvalidKeys, *UNREADABLE):
        pass
    return None


def _decision(request: ApprovalRequest, said: Decision) -> Untaken | None:
    if _is_forged(request, said):
        return None
    asks = "request for changes" if said.changes_requested else "rejection"
    return Untaken("approval" if said.approved else asks, said.reviewer)


def _act(request: ApprovalRequest, said: Act) -> Untaken | None:
    if said.kind in UNSIGNED or _is_forged(request, said):
        return None
    return Untaken(_NOUNS[said.kind], said.who)


def _is_forged(request: ApprovalRequest, said: Any) -> bool:
    """Whether it lacks the signature without which nothing counts; only the gate checks one."""
    return bool(request.decision_keys) and said.signature is None

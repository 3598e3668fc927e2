"""What a history proves of a run and of its approvals: read event by event, nothing inferred."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.converter import PayloadCodec

from . import contract, turns
from .facts import Asked, Effect, Facts, Gate, Moment, Proposed
from .keys import InvalidKeys
from .naming import is_housekeeping, is_model, is_policy, local_activity


async def facts_of(events: Iterable[HistoryEvent], codec: PayloadCodec | None) -> Facts:
    """What the history of an agent's run proves."""
    reader = _Run(codec)
    for event in events:
        await reader.read(event)
    return reader.facts


async def asked_by(events: Iterable[HistoryEvent], codec: PayloadCodec | None) -> Asked:
    """What the history of an approval proves."""
    asked = Asked()
    for event in events:
        at = event.event_time.ToDatetime(UTC)
        said: Any = getattr(event, event.WhichOneof("attributes") or "", None)
        kind = event.event_type
        if kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
            asked.request = await _first(said.input.payloads, codec)
        elif kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            if said.signal_name in (contract.SIGNAL_APPROVE, contract.SIGNAL_DECIDE):
                asked.answers.append((at, await _first(said.input.payloads, codec)))
        elif kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
            told = said.accepted_request.input
            if told.name == contract.UPDATE_DECIDE:
                asked.answers.append((at, await _first(told.args.payloads, codec)))
        elif kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
            asked.closed_at, asked.outcome = at, await _first(said.result.payloads, codec)
        elif kind in _ENDS:
            asked.closed_at = at
    return asked


class _Run:
    def __init__(self, codec: PayloadCodec | None) -> None:
        self.facts = Facts()
        self._codec = codec
        self._scheduled: dict[int, str] = {}
        self._gates: dict[int, Gate] = {}

    async def read(self, event: HistoryEvent) -> None:
        said: Any = getattr(event, event.WhichOneof("attributes") or "", None)
        at = event.event_time.ToDatetime(UTC)
        if how := _READ.get(event.event_type):
            await how(self, event.event_id, at, said)
        elif reason := _ENDS.get(event.event_type):
            self.facts.end = Moment(event.event_id, at, reason)

    async def _started(self, event: int, at: datetime, said: Any) -> None:
        run = await _first(said.input.payloads, self._codec)
        if isinstance(run, dict):
            self.facts.agent = str(run.get("agent") or "")
            self.facts.requester = str(run.get("requester") or "")

    async def _activity(self, event: int, at: datetime, said: Any) -> None:
        name = said.activity_type.name
        self._scheduled[event] = name
        if is_model(name):
            asked = await _first(said.input.payloads, self._codec)
            handoffs = asked.get("handoffs") if isinstance(asked, dict) else None
            for one in handoffs if isinstance(handoffs, list) else ():
                if isinstance(one, dict) and isinstance(one.get("tool_name"), str):
                    self.facts.handoffs.add(one["tool_name"])
        elif not is_policy(name) and not is_housekeeping(name):
            values = await _values(said.input.payloads, self._codec)
            self.facts.effects.append(Effect(event, at, name, values))

    async def _done(self, event: int, at: datetime, said: Any) -> None:
        name = self._scheduled.get(said.scheduled_event_id, "")
        if is_policy(name):
            await self._pinned(said.result.payloads)
        elif is_model(name):
            _, calls = turns.spoken(await _first(said.result.payloads, self._codec))
            # Those without an id ran at the model's provider: no history of ours has them.
            self.facts.proposed += [Proposed(event, at, one) for one in calls if one.id.strip()]

    async def _marked(self, event: int, at: datetime, said: Any) -> None:
        name, result = local_activity(said)
        if is_policy(name) and result:
            await self._pinned(result)

    async def _pinned(self, result: Sequence[Payload]) -> None:
        pinned = await _first(result, self._codec)
        policy = pinned.get("policy") if isinstance(pinned, dict) else None
        self.facts.policy = policy if isinstance(policy, dict) else {}

    async def _gate(self, event: int, at: datetime, said: Any) -> None:
        if said.workflow_type.name == contract.APPROVAL_WORKFLOW:
            gate = self._gates[event] = Gate(event, at, said.workflow_id)
            self.facts.gates.append(gate)

    async def _gate_started(self, event: int, at: datetime, said: Any) -> None:
        if gate := self._gates.get(said.initiated_event_id):
            gate.execution = said.workflow_execution.run_id

    async def _gate_closed(self, event: int, at: datetime, said: Any) -> None:
        if gate := self._gates.get(said.initiated_event_id):
            gate.closed, gate.closed_at = event, at
            if hasattr(said, "result"):
                gate.outcome = await _first(said.result.payloads, self._codec)

    async def _interrupted(self, event: int, at: datetime, said: Any) -> None:
        self.facts.interrupt = self.facts.interrupt or Moment(event, at, "cancelled from outside")

    async def _terminated(self, event: int, at: datetime, said: Any) -> None:
        await self._interrupted(event, at, said)
        self.facts.end = Moment(event, at, "terminated")


_ENDS: dict[int, str] = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: "completed",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: "failed",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: "canceled",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: "terminated",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: "timed_out",
}

_READ: dict[int, Callable[[_Run, int, datetime, Any], Awaitable[None]]] = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED: _Run._started,
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: _Run._activity,
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: _Run._done,
    EventType.EVENT_TYPE_MARKER_RECORDED: _Run._marked,
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED: _Run._gate,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED: _Run._gate_started,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED: _Run._gate_closed,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED: _Run._gate_closed,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED: _Run._gate_closed,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED: _Run._gate_closed,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED: _Run._interrupted,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: _Run._terminated,
}


async def _first(payloads: Sequence[Payload], codec: PayloadCodec | None) -> Any:
    values = await _values(payloads[:1], codec)
    return values[0] if values else None


async def _values(payloads: Sequence[Payload], codec: PayloadCodec | None) -> tuple[Any, ...]:
    """Payloads as plain JSON; None for what is anything else. Raises InvalidKeys: the key isn't here."""
    if codec is not None and payloads:
        try:
            payloads = await codec.decode(payloads)
        except InvalidKeys:  # nothing would be proved, and all of it look forged
            raise
        except Exception:  # whatever a codec of somebody's raises
            return (None,) * len(payloads)
    plain = (b"json/plain", b"json/protobuf")
    return tuple(
        turns.parsed(one.data) if one.metadata.get("encoding") in plain else None
        for one in payloads
    )

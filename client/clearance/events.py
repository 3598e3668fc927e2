"""From the events of a run's history to what happened in it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import JsonValue
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.converter import PayloadCodec

from . import contract, turns
from .codec import words_of
from .naming import is_housekeeping, is_mcp_call, is_model, is_policy, local_activity, mcp_tool
from .turns import MAX_RESULT, MAX_TEXT, Secrets


@dataclass
class Draft:
    """An ``Entry`` of the timeline while it is put together."""

    at: datetime
    kind: str
    title: str
    text: str = ""
    tool: str | None = None
    arguments: dict[str, JsonValue] | None = None
    approval_id: str | None = None
    status: str | None = None
    attempts: int = 1
    duration: timedelta | None = None


class Reader:
    """Goes through the events of one history."""

    def __init__(self, codec: PayloadCodec | None) -> None:
        """Of one whose payloads this codec has encoded, if any."""
        self._codec = codec
        self._secrets = Secrets()
        self._drafts: list[Draft] = []
        self._open: dict[int, Draft] = {}
        """By the number of the event that began them."""
        self._calls: dict[str, Draft] = {}
        self._policies: set[int] = set()
        self._output: str | None = None
        self._failure: str | None = None

    @property
    def output(self) -> str | None:
        """The agent's final answer, whole; None where there is none."""
        return None if self._output is None else self._secrets.scrubbed(self._output)

    @property
    def failure(self) -> str | None:
        """Why the run failed; None where it didn't."""
        return None if self._failure is None else self._secrets.scrubbed(self._failure, MAX_TEXT)

    def scrubbed(self, text: str) -> str:
        """A text from elsewhere, without the run's secrets."""
        return self._secrets.scrubbed(self._secrets.told(text))

    def drafts(self) -> list[Draft]:
        """All that happened, in order; without secrets, because only now all of them are known.

        To be asked for before the rest, which then has none of those either that are only in here.
        """
        for one in self._drafts:
            one.text = self._secrets.told(one.text)
        for one in self._drafts:
            limit = MAX_RESULT if one.kind in ("call", "result") else MAX_TEXT
            one.text = self._secrets.scrubbed(one.text, limit)
            one.title = self._secrets.scrubbed(one.title, contract.MAX_ACTION_CHARS)
            one.tool = one.tool and self._secrets.scrubbed(one.tool, contract.MAX_NAME_CHARS)
            if one.arguments is not None:
                one.arguments = self._secrets.scrubbed_values(one.arguments)
        return sorted(self._drafts, key=lambda one: one.at)

    async def read(self, event: HistoryEvent) -> None:
        """One more event. Those of other kinds say nothing about the agent."""
        if how := _READ.get(event.event_type):
            name = event.WhichOneof("attributes") or ""
            at = event.event_time.ToDatetime(UTC)
            await how(self, event.event_id, at, getattr(event, name, None))

    def _add(self, at: datetime, kind: str, title: str, **said: Any) -> Draft:
        draft = Draft(at, kind, title, **said)
        self._drafts.append(draft)
        return draft

    async def _started(self, id: int, at: datetime, said: Any) -> None:
        plain = await self._value(said.input.payloads)
        run = plain if isinstance(plain, dict) else {}
        agent = run.get("agent")
        title = f"asked {agent}" if isinstance(agent, str) else "asked"
        self._add(at, "prompt", title, text=turns.words_of(run.get("prompt")))

    async def _scheduled(self, id: int, at: datetime, said: Any) -> None:
        name = said.activity_type.name
        if is_policy(name):
            self._policies.add(id)
        elif is_model(name):
            asked = await self._value(said.input.payloads)
            for call, answer in dict(turns.answers(asked)).items():  # the last one for each
                if call in self._calls and not self._calls[call].text:
                    self._calls[call].text = answer
            self._open[id] = self._add(at, "model", "the model", status="running")
        elif not is_housekeeping(name):
            tool = name
            if is_mcp_call(name):
                asked = await self._value(said.input.payloads)
                tool = mcp_tool(name, asked) or name
            self._open[id] = self._add(at, "result", tool, tool=tool, status="running")

    async def _attempt(self, id: int, at: datetime, said: Any) -> None:
        if draft := self._open.get(said.scheduled_event_id):
            draft.attempts = max(1, said.attempt)

    async def _done(self, id: int, at: datetime, said: Any) -> None:
        if said.scheduled_event_id in self._policies:
            await self._pinned(said.result.payloads)
        draft = self._ended(said.scheduled_event_id, at, "completed")
        if draft is None:
            return
        result = await self._value(said.result.payloads)
        if draft.kind == "result":
            shown = result if isinstance(result, str) else self._secrets.concealed({"": result})
            draft.text = turns.words_of(shown[""] if isinstance(shown, dict) else shown)
            return
        draft.text, calls = turns.spoken(result)
        for call in calls:
            shown = self._secrets.concealed(call.arguments)
            title = f"called {call.tool}"
            self._calls[call.id] = self._add(
                at, "call", title, text=call.answer, tool=call.tool, arguments=shown
            )

    async def _marked(self, id: int, at: datetime, said: Any) -> None:
        name, result = local_activity(said)
        if is_policy(name):
            await self._pinned(result)

    async def _pinned(self, result: Sequence[Payload]) -> None:
        """The policy of the run, which names further secrets."""
        plain = await self._value(result)
        policy = plain.get("policy") if isinstance(plain, dict) else None
        secrets = policy.get("secrets") if isinstance(policy, dict) else None
        self._secrets.add_names(secrets if isinstance(secrets, list) else ())

    async def _failed(self, id: int, at: datetime, said: Any) -> None:
        if draft := self._ended(said.scheduled_event_id, at, "failed"):
            draft.text = await words_of(said.failure, self._codec)

    async def _timed_out(self, id: int, at: datetime, said: Any) -> None:
        if draft := self._ended(said.scheduled_event_id, at, "timed_out"):
            draft.text = await words_of(said.failure, self._codec)

    async def _canceled(self, id: int, at: datetime, said: Any) -> None:
        self._ended(said.scheduled_event_id, at, "canceled")

    def _ended(self, began: int, at: datetime, status: str) -> Draft | None:
        draft = self._open.pop(began, None)
        if draft is not None:
            draft.status, draft.duration = status, at - draft.at
        return draft

    async def _gate(self, id: int, at: datetime, said: Any) -> None:
        if said.workflow_type.name != contract.APPROVAL_WORKFLOW:
            return
        plain = await self._value(said.input.payloads)
        request = plain if isinstance(plain, dict) else {"action": plain}
        tool = request.get("tool")
        self._open[id] = self._add(
            at,
            "gate",
            turns.words_of(request.get("action")) or "an approval",
            tool=tool if isinstance(tool, str) else None,
            arguments=self._secrets.concealed(request.get("arguments")) or None,
            approval_id=said.workflow_id,
            status="pending",
        )

    async def _gate_done(self, id: int, at: datetime, said: Any) -> None:
        if draft := self._ended(said.initiated_event_id, at, "completed"):
            result = await self._value(said.result.payloads)
            status, draft.text, changed = turns.verdict(result)
            draft.status = status or "completed"
            if changed is not None:
                draft.arguments = self._secrets.concealed(changed)

    async def _gate_failed(self, id: int, at: datetime, said: Any) -> None:
        if draft := self._ended(said.initiated_event_id, at, "failed"):
            draft.text = await words_of(said.failure, self._codec)

    async def _gate_withdrawn(self, id: int, at: datetime, said: Any) -> None:
        self._ended(said.initiated_event_id, at, "withdrawn")

    async def _completed(self, id: int, at: datetime, said: Any) -> None:
        plain = await self._value(said.result.payloads)
        said_last = turns.words_of(plain.get("output")) if isinstance(plain, dict) else ""
        self._output = self._secrets.told(said_last)
        self._end(at, "finished", self._output, "completed")

    async def _run_failed(self, id: int, at: datetime, said: Any) -> None:
        self._failure = await words_of(said.failure, self._codec)
        self._end(at, "failed", self._failure, "failed")

    async def _run_ended(self, id: int, at: datetime, said: Any) -> None:
        """By somebody from outside, or by the time."""
        status = _ENDED[type(said).__name__]
        self._end(at, status.replace("_", " "), getattr(said, "reason", ""), status)

    def _end(self, at: datetime, title: str, text: str, status: str) -> None:
        """Of the run; and with it of whatever was under way."""
        for number, draft in list(self._open.items()):
            self._ended(number, at, "withdrawn" if draft.kind == "gate" else "canceled")
        self._add(at, "end", title, text=text, status=status)

    async def _value(self, payloads: Sequence[Payload]) -> Any:
        """The first of them, as plain JSON; None for what is anything else."""
        if not payloads:
            return None
        first = payloads[0]
        if self._codec is not None:
            try:
                (first,) = await self._codec.decode([first])
            except Exception:  # whatever a codec of somebody's raises
                return None
        if first.metadata.get("encoding") not in (b"json/plain", b"json/protobuf"):
            return None
        return turns.parsed(first.data)


_READ: dict[int, Callable[[Reader, int, datetime, Any], Awaitable[None]]] = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED: Reader._started,
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: Reader._scheduled,
    EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED: Reader._attempt,
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: Reader._done,
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: Reader._failed,
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: Reader._timed_out,
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED: Reader._canceled,
    EventType.EVENT_TYPE_MARKER_RECORDED: Reader._marked,
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED: Reader._gate,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED: Reader._gate_done,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED: Reader._gate_failed,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED: Reader._gate_withdrawn,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_TERMINATED: Reader._gate_withdrawn,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: Reader._completed,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: Reader._run_failed,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: Reader._run_ended,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: Reader._run_ended,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: Reader._run_ended,
}

_ENDED = {
    "WorkflowExecutionCanceledEventAttributes": "canceled",
    "WorkflowExecutionTerminatedEventAttributes": "terminated",
    "WorkflowExecutionTimedOutEventAttributes": "timed_out",
}

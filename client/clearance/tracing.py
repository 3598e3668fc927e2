"""From the facts of a run to the events of its trace. Pure functions."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from pydantic import JsonValue

from . import mask
from .facts import Asked, Facts, Gate
from .fields import digest_of
from .labels import Labels
from .models import Outcome
from .pairing import Arguments, Deed, Free, deeds_of
from .requests import ApprovalRequest
from .verdicts import changed_at, outcome_of, request_of

SCHEMA_VERSION = 2
"""Of ``agentack``'s traces."""

Line = dict[str, JsonValue]


class Tracing:
    """One run's trace while it is put together."""

    def __init__(self, run_id: str, facts: Facts, asked: Mapping[str, Asked], free: Free) -> None:
        """Of what these facts prove; ``asked`` by approval id."""
        self.notes: list[str] = []
        self._run_id = run_id
        self._facts = facts
        self._asked = asked
        names = facts.policy.get("secrets")
        further = [one for one in names if isinstance(one, str)] if isinstance(names, list) else []
        self._labels = Labels(mask.names(further))
        self._deeds, self._unexplained = deeds_of(facts, asked, free)
        self._lines: list[tuple[int, int, Line]] = []

    def events(self) -> Iterator[Line]:
        """The lines in the order in which the run's history has them."""
        for deed in self._deeds:
            if not deed.free:
                self._deed(deed)
        for deed in self._unexplained:
            effect, got = deed.effects[0]
            self._note(f"{effect.name} ran, and no call of the model explains it")
            action = self._action(effect.name, got or {})
            self._add(effect.event, effect.at, "action_executed", deed.id, action=action)
        if interrupt := self._facts.interrupt:
            self._line(interrupt.event, interrupt.at, "interrupt", reason=interrupt.reason)
        if end := self._facts.end:
            self._line(end.event, end.at, "session_end", reason=end.reason)
        else:
            self._note(f"{self._run_id} goes on: this is its trace so far")
        # By the number of the history's event: no two clocks are compared.
        return (line for _, _, line in sorted(self._lines, key=lambda one: one[:2]))

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def _line(self, event: int, at: datetime, kind: str, **fields: JsonValue) -> None:
        line: Line = {
            "schema_version": SCHEMA_VERSION,
            "type": kind,
            "timestamp": at.astimezone(UTC).isoformat(),
            "session_id": self._run_id,
        }
        self._lines.append((event, len(self._lines), line | fields))

    def _add(
        self, event: int, at: datetime, kind: str, action_id: str, **fields: JsonValue
    ) -> None:
        self._line(event, at, kind, action_id=action_id, intent_id=_intent(action_id), **fields)

    def _action(self, tool: str, arguments: Arguments) -> Line:
        parameters: JsonValue = self._labels.of(arguments)
        name = tool.encode(errors="backslashreplace").decode().strip() or "unnamed"
        return {"tool": name, "operation": "call", "parameters": parameters}

    def _deed(self, deed: Deed) -> None:
        if deed.proposed is not None:
            action = self._action(deed.tool, deed.arguments or {})
            self._add(
                deed.proposed.event, deed.proposed.at, "action_proposed", deed.id, action=action
            )
        suffix = self._approval(deed, deed.gate) if deed.gate else ""
        approval: Line = {"approval_id": f"{deed.gate.approval_id}{suffix}"} if deed.gate else {}
        for effect, got in deed.effects:
            if got is None:
                self._note(f"{deed.id}: the arguments of {effect.name} can't be compared by name")
                continue
            action = self._action(deed.tool or effect.name, _like(got, deed.arguments))
            id = f"{deed.id}{suffix}"
            self._add(effect.event, effect.at, "action_executed", id, action=action, **approval)
        if not deed.effects and deed.gate is None:
            self._note(f"{deed.id}: {deed.tool} was proposed; no approval and no activity of it")

    def _approval(self, deed: Deed, gate: Gate) -> str:
        """The lines of an approval. Returns what distinguishes what was approved after changes."""
        asked = self._asked.get(gate.approval_id)
        request = request_of(asked)
        if asked is None or request is None:
            self._note(f"{gate.approval_id}: its own history can't be read any more")
            return ""
        id = gate.approval_id
        presented = self._presented(deed, request, request.arguments)
        self._add(
            gate.event, gate.at, "approval_requested", deed.id, approval_id=id, action=presented
        )
        at = gate.closed or (self._facts.end and asked.closed_at and self._facts.end.event)
        closed_at = gate.closed_at or asked.closed_at
        if not at or closed_at is None:
            return ""
        outcome = outcome_of(gate, asked, request)
        if isinstance(outcome, str):
            self._note(f"{id}: {outcome}")
            return ""
        if outcome.approved and outcome.edit is None and outcome.decision is not None:
            self._decided(at, outcome.decision.at, deed.id, id, "allow")
            self._note_undone(deed, id)
            return ""
        if outcome.edit is not None:
            return self._edited(deed, at, asked, request, outcome)
        reason = f"{outcome.status}: {outcome.reason}" if outcome.reason else outcome.status
        self._decided(
            at, outcome.decision.at if outcome.decision else closed_at, deed.id, id, "deny"
        )
        self._add(at, closed_at, "action_blocked", deed.id, approval_id=id, reason=reason)
        return ""

    def _edited(
        self, deed: Deed, at: int, asked: Asked, request: ApprovalRequest, outcome: Outcome
    ) -> str:
        """What was proposed was not allowed: something else was, which a person proposed instead."""
        edit, decision = outcome.edit, outcome.decision
        if edit is None or decision is None:
            return ""
        id = outcome.approval_id
        edited, changed = f"{deed.id}{_EDITED}", f"{id}{_EDITED}"
        when = changed_at(asked, outcome) or decision.at
        action = self._presented(deed, request, edit.arguments)
        said = f"approved with changes: {changed}"
        self._decided(at, when, deed.id, id, "deny")
        self._add(at, when, "action_blocked", deed.id, approval_id=id, reason=said)
        self._add(at, when, "action_proposed", edited, action=action)
        self._add(at, when, "approval_requested", edited, approval_id=changed, action=action)
        self._decided(at, decision.at, edited, changed, "allow")
        self._note_undone(deed, id)
        return _EDITED

    def _decided(self, event: int, at: datetime, action_id: str, id: str, decision: str) -> None:
        self._add(event, at, "approval_decision", action_id, approval_id=id, decision=decision)

    def _note_undone(self, deed: Deed, id: str) -> None:
        if not deed.effects:
            self._note(f"{id}: approved; no activity in the history got its arguments")

    def _presented(self, deed: Deed, request: ApprovalRequest, shown: Arguments) -> Line:
        """The action as a person saw it.

        Their masks cover what the model proposed if the digest over the real arguments says so; else
        the masks stay, and are the same as nothing.
        """
        real = shown
        if request.masked and deed.arguments is not None:
            proposed: JsonValue = {"tool": request.tool, "arguments": deed.arguments}
            if _digest(proposed) == request.digest:
                real = mask.reveal(shown, deed.arguments, request.masked)
        tool = deed.tool or request.tool or "approval"
        if request.tool is None:
            real = {**real, "action": request.action}
        return self._action(tool, _like(real, deed.arguments))


_EDITED = "#edited"


def _intent(action_id: str) -> str:
    return action_id.removesuffix(_EDITED)


def _like(arguments: Arguments, proposed: Arguments | None) -> Arguments:
    """The arguments without those that the model left out and that are empty: the tool's defaults."""
    if proposed is None:
        return arguments
    return {
        name: value
        for name, value in arguments.items()
        if name in proposed or value not in ("", None, [], {})
    }


def _digest(value: JsonValue) -> str | None:
    try:
        return digest_of(value)
    except ValueError:
        return None

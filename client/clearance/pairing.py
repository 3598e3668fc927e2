"""Which approval was of which call, and which activity did it. Pure functions of a run's facts."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue

from .facts import Asked, Effect, Facts, Gate, Proposed
from .fields import inside, same_json
from .naming import is_mcp_call, mcp_tool

Free = Callable[[str, Mapping[str, JsonValue]], bool]
"""Whether a call of this tool with these arguments needs nobody's approval."""

Arguments = dict[str, JsonValue]


@dataclass
class Deed:
    """One call, what was asked about it, and what was done."""

    id: str
    """Unique within the run."""
    proposed: Proposed | None
    """None where somebody asked for an approval that no call of a model explains."""
    gate: Gate | None = None
    effects: list[tuple[Effect, Arguments | None]] = field(default_factory=list)
    """Each with the arguments that the tool really got; None where they can't be told."""
    free: bool = False
    """Whether nobody had to be asked."""

    @property
    def tool(self) -> str:
        """What the model called; empty where it called nothing."""
        return self.proposed.call.tool if self.proposed else ""

    @property
    def arguments(self) -> Arguments | None:
        """What the model chose."""
        return self.proposed.call.arguments if self.proposed else None


def deeds_of(facts: Facts, asked: Mapping[str, Asked], free: Free) -> tuple[list[Deed], list[Deed]]:
    """All that was proposed or asked, in order; and what was done that nothing of it explains."""
    deeds: list[Deed] = []
    for number, proposed in enumerate(facts.proposed):
        used = any(one.id == proposed.call.id for one in deeds)
        id = f"{proposed.call.id}~{number}" if used else proposed.call.id
        call = proposed.call
        let = call.tool in facts.handoffs or free(call.tool, call.arguments or {})
        deeds.append(Deed(id, proposed, free=let))
    for gate in facts.gates:
        request = asked[gate.approval_id].request if gate.approval_id in asked else None
        deed = _asked_about(deeds, gate, request if isinstance(request, dict) else {})
        if deed is None:
            deed = Deed(gate.approval_id, None)
            deeds.append(deed)
        deed.gate, deed.free = gate, False
    return deeds, _done(facts, deeds, free)


def _asked_about(deeds: Iterable[Deed], gate: Gate, request: Mapping[str, Any]) -> Deed | None:
    """The call that an approval was asked about: the last of its tool, best with its arguments."""
    tool, shown = request.get("tool"), request.get("arguments")
    fitting = [
        one
        for one in deeds
        if one.gate is None
        and one.proposed is not None
        and one.proposed.event < gate.event
        and (tool is None or _same_tool(one.tool, str(tool)))
    ]
    if not fitting:
        return None
    masked = bool(request.get("masked"))
    equal = [one for one in fitting if not masked and same_json(one.arguments, shown)]
    last = max(one.proposed.event for one in fitting if one.proposed)
    of_last_turn = [one for one in fitting if one.proposed and one.proposed.event == last]
    stopped = [one for one in of_last_turn if not one.free]
    return (equal[-1:] or stopped or of_last_turn)[0]


def _same_tool(called: str, asked: str) -> bool:
    """Also where one of the names is whole, with its server or namespace, and the other isn't."""
    return called == asked or called.endswith(f"__{asked}") or asked.endswith(f".{called}")


def _done(facts: Facts, deeds: Sequence[Deed], free: Free) -> list[Deed]:
    unexplained = []
    by_approval = {one.gate.approval_id: one for one in deeds if one.gate}
    for effect in facts.effects:
        deed = next((by_approval[key] for key in _texts(effect) if key in by_approval), None)
        deed = deed or _by_name(effect, deeds, free) or _only_open(effect, deeds)
        if deed is None:
            turn = _turn(effect, deeds)
            if any(one.free for one in turn):
                continue  # what a tool does that needs no approval
            deed = Deed(f"activity-{effect.event}", None)
            unexplained.append(deed)
        if not deed.free:
            expected = deed.arguments or {}
            deed.effects.append((effect, given(effect, expected, deed.gate)))
    return unexplained


def _by_name(effect: Effect, deeds: Sequence[Deed], free: Free) -> Deed | None:
    """The call of a tool that goes by the activity's name and was not done yet."""
    name = mcp_tool(effect.name, effect.values[0] if effect.values else None) or effect.name
    for one in reversed(_turn(effect, deeds)):
        if one.effects or not _same_tool(one.tool, name):
            continue
        got = given(effect, one.arguments or {}, one.gate)
        if one.free and got is not None and not same_json(got, one.arguments):
            one.free = free(one.tool, got)  # let through for what it said, not for what it did
        return one
    return None


def _only_open(effect: Effect, deeds: Sequence[Deed]) -> Deed | None:
    """The one approval of the turn that was given and not used yet, where the activity has its
    arguments."""
    for one in _turn(effect, deeds):
        closed = one.gate.closed if one.gate else None
        if one.effects or closed is None or closed > effect.event:
            continue
        if given(effect, one.arguments or {}, one.gate) is not None:
            return one
    return None


def _turn(effect: Effect, deeds: Sequence[Deed]) -> list[Deed]:
    """The calls under way when an activity was scheduled: those of the model's last turn, and any of
    before whose approval came since."""
    before = [one for one in deeds if one.proposed and one.proposed.event < effect.event]
    last = max((one.proposed.event for one in before if one.proposed), default=0)
    return [
        one
        for one in before
        if (one.proposed and one.proposed.event == last)
        or (one.gate and one.gate.closed is not None and last < one.gate.closed < effect.event)
    ]


def given(effect: Effect, expected: Mapping[str, JsonValue], gate: Gate | None) -> Arguments | None:
    """The arguments that a tool really got, by name, without the approval's id.

    None where an activity takes them in another shape than the tool does, by position for instance.
    """
    first = next((one for one in effect.values if isinstance(one, dict)), None)
    if first is None:
        return None
    key = gate.approval_id if gate else None
    plain = {
        name: value
        for name, value in first.items()
        if name != "idempotency_key" and (key is None or value != key)
    }
    inner = plain.get("arguments")
    if is_mcp_call(effect.name) and "arguments" in plain:
        plain = dict(inner) if isinstance(inner, dict) else {}
    elif isinstance(inner, dict) and "arguments" not in expected:
        plain = dict(inner)
    return plain if not expected or expected.keys() & plain.keys() else None


def _texts(effect: Effect) -> Iterable[str]:
    """The texts among what an activity got, where an approval's id may stand."""
    for value in effect.values:
        yield from (one for one in (value, *inside(value)) if isinstance(one, str))

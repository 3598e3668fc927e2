"""The record of a request as plain JSON, for another execution of its workflow to go on with.

A workflow's history has an end; a request that very much is said about goes on in the next one, with all
that it knows: it is one record to whoever reads it. Nothing that has ended is handed over, so that what
goes on is never open already.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from pydantic import AwareDatetime, JsonValue, TypeAdapter

from .acts import Act
from .ballot import Ballot, Taken
from .directory import Members
from .models import Edit, Recorded
from .record import Record
from .rules import Vote
from .text import some
from .views import Delegation, Event

Fields = Mapping[str, Any]
"""Names of attributes, and of what type they are."""

_RECORD: Fields = {
    "members": Members,
    "delegations": list[Delegation],
    "_edit": Edit | None,
    "_edits": int,
    "_editors": frozenset[str],
    "_acts": dict[str, tuple[Act, datetime]],
    "_handed": list[tuple[frozenset[str], str, tuple[str, ...]]],
}

_LOG: Fields = {
    "events": list[Event],
    "refusals_uncounted": int,
    **dict.fromkeys(("_refusals_bytes", "_changes_bytes", "_comments_bytes", "_words_bytes"), int),
    "_seen": dict[str, set[tuple[str, str, str]]],
}

_SIGNATURES: Fields = {"_kept_bytes": int, "_refused": dict[str, str]}

_BALLOT: Fields = {
    **dict.fromkeys(("approvals", "rejections"), list[Vote]),
    "audience": tuple[str, ...],
    **dict.fromkeys(("escalates_at", "deadline"), datetime | None),
    "reminders": list[datetime],
}

_STATE = frozenset({"record", "log", "signatures", "ballots", "taken"})

_TAKEN: Any = list[tuple[Recorded, int, bool]]
"""Decisions: the number of the stage they were taken in, and whether they count."""


def state_of(record: Record) -> dict[str, JsonValue]:
    """A record that is pending. Raises ValueError: it has ended."""
    if record.status != "pending":
        raise ValueError("a request that has ended goes on nowhere")
    course = record._course
    ballots = [*course._done.values(), course.ballot]
    taken = [(one.recorded, one.ballot.number, one.counted) for one in record._taken]
    return {
        "record": plain(record, _RECORD),
        "log": plain(record.log, _LOG),
        "signatures": plain(record.signatures, _SIGNATURES),
        "ballots": [{"number": one.number, **plain(one, _BALLOT)} for one in ballots],
        "taken": _adapter(_TAKEN).dump_python(taken, mode="json"),
    }


def resume(record: Record, state: Mapping[str, Any]) -> None:
    """Make a new record of the same request the one that this is the state of.

    Raises:
        KeyError, TypeError, ValueError: it is none; nothing may be decided by the record then.
    """
    if record.status != "pending":
        raise ValueError("a request that is answered as it is made goes on nowhere")
    _exactly(_STATE, state)
    restore(record, _RECORD, state["record"])
    restore(record.log, _LOG, state["log"])
    restore(record.signatures, _SIGNATURES, state["signatures"])
    if (edit := record._edit) is not None:
        record._current = record.request.with_arguments(edit.arguments)
        if record._current.digest != edit.digest:
            raise ValueError("the changed arguments are not those that were approved so far")
    ballots = {}
    chain = record.request.chain
    for one in state["ballots"]:
        number = int(one["number"])
        if not 1 <= number <= len(chain) or number in ballots:
            raise ValueError("there is no such stage")
        ballots[number] = Ballot(number, chain[number - 1], record.requested_at)
        restore(ballots[number], _BALLOT, {key: one[key] for key in one if key != "number"})
    if any(_is_decided(one) for one in list(ballots.values())[-1:]):
        raise ValueError("the stage that is asked is decided already")
    *done, asked = ballots.values()
    record._course._done = {one.number: one for one in done}
    record._course.ballot = asked
    taken = _adapter(_TAKEN).validate_python(state["taken"])
    record._taken = [Taken(said, ballots[number], counted) for said, number, counted in taken]


def requested_at(state: Mapping[str, Any]) -> datetime:
    """Since when the request waits that goes on from this, as its workflow has handed it over: with
    the ``record``, which is to be resumed. Raises KeyError and ValueError: it is none."""
    at: datetime = _adapter(AwareDatetime).validate_python(state["requested_at"])
    return at


def plain(one: object, fields: Fields) -> dict[str, JsonValue]:
    """These attributes of an object, as plain JSON."""
    return {
        name: _adapter(kind).dump_python(getattr(one, name), mode="json")
        for name, kind in fields.items()
    }


def restore(one: object, fields: Fields, values: Mapping[str, Any]) -> None:
    """Give them back. Raises TypeError and ValueError for what they can't be, and for any other: what a
    newer build knows of a request must not be forgotten by an older one."""
    _exactly(fields, values)
    for name, kind in fields.items():
        setattr(one, name, _adapter(kind).validate_python(values[name]))


def _exactly(names: Collection[str], values: Mapping[str, Any]) -> None:
    if set(values) != set(names):
        raise ValueError(f"it has other fields: {some(sorted(set(values) ^ set(names)))}")


def _is_decided(ballot: Ballot) -> bool:
    stage = ballot.stage
    enough = len(ballot.approvals) >= stage.quorum
    return enough or len(ballot.rejections) >= stage.reject_quorum


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)

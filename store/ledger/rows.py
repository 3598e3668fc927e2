"""From a request to its rows in the ledger, and back. Pure functions.

A row is an event. Its ``body`` is canonical JSON (``clearance.fields.canonical_json``) of:

- ``request`` (the approval's id), ``execution`` (Temporal's run id), ``sequence``, ``queue``, ``event``;
- ``tool``, ``checkpoint``, ``requester``, ``risk``, ``run_id`` of the request;
- in the first row ``asked``: the request as it was shown, and when it was asked;
- in the row it ended with ``ended``: everything else of its ``ApprovalView``.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pydantic_core import from_json

from clearance import ApprovalView, InvalidRequest
from clearance.fields import canonical_json
from clearance.kept import Kept

FIRST = "0" * 64
"""What stands for the hash before the first row."""

_ASKED = frozenset({"request", "requested_at"})
_OF = ("tool", "checkpoint", "requester", "risk", "run_id")
COMMON = ("request", "execution", "queue", *_OF)
"""What every row of a request says."""


class Row(NamedTuple):
    """An event on its way into the ledger, not chained yet."""

    request: str
    execution: str
    sequence: int
    body: str

    @property
    def key(self) -> tuple[str, str, int]:
        """What there is one row of."""
        return self[:3]

    @property
    def of(self) -> tuple[str, str]:
        """The execution of the request that it is of."""
        return self[:2]


def rows_of(kept: Kept) -> list[Row]:
    """A row for each event of a request, also of one that still waits.

    Raises:
        InvalidRequest: the view is not complete, or its events are not numbered from 1, or it says
            that it has ended and no event does.
    """
    view = kept.view
    if not view.complete or not view.events:
        raise InvalidRequest(f"{view.id}: the ledger takes whole records; no worker told this one")
    if [one.sequence for one in view.events] != list(range(1, len(view.events) + 1)):
        raise InvalidRequest(f"{view.id}: the events of the record are not numbered from 1")
    plain = view.model_dump(mode="json", exclude={"id", "complete"})
    events = plain.pop("events")
    asked = {name: plain.pop(name) for name in sorted(_ASKED)}
    last = _ending(view)
    common = {
        "request": view.id,
        "execution": kept.execution,
        "queue": kept.queue,
        **{name: asked["request"][name] for name in _OF},
    }
    rows = []
    for number, event in enumerate(events, 1):
        body = {**common, "sequence": number, "event": event}
        if number == 1:
            body["asked"] = asked
        if number == last:
            body["ended"] = plain
        rows.append(row_of(body))
    return rows


def row_of(body: dict[str, Any]) -> Row:
    """The row that says this. Raises InvalidRequest: it is no text that databases take."""
    id = body["request"]
    return Row(id, body["execution"], body["sequence"], _text(body, id))


def _ending(view: ApprovalView) -> int | None:
    """The number of the event that ended a request: later ones tell what came of it."""
    if view.status == "pending":
        return None
    ends = [one.sequence for one in view.events if one.kind == view.status]
    if not ends:
        raise InvalidRequest(f"{view.id}: it is {view.status}, and no event of it says so")
    return ends[-1]


def _text(body: dict[str, Any], id: str) -> str:
    try:
        text = canonical_json(body)
        text.encode()
    except ValueError as error:  # half a character, which neither database takes
        raise InvalidRequest(f"{id!r}: the record is no Unicode text") from error
    if "\0" in id + body["queue"]:  # all other names have been checked
        raise InvalidRequest(f"{id!r}: ids and queues have no control characters")
    return text


def same(one: str, other: str) -> bool:
    """Whether two bodies say the same.

    How many refusals there was no room for may grow after the end; and what another version of this
    program wrote may leave fields out that say nothing.
    """
    return one == other or _agree(_settled(one), _settled(other))


def _settled(body: str) -> Any:
    plain = json.loads(body)
    if isinstance(plain.get("ended"), dict):
        plain["ended"].pop("refusals_uncounted", None)
    return plain


def _agree(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return all(_agree(one.get(name), other.get(name)) for name in {*one, *other})
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_agree, one, other))
    return bool(one == other or not (one or other))


def hash_of(previous: str, position: int, body: str) -> str:
    r"""Chain a row to the one before: hexadecimal SHA-256, of UTF-8, over
    ``previous + "\n" + position + "\n" + body``, the position in decimal digits."""
    return hashlib.sha256(f"{previous}\n{position}\n{body}".encode()).hexdigest()


def columns_of(body: str) -> dict[str, Any]:
    """What a row repeats of its body to be searched by.

    Raises:
        KeyError, TypeError, ValueError: it is no body of a row.
    """
    plain = from_json(body)
    event, ended = plain["event"], plain.get("ended")
    at = moment(event["at"])
    decision = ended and ended["decision"]
    return {
        "request": plain["request"],
        "execution": plain["execution"],
        "sequence": plain["sequence"],
        "queue": plain["queue"],
        "at": at,
        "kind": event["kind"],
        "who": folded(event["who"]),
        "tool": plain["tool"],
        "checkpoint": plain["checkpoint"],
        "requester": plain["requester"],
        "risk": plain["risk"],
        "run": _run(plain["request"], plain["run_id"]),
        "status": ended and ended["status"],
        "reviewer": decision and folded(decision["reviewer"]),
        "closed_at": ended and at,
    }


def folded(name: str | None) -> str | None:
    """A name as people are searched by: capitals don't matter."""
    return name and name.casefold()


def moment(at: str | datetime) -> str:
    """A time as texts that sort like times: UTC, always with microseconds."""
    if isinstance(at, str):
        if at[-1:] == "Z" and len(at) in _MICROSECONDS:  # as models write nearly all of them
            return at[:-1] + _MICROSECONDS[len(at)]
        at = datetime.fromisoformat(at)
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


_MICROSECONDS = {len("2026-11-21T10:00:00Z"): ".000000Z", len("2026-11-21T10:00:00.123456Z"): "Z"}


def _run(request: str, asked_by: str | None) -> str | None:
    """The run that lists call a request's: anybody may choose such an id, so who asked counts, too."""
    parent, _, number = request.rpartition(".")
    return parent if parent and parent == asked_by and number.isdecimal() else None


def view_of(bodies: Sequence[Mapping[str, Any]]) -> ApprovalView | None:
    """The whole record from the parsed bodies of an execution's rows, in order; None where it waits.

    Raises:
        pydantic.ValidationError: they are not what ``rows_of`` made.
        KeyError: the first is missing.
    """
    ended = next((one["ended"] for one in bodies if "ended" in one), None)
    if ended is None:
        return None
    events = [one["event"] for one in bodies]
    whole = {**ended, **bodies[0]["asked"], "id": bodies[0]["request"], "events": events}
    return ApprovalView.model_validate(whole)

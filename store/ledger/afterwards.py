"""What comes after a request's end: that its action has run, that somebody could not be told.

That is learned from several sides, none of which knows of the others: so it is the ledger that numbers
these events, as they come. Pure functions.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clearance.views import Event

from .rows import COMMON, Row, row_of


def numbered(rows: Sequence[Row], known: Mapping[int, str]) -> Iterator[Row]:
    """The rows of a request as they follow what is known of it: its later events anew, or as they are.

    Args:
        rows: in order, of one execution.
        known: the bodies that the ledger has of it, by their numbers; what is taken of the rows that
            come out may be added meanwhile.
    """
    bodies = [json.loads(row.body) for row in rows]
    end = _end(known) or next((one["sequence"] for one in bodies if "ended" in one), None)
    for row, body in zip(rows, bodies, strict=True):
        if end is None or row.sequence <= end:
            yield row
        elif not any(_is_same(body["event"], one) for one in _later(known, end)):
            yield _as(body, max(known) + 1)


def later_row(known: Mapping[int, str], event: Event) -> Row | None:
    """An event that came after the end, as a row; None where the end isn't known.

    Where it is known already, its row is the one that there is.
    """
    end = _end(known)
    if end is None:
        return None
    ended = json.loads(known[end])
    body = {name: ended[name] for name in COMMON}
    body["event"] = event.model_dump(mode="json")
    for one in _later(known, end):
        if _is_same(body["event"], one):
            return _as(body, one["sequence"])
    return _as(body, max(known) + 1)


def _as(body: dict[str, Any], number: int) -> Row:
    event = {**body["event"], "sequence": number}
    return row_of({**body, "sequence": number, "event": event})


def _end(known: Mapping[int, str]) -> int | None:
    return next((number for number, body in known.items() if "ended" in json.loads(body)), None)


def _later(known: Mapping[int, str], end: int) -> list[dict[str, Any]]:
    return [json.loads(body)["event"] for number, body in known.items() if number > end]


def _is_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """An action runs once, and its permission is taken once; anything else is what it says."""
    if one["kind"] in ("consumed", "executed"):
        return bool(one["kind"] == other["kind"])
    return {**one, "sequence": 0} == {**other, "sequence": 0}

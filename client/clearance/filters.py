"""The visibility queries behind every list, and what a query alone can't tell."""

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypedDict, TypeGuard, Unpack

from . import attributes, contract
from .errors import InvalidRequest
from .stages import folded
from .views import ApprovalSummary, Vote

PENDING = f"WorkflowType = '{contract.APPROVAL_WORKFLOW}' AND ExecutionStatus = 'Running'"
"""Everything that waits. The status attribute alone would list requests of ended parents too."""


_UNFINDABLE = frozenset("\\'\"")
"""The server compares these with an escape before them, so that some values with one never match
(and some fail, in a list of names on SQLite). Such values are left to ``fits``."""


_MANY = 100
"""Names in one query; more are left to ``fits``, too."""


def quoted(value: str) -> str:
    """A string literal of the visibility query language."""
    return "'" + value.replace("'", "''") + "'"


class OfAny(TypedDict, total=False):
    """What every list of requests can be narrowed to; None and empty leave it as it is."""

    tool: str | None
    """Only of this tool."""
    run: str | None
    """Only asked by this agent run (its whole id), or by another workflow of this id."""
    risk: str | None
    """``low``, ``medium``, ``high`` or ``critical``."""
    requester: str | None
    """Only of runs this person started."""
    listed_requester: str | None
    """The same as the index holds it, where names are hashed there: the client's to say."""
    checkpoint: str | None
    """Only stopped by this policy rule."""


class Filters(OfAny, total=False):
    """What a list of pending requests can be narrowed to besides."""

    audience: str | None
    """Only requests that name this person."""
    reviewer: str | None
    """Only requests this person may decide: naming them, or naming nobody."""
    also: Sequence[str] | None
    """What else ``reviewer`` decides as: their groups and other names, and those of whom they stand
    in for. It fits what names any of them, too."""
    left_to: str | None
    """Only requests that this person has not approved already, in the stage that is asked."""
    due_before: datetime | None
    """Only requests whose deadline, or whose stage's, is before; with a time zone."""


def pending_query(*, queue: str, **filters: Unpack[Filters]) -> str:
    """The visibility query for what waits and fits every given filter.

    Raises:
        InvalidRequest: a time without its zone, a control character.
    """
    check(filters)
    parts = [PENDING, f"TaskQueue = {quoted(queue)}", *conditions(filters)]
    audience, names = filters.get("audience"), _decides_as(filters)
    name = attributes.AUDIENCE.name
    if findable(audience):
        parts.append(f"{name} = {quoted(audience.casefold())}")
    if names and _listable(names):
        listed = [f"{name} = {quoted(one)}" for one in names]
        parts.append(f"({' OR '.join([f'{name} IS NULL', *listed])})")
    if due := filters.get("due_before"):
        parts.append(f"{attributes.DEADLINE.name} < {quoted(instant('due_before', due))}")
    return " AND ".join(parts)


def instant(name: str, at: datetime) -> str:
    """A time as the query language takes it. Raises InvalidRequest: it has no zone, or is in no year
    from 1 to 9999 in UTC."""
    if at.tzinfo is None:
        raise InvalidRequest(f"{name}: say the time zone")
    try:
        return at.astimezone(UTC).isoformat()
    except OverflowError as error:
        raise InvalidRequest(f"{name}: the years go from 1 to 9999") from error


def check(filters: Mapping[str, Any]) -> None:
    """Raises InvalidRequest for a value that no request has, and that servers answer with an error."""
    for name, value in filters.items():
        values = [value] if isinstance(value, str) else value if name == "also" and value else []
        if any(unicodedata.category(c) in ("Cc", "Cs") for one in values for c in one):
            raise InvalidRequest(f"{name}: write it without control characters")


def conditions(filters: Mapping[str, Any]) -> list[str]:
    """What narrows a list of any requests to those of a tool, a run, a requester and so on."""
    equal = (
        (attributes.TOOL, filters.get("tool")),
        (attributes.RISK, filters.get("risk")),
        (attributes.CHECKPOINT, filters.get("checkpoint")),
    )
    parts = [f"{key.name} = {quoted(value)}" for key, value in equal if findable(value)]
    if findable(requester := filters.get("requester")):
        # As it is, too: requests of before names were hashed are still there.
        names = [requester, *filter(findable, [filters.get("listed_requester")])]
        either = [f"{attributes.REQUESTER.name} = {quoted(one)}" for one in names]
        parts.append(f"({' OR '.join(either)})" if len(either) > 1 else either[0])
    if findable(run := filters.get("run")):
        parts.append(f"WorkflowId STARTS_WITH {quoted(run + '.')}")
    return parts


def _decides_as(filters: Mapping[str, Any]) -> tuple[str, ...]:
    """The names, case-folded, of which a request has to have one; empty for all requests."""
    reviewer = filters.get("reviewer")
    return folded([*([reviewer] if reviewer else []), *(filters.get("also") or ())])


def _listable(names: Sequence[str]) -> bool:
    """Whether a query may ask for any of these names."""
    return len(names) <= _MANY and all(map(findable, names))


def left_over(filters: Mapping[str, Any]) -> bool:
    """Whether the query has to leave one of the filters to ``fits``, and so may find much too much."""
    fields = ("tool", "risk", "requester", "checkpoint", "run", "audience")
    values = [filters.get(name) for name in fields]
    odd = any(value and not findable(value) for value in values)
    return odd or not _listable(_decides_as(filters))


def findable(value: str | None) -> TypeGuard[str]:
    """Whether a value can be left to the query."""
    return bool(value) and _UNFINDABLE.isdisjoint(value or "")


def fits(listed: ApprovalSummary, **filters: Unpack[Filters]) -> bool:
    """Whether a pending request is what was asked for; the query alone may find more."""
    names = folded(listed.audience and listed.audience + listed.delegates)
    asked = _decides_as(filters)
    audience, due, deadline = filters.get("audience"), filters.get("due_before"), listed.deadline
    left_to = (filters.get("left_to") or "").casefold()
    return (
        is_of(listed, filters)
        and not any(_is_by(left_to, vote) for vote in listed.approvals)
        and (due is None or (deadline is not None and deadline < due))
        and (not audience or audience.casefold() in names)
        and (not asked or not names or any(one in names for one in asked))
    )


def _is_by(person: str, vote: Vote) -> bool:
    """Whether it is theirs, also where they stood in for somebody."""
    who = vote.who.casefold()
    return bool(person) and (who == person or who.startswith(f"{person} for "))


def is_of(listed: ApprovalSummary, filters: Mapping[str, Any]) -> bool:
    """Whether any request is of the tool, the run, the requester and so on that were asked for."""
    run = filters.get("run")
    equal = (
        (filters.get("tool"), listed.tool),
        (filters.get("risk"), listed.risk),
        (filters.get("requester"), listed.requester),
        (filters.get("checkpoint"), listed.checkpoint),
    )
    same = all(not asked or asked == has for asked, has in equal)
    return same and (not run or _is_child(listed, run))


def _is_child(listed: ApprovalSummary, run: str) -> bool:
    """``run.7`` is; ``run.7.1`` is of the run called ``run.7``. Anybody may choose such an id: what
    counts besides is who asked."""
    parent, _, sequence = listed.id.rpartition(".")
    return parent == run == listed.run_id and sequence.isdecimal()

"""What somebody asks the inbox for, and the requests that are it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import get_args
from urllib.parse import urlencode

from pydantic import Field

from clearance import ApprovalClient
from clearance.filters import Filters
from clearance.requests import Risk
from clearance.stages import folded, is_group
from clearance.text import one_line
from clearance.views import ApprovalSummary

from .inbox_asked import Address

VIEWS = {"mine": "For me", "groups": "My groups", "all": "Everything"}
"""Of these the first also has what is for somebody's groups: all that they may decide."""

DUE = {"hour": "within the hour", "day": "within a day", "week": "within a week"}
SORTS = {
    "newest": "Newest first",
    "oldest": "Oldest first",
    "deadline": "Deadline first",
    "risk": "Highest risk first",
}
RISKS: tuple[Risk, ...] = get_args(Risk)

SIZE = 50
"""Requests on a page."""

LOOKED_AT = 1_000
"""The newest that are looked through where Temporal itself can't search or sort."""

_WITHIN = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}
_NEVER = datetime.max.replace(tzinfo=UTC)


class Asked(Address):
    """The address of a page of the inbox. Empty texts ask for nothing."""

    view: str = "mine"
    q: str = ""
    """Words that are all in the action, the tool, the requester or the id."""
    tool: str = ""
    run: str = ""
    risk: str = ""
    requester: str = ""
    due: str = ""
    sort: str = "newest"
    cursor: str = ""
    """Of Temporal's list: where the page goes on."""
    page: int = Field(1, ge=1, le=LOOKED_AT // SIZE)
    """Of a list that was searched or sorted here, from 1."""

    def faults(self) -> dict[str, str]:
        """What names something that there isn't."""
        choices = (("view", VIEWS), ("due", DUE), ("sort", SORTS), ("risk", RISKS))
        return {
            name: f"choose of {', '.join(known)}"
            for name, known in choices
            if (given := getattr(self, name)) and given not in known
        }

    @property
    def narrowed(self) -> bool:
        """Whether anything but the view was chosen."""
        return any((self.q, self.tool, self.run, self.risk, self.requester, self.due))

    @property
    def looks_through(self) -> bool:
        """Whether the newest are looked through here, because Temporal can't tell.

        A deadline counts from now: the next page's query would be another one than the cursor's.
        And what names nobody is for groups, too, in the eyes of a query.
        """
        return self.view == "groups" or bool(self.q or self.due) or self.sort != "newest"

    @property
    def cleared(self) -> str:
        """The address of the whole view."""
        return Asked(view=self.view).url()

    def url(self, **changed: str | int) -> str:
        """The address of this page with something changed; what is as always is left out."""
        kept = {**self.model_dump(exclude_defaults=True), **changed}
        fields = type(self).model_fields
        said = {name: value for name, value in kept.items() if value != fields[name].default}
        return "/?" + urlencode(said) if said else "/"

    def filters(self, now: datetime) -> Filters:
        """What Temporal's list can be narrowed to, whoever asks."""
        return {
            "tool": self.tool or None,
            "run": self.run or None,
            "risk": self.risk or None,
            "requester": self.requester or None,
            "due_before": now + _WITHIN[self.due] if self.due else None,
        }


@dataclass(frozen=True)
class Names:
    """Who looks, by every name that an audience may have for them."""

    person: str
    every: tuple[str, ...]

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups among them, case-folded."""
        return tuple(name for name in folded(self.every) if is_group(name))

    @property
    def may_decide(self) -> Filters:
        """What narrows a list to what they may decide."""
        return {"reviewer": self.person, "also": self.every}

    @property
    def waits_for(self) -> Filters:
        """What narrows a list to what still needs their word."""
        return {**self.may_decide, "left_to": self.person}

    def has_approved(self, one: ApprovalSummary) -> bool:
        """Whether they have approved it already, in the stage that is asked."""
        return any(vote.who.casefold() == self.person.casefold() for vote in one.approvals)


@dataclass(frozen=True)
class Found:
    """One page of the inbox."""

    items: tuple[ApprovalSummary, ...]
    newer: str | None = None
    """The address of the page before; of a list that Temporal pages, of its beginning."""
    older: str | None = None
    """The address of the page after."""
    total: int | None = None
    """How many there are in all, where that is known from having them all."""
    cut: bool = False
    """Whether more wait than were looked through."""

    @property
    def waiting(self) -> str:
        """How many there are in all, as far as their first page tells: ``7``, or ``50+``.

        To count them takes the engine longer than to list these. Empty for none, and for a later page.
        """
        if self.total is not None:
            return str(self.total or "")
        return f"{len(self.items)}+" if self.items and not self.newer else ""


async def found(approvals: ApprovalClient, asked: Asked, names: Names) -> Found:
    """The requests of a page.

    Raises:
        InvalidRequest: the cursor is of another list.
    """
    narrowed = asked.filters(datetime.now(UTC))
    if asked.view == "mine":
        narrowed |= names.waits_for
    elif asked.view == "groups":
        if not names.groups:
            return Found((), total=0)
        narrowed |= {"reviewer": names.groups[0], "also": names.groups}
    if asked.looks_through:
        return await _looked_through(approvals, asked, narrowed)
    page = await approvals.page(size=SIZE, cursor=asked.cursor or None, **narrowed)
    return Found(
        page.items,
        newer=asked.url(cursor="") if asked.cursor else None,
        older=asked.url(cursor=page.cursor) if page.cursor else None,
        total=None if page.cursor or asked.cursor else len(page.items),
    )


async def _looked_through(approvals: ApprovalClient, asked: Asked, narrowed: Filters) -> Found:
    page = await approvals.page(size=LOOKED_AT, **narrowed)
    words = one_line(asked.q).casefold().split()
    fitting = [
        one for one in page.items if (asked.view != "groups" or one.audience) and _has(one, words)
    ]
    fitting = _sorted(fitting, asked.sort)
    start = (asked.page - 1) * SIZE
    more = len(fitting) > start + SIZE
    return Found(
        tuple(fitting[start : start + SIZE]),
        newer=asked.url(page=asked.page - 1) if asked.page > 1 else None,
        older=asked.url(page=asked.page + 1) if more else None,
        total=None if page.cursor else len(fitting),
        cut=page.cursor is not None,
    )


def _has(one: ApprovalSummary, words: Sequence[str]) -> bool:
    said = " ".join((one.action, one.tool or "", one.requester or "", one.id)).casefold()
    return all(word in said for word in words)


def _sorted(items: list[ApprovalSummary], by: str) -> list[ApprovalSummary]:
    """In this order; of equals, the newest first, as they came."""
    if by == "oldest":
        return sorted(items, key=lambda one: one.requested_at)
    if by == "deadline":
        return sorted(items, key=lambda one: one.deadline or _NEVER)
    if by == "risk":  # what nobody can tell comes first
        return sorted(items, key=lambda one: -RISKS.index(one.risk) if one.risk else -len(RISKS))
    return items

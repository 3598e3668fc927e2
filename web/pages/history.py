"""The history: what has ended, how, and who decided it."""

from datetime import UTC, date, datetime, time, timedelta
from typing import get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from clearance.errors import InvalidRequest
from clearance.history import Past
from clearance.models import Status
from web.context import Here
from web.templating import page
from web.who import Person

from .inbox_asked import Address, understood
from .inbox_view import SIZE

router = APIRouter(include_in_schema=False)

STATUSES: tuple[Status, ...] = tuple(one for one in get_args(Status) if one != "pending")


class Asked(Address):
    """The address of a page of the history. Empty texts ask for nothing."""

    status: str = ""
    tool: str = ""
    reviewer: str = ""
    requester: str = ""
    since: str = ""
    """A day in UTC, ``2026-11-01``: from its beginning on."""
    until: str = ""
    """A day in UTC: to its end."""
    cursor: str = ""

    @property
    def narrowed(self) -> bool:
        """Whether anything was chosen."""
        return bool(self.model_dump(exclude_defaults=True, exclude={"cursor"}))

    def url(self, **changed: str) -> str:
        """The address of this page with something changed; what is as always is left out."""
        said = {**self.model_dump(exclude_defaults=True), **changed}
        said = {name: value for name, value in said.items() if value}
        return "/history?" + urlencode(said) if said else "/history"

    def faults(self) -> dict[str, str]:
        """What is no status and no day, and a last day before the first."""
        wrong = {}
        if self.status and self.status not in STATUSES:
            wrong["status"] = f"choose of {', '.join(STATUSES)}"
        since, until = _day(self.since), _day(self.until)
        for name, given, day in (("since", self.since, since), ("until", self.until, until)):
            if given and day is None:
                wrong[name] = "write a day as 2026-11-01"
        if since and until and until < since:
            wrong["until"] = "that day is before the first one; exchange the two"
        return wrong

    def past(self) -> Past:
        """What the history is narrowed to, where nothing is at fault."""
        since, until = _day(self.since), _day(self.until)
        return {
            "status": next((one for one in STATUSES if one == self.status), None),
            "tool": self.tool or None,
            "reviewer": self.reviewer or None,
            "requester": self.requester or None,
            "since": since,
            "until": until and until + timedelta(days=1),
        }


def _day(given: str) -> datetime | None:
    try:
        day = date.fromisoformat(given)
    except ValueError:
        return None
    ends = (date.min.year, date.max.year)  # the day after the last one would be none
    return None if day.year in ends else datetime.combine(day, time(), UTC)


@router.get("/history")
async def history(request: Request, context: Here, who: Person) -> HTMLResponse:
    """One page of what has ended, the latest end first."""
    asked, ignored = understood(Asked, request.query_params)
    past = context.archive.page
    try:
        found = await past(size=SIZE, cursor=asked.cursor or None, **asked.past())
    except InvalidRequest:
        if not asked.cursor:
            raise
        asked = asked.model_copy(update={"cursor": ""})
        ignored += ("That page isn't there any more: this is the first one.",)
        found = await past(size=SIZE, **asked.past())
    if found.warning:
        ignored += ("The ledger can't be read now: what ended long ago may be missing.",)
    items, cursor = found.value.items, found.value.cursor
    return page(
        request,
        "history.html",
        who=who,
        asked=asked,
        ignored=ignored,
        items=items,
        older=asked.url(cursor=cursor) if cursor else None,
        statuses=STATUSES,
        known={
            "tool": sorted({one.tool for one in items if one.tool}),
            "requester": sorted({one.requester for one in items if one.requester}),
            "reviewer": sorted(
                {one.decision.reviewer for one in items if one.decision and one.decision.reviewer}
            ),
        },
    )

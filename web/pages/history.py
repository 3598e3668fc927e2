"""The history: what has ended, how, and who decided it."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict

from clearance.errors import InvalidRequest
from clearance.history import Past
from clearance.models import Status
from clearance.text import one_line
from web.context import Here
from web.templating import page
from web.who import Person

from .inbox_view import SIZE

router = APIRouter(include_in_schema=False)

STATUSES: tuple[Status, ...] = tuple(one for one in get_args(Status) if one != "pending")


class Asked(BaseModel):
    """The address of a page of the history. Empty texts ask for nothing."""

    model_config = ConfigDict(frozen=True, str_max_length=2_000, str_strip_whitespace=True)

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

    def past(self) -> Past:
        """What the history is narrowed to. Raises InvalidRequest where a value is none."""
        status = next((one for one in STATUSES if one == self.status), None)
        if self.status and status is None:
            listed = ", ".join(STATUSES)
            raise InvalidRequest(f"status: {one_line(self.status, 40)} is none; choose of {listed}")
        since, until = _day("since", self.since), _day("until", self.until)
        if since and until and until < since:
            raise InvalidRequest("until: that day is before the first one; exchange the two")
        return {
            "status": status,
            "tool": self.tool or None,
            "reviewer": self.reviewer or None,
            "requester": self.requester or None,
            "since": since,
            "until": until and until + timedelta(days=1),
        }


def _day(name: str, given: str) -> datetime | None:
    if not given:
        return None
    try:
        day = date.fromisoformat(given)
        if day.year in (date.min.year, date.max.year):
            raise ValueError
    except ValueError:
        said = f"{name}: {one_line(given, 40)} is no day; write it as 2026-11-01"
        raise InvalidRequest(said) from None
    return datetime.combine(day, time(), UTC)


def checked(asked: Annotated[Asked, Query()]) -> Asked:
    """What a page was asked for. Raises InvalidRequest."""
    asked.past()
    return asked


@router.get("/history")
async def history(
    request: Request, context: Here, who: Person, asked: Annotated[Asked, Depends(checked)]
) -> HTMLResponse:
    """One page of what has ended, the latest end first."""
    found = await context.approvals.history_page(
        size=SIZE, cursor=asked.cursor or None, **asked.past()
    )
    return page(
        request,
        "history.html",
        who=who,
        asked=asked,
        items=found.items,
        older=asked.url(cursor=found.cursor) if found.cursor else None,
        statuses=STATUSES,
        known={
            "tool": sorted({one.tool for one in found.items if one.tool}),
            "requester": sorted({one.requester for one in found.items if one.requester}),
            "reviewer": sorted(
                {
                    one.decision.reviewer
                    for one in found.items
                    if one.decision and one.decision.reviewer
                }
            ),
        },
    )

"""What readers see of a request: a line of a list, the whole record, a parent's open approvals."""

from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from .models import Change, Channel, Edit, Recorded, Status
from .requests import ApprovalRequest, Risk

EventKind = Literal[
    "created", "refused", "edited", "approved", "granted", "rejected", "expired", "withdrawn"
]
"""``approved`` once for each person; the request's status tells whether that was enough."""


class Event(BaseModel):
    """One line of a request's record, numbered from 1 without gaps."""

    model_config = ConfigDict(frozen=True)

    sequence: int
    at: AwareDatetime
    kind: EventKind
    who: str | None = None
    channel: Channel
    reason: str = ""
    digest: str | None = None
    changes: tuple[Change, ...] = ()
    """Of ``edited``: what the reviewer changed."""


class ApprovalSummary(BaseModel):
    """One line of a list: everything in it comes with the listing itself."""

    model_config = ConfigDict(frozen=True)

    id: str
    status: Status
    action: str
    tool: str | None = None
    run_id: str | None = None
    requester: str | None = None
    checkpoint: str | None = None
    risk: Risk = "medium"
    audience: tuple[str, ...] = ()
    quorum: int = 1
    digest: str
    requested_at: AwareDatetime
    expires_in: timedelta | None = None

    @property
    def deadline(self) -> datetime | None:
        """When the request expires, None for never."""
        return None if self.expires_in is None else self.requested_at + self.expires_in


class ApprovalView(BaseModel):
    """The whole record of one request."""

    id: str
    status: Status
    request: ApprovalRequest
    """As it was asked."""
    digest: str
    """Of the request as it is now; what a decision has to name."""
    requested_at: AwareDatetime
    deadline: AwareDatetime | None
    decision: Recorded | None = None
    """The one that closed it."""
    approvals: list[Recorded] = Field(default_factory=list)
    """The people who have approved what it is now, in order."""
    edit: Edit | None = None
    """What runs instead of what was asked, if a reviewer changed it."""
    events: list[Event] = Field(default_factory=list)
    """In order. Empty when no worker could be asked (``complete`` is False then)."""
    refusals_uncounted: int = 0
    """Refused attempts beyond the first 1,000, which the view no longer lists one by one."""
    complete: bool = True
    """False when it was read from the stored request alone, because no worker answered."""

    @cached_property
    def current(self) -> ApprovalRequest:
        """The request as it is now, with a reviewer's changes."""
        return self.request.with_arguments(self.edit.arguments) if self.edit else self.request


class PendingApproval(BaseModel):
    """What a parent says of an approval it waits for."""

    model_config = ConfigDict(frozen=True)

    id: str
    action: str
    since: AwareDatetime

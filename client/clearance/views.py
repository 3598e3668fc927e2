"""What readers see of a request: a line of a list, the whole record, a parent's open approvals."""

from datetime import datetime, timedelta
from functools import cached_property
from typing import Generic, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, computed_field

from .acts import ActKind
from .errors import InvalidRequest
from .models import Change, Channel, Edit, Recorded, Status
from .requests import ApprovalRequest, Risk
from .signatures import Proof, unset
from .stages import Terms

EventKind = (
    ActKind
    | Literal[
        "created",
        "edited",
        "approved",
        "rejected",
        "refused",
        "granted",
        "advanced",
        "reminded",
        "escalated",
        "expired",
        "consumed",
        "executed",
    ]
)
"""``approved`` and ``rejected`` once for each person; the request's status tells whether that was
enough. ``advanced``: the next stage is asked. ``consumed``: an agent outside Temporal has taken the
permission to act. ``executed``: what was approved has run."""


class Event(BaseModel):
    """One line of a request's record, numbered from 1 without gaps."""

    model_config = ConfigDict(frozen=True)

    sequence: int
    at: AwareDatetime
    kind: EventKind
    who: str | None = None
    channel: Channel
    reason: str = ""
    """Why; of a comment, a question and an answer its text."""
    digest: str | None = None
    """Of ``refused`` the one that was named; else of the request as it is from here on."""
    on_behalf_of: str | None = None
    """Whose right was used, where it wasn't the person's own."""
    through: str | None = None
    """The group in whose name it counted, where only a sign-in vouched for that."""
    to: str | None = None
    """Of ``delegated`` and ``escalated``: who may decide from here on, too."""
    stage: str | None = None
    """The stage that was asked then, where the request has stages."""
    key: str | None = None
    """The ``decision_id`` or ``act_id`` it came with."""
    changes: tuple[Change, ...] = ()
    """Of ``edited``: what the reviewer changed."""
    signed: Proof | None = Field(None, exclude_if=unset)
    """Where only signed decisions count: the decision as it was signed, with the first line that it
    made."""


class Vote(BaseModel):
    """Who has counted so far: what a list shows of it."""

    model_config = ConfigDict(frozen=True)

    who: str
    at: AwareDatetime

    @classmethod
    def of(cls, decision: Recorded) -> "Vote":
        """What a list shows of a decision, which was validated as it was recorded."""
        return cls.model_construct(who=decision.by, at=decision.at)


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
    risk: Risk | None = "medium"
    """None where nobody can tell it; then nobody can tell the deadline either."""
    audience: tuple[str, ...] = ()
    """Who may decide now, in this stage."""
    quorum: int | None = 1
    approvals: tuple[Vote, ...] = ()
    """Who has approved so far, in this stage."""
    delegates: tuple[str, ...] = ()
    """To whom somebody in the audience has handed it."""
    stage: int | None = 1
    """The stage that is asked, from 1; its name is in ``stages``."""
    stages: tuple[str, ...] = ()
    """The names of all stages; empty where there are none."""
    attempt: int | None = 1
    decision_keys: tuple[str, ...] = Field((), exclude_if=unset)
    """Ids of the keys of which one has to sign what is decided; empty where nothing need be signed."""
    digest: str
    readable: bool = Field(True, exclude_if=bool)
    """False where its key is missing: then only what Temporal indexes is known, with the audience of
    the first stage; what else there may be is None or empty, the digest too."""
    requested_at: AwareDatetime
    expires_in: timedelta | None = None
    """From the request to its first deadline."""
    due: AwareDatetime | None = None
    """The deadline, once it is another one: of a later stage, or after an escalation."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def deadline(self) -> datetime | None:
        """When the request expires, or its stage does; None for never."""
        if self.due is not None:
            return self.due
        return None if self.expires_in is None else self.requested_at + self.expires_in


class FinishedApproval(ApprovalSummary):
    """One line of the history."""

    closed_at: AwareDatetime
    decision: Recorded | None = None
    """The one that closed it; None where nobody decided."""
    reason: str = ""
    """What the reviewer wrote, or why nobody decided."""


Line = TypeVar("Line", bound=ApprovalSummary)


MAX_PAGE = 1_000
"""Lines of one page: as many as Temporal lists at once."""


def check_size(size: int) -> None:
    """Raise InvalidRequest for a size that no page has."""
    if not 1 <= size <= MAX_PAGE:
        raise InvalidRequest(f"size: a page has 1 to {MAX_PAGE:,} lines")


class Page(BaseModel, Generic[Line]):
    """Some lines of a list, and where it goes on."""

    model_config = ConfigDict(frozen=True)

    items: tuple[Line, ...]
    """As many as were asked for, or fewer, perhaps none: also where there is a cursor."""
    cursor: str | None = None
    """What gets the next page: text that is safe in a URL and tells nothing; None on the last one."""


class Execution(BaseModel):
    """When the action of an approval ran: what its run says of it."""

    model_config = ConfigDict(frozen=True)

    approval_id: str
    at: AwareDatetime
    """When it had run."""
    failed: bool = False
    """Whether the tool raised an error that ended it."""


class StageView(BaseModel):
    """One stage, and how far it is."""

    model_config = ConfigDict(frozen=True)

    number: int
    """From 1."""
    name: str
    status: Literal["open", "done", "ended", "waiting", "skipped"]
    """``open``: asked now. ``ended``: the request ended in it without an approval. ``skipped``: its
    condition didn't hold when its turn came. ``waiting``: its turn may come."""
    audience: tuple[str, ...] = ()
    """With those it was escalated to."""
    quorum: int = 1
    reject_quorum: int = 1
    approvals: tuple[Vote, ...] = ()
    rejections: tuple[Vote, ...] = ()
    deadline: AwareDatetime | None = None


class Delegation(BaseModel):
    """Somebody who may decide instead of somebody else, for this request."""

    model_config = ConfigDict(frozen=True)

    principal: str
    """Whose right it is."""
    to: str
    by: str
    """Who handed it over: the principal, or somebody who stood in for them."""
    at: AwareDatetime


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
    """The people who have approved what it is now, in this stage, in order."""
    rejections: list[Recorded] = Field(default_factory=list)
    """The people who have rejected it, in this stage, in order."""
    stage: int = 1
    """Which of ``stages`` is asked, from 1; what a decision has to name."""
    stages: list[StageView] = Field(default_factory=list)
    """All stages in order; one alone where the request names none. Empty when no worker answered."""
    delegations: list[Delegation] = Field(default_factory=list)
    explanation: str = ""
    """Why nobody decided, where it ended so."""
    edit: Edit | None = None
    """What runs instead of what was asked, if a reviewer changed it."""
    events: list[Event] = Field(default_factory=list)
    """In order. Empty when no worker could be asked (``complete`` is False then)."""
    refusals_uncounted: int = 0
    """Refused attempts beyond the first 1,000, or 200 KB of them: the view doesn't list them."""
    complete: bool = True
    """False when it was read from the stored request alone, because no worker answered."""

    @cached_property
    def current(self) -> ApprovalRequest:
        """The request as it is now, with a reviewer's changes."""
        return self.request.with_arguments(self.edit.arguments) if self.edit else self.request

    @property
    def asked(self) -> Terms:
        """The terms of the stage that is asked now."""
        return self.request.chain[self.stage - 1]


class PendingApproval(BaseModel):
    """What a parent says of an approval it waits for."""

    model_config = ConfigDict(frozen=True)

    id: str
    action: str
    since: AwareDatetime

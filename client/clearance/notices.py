"""What people are told of a request, and through which channel. Pydantic models, no engine."""

import hashlib
from collections.abc import Iterable
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
    StringConstraints,
)

from .fields import Name
from .requests import Risk

NoticeKind = Literal[
    "created",
    "stage",
    "reminded",
    "escalated",
    "delegated",
    "approved",
    "rejected",
    "expired",
    "withdrawn",
]
"""The first five ask somebody to decide; the others say how it ended."""

ENDS = ("approved", "rejected", "expired", "withdrawn")
"""Kinds after which nobody is asked any more."""

MAX_NOTICES = 50
"""In one message."""

MAX_REASON_CHARS = 500

_MAX_NAMES = 2_000
"""More than ten stages, escalations and delegations together can name."""

_MAX_ID_BYTES = 1_000
"""Temporal's own limit: a workflow's task that signals a longer id fails again and again."""

_KEY = r"(?s)^.+/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/[0-9]{1,9}$"
"""Temporal refuses to signal any other execution, and a workflow's task that does so again and again."""


def _an_id(id: str) -> str:
    if len(id.encode()) > _MAX_ID_BYTES:
        raise ValueError(f"at most {_MAX_ID_BYTES:,} bytes")
    return id


Line = Annotated[str, StringConstraints(max_length=500)]
"""What a gate's own notices never exceed: the sentence, or somebody who decides for somebody else."""

RequestId = Annotated[
    str, StringConstraints(min_length=1, max_length=_MAX_ID_BYTES), AfterValidator(_an_id)
]

Window = Annotated[timedelta, Field(ge=timedelta(), le=timedelta(hours=1))]
"""How long a destination of people waits for more before it is told: at most an hour."""


class Notice(BaseModel):
    """One event of one request, as people are told of it."""

    model_config = ConfigDict(frozen=True)

    key: Annotated[str, StringConstraints(pattern=_KEY, max_length=_MAX_ID_BYTES + 50)]
    """``{approval_id}/{execution}/{sequence}``: the event's idempotency key."""

    approval_id: RequestId
    requested_at: AwareDatetime
    kind: NoticeKind
    at: AwareDatetime
    action: Line
    tool: Line | None = None
    requester: Line | None = None
    run_id: Line | None = None
    risk: Risk = "medium"
    deadline: AwareDatetime | None = None
    """Of the stage that is asked; None for never, and where nobody is asked any more."""

    stage: Line | None = None
    """``2 of 3: director``, where the request has stages."""

    by: Line | None = None
    """Who decided, handed it over or withdrew it; None where nobody did."""

    reason: Annotated[str, StringConstraints(max_length=MAX_REASON_CHARS)] = ""
    """Why, on one line."""

    audience: Annotated[tuple[Line, ...], Field(max_length=_MAX_NAMES), FailFast()] = ()
    """Names of people and groups that are to be told. Left out of what is sent to them."""

    without: Annotated[frozenset[Line], Field(max_length=_MAX_NAMES), FailFast()] = frozenset()
    """People among them who needn't be, by the directory's name for them: they have decided."""

    @property
    def execution(self) -> str:
        """Temporal's own id of the execution that this is of; of a request that goes on in others, the
        first."""
        return self.key.rsplit("/", 2)[1]

    @property
    def ends(self) -> bool:
        """Whether it says how the request ended."""
        return self.kind in ENDS


class Destination(BaseModel):
    """One channel of one person or group; no address and no secret."""

    model_config = ConfigDict(frozen=True)

    who: Name
    """The case-folded name of a person or group in the directory."""

    channel: Name
    """What the directory calls it: ``mail``, ``webhook:erp``."""

    digest: bool = True
    """Whether several notices become one message. False for machines: each by itself."""


class Delivery(BaseModel):
    """What is sent at once."""

    model_config = ConfigDict(frozen=True)

    key: str
    """SHA-256, in hexadecimal, over the destination and the keys of the notices: the same again is the
    same message."""

    to: Destination
    notices: Annotated[tuple[Notice, ...], Field(min_length=1, max_length=MAX_NOTICES)]
    more: int = 0
    """How many further ones there was no room for."""

    @classmethod
    def of(cls, to: Destination, notices: tuple[Notice, ...]) -> "Delivery":
        """The first 50 of some notices to somebody, in their order; the others are only counted.

        Raises:
            pydantic.ValidationError: there are none.
        """
        keys = [to.who, to.channel, *(one.key for one in notices)]
        return cls(
            key=hashlib.sha256("\n".join(keys).encode()).hexdigest(),
            to=to,
            notices=notices[:MAX_NOTICES],
            more=max(0, len(notices) - MAX_NOTICES),
        )


class Telling(BaseModel):
    """Notices on their way to one destination."""

    model_config = ConfigDict(frozen=True)

    notices: Annotated[tuple[Notice, ...], Field(max_length=MAX_NOTICES), FailFast()]
    """Malformed, it ends at the first that is: anybody may send half a million."""

    window: Window = timedelta(seconds=60)


class Waiting(BaseModel):
    """A notice that somebody has not been told yet."""

    model_config = ConfigDict(frozen=True)

    notice: Notice
    since: AwareDatetime
    said: bool = False
    """Whether the request's record says that it could not be told so far."""

    @cached_property
    def size(self) -> int:
        """In bytes, as it is handed over."""
        return len(self.model_dump_json().encode())


class Notifying(BaseModel):
    """What a notifier is started with, and what it hands over to the execution that goes on for it."""

    model_config = ConfigDict(frozen=True)

    to: Destination
    told: Annotated[dict[str, float], Field(max_length=10_000)] = Field(default_factory=dict)
    """The events that it has been given, as ``seal`` names them, and when, in seconds since 1970."""

    waiting: Annotated[tuple[Waiting, ...], Field(max_length=1_000)] = ()
    more: Annotated[int, Field(ge=0)] = 0
    """How many there was no room to keep: they are counted in the next message."""

    failures: Annotated[int, Field(ge=0)] = 0
    """How often in a row it could not be told."""

    not_before: AwareDatetime | None = None
    """After a failure, when it is tried again."""

    window: Window = timedelta(seconds=60)


class Untold(BaseModel):
    """That somebody could not be told how a request ended."""

    model_config = ConfigDict(frozen=True)

    approval_id: str
    execution: str
    """As of a notice."""
    requested_at: AwareDatetime | None = None
    """Of the request, by which its last execution is known; None from builds before 2026-11-23."""
    at: AwareDatetime
    to: Destination
    reason: str


def notifier_id(queue: str, to: Destination) -> str:
    """The workflow id of a destination's only notifier on a queue; nobody is named in it."""
    named = "|".join((queue, to.who, to.channel))
    return f"notify.{hashlib.sha256(named.encode()).hexdigest()[:24]}"


def seal(notice: Notice) -> str:
    """A short name of its event: 24 hexadecimal digits."""
    return hashlib.sha256(notice.key.encode()).hexdigest()[:24]


def still_news(notices: Iterable[Notice]) -> tuple[Notice, ...]:
    """What is still to be said: of a request that has ended, only how."""
    found = tuple(notices)
    ended = {(one.approval_id, one.execution) for one in found if one.ends}
    return tuple(one for one in found if one.ends or (one.approval_id, one.execution) not in ended)

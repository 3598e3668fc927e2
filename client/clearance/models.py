"""What travels: requests, decisions, outcomes. Pydantic models, no engine.

Compatibility rule: a field is only ever added, with a default; unknown fields of an *outcome* or
view are ignored, unknown fields of a *request* or *decision* are refused, because a field that the gate
doesn't know is a condition that it would not enforce.
"""

import hashlib
import json
from datetime import datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StrictBool,
    StringConstraints,
    model_validator,
)

from . import contract
from .fields import Name, canonical_json, depth

Status = Literal["pending", "approved", "rejected", "expired", "withdrawn"]
"""``pending`` until one of the others, which are final."""

Risk = Literal["low", "medium", "high", "critical"]

Channel = Literal["signal", "client", "cli", "inbox", "api", "link", "timer", "engine"]
"""How an event reached the request. ``signal`` is the bare ``approve(bool)``, which names nobody."""


class ApprovalRequest(BaseModel):
    """What a person is asked to allow.

    Only ``action`` is needed. With ``tool``, what is approved is that tool with exactly those
    ``arguments``; without, the words themselves (``action`` and ``details``) are.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    action: Annotated[
        str,
        StringConstraints(
            strip_whitespace=True, min_length=1, max_length=contract.MAX_ACTION_CHARS
        ),
    ]
    """What is about to happen, in one sentence: 1 to 500 characters."""

    details: str = ""
    """Whatever the reviewer has to read, a draft for instance: at most 64 KB of UTF-8."""

    tool: Name | None = None
    """The tool that will run."""

    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    """The arguments it will run with: at most 256 KB as JSON."""

    run_id: Name | None = None
    """Workflow id of the run that asks."""

    requester: Name | None = None
    """Who started that run."""

    checkpoint: Name | None = None
    """The policy rule that stopped the tool."""

    risk: Risk = "medium"

    audience: tuple[Name, ...] = ()
    """Who may decide. Empty: anyone who can reach the request."""

    expires_in: timedelta | None = contract.DEFAULT_EXPIRY
    """From the request's start to its deadline: 7 days unless said otherwise, None for never."""

    @model_validator(mode="after")
    def _within_limits(self) -> Self:
        if (size := len(self.details.encode())) > contract.MAX_DETAILS_BYTES:
            raise ValueError(
                f"details are {size:,} bytes, at most {contract.MAX_DETAILS_BYTES:,}: "
                "shorten them, or link to the document"
            )
        try:
            size = len(canonical_json(self.arguments).encode())
        except ValueError as error:
            raise ValueError(f"arguments are not JSON: {error}") from error
        if size > contract.MAX_ARGUMENTS_BYTES:
            raise ValueError(
                f"arguments are {size:,} bytes of JSON, at most "
                f"{contract.MAX_ARGUMENTS_BYTES:,}: pass a reference to the data instead"
            )
        if (deep := depth(self.arguments)) > contract.MAX_ARGUMENTS_DEPTH:
            raise ValueError(
                f"arguments are nested {deep} deep, at most {contract.MAX_ARGUMENTS_DEPTH}: "
                "flatten them"
            )
        if self.expires_in is not None and not (
            timedelta(0) < self.expires_in <= contract.MAX_EXPIRY
        ):
            raise ValueError("expires_in must be longer than nothing and at most 5 years")
        return self

    @model_validator(mode="after")
    def _names_people_that_fit(self) -> Self:
        if len(self.audience) > contract.MAX_AUDIENCE:
            raise ValueError(f"audience has {len(self.audience)} names, at most 50")
        if groups := [name for name in self.audience if name.casefold().startswith("group:")]:
            raise ValueError(f"{groups[0]} is a group, which nobody can resolve: name people")
        # Temporal would refuse to start the request; inside a workflow that fails its task, again
        # and again, and nobody sees why.
        for field in ("tool", "requester", "checkpoint", "audience"):
            size = len(json.dumps(getattr(self, field), separators=(",", ":")))
            if size > contract.MAX_INDEXED_BYTES:
                raise ValueError(
                    f"{field} takes {size:,} bytes of Temporal's index, at most "
                    f"{contract.MAX_INDEXED_BYTES:,}: name fewer, or more shortly"
                )
        return self

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, of what is approved.

        Of canonical ``{tool, arguments}``; for a request without a tool, of its words.
        """
        subject: dict[str, JsonValue] = {"tool": self.tool, "arguments": self.arguments}
        if self.tool is None:
            subject |= {"action": self.action, "details": self.details}
        return hashlib.sha256(canonical_json(subject).encode()).hexdigest()

    def deadline(self, requested_at: datetime) -> datetime | None:
        """When it expires if asked at ``requested_at``; None for never."""
        return None if self.expires_in is None else requested_at + self.expires_in

    def memo(self) -> dict[str, JsonValue]:
        """What a list shows, as plain JSON: the fields of ``ApprovalSummary`` that don't change."""
        kept = {"action", "tool", "run_id", "requester", "checkpoint", "risk", "audience"}
        plain: dict[str, JsonValue] = self.model_dump(mode="json", include=kept | {"expires_in"})
        return {**plain, "digest": self.digest}


class Decision(BaseModel):
    """One person's answer. The same ``decision_id`` sent twice is one decision."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    approved: StrictBool
    """True opens the gate. Nothing is coerced: ``1`` and ``"true"`` are refused."""

    reviewer: Name
    """Who decides, as the channel knows them."""

    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """The ``ApprovalRequest.digest`` the reviewer saw; with another one the decision is refused."""

    reason: Annotated[str, StringConstraints(max_length=contract.MAX_REASON_CHARS)] = ""
    channel: Channel = "client"

    decision_id: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_-]{1,64}$")]
    """Chosen by the sender, a UUID for instance. No default: the wire must carry it."""

    decided_at: AwareDatetime
    """The sender's clock. Tells a decision that was stored in time from one that came too late."""


class Recorded(BaseModel):
    """The decision that counted, and when the workflow took it."""

    model_config = ConfigDict(frozen=True)

    approved: StrictBool
    reviewer: str | None
    """None for the bare signal, which names nobody."""
    reason: str = ""
    channel: Channel
    decision_id: str | None = None
    digest: str
    at: AwareDatetime

    @property
    def by(self) -> str:
        """The reviewer, or the words for a bare signal."""
        return self.reviewer or "an unnamed signal"


class Outcome(BaseModel):
    """How a request ended; what ``ApprovalWorkflow`` returns."""

    model_config = ConfigDict(frozen=True)

    approval_id: str
    status: Literal["approved", "rejected", "expired", "withdrawn"]
    digest: str
    """Of what was asked; what runs must have this digest."""
    decision: Recorded | None = None
    """None where nobody decided: expired, withdrawn."""

    @model_validator(mode="after")
    def _approval_needs_a_decision(self) -> Self:
        verdict = None if self.decision is None else self.decision.approved
        if verdict is not {"approved": True, "rejected": False}.get(self.status):
            raise ValueError(f"the status is {self.status} but the decision says otherwise")
        return self

    @property
    def approved(self) -> bool:
        """Whether the action may run. The only thing to test before acting."""
        return self.status == "approved"

    @property
    def reason(self) -> str:
        """What the reviewer wrote, or why nobody decided."""
        if self.decision is not None:
            return self.decision.reason
        return {"expired": "nobody decided in time", "withdrawn": "the request was withdrawn"}[
            self.status
        ]


class Receipt(BaseModel):
    """The answer to a decision that counts."""

    model_config = ConfigDict(frozen=True)

    approval_id: str
    status: Literal["pending", "approved", "rejected"]
    """``pending`` while the decision is recorded but no worker has taken it yet."""
    decision_id: str
    recorded_at: AwareDatetime | None = None
    """When the workflow took it; None while it is only recorded."""

    @property
    def in_effect(self) -> bool:
        """False: the server has stored the decision; it takes effect when a worker is back."""
        return self.status != "pending"

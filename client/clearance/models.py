"""What comes back: decisions, outcomes, receipts. Pydantic models, no engine.

Compatibility rule: a field is only ever added, with a default; unknown fields of an *outcome* or
view are ignored, unknown fields of a *request* or *decision* are refused, because a field that the gate
doesn't know is a condition that it would not enforce.
"""

from typing import Annotated, Literal, Self, TypeVar

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
from .fields import Digest, Key, Name, Prose, canonical_json, check_arguments, depth
from .grants import GrantTerms
from .signatures import Signature, unset
from .stages import Vouched

T = TypeVar("T", bound=BaseModel)

Status = Literal["pending", "approved", "rejected", "expired", "withdrawn"]
"""``pending`` until one of the others, which are final."""

Channel = Literal[
    "signal", "client", "cli", "inbox", "api", "link", "mcp", "timer", "engine", "grant"
]
"""How an event reached the request. ``signal`` is the bare ``approve(bool)``, which names nobody."""


HumanChannel = Literal["client", "cli", "inbox", "api", "link", "mcp"]
"""By which of them a person says something; the others are not for anybody to claim. ``mcp``: through
an assistant of theirs (``clearance.assistants`` says what it may not)."""


class Decision(BaseModel):
    """One person's answer. The same ``decision_id`` sent twice is one decision."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    approved: StrictBool
    """True opens the gate. Nothing is coerced: ``1`` and ``"true"`` are refused."""

    reviewer: Name
    """Who decides, as the channel knows them."""

    groups: Vouched = ()
    """Groups that the reviewer's sign-in vouches for. They count where the directory says so."""

    digest: Digest
    """The ``ApprovalRequest.digest`` the reviewer saw; with another one the decision is refused."""

    reason: Annotated[str, StringConstraints(max_length=contract.MAX_REASON_CHARS)] = ""
    channel: HumanChannel = "client"

    arguments: dict[str, JsonValue] | None = None
    """Run with these instead: all of them, the masked ones left as they are shown."""

    confirmation: Prose | None = None
    """What the reviewer typed, where the request asks for its phrase."""

    grant: GrantTerms | None = None
    """Approve further calls like this one, too."""

    changes_requested: StrictBool = False
    """Of a rejection: ``reason`` says what to change, and the agent may try again."""

    response: JsonValue = None
    """Of an approval: the answer that the request's ``response_schema`` asks for."""

    stage: Annotated[int, Field(ge=1, le=contract.MAX_STAGES)] | None = None
    """Which stage the reviewer saw, from 1; needed where the request has stages."""

    decision_id: Key
    """Chosen by the sender, a UUID for instance. No default: the wire must carry it."""

    decided_at: AwareDatetime
    """The sender's clock. Tells a decision that was stored in time from one that came too late."""

    signature: Signature | None = Field(None, exclude_if=unset)
    """Over all of it, by a key that the request pins; needed where it pins any."""

    @model_validator(mode="after")
    def _only_an_approval_changes_or_grants(self) -> Self:
        if self.arguments is not None:
            check_arguments(self.arguments)
        if not self.approved and (self.arguments is not None or self.grant is not None):
            raise ValueError("a rejection neither changes arguments nor grants further calls")
        if not self.approved and self.response is not None:
            raise ValueError("a rejection carries no response")
        if self.changes_requested and (self.approved or not self.reason.strip()):
            raise ValueError("changes are requested by a rejection whose reason says which")
        if depth(self.response) > contract.MAX_ARGUMENTS_DEPTH:
            raise ValueError(
                f"the response is nested more than {contract.MAX_ARGUMENTS_DEPTH} deep: flatten it"
            )
        if (size := len(canonical_json(self.response).encode())) > contract.MAX_RESPONSE_BYTES:
            raise ValueError(f"the response is {size:,} bytes of JSON, at most 16,384")
        return self


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
    on_behalf_of: str | None = None
    """Whose right to decide the reviewer used, where it wasn't their own."""
    stage: str | None = None
    """The name of the stage it counted in, where the request has stages."""
    changes_requested: StrictBool = False
    response: JsonValue = None

    @property
    def by(self) -> str:
        """The reviewer, or the words for a bare signal."""
        who = self.reviewer or "an unnamed signal"
        return f"{who} for {self.on_behalf_of}" if self.on_behalf_of else who


class Change(BaseModel):
    """One argument that a reviewer changed."""

    model_config = ConfigDict(frozen=True)

    name: str
    kind: Literal["added", "changed", "removed"]
    before: JsonValue = None
    after: JsonValue = None


class Edit(BaseModel):
    """What a reviewer approved instead of what was asked."""

    model_config = ConfigDict(frozen=True)

    arguments: dict[str, JsonValue]
    """All of them, as shown: the masked ones are masked here too."""
    digest: str
    """Of the request with these arguments."""
    changes: tuple[Change, ...]


def reason_of(status: Status, decision: Recorded | None, explanation: str) -> str:
    """Why a request ended as it did: what the reviewer wrote, or why nobody decided."""
    if decision is not None:
        return decision.reason
    undecided = {"expired": "nobody decided in time", "withdrawn": "the request was withdrawn"}
    return explanation or undecided.get(status, "")


class Outcome(BaseModel):
    """How a request ended; what ``ApprovalWorkflow`` returns."""

    model_config = ConfigDict(frozen=True)

    approval_id: str
    status: Literal["approved", "rejected", "expired", "withdrawn"]
    digest: str
    """Of what was asked; what runs must have this digest."""
    decision: Recorded | None = None
    """None where nobody decided: expired, withdrawn."""
    edit: Edit | None = None
    """What runs instead of what was asked; None where it runs as asked."""
    grant: GrantTerms | None = None
    """What was allowed beyond this call."""
    explanation: str = ""
    """Why nobody decided: who withdrew it, which stage nobody decided in."""

    @model_validator(mode="after")
    def _approval_needs_a_decision(self) -> Self:
        verdict = None if self.decision is None else self.decision.approved
        if verdict is not {"approved": True, "rejected": False}.get(self.status):
            raise ValueError(f"the status is {self.status} but the decision says otherwise")
        if verdict is not True and (self.edit is not None or self.grant is not None):
            raise ValueError("nothing was approved, so nothing was changed or granted")
        return self

    @property
    def approved(self) -> bool:
        """Whether the action may run. The only thing to test before acting."""
        return self.status == "approved"

    @property
    def changes_requested(self) -> bool:
        """Whether it was rejected with feedback, to be tried again."""
        return self.decision is not None and self.decision.changes_requested

    @property
    def response(self) -> JsonValue:
        """The answer that came with the approval, where the request asked for one."""
        return self.decision.response if self.decision is not None else None

    def answer(self, model: type[T]) -> T:
        """The answer as the pydantic model whose JSON Schema the request asked with.

        Raises:
            pydantic.ValidationError: nothing was approved, or the answer is none of that model.
        """
        return model.model_validate(self.response if self.approved else None)

    @property
    def reason(self) -> str:
        """What the reviewer wrote, or why nobody decided."""
        return reason_of(self.status, self.decision, self.explanation)


class Receipt(BaseModel):
    """The answer to a decision that counts."""

    model_config = ConfigDict(frozen=True)

    approval_id: str
    status: Literal["pending", "approved", "rejected"]
    """``pending`` while it is only recorded, or while more people have to approve."""
    decision_id: str
    recorded_at: AwareDatetime | None = None
    """When the workflow took it; None while it is only recorded."""
    approvals: int = 0
    """How many people have approved so far."""
    quorum: int = 1
    """How many have to."""
    counted: bool = True
    """False: the changes are in, but who made them may not approve them; somebody else has to."""
    rejections: int = 0
    """How many people have rejected so far."""
    reject_quorum: int = 1
    """How many have to."""
    stage: str | None = None
    """The stage that the decision counted in."""
    next_stage: str | None = None
    """The stage that is asked now, where it is another one."""

    @property
    def in_effect(self) -> bool:
        """False: the server has stored the decision; it takes effect when a worker is back."""
        return self.recorded_at is not None

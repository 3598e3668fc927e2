"""The permission to act, for an agent outside Temporal: taken once, and what the action did.

Pydantic models and the rule for who may report; no engine.
"""

from typing import Annotated

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StrictBool,
    StringConstraints,
)

from . import contract
from .fields import Digest, Key, Name
from .models import Recorded
from .text import utc

Summary = Annotated[str, StringConstraints(max_length=contract.MAX_REASON_CHARS)]
"""What an action did, in words: at most 4,000 characters."""


class Taking(BaseModel):
    """What ``ConsumptionWorkflow`` is started with: who takes which permission."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    approval_id: str
    taker: Name
    """Who acts, as the channel knows them."""
    consumption_id: Key
    """Chosen by the taker: the same one again gets the same permit."""
    digest: Digest
    """Of what was approved."""
    until: AwareDatetime
    """Taken later than that, it is no permission."""


class ActionOutcome(BaseModel):
    """What an action did, as its taker says."""

    model_config = ConfigDict(frozen=True)

    succeeded: StrictBool
    summary: Summary = ""
    at: AwareDatetime
    """When it was recorded."""


class Consumption(Taking):
    """That somebody has taken the permission, and what came of it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    at: AwareDatetime
    """When it was taken, by the server's clock."""
    outcome: ActionOutcome | None = None
    """None until the taker has told it."""


class Permit(BaseModel):
    """The permission to do once what was approved. Whoever gets it may act, now."""

    model_config = ConfigDict(frozen=True)

    approval_id: str
    """The action's idempotency key."""
    consumption_id: str
    taker: str
    at: AwareDatetime
    """When it was taken."""
    until: AwareDatetime
    """When it could be taken last."""
    digest: str
    """Of what was approved, which may have been changed by a reviewer; it covers the real arguments
    where some are masked."""
    action: str
    tool: str | None = None
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    """What was approved, as it was shown: secrets are masked, and the taker puts its own in."""
    masked: tuple[str, ...] = ()
    """JSON pointers (RFC 6901) of the arguments that are masked."""
    decision: Recorded
    """The approval that closed the request; with the answer, where it asked for one."""


class Report(BaseModel):
    """What the taker says that the action did. The same said twice is said once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    taker: Name
    succeeded: StrictBool
    summary: Summary = ""


class OutcomeReceipt(BaseModel):
    """The answer to a report that was taken."""

    model_config = ConfigDict(frozen=True)

    approval_id: str
    succeeded: bool
    recorded_at: AwareDatetime | None = None
    """When the record took it; None while it is only stored."""

    @property
    def in_effect(self) -> bool:
        """False: the server has stored it; the record has it when a worker is back."""
        return self.recorded_at is not None


def refuse_report(taken: Taking, told: ActionOutcome | None, report: Report) -> str | None:
    """Judge who says what an action did.

    Args:
        taken: the permission.
        told: what was said before; None for nothing.
        report: what is said now.
    """
    if report.taker.casefold() != taken.taker.casefold():
        return f"{report.taker} did not take this permission: {taken.taker} did"
    if told is None or (told.succeeded, told.summary) == (report.succeeded, report.summary):
        return None
    word = "succeeded" if told.succeeded else "failed"
    return f"already reported at {utc(told.at)}: it {word}"

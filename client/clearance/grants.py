"""Standing approvals: "approve this, and further calls like it". Pydantic models, no engine.

A grant belongs to one run, one tool and the checkpoint that stopped it. It comes with a person's
decision and is kept by the run; nothing on the agent's side can make one.
"""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

from . import contract
from .fields import Condition, Name


class GrantTerms(BaseModel):
    """What a reviewer allows in advance."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    condition: Condition
    """Which further calls, over ``args``, ``tool`` and ``requester``: ``args.amount <= 100``. ``true``
    for any call of the tool."""

    max_uses: Annotated[int, Field(ge=1, le=contract.MAX_GRANT_USES)] = 10
    """How many further calls, 1 to 1,000."""

    expires_in: timedelta = timedelta(hours=1)
    """From the decision on; at most 30 days."""

    @field_validator("expires_in")
    @classmethod
    def _not_for_ever(cls, value: timedelta) -> timedelta:
        if not timedelta(0) < value <= contract.MAX_GRANT_EXPIRY:
            raise ValueError("a grant lasts longer than nothing and at most 30 days")
        return value


class GrantUse(BaseModel):
    """One call that a grant allowed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    grant_id: Name
    """The approval that the grant came with."""
    granted_by: Name
    condition: Condition
    use: Annotated[int, Field(ge=1)]
    """Which use this is, from 1."""
    max_uses: Annotated[int, Field(ge=1)]


GrantStatus = Literal["standing", "used up", "expired", "revoked"]


class Grant(BaseModel):
    """A standing approval as its run keeps it: the answer to the query ``grants``."""

    id: str
    """That of the approval it came with."""
    run_id: str
    tool: str
    checkpoint: str | None
    condition: str
    max_uses: int
    granted_by: str
    granted_at: AwareDatetime
    expires_at: AwareDatetime
    used_by: list[str] = Field(default_factory=list)
    """The approvals of the calls it allowed, in order."""
    revoked_by: str | None = None
    revoked_at: AwareDatetime | None = None

    def status(self, now: datetime) -> GrantStatus:
        """Whether it still allows calls, and if not, why."""
        if self.revoked_at is not None:
            return "revoked"
        if len(self.used_by) >= self.max_uses:
            return "used up"
        return "standing" if now < self.expires_at else "expired"


class Revocation(BaseModel):
    """The answer to a revocation."""

    model_config = ConfigDict(frozen=True)

    grant_id: str
    run_id: str
    revoked_by: str
    """Who did it first."""
    revoked_at: AwareDatetime | None
    """When the run took it; None while it is only recorded."""

    @property
    def in_effect(self) -> bool:
        """False: the server has stored it. It takes effect before the run's next call."""
        return self.revoked_at is not None

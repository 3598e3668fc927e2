"""What people do to a request besides deciding it: comment, ask, answer, hand over, withdraw."""

from typing import Annotated, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    StringConstraints,
    model_validator,
)

from . import contract
from .fields import Key, Name
from .models import Channel, Status

ActKind = Literal[
    "commented", "asked", "answered", "delegated", "withdrawn", "viewed", "notified"
]
"""As the record calls it. ``asked`` is a reviewer's question, ``answered`` the requester's answer;
``notified`` says that somebody was told of the request, ``viewed`` that they have read it."""

_WITH_TEXT = ("commented", "asked", "answered")


class Act(BaseModel):
    """One thing that somebody did. The same ``act_id`` sent twice is one act."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: ActKind

    who: Name
    """Who does it, as the channel knows them; of ``notified``, who was told."""

    text: Annotated[str, StringConstraints(max_length=contract.MAX_REASON_CHARS)] = ""
    """The comment, the question, the answer, or why: at most 4,000 characters."""

    to: Name | None = None
    """Of ``delegated``: who may decide for ``who`` from now on."""

    channel: Channel = "client"

    act_id: Key
    """Chosen by the sender, a UUID for instance."""

    @model_validator(mode="after")
    def _says_what_it_has_to(self) -> Self:
        if self.kind in _WITH_TEXT and not self.text.strip():
            raise ValueError("the text is empty: say something")
        if (self.kind == "delegated") is not (self.to is not None):
            raise ValueError("`to` names who shall decide instead, and belongs to delegated only")
        return self


class ActReceipt(BaseModel):
    """The answer to an act that was recorded."""

    model_config = ConfigDict(frozen=True)

    approval_id: str
    status: Status
    act_id: str
    recorded_at: AwareDatetime | None = None
    """When the workflow took it; None while it is only stored."""

    @property
    def in_effect(self) -> bool:
        """False: the server has stored it; it takes effect when a worker is back."""
        return self.recorded_at is not None

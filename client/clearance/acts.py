"""What people do to a request besides deciding it: comment, ask, answer, hand over, withdraw."""

from typing import Annotated, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from . import contract, rules
from .directory import Person, Standing, unlisted
from .fields import Key, Name
from .models import HumanChannel, Status
from .requests import ApprovalRequest
from .signatures import Signature, unset
from .stages import Vouched, is_group
from .text import some

ActKind = Literal["commented", "asked", "answered", "delegated", "withdrawn", "viewed", "notified"]
"""As the record calls it. ``asked`` is a reviewer's question, ``answered`` the requester's answer;
``notified`` says that somebody was told of the request, ``viewed`` that they have read it."""

UNSIGNED = ("viewed", "notified")
"""Anybody's; they change nothing, and nobody waits for their answer."""

_WITH_TEXT = ("commented", "asked", "answered")


class Act(BaseModel):
    """One thing that somebody did. The same ``act_id`` sent twice is one act."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: ActKind

    who: Name
    """Who does it, as the channel knows them; of ``notified``, who was told."""

    groups: Vouched = ()
    """Groups that their sign-in vouches for. They count where the directory says so."""

    text: Annotated[str, StringConstraints(max_length=contract.MAX_REASON_CHARS)] = ""
    """The comment, the question, the answer, or why: at most 4,000 characters."""

    to: Name | None = None
    """Of ``delegated``: who may decide for ``who`` from now on."""

    channel: HumanChannel = "client"

    act_id: Key
    """Chosen by the sender, a UUID for instance."""

    signature: Signature | None = Field(None, exclude_if=unset)
    """As of a decision; ``viewed`` and ``notified`` need none."""

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


def refuse_act(
    request: ApprovalRequest, act: Act, who: Standing, to: Standing | None
) -> str | None:
    """Judge what somebody does to a pending request besides deciding it.

    Args:
        request: any state of it.
        act: any whole act.
        who: does it.
        to: of a delegation, who shall decide.
    """
    if act.kind in UNSIGNED:
        return None
    owns = rules.is_requester(request, who) or who.operator
    if request.requester is None and request.open_to_anyone:
        owns = True  # nobody is known to have asked
    if act.kind == "withdrawn":
        return None if owns else f"{act.who} neither asked for this nor is an operator"
    if act.kind == "answered":
        return None if owns else f"{act.who} did not ask for this: only who did answers"
    if act.kind == "delegated":
        return _refuse_delegation(request, act, who, to)
    anyone = any(not stage.audience for stage in request.chain)
    if owns or anyone or rules.principals(everyone(request), who):
        return None
    return f"{act.who} is not in the audience ({some(everyone(request))})"


def handed_over(request: ApprovalRequest, who: Standing) -> Person | None:
    """Whose right to decide ``who`` can hand over: their own, or else one they use; None for none."""
    names = everyone(request)
    rights = rules.principals(names, who) if names else ()
    return rights[0] if rights else None


def everyone(request: ApprovalRequest) -> tuple[str, ...]:
    """All names in all stages, of those it may be escalated to as well."""
    return tuple(name for stage in request.chain for name in stage.audience + stage.escalate_to)


def _refuse_delegation(
    request: ApprovalRequest, act: Act, who: Standing, to: Standing | None
) -> str | None:
    if not everyone(request):
        return "anyone may decide this already: there is nothing to hand over"
    right = handed_over(request, who)
    if right is None:
        return f"{act.who} is not in the audience, and has nothing to hand over"
    to = to or unlisted(act.to or "")
    if is_group(to.name):
        return f"{act.to} is a group: hand it to a person"
    if to.name == who.name:
        return f"{act.who} can't hand it over to themselves"
    if to.name in {one.name for one in who.stands_in_for}:
        return f"{act.who} decides for {act.to}: handing it back makes a circle"
    if not to.known:
        return f"reviewers.toml does not list {act.to}: is it misspelt?"
    if not rules.may(request, "requester") and rules.is_requester(request, to):
        return f"{act.to} asked for this: somebody else has to approve it"
    return None

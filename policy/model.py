"""What a policy file says, checked as far as that needs no place in the file."""

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    JsonValue,
    StrictBool,
    StringConstraints,
    Tag,
    field_validator,
    model_validator,
)

from clearance import Risk, contract, mask, template
from clearance.fields import Name

from . import pattern
from .terms import Condition, StageKeys, TermsKeys, check_request, checked
from .terms import duration as duration

MAX_PHRASE_CHARS = 200
MAX_IMPACT_CHARS = 1_000


def _check_words(text: str) -> None:
    if not text.strip():
        raise ValueError("it is empty: leave it out")


def _check_phrase(text: str) -> None:
    if "\n" in text or len(text) > MAX_PHRASE_CHARS:
        raise ValueError(f"write one line of at most {MAX_PHRASE_CHARS} characters")


def _check_editable(value: object) -> object:
    if not isinstance(value, bool | list | tuple):
        raise ValueError("write true, false or a list of argument names")
    return value


Template = Annotated[
    str,
    StringConstraints(max_length=contract.MAX_TEMPLATE_CHARS),
    checked(_check_words),
    checked(template.check),
]
"""A sentence, or a text whose first line is one, with ``{fields}`` for ``clearance.template``."""


Editable = Annotated[
    Annotated[StrictBool, Tag("all")] | Annotated[tuple[Name, ...], Tag("some")],
    Discriminator(lambda value: "all" if isinstance(value, bool) else "some"),
    BeforeValidator(_check_editable),
]


class Checkpoint(TermsKeys):
    """One rule: which calls it is about, and what a person is asked when one comes.

    Runs keep it without the defaults, so that they can carry thousands; a default is therefore part
    of the format and never changes. And they read it again whenever they are replayed: what a
    checkpoint could say once is refused nowhere but in files (``policy.contradictions``).
    """

    checkpoint_id: Name
    """Its name in requests and records; no other checkpoint of the policy has it."""

    action_pattern: Annotated[str, checked(pattern.compiled)]
    """An RE2 expression, searched in the tool's name."""

    when: Condition | None = None
    """A CEL condition over args, tool, agent and requester; left out, every such call is meant."""

    allow: StrictBool = False
    """Whether a call that matches goes through without a person."""

    description_template: Template | None = None
    """First line: the sentence a reviewer reads. What follows: the text to read before deciding."""

    risk: Risk = "medium"

    impact: Annotated[str, StringConstraints(max_length=MAX_IMPACT_CHARS)] = ""
    """What follows if the call is made, in the words of whoever wrote the policy."""

    stage: tuple[StageKeys, ...] = ()
    """Asked one after the other, each on its own terms, in place of those of the checkpoint."""

    self_approval: tuple[Literal["requester", "editor"], ...] | None = None
    """Whose own approval counts: of who asked for the run, of who changed the arguments."""

    response_schema: dict[str, JsonValue] | None = None
    """JSON Schema of the answer that an approval has to carry; the tool gets it."""

    on_reject: Literal["tell", "stop"] = "tell"
    """After a rejection: the model is told, or the run is stopped."""

    on_expiry: Literal["tell", "stop"] = "tell"
    """After the deadline: the model is told, or the run is stopped."""

    editable: Editable = False
    """Whether a reviewer may change the arguments: all of them, or the named ones."""

    confirm_phrase: Annotated[Template, checked(_check_phrase)] | None = None
    """A template of what a reviewer has to type to approve."""

    grants: StrictBool = True
    """Whether a reviewer may approve further calls like it in advance."""

    def terms(self, default: timedelta | None) -> dict[str, Any]:
        """The fields of ``ApprovalRequest`` that say who decides what, and by when.

        Args:
            default: from the beginning to the deadline, of the request or of each stage, where the
                checkpoint says nothing; None for never.
        """
        asked = {"self_approval": self.self_approval, "response_schema": self.response_schema}
        if not self.stage:
            return asked | super().terms(default)
        stages = [
            one.model_copy(update={"deadline": one.deadline or self.deadline}) for one in self.stage
        ]
        return asked | {"stages": [one.terms(default) for one in stages]}

    @field_validator("checkpoint_id")
    @classmethod
    def _id_fits(cls, value: str) -> str:
        check_request(checkpoint=value)
        return value


class Policy(BaseModel):
    """All checkpoints in file order, and what happens to a tool that none of them matches."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    default: Literal["gate", "allow"] = "gate"
    """``gate``: such a call waits for a person; ``allow``: it goes through."""

    secrets: tuple[Name, ...] = ()
    """Names of arguments whose values nobody is shown, besides ``clearance.mask.SECRETS``."""

    checkpoint: tuple[Checkpoint, ...] = ()
    """The first one that matches a call decides about it."""

    @field_validator("secrets")
    @classmethod
    def _tellable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if "" in mask.names((name,)):
                raise ValueError(f"{name!r} has no letters or digits to tell it by")
        return value

    @model_validator(mode="after")
    def _ids_differ(self) -> Self:
        seen: set[str] = set()
        for one in self.checkpoint:
            if one.checkpoint_id in seen:
                raise ValueError(f"checkpoint {one.checkpoint_id!r} is there twice")
            seen.add(one.checkpoint_id)
        return self

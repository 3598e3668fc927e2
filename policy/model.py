"""What a policy file says, checked as far as that needs no place in the file."""

from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    StringConstraints,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from clearance import ApprovalRequest, Risk, contract, mask, template
from clearance.errors import explain
from clearance.fields import Name

from . import pattern
from .condition import condition_error

MAX_PHRASE_CHARS = 200
MAX_IMPACT_CHARS = 1_000

_REMEMBERED = 10_000

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def duration(text: str) -> timedelta | None:
    """``90s``, ``15m``, ``2h``, ``7d``, ``2w``, or ``never``, which is None.

    Raises:
        ValueError: it is none of these, nothing at all, or more than 5 years.
    """
    if text == "never":
        return None
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdecimal()) or unit not in _UNITS or len(number) > 9:
        raise ValueError(f"{text!r} is no duration: write 90s, 15m, 2h, 7d, 2w or never")
    try:
        length = timedelta(**{_UNITS[unit]: int(number)})
    except OverflowError:
        length = timedelta.max
    if not timedelta(0) < length <= contract.MAX_EXPIRY:
        raise ValueError(f"{text!r}: longer than nothing and at most 5 years, or never")
    return length


def _checked(check: Callable[[str], object]) -> AfterValidator:
    """Keep the text as it is, if ``check`` lets it pass without a ValueError.

    What passed is remembered: every run brings its policy along, mostly the one before it had.
    """

    @lru_cache(maxsize=_REMEMBERED)
    def validate(text: str) -> str:
        check(text)
        return text

    return AfterValidator(validate)


def _check_condition(expression: str) -> None:
    if error := condition_error(expression):
        raise ValueError(error)


@lru_cache(maxsize=_REMEMBERED)
def _check_request(**fields: Any) -> None:
    """Let the request that a checkpoint will make say what it would refuse."""
    try:
        ApprovalRequest(action="-", **fields)
    except ValidationError as error:
        raise ValueError(explain(error)) from error


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
    _checked(_check_words),
    _checked(template.check),
]
"""A sentence, or a text whose first line is one, with ``{fields}`` for ``clearance.template``."""


Editable = Annotated[
    Annotated[StrictBool, Tag("all")] | Annotated[tuple[Name, ...], Tag("some")],
    Discriminator(lambda value: "all" if isinstance(value, bool) else "some"),
    BeforeValidator(_check_editable),
]


class Checkpoint(BaseModel):
    """One rule: which calls it is about, and what a person is asked when one comes.

    Runs keep it without the defaults, so that they can carry thousands; a default is therefore part
    of the format and never changes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    checkpoint_id: Name
    """Its name in requests and records; no other checkpoint of the policy has it."""

    action_pattern: Annotated[str, _checked(pattern.compiled)]
    """An RE2 expression, searched in the tool's name."""

    when: Annotated[str, _checked(_check_condition)] | None = None
    """A CEL condition over args, tool, agent and requester; left out, every such call is meant."""

    allow: StrictBool = False
    """Whether a call that matches goes through without a person."""

    description_template: Template | None = None
    """First line: the sentence a reviewer reads. What follows: the text to read before deciding."""

    risk: Risk = "medium"

    impact: Annotated[str, StringConstraints(max_length=MAX_IMPACT_CHARS)] = ""
    """What follows if the call is made, in the words of whoever wrote the policy."""

    audience: tuple[Name, ...] = ()
    """Who may decide. Empty: anyone."""

    quorum: Annotated[StrictInt, Field(ge=1, le=contract.MAX_AUDIENCE)] = 1
    """How many different people have to approve."""

    deadline: Annotated[str, _checked(duration)] | None = None
    """A duration like 2h, or never; left out, the run's own."""

    on_reject: Literal["tell", "stop"] = "tell"
    """After a rejection: the model is told, or the run is stopped."""

    on_expiry: Literal["tell", "stop"] = "tell"
    """After the deadline: the model is told, or the run is stopped."""

    editable: Editable = False
    """Whether a reviewer may change the arguments: all of them, or the named ones."""

    confirm_phrase: Annotated[Template, _checked(_check_phrase)] | None = None
    """A template of what a reviewer has to type to approve."""

    grants: StrictBool = True
    """Whether a reviewer may approve further calls like it in advance."""

    def expires_in(self, default: timedelta | None) -> timedelta | None:
        """From a request's start to its deadline, ``default`` unless said; None for never."""
        return default if self.deadline is None else duration(self.deadline)

    @field_validator("checkpoint_id")
    @classmethod
    def _id_fits(cls, value: str) -> str:
        _check_request(checkpoint=value)
        return value

    @field_validator("audience")
    @classmethod
    def _people_that_fit(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        _check_request(audience=value)
        folded = [name.casefold() for name in value]
        if twice := [name for name in value if folded.count(name.casefold()) > 1]:
            raise ValueError(f"{twice[0]} is named twice")
        return value

    @field_validator("quorum")
    @classmethod
    def _enough_people(cls, value: int, info: ValidationInfo) -> int:
        people = len(info.data.get("audience", ()))
        if 0 < people < value:
            raise ValueError(f"{value} have to approve, but the audience has {people}")
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

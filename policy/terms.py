"""Who decides, how many of them, and by when: the keys of a checkpoint, or of each of its stages."""

from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    ValidationError,
    field_validator,
)

from clearance import ApprovalRequest, contract
from clearance.errors import explain
from clearance.fields import Name

from .condition import condition_error
from .durations import duration as duration

_REMEMBERED = 10_000


def checked(check: Callable[[str], object]) -> AfterValidator:
    """Keep the text as it is, if ``check`` lets it pass without a ValueError.

    What passed is remembered: every run brings its policy along, mostly the one before it had.
    """

    @lru_cache(maxsize=_REMEMBERED)
    def validate(text: str) -> str:
        check(text)
        return text

    return AfterValidator(validate)


@lru_cache(maxsize=_REMEMBERED)
def check_request(**fields: Any) -> None:
    """Let the request that a checkpoint will make say what it would refuse, as a ValueError."""
    try:
        ApprovalRequest(action="-", **fields)
    except ValidationError as error:
        raise ValueError(explain(error)) from error


def _check_condition(expression: str) -> None:
    if error := condition_error(expression):
        raise ValueError(error)


def _check_age(text: str) -> None:
    if duration(text) is None:
        raise ValueError("never is no time: leave it out")


def _check_names(names: tuple[str, ...]) -> tuple[str, ...]:
    folded = [name.casefold() for name in names]
    if twice := [name for name in names if folded.count(name.casefold()) > 1]:
        raise ValueError(f"{twice[0]} is named twice")
    return names


Condition = Annotated[str, checked(_check_condition)]
"""A CEL expression over args, tool, agent and requester."""

Age = Annotated[str, checked(_check_age)]
"""A duration like 2h, and never ``never``."""

Count = Annotated[StrictInt, Field(ge=1, le=contract.MAX_AUDIENCE)]

Names = Annotated[tuple[Name, ...], AfterValidator(_check_names)]


class TermsKeys(BaseModel):
    """What a policy says in the place of ``clearance.stages.Terms``.

    Each key is checked here by itself; what doesn't go together is told when a file is loaded
    (``policy.contradictions``).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    audience: Names = ()
    """Who may decide: people, and groups of the directory (``group:finance``). Empty: anyone."""

    quorum: Count = 1
    """How many different people have to approve."""

    reject_quorum: Count = 1
    """How many different people have to reject."""

    deadline: Annotated[str, checked(duration)] | None = None
    """A duration like 2h, or never; left out, the run's own."""

    remind_after: tuple[Age, ...] = ()
    """Ages at which the audience is reminded."""

    remind_before: tuple[Age, ...] = ()
    """How long before the deadline the audience is reminded."""

    escalate_to: Names = ()
    """Who may decide as well, from the escalation on."""

    escalate_after: Age | None = None
    """The age at which it is escalated; left out, once the deadline has passed."""

    @field_validator("audience")
    @classmethod
    def _people_that_fit(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        check_request(audience=value)
        return value

    def expires_in(self, default: timedelta | None) -> timedelta | None:
        """From the beginning to the deadline, ``default`` unless said; None for never."""
        return default if self.deadline is None else duration(self.deadline)

    def terms(self, default: timedelta | None) -> dict[str, Any]:
        """The fields of ``clearance.stages.Terms``.

        Where the deadline is the run's own, what would come after it is left out: a run may be
        shorter than whoever wrote the policy thought.

        Args:
            default: from the beginning to the deadline, where none is said; None for never.
        """
        end = self.expires_in(default)
        before, after = _ages(self.remind_before), _ages(self.remind_after)
        escalates = True
        escalate_after = None if self.escalate_after is None else duration(self.escalate_after)
        if self.deadline is None:
            longest = end or contract.MAX_EXPIRY
            after = tuple(age for age in after if age < longest)
            before = tuple(age for age in before if end is not None and age < end)
            escalates = escalate_after < longest if escalate_after else end is not None
        return {
            "audience": self.audience,
            "quorum": self.quorum,
            "reject_quorum": self.reject_quorum,
            "expires_in": end,
            "remind_after": after,
            "remind_before": before,
            "escalate_to": self.escalate_to if escalates else (),
            "escalate_after": escalate_after if escalates else None,
        }


class StageKeys(TermsKeys):
    """A ``[[checkpoint.stage]]``: asked once those before it have approved."""

    name: Name
    """``director``, for instance; no other stage of the checkpoint has it."""

    when: Condition | None = None
    """Where it doesn't hold, nobody is asked in this stage; where it can't be evaluated, somebody is."""

    def terms(self, default: timedelta | None) -> dict[str, Any]:
        """The fields of ``clearance.stages.Stage``; ``default`` as for every terms."""
        return {"name": self.name, "when": self.when, **super().terms(default)}


def _ages(texts: tuple[str, ...]) -> tuple[timedelta, ...]:
    return tuple(age for text in texts if (age := duration(text)) is not None)

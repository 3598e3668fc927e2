"""Who decides, how many of them, and by when: the terms of a request, or of each of its stages."""

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, FailFast, Field, model_validator

from . import contract
from .fields import Condition, Name

GROUP = "group:"
"""Begins a name that stands for several people; ``reviewers.toml`` says for whom."""


def is_group(name: str) -> bool:
    """Whether a name in an audience is one of a group."""
    return name.casefold().startswith(GROUP)


def folded(names: Iterable[str]) -> tuple[str, ...]:
    """Names as they are compared: capitals don't matter, and each is there once."""
    return tuple(dict.fromkeys(name.casefold() for name in names))


def _groups(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not is_group(name) or name.casefold() == GROUP:
            raise ValueError(f"{name!r} names no group: write group:finance")
    return names


Vouched = Annotated[
    tuple[Name, ...],
    Field(max_length=contract.MAX_VOUCHED),
    FailFast(),  # anybody may send half a million, and explaining each would take seconds
    AfterValidator(_groups),
]
"""Groups that somebody's sign-in vouches for, at most 200: each as ``group:finance``."""

Count = Annotated[int, Field(ge=1, le=contract.MAX_AUDIENCE)]
Times = Annotated[tuple[timedelta, ...], Field(max_length=contract.MAX_REMINDERS)]


class Terms(BaseModel):
    """Who may decide, how many have to, and what happens while nobody does."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    audience: tuple[Name, ...] = ()
    """Who may decide, at most 50 names: people, and groups (``group:finance``). Empty: anyone who
    can reach the request."""

    quorum: Count = 1
    """How many different people have to approve. More than one needs an audience."""

    reject_quorum: Count = 1
    """How many different people have to reject."""

    expires_in: timedelta | None = contract.DEFAULT_EXPIRY
    """From the beginning to the deadline: 7 days unless said otherwise, at most 5 years; None for
    never."""

    remind_after: Times = ()
    """Ages at which the audience is reminded, at most 10."""

    remind_before: Times = ()
    """How long before the deadline the audience is reminded, at most 10."""

    escalate_to: tuple[Name, ...] = ()
    """Who may decide as well, from the escalation on."""

    escalate_after: timedelta | None = None
    """The age at which it is escalated. None: when the deadline has passed; it then waits for as long
    again, instead of expiring."""

    @model_validator(mode="after")
    def _time_goes_forward(self) -> Self:
        end = self.expires_in
        if end is not None and not timedelta(0) < end <= contract.MAX_EXPIRY:
            raise ValueError("expires_in must be longer than nothing and at most 5 years")
        ages = [("remind_after", one) for one in self.remind_after]
        ages += [("remind_before", one) for one in self.remind_before]
        if self.escalate_after is not None:
            ages.append(("escalate_after", self.escalate_after))
        for field, age in ages:
            if not timedelta(0) < age < (end or contract.MAX_EXPIRY):
                raise ValueError(f"{field} must be longer than nothing and shorter than expires_in")
        if self.remind_before and end is None:
            raise ValueError("remind_before needs a deadline, and it never expires")
        return self

    @model_validator(mode="after")
    def _escalates_to_somebody(self) -> Self:
        if not self.escalate_to:
            if self.escalate_after is not None:
                raise ValueError("escalate_after needs escalate_to: whom?")
            return self
        if not self.audience:
            raise ValueError("escalate_to needs an audience: anyone may decide already")
        if set(folded(self.escalate_to)) <= set(folded(self.audience)):
            raise ValueError("escalate_to names only people who may decide already")
        if self.escalate_after is None and self.expires_in is None:
            raise ValueError("it never expires, so it never escalates: say escalate_after")
        return self

    @model_validator(mode="after")
    def _enough_people(self) -> Self:
        for field in ("audience", "escalate_to"):
            names: tuple[str, ...] = getattr(self, field)
            if len(names) > contract.MAX_AUDIENCE:
                raise ValueError(f"{field} has {len(names)} names, at most 50: name a group")
            if bare := [name for name in names if name.casefold() == GROUP]:
                raise ValueError(f"{field}: {bare[0]!r} names no group: write group:finance")
        everyone = folded(self.audience + self.escalate_to)
        # Temporal would refuse to start the request; inside a workflow that fails its task, again
        # and again, and nobody sees why.
        size = len(json.dumps(everyone, separators=(",", ":")))
        if size > contract.MAX_INDEXED_BYTES:
            raise ValueError(
                f"audience takes {size:,} bytes of Temporal's index, at most "
                f"{contract.MAX_INDEXED_BYTES:,}: name fewer, or more shortly, or a group"
            )
        if everyone and not any(map(is_group, everyone)):
            check_quorum(self, len(everyone))
        return self


def check_quorum(terms: Terms, people: int) -> None:
    """Raise ValueError where so many people could never decide, or could leave it undecided."""
    if terms.quorum > people:
        raise ValueError(f"quorum is {terms.quorum}, but only {people} may decide")
    if terms.reject_quorum > people:
        raise ValueError(f"reject_quorum is {terms.reject_quorum}, but only {people} may decide")
    if terms.reject_quorum > 1 and terms.quorum + terms.reject_quorum > people + 1:
        raise ValueError(
            f"{people} people who each decide once could leave it undecided: with a quorum of "
            f"{terms.quorum}, reject_quorum is at most {people + 1 - terms.quorum}"
        )


class Stage(Terms):
    """One step of several: its people decide before those of the next are asked.

    Its times count from its own beginning.
    """

    name: Name
    """``director``, for instance; no other stage of the request has it."""

    when: Condition | None = None
    """A CEL condition over ``args``, ``tool`` and ``requester``: where it doesn't hold, of the
    arguments as they are by then, nobody is asked in this stage. Where it can't be evaluated,
    somebody is."""


def check_stages(terms: Terms, stages: tuple[Stage, ...]) -> None:
    """Raise ValueError for stages that can't be asked one after the other instead of ``terms``."""
    for field in Terms.model_fields:
        if getattr(terms, field) != Terms.model_fields[field].default:
            raise ValueError(f"{field} belongs to each stage where there are stages")
    names = [stage.name.casefold() for stage in stages]
    if len(set(names)) < len(names):
        raise ValueError("two stages have the same name")
    if all(stage.when is not None for stage in stages):
        raise ValueError("every stage has a condition: nobody might be asked at all")

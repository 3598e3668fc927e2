"""Whether a decision counts. Pure functions of what is known; the workflow only waits around them.

Those called ``refuse_...`` return None for what counts, else the reason it is refused, as a sentence
for the person who sent it. Whatever is not clearly allowed here is refused: the gate stays shut.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import pydantic

from .directory import Members, Person, Standing
from .models import Decision, Recorded, Status
from .requests import ApprovalRequest
from .stages import Stage, check_quorum, is_group
from .text import kind, one_line, some, utc

CHANGED = "the request changed since you read it: read it again, then decide"


@dataclass(frozen=True)
class Vote:
    """A decision that counted, and whose right to decide it used up."""

    recorded: Recorded
    people: frozenset[str]
    """``Person.name`` of the reviewer, and of whom they stood in for."""


def refuse_request(request: ApprovalRequest, members: Members | None = None) -> str | None:
    """Judge the terms of a new request: whether anybody could ever approve it.

    Args:
        request: as it is asked.
        members: who its audience is; None where only the request itself is known, so that nothing
            can be said of its groups.
    """
    if members and members.unknown:
        if not members.directory:
            return (
                f"{members.unknown[0]}: there are no groups without a reviewers.toml: name people"
            )
        return f"{some(members.unknown)}: reviewers.toml has no such group"
    for stage in request.chain:
        if reason := _never(request, stage, members):
            return f"stage {stage.name}: {reason}" if request.stages else reason
    return None


def _never(request: ApprovalRequest, stage: Stage, members: Members | None) -> str | None:
    names = stage.audience + stage.escalate_to
    if not names:
        if max(stage.quorum, stage.reject_quorum) > 1:
            needed = max(stage.quorum, stage.reject_quorum)
            return f"a quorum of {needed} needs an audience: name who may decide"
        return None
    if any(map(is_group, names)) if members is None else members.is_open(names):
        return None  # it can't be told how many they are
    people = (members or Members()).people(names)
    if not people:
        return f"there is nobody in {some(names)}"
    try:
        check_quorum(stage, len(people))
    except ValueError as error:
        return str(error)
    able = people - _asked_by(request, members or Members())
    if len(able) < stage.quorum:
        return (
            f"{request.requester} asked for it and may not approve it: without them, "
            f"{len(able)} may decide, and {stage.quorum} have to approve"
        )
    return None


def may(request: ApprovalRequest, who: Literal["requester", "editor"]) -> bool:
    """Whether an approval counts by who asked for the run, or by who changed the arguments."""
    if request.self_approval is None:
        return request.open_to_anyone
    return who in request.self_approval


def closed(status: Status, decided: Recorded | None) -> str:
    """Why a request that is no longer pending takes no decision."""
    if decided is None:
        return f"already {status}: nobody can decide it any more"
    verdict = "approved" if decided.approved else "rejected"
    return f"already decided: {verdict} by {decided.by} at {utc(decided.at)}"


def is_repeat(request: ApprovalRequest, decided: Recorded | None, decision: Decision) -> bool:
    """Whether ``decision`` is the counted one again: same id, verdict, person, stage and changes."""
    return (
        decided is not None
        and decided.decision_id == decision.decision_id
        and decided.approved is decision.approved
        and decided.reviewer == decision.reviewer
        and decided.stage == _stage_of(request, decision)
        and decided.digest == _digest_of(request, decision)
    )


def refuse_reading(
    request: ApprovalRequest,
    decision: Decision,
    *,
    made_at: datetime,
    deadline: datetime | None,
    stage: int = 1,
) -> str | None:
    """Judge what a decision is about: this stage, before its deadline, as the request is now.

    Args:
        request: as it is now, with the changes of earlier approvals.
        decision: any whole decision.
        made_at: when it was made.
        deadline: of the stage.
        stage: which is asked now, from 1.
    """
    now = f"it is stage {stage} now, {one_line(request.chain[stage - 1].name)}"
    if request.stages and decision.stage is None:
        return f"this request has stages, so a decision says which: {now}"
    if (decision.stage or 1) != stage:
        return f"stage {decision.stage} is not asked: {now}" if request.stages else "no stages here"
    if deadline is not None and made_at >= deadline:
        return f"too late: the deadline was {utc(deadline)}"
    if decision.digest != request.digest:
        return CHANGED
    return None


def principals(audience: tuple[str, ...], who: Standing) -> tuple[Person, ...]:
    """In whose right ``who`` may decide: their own first, then that of those they stand in for."""
    if not audience:
        return (who,)
    return tuple(one for one in (who, *who.stands_in_for) if one.is_among(audience))


def choose(
    request: ApprovalRequest,
    audience: tuple[str, ...],
    who: Standing,
    *,
    called: str,
    approved: bool,
    votes: Sequence[Vote] = (),
    editors: AbstractSet[str] = frozenset(),
) -> Person | str:
    """In whose right a decision counts; or, as a sentence, why it doesn't.

    Each person counts once, for themselves or for somebody else; and an approval neither by nor for
    who asked for the run or changed the arguments, unless the request says so.

    Args:
        request: any state of it.
        audience: who may decide now; empty for anyone.
        who: decides.
        called: their name as they gave it.
        approved: whether they approve.
        votes: what has counted so far, in this stage.
        editors: ``Person.name`` of whoever made the arguments what they are.
    """
    rights = principals(audience, who)
    if not rights:
        return f"{called} is not in the audience ({some(audience)})"

    def against(person: Person) -> str | None:
        name = called if person.name == who.name else person.name
        partial = _partial(request, person, name, editors) if approved else None
        return partial or _voted(person, name, votes)

    if reason := against(who):
        return reason
    for right in rights:
        if (reason := against(right)) is None:
            return right
    return reason or f"{called} may not decide this"


def is_requester(request: ApprovalRequest, who: Person) -> bool:
    """Whether ``who`` asked for the run."""
    return request.requester is not None and request.requester.casefold() in who.names


def _partial(
    request: ApprovalRequest, person: Person, name: str, editors: AbstractSet[str]
) -> str | None:
    """Why an approval by or for somebody can't count: it is their own matter."""
    if not may(request, "requester") and is_requester(request, person):
        return f"{name} asked for this: somebody else has to approve it"
    if not may(request, "editor") and person.name in editors:
        return f"{name} changed the arguments: somebody else has to approve them"
    return None


def _voted(person: Person, name: str, votes: Iterable[Vote]) -> str | None:
    """Why a decision by or for somebody can't count: one has."""
    for vote in votes:
        if person.name in vote.people:
            verdict = "approved" if vote.recorded.approved else "rejected"
            by = "" if vote.recorded.reviewer == name else f", through {vote.recorded.by}"
            return f"{name} has {verdict} already{by}"
    return None


def still_possible(
    request: ApprovalRequest, stage: Stage, editors: AbstractSet[str], members: Members
) -> bool:
    """Whether enough people are left in a stage to approve what ``editors`` made of the arguments.

    Args:
        request: any state of it.
        stage: one that is asked, or will be.
        editors: ``Person.name`` of each of them.
        members: whom the audience means.
    """
    names = stage.audience + stage.escalate_to
    if not names or may(request, "editor") or members.is_open(names):
        return True
    return len(members.people(names) - editors - _asked_by(request, members)) >= stage.quorum


def _asked_by(request: ApprovalRequest, members: Members) -> frozenset[str]:
    """Who can't approve because they asked for it."""
    if may(request, "requester") or request.requester is None:
        return frozenset()
    return members.people((request.requester,))


def refuse_bare_signal(
    request: ApprovalRequest, value: object, *, now: datetime, deadline: datetime | None
) -> str | None:
    """Judge ``approve(value)`` on a pending request: no identity, no digest, no time of its own."""
    if value is not True and value is not False:
        return f"approve takes true or false, not {kind(value)}"
    if deadline is not None and now >= deadline:
        return f"too late: the deadline was {utc(deadline)}"
    if request.decision_keys:
        return "only signed decisions count here, and a bare signal carries no signature"
    if request.stages:
        return "stages are named, and a bare signal says nothing about who sent it"
    if request.audience:
        return "an audience is named, and a bare signal says nothing about who sent it"
    if request.quorum > 1:
        return f"{request.quorum} people have to approve, and a bare signal says nothing about who"
    if not request.open_to_anyone:
        return "not everybody may decide this, and a bare signal says nothing about who sent it"
    if value is True and request.confirm_phrase is not None:
        return "a phrase has to be typed to approve, and a bare signal carries none"
    if value is True and request.response_schema is not None:
        return "an answer has to be given to approve, and a bare signal carries none"
    return None


def _stage_of(request: ApprovalRequest, decision: Decision) -> str | None:
    """The name of the stage that a decision is about."""
    number = decision.stage or 1
    return request.stages[number - 1].name if number <= len(request.stages) else None


def _digest_of(request: ApprovalRequest, decision: Decision) -> str | None:
    """Of what a decision is about: what was read, with the changes that come with it."""
    if decision.arguments is None:
        return decision.digest
    try:
        return request.with_arguments(decision.arguments).digest
    except pydantic.ValidationError:
        return None

"""Whether a decision counts. Pure functions of what is known; the workflow only waits around them.

Each returns None when the decision counts, else the reason it is refused, as a sentence for the
person who decided. Whatever is not clearly allowed here is refused: the gate stays shut.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import pydantic
from pydantic import JsonValue

from .fields import canonical_json
from .models import Change, Decision, Recorded, Status
from .requests import ApprovalRequest
from .text import one_line, utc

CHANGED = "the request changed since you read it: read it again, then decide"
NOT_EDITABLE = "this request takes no changes: approve or reject it as it is"


def closed(status: Status, decided: Recorded | None) -> str:
    """Why a request that is no longer pending takes no decision."""
    if decided is None:
        return f"already {status}: nobody can decide it any more"
    verdict = "approved" if decided.approved else "rejected"
    return f"already decided: {verdict} by {decided.by} at {utc(decided.at)}"


def is_repeat(request: ApprovalRequest, decided: Recorded | None, decision: Decision) -> bool:
    """Whether ``decision`` is the counted one again: same id, verdict, person, reading and changes."""
    return (
        decided is not None
        and decided.decision_id == decision.decision_id
        and decided.approved is decision.approved
        and decided.reviewer == decision.reviewer
        and decided.digest == _digest_of(request, decision)
    )


def refuse_decision(
    request: ApprovalRequest,
    decision: Decision,
    *,
    made_at: datetime,
    deadline: datetime | None,
    approvals: Sequence[Recorded] = (),
) -> str | None:
    """Judge who decides a pending request, when, and having read what.

    Args:
        request: as it is now, with the changes of earlier approvals.
        decision: any whole decision.
        made_at: when it was made.
        deadline: of the request.
        approvals: those that have counted so far.
    """
    if deadline is not None and made_at >= deadline:
        return f"too late: the deadline was {utc(deadline)}"
    if decision.digest != request.digest:
        return CHANGED
    person = decision.reviewer.casefold()
    if request.audience and person not in map(str.casefold, request.audience):
        return f"{decision.reviewer} is not in the audience ({_some(request.audience)})"
    if decision.approved and person in [(one.reviewer or "").casefold() for one in approvals]:
        return f"{decision.reviewer} has approved already: {len(approvals)} of {request.quorum}"
    return None


def refuse_edit(request: ApprovalRequest, arguments: Mapping[str, JsonValue]) -> str | None:
    """Judge a reviewer's changes to a request as it is now. Their schema is somebody else's matter."""
    if request.editable is False:
        return NOT_EDITABLE
    changed = [change.name for change in differences(request.arguments, arguments)]
    if request.editable is not True:
        fixed = [name for name in changed if name not in request.editable]
        if fixed:
            return f"{one_line(fixed[0], 80)} can't be changed here, only {_some(request.editable)}"
    if not changed:
        return "the changed arguments are those of the request: approve it as it is"
    try:
        request.with_arguments(arguments)
    except pydantic.ValidationError as error:
        message = str(error.errors(include_url=False)[0]["msg"])
        return f"these changes can't be taken: {message.removeprefix('Value error, ')}"
    return None


def refuse_confirmation(request: ApprovalRequest, decision: Decision) -> str | None:
    """Judge what was typed to confirm an approval of ``request``, changes included."""
    phrase = request.phrase
    if phrase is None or not decision.approved:
        return None
    if decision.confirmation is None or one_line(decision.confirmation) != phrase:
        return f"type {phrase!r} to confirm"
    return None


def refuse_grant(request: ApprovalRequest, decision: Decision) -> str | None:
    """Judge whether further calls may be approved in advance."""
    if decision.grant is None:
        return None
    if not request.grantable:
        return "this request can be approved for itself only, not for further calls"
    if request.quorum > 1 or request.confirm_phrase is not None:
        return "a standing approval can't stand for a second person, or for a phrase to be typed"
    return None


def refuse_bare_signal(
    request: ApprovalRequest, value: object, *, now: datetime, deadline: datetime | None
) -> str | None:
    """Judge ``approve(value)`` on a pending request: no identity, no digest, no time of its own."""
    if value is not True and value is not False:
        return f"approve takes true or false, not {_kind(value)}"
    if deadline is not None and now >= deadline:
        return f"too late: the deadline was {utc(deadline)}"
    if request.audience:
        return "an audience is named, and a bare signal says nothing about who sent it"
    if request.quorum > 1:
        return f"{request.quorum} people have to approve, and a bare signal says nothing about who"
    if value is True and request.confirm_phrase is not None:
        return "a phrase has to be typed to approve, and a bare signal carries none"
    return None


def differences(
    before: Mapping[str, JsonValue], after: Mapping[str, JsonValue]
) -> tuple[Change, ...]:
    """What is not the same, argument by argument; ``1`` and ``1.0`` and ``true`` are not the same.

    The values were validated with what they come from, and aren't here again: 100,000 of them take
    a workflow task too long.
    """
    changes = []
    for name in [*before, *(name for name in after if name not in before)]:
        if name not in after:
            changes.append(Change.model_construct(name=name, kind="removed", before=before[name]))
        elif name not in before:
            changes.append(Change.model_construct(name=name, kind="added", after=after[name]))
        elif canonical_json(before[name]) != canonical_json(after[name]):
            changes.append(
                Change.model_construct(
                    name=name, kind="changed", before=before[name], after=after[name]
                )
            )
    return tuple(changes)


def _digest_of(request: ApprovalRequest, decision: Decision) -> str | None:
    """Of what a decision is about: what was read, with the changes that come with it."""
    if decision.arguments is None:
        return decision.digest
    try:
        return request.with_arguments(decision.arguments).digest
    except pydantic.ValidationError:
        return None


def _some(names: Sequence[str]) -> str:
    """The first five: a record may keep a thousand refusals, each with this text."""
    return ", ".join(names[:5]) + (f" and {more} more" if (more := len(names) - 5) > 0 else "")


def _kind(value: object) -> str:
    names = {
        type(None): "null",
        bytes: "bytes",
        str: "a string",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "an object" if isinstance(value, dict) else "a list of values")

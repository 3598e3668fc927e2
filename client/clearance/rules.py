"""Whether a decision counts. Pure functions of what is known; the workflow only waits around them.

Each returns None when the decision counts, else the reason it is refused, as a sentence for the
person who decided. Whatever is not clearly allowed here is refused: the gate stays shut.
"""

from collections.abc import Sequence
from datetime import datetime

from .models import ApprovalRequest, Decision, Recorded, Status
from .text import utc


def closed(status: Status, decided: Recorded | None) -> str:
    """Why a request that is no longer pending takes no decision."""
    if decided is None:
        return f"already {status}: nobody can decide it any more"
    verdict = "approved" if decided.approved else "rejected"
    return f"already decided: {verdict} by {decided.by} at {utc(decided.at)}"


def is_repeat(decided: Recorded | None, decision: Decision) -> bool:
    """Whether ``decision`` is the counted one delivered again: same id, same verdict, same person."""
    return (
        decided is not None
        and decided.decision_id == decision.decision_id
        and decided.approved is decision.approved
        and decided.reviewer == decision.reviewer
    )


def refuse_decision(
    request: ApprovalRequest, decision: Decision, *, made_at: datetime, deadline: datetime | None
) -> str | None:
    """Judge a whole decision on a pending request, made at ``made_at``."""
    if deadline is not None and made_at >= deadline:
        return f"too late: the deadline was {utc(deadline)}"
    if decision.digest != request.digest:
        return "the request changed since you read it: read it again, then decide"
    if request.audience and decision.reviewer.casefold() not in map(str.casefold, request.audience):
        return f"{decision.reviewer} is not in the audience ({_some(request.audience)})"
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

"""What an approval has to carry: the phrase, the answer, a grant that is allowed. Pure functions.

Each returns None where the decision counts, else the reason it is refused.
"""

from .models import Decision
from .requests import ApprovalRequest
from .text import one_line


def refuse_confirmation(request: ApprovalRequest, decision: Decision) -> str | None:
    """Judge what was typed to confirm an approval of ``request``, changes included."""
    phrase = request.phrase
    if phrase is None or not decision.approved:
        return None
    if decision.confirmation is None or one_line(decision.confirmation) != phrase:
        return f"type {phrase!r} to confirm"
    return None


def refuse_response(request: ApprovalRequest, decision: Decision, *, last: bool) -> str | None:
    """Judge whether an approval answers where an answer is asked for: in the last stage."""
    if not decision.approved:
        return None
    if decision.response is None:
        if request.response_schema is None or not last:
            return None
        return "this request asks for an answer: approve it with one"
    if request.response_schema is None:
        return "this request asks for no answer: approve it without"
    return None if last else "the last stage gives the answer: approve this one without"


def refuse_grant(
    request: ApprovalRequest, decision: Decision, *, counted: bool = True
) -> str | None:
    """Judge whether further calls may be approved in advance; only by an approval that is counted."""
    if decision.grant is None:
        return None
    if not counted:
        return "somebody else has to approve your changes, and further calls with them: leave those out"
    if not request.grantable:
        return "this request can be approved for itself only, not for further calls"
    if request.quorum > 1 or request.stages or request.confirm_phrase is not None:
        return "a standing approval can't stand for a second person, or for a phrase to be typed"
    return None

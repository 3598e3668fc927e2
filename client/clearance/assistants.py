"""What a reviewer's assistant may not decide, whoever it says it speaks for. Pure functions.

An assistant reads what agents wrote, and can be talked round by it. So its word counts only where a
person is named, never where that person asked for it, and never for what has to be typed by hand.
"""

from .directory import Standing
from .models import Decision
from .requests import ApprovalRequest
from .rules import is_requester

_INBOX = "decide in the inbox"


def refuse_decision(
    request: ApprovalRequest, audience: tuple[str, ...], decision: Decision, who: Standing
) -> str | None:
    """Judge a decision that came through an assistant; one by another channel is not judged here.

    Args:
        request: as it is now.
        audience: who may decide now; empty for anyone.
        decision: any whole decision.
        who: in whose name it is sent.

    Returns:
        None where nothing speaks against it, else the reason it is refused.
    """
    if decision.channel != "mcp":
        return None
    if is_requester(request, who):
        return f"{decision.reviewer} asked for this: no assistant of theirs decides it"
    if not audience:
        return f"nobody is named who may decide this, so no assistant does: {_INBOX}"
    if request.risk == "critical":
        return f"the risk is critical, so no assistant decides it: {_INBOX}"
    if request.confirm_phrase is not None:
        return f"a phrase has to be typed by a person: {_INBOX}"
    if decision.arguments is not None or decision.grant is not None:
        return f"an assistant changes no arguments and approves nothing in advance: {_INBOX}"
    if not decision.approved and not decision.reason.strip():
        return "a rejection through an assistant says why: give a reason"
    return None

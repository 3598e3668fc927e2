"""Doing what a form of a request's page says, and what is to be said of it then."""

from typing import Any

from pydantic import JsonValue

from clearance import ApprovalView, InvalidRequest, Receipt, Refused
from clearance.acts import ActReceipt
from clearance.rules import CHANGED
from clearance.text import one_line
from clearance.typed import parsed
from web.context import Context
from web.who import Who

from . import answering, editing
from .forms import Form, Misfit

DECISIONS = ("approve", "reject", "changes")
ACTS = ("comment", "ask", "answer", "delegate", "withdraw")

_TO_SAY = {
    "changes": (
        "say what should be changed",
        "Say what to change: the agent is told, and tries again.",
    ),
    "reject": ("say why not", "Say why not: the agent is told, and it is kept in the record."),
}
"""What is never decided without a reason: what is missing, and what stands beside its field."""

STORED = "wait stored"
"""The tone of what is said of a decision that no worker has taken yet."""


async def send(context: Context, who: Who, view: ApprovalView, form: Form) -> tuple[str, str]:
    """Do what a form says. Returns what to say of it: ``good`` or ``wait``, and a sentence.

    The sentence is empty where the page itself shows all that there is to say.

    Raises:
        Misfit, InvalidRequest: something typed doesn't do; nothing was sent.
        AlreadyDecided, Refused: it does not count, and why.
    """
    if form.do in ACTS:
        return _said_of_act(form, await _act(context, who, view, form))
    if form.do not in DECISIONS:
        raise InvalidRequest("that form is none of this page: reload it and try again")
    return _said_of_decision(form.do, await _decide(context, who, view, form))


async def _decide(context: Context, who: Who, view: ApprovalView, form: Form) -> Receipt:
    key = form.raw("decision_id")
    how: dict[str, Any] = {
        "reviewer": who.name,
        "groups": who.groups,
        "channel": who.channel,
        "digest": form.raw("digest"),
        "stage": _stage(form),
        "decision_id": key or None,
        "reason": form.text("reason").strip(),
    }
    # What was taken already is sent as it is: the gate knows that it is the same.
    taken = any(key and one.key == key and one.kind != "refused" for one in view.events)
    waits = view.status == "pending" and not taken
    if waits and view.complete and form.raw("digest") != view.digest:
        raise Refused(CHANGED)
    if form.do in _TO_SAY and not how["reason"]:
        missing, beside = _TO_SAY[form.do]
        raise Misfit(f"Nothing was sent: {missing}", {"reason": beside})
    if form.do == "changes":
        return await context.approvals.request_changes(view.id, feedback=how.pop("reason"), **how)
    if form.do == "reject":
        return await context.approvals.reject(view.id, **how)
    if "arguments" in form:
        how["arguments"] = _arguments(form)
    if waits:
        how |= _completed(view, form)
    return await context.approvals.approve(view.id, **how)


def _arguments(form: Form) -> dict[str, JsonValue]:
    try:
        found = parsed(form.raw("arguments"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InvalidRequest("the changes are no JSON object: review them again")
    return found


def _completed(view: ApprovalView, form: Form) -> dict[str, Any]:
    """What an approval carries besides: the changes as they were shown, the answer, the phrase."""
    request, how = view.current, {"response": answering.response(view, form)}
    if "arguments" in form:
        request = editing.confirmed(view, form)
    if request.phrase is None:
        return how
    how["confirmation"] = form.text("confirmation")
    if one_line(form.text("confirmation")) != request.phrase:
        problem = f"Type exactly: {request.phrase}"
        raise Misfit("Nothing was sent: that is not the phrase", {"confirmation": problem})
    return how


async def _act(context: Context, who: Who, view: ApprovalView, form: Form) -> ActReceipt:
    client = context.approvals
    how: dict[str, Any] = {"who": who.name, "groups": who.groups, "channel": who.channel}
    if key := form.raw("act_id"):
        how["act_id"] = key
    text = form.text("text").strip()
    if form.do == "withdraw":
        return await client.withdraw(view.id, reason=text, **how)
    if form.do == "delegate":
        to = form.text("to").strip()
        if not to:
            raise Misfit("Nothing was sent: say to whom", {"to": "Name who shall decide."})
        return await client.delegate(view.id, to=to, reason=text, **how)
    if not text:
        raise Misfit("Nothing was sent: the text is empty", {"text": "Say something."})
    send = {"comment": client.comment, "ask": client.ask, "answer": client.answer}[form.do]
    return await send(view.id, text, **how)


def _stage(form: Form) -> int | None:
    given = form.raw("stage")
    if not given:
        return None
    if not (given.isascii() and given.isdecimal() and len(given) < 3):
        raise InvalidRequest("that form is none of this page: reload it and try again")
    return int(given)


_NOUNS = {
    "approve": "approval",
    "reject": "rejection",
    "changes": "request for changes",
    "comment": "comment",
    "ask": "question",
    "answer": "answer",
    "delegate": "delegation",
    "withdraw": "withdrawal",
}


def _said_of_act(form: Form, receipt: ActReceipt) -> tuple[str, str]:
    noun = _NOUNS[form.do]
    if not receipt.in_effect:
        return "wait", f"Your {noun} is recorded; it takes effect when a worker is back."
    if form.do == "delegate":
        return "good", f"{one_line(form.text('to'))} may decide this for you. You still may, too."
    return "good", "" if form.do == "withdraw" else f"Your {noun} is in the record."


def _said_of_decision(do: str, receipt: Receipt) -> tuple[str, str]:
    noun = _NOUNS[do]
    if not receipt.in_effect:
        return STORED, f"Your {noun} is recorded; it takes effect when a worker is back."
    if not receipt.counted:
        return "wait", (
            "Your changes are in, but you may not approve them yourself: somebody else has to."
        )
    if receipt.status != "pending":
        return "good", ""
    if receipt.next_stage is not None:
        done, now = one_line(receipt.stage or ""), one_line(receipt.next_stage)
        return "good", f"Your {noun} counts. The stage “{done}” is done; “{now}” is asked now."
    count = f"{receipt.approvals} of {receipt.quorum} approvals"
    if do != "approve":
        count = f"{receipt.rejections} of {receipt.reject_quorum} rejections"
    where = f" in the stage “{one_line(receipt.stage)}”" if receipt.stage is not None else ""
    return "good", f"Your {noun} counts: {count}{where}."

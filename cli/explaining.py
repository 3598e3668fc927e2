"""What a person would be asked about a call, as ``clearance policy explain`` tells it."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from pydantic import JsonValue, ValidationError
from rich.table import Table
from rich.text import Text

from clearance import ApprovalRequest, ApprovalView, InvalidRequest, contract, rules
from clearance.errors import explain as faults
from clearance.progress import who_decides
from clearance.text import visible
from clearance.wording import worded
from policy.match import Verdict
from policy.model import Checkpoint

from . import tables

_KEYS = {
    *("risk", "impact", "audience", "quorum", "reject_quorum", "deadline", "remind_after"),
    *("remind_before", "escalate_to", "escalate_after", "stage", "self_approval"),
    *("response_schema", "on_reject", "on_expiry", "editable", "grants"),
}


class Asked(NamedTuple):
    """What a person would be asked."""

    keys: dict[str, Any]
    """By the policy's own words, for programs."""
    request: ApprovalRequest


def asked_of(tool: str, shown: dict[str, JsonValue], verdict: Verdict, requester: str) -> Asked:
    """What a person would be asked about a call.

    Args:
        tool: that is called.
        shown: its arguments, the secret ones masked.
        verdict: of the policy: the call waits.
        requester: who started the run.

    Raises:
        InvalidRequest: the request would be refused.
    """
    default = Checkpoint(checkpoint_id="default", action_pattern=".*", grants=False)
    rule = verdict.checkpoint or default
    try:
        request = ApprovalRequest(
            **worded(rule.description_template, tool, shown),
            tool=tool,
            arguments=shown,
            confirm_phrase=rule.confirm_phrase,
            requester=requester,
            **rule.terms(contract.DEFAULT_EXPIRY),
        )
    except ValidationError as error:
        raise InvalidRequest(f"no request could be made of it: {faults(error)}") from error
    told = {"action": request.action, "details": request.details}
    said = rule.model_dump(mode="json", include=_KEYS)
    last = {"confirm_phrase": request.phrase, "impossible": rules.refuse_request(request)}
    return Asked({**told, **said, **last}, request)


def facts(found: Asked) -> Table:
    """The request as a person reads it, a line for each fact that is there."""
    asked = found.keys
    after = {"tell": "the agent is told", "stop": "the run is stopped"}
    editable = {True: "all arguments", False: "nothing"}
    change = asked["editable"]
    reject = asked["reject_quorum"]
    alone = {} if asked["stage"] else _alone(asked)
    rows = {
        "Sentence": asked["action"],
        "Text": asked["details"],
        "Risk": asked["risk"],
        "Impact": asked["impact"],
        **_who_decides(found.request),
        **alone,
        "Own approval": _own(asked["self_approval"]),
        "Impossible": asked["impossible"],
        "Rejected": after[asked["on_reject"]] + (f", by {reject} people" if reject > 1 else ""),
        "Expired": after[asked["on_expiry"]],
        "Editable": editable[change] if isinstance(change, bool) else ", ".join(change),
        "To type": asked["confirm_phrase"],
        "To answer": "what its response_schema asks for" if asked["response_schema"] else "",
        "In advance": "further calls can be approved" if asked["grants"] else "",
    }
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for label, value in rows.items():
        if value:
            style = tables.COLOURS.get(value, "") if label == "Risk" else ""
            table.add_row(Text(label, style="dim"), Text(visible(value), style, overflow="fold"))
    return table


def _who_decides(request: ApprovalRequest) -> dict[str, str]:
    """As a reader of the request would see it in the moment that it is made."""
    now = datetime.now(UTC)
    view = ApprovalView(
        id="-",
        status="pending",
        request=request,
        digest=request.digest,
        requested_at=now,
        deadline=None,
        complete=False,
    )
    found = {label: value for label, value in who_decides(view, now).items() if value}
    found.pop("Approvals", None)
    found.pop("Rejections", None)
    return found or {"Audience": "anyone"}


def _alone(asked: dict[str, Any]) -> dict[str, str]:
    """The terms of a request without stages."""
    ages = [f"after {age}" for age in asked["remind_after"]]
    ages += [f"{age} before the deadline" for age in asked["remind_before"]]
    return {
        "Quorum": f"{asked['quorum']} to approve",
        "Deadline": asked["deadline"] or "the run's own",
        "Reminders": ", ".join(ages),
    }


def _own(counts: list[str] | None) -> str:
    return "" if counts is None else f"counts of {' and '.join(counts) or 'nobody'}"

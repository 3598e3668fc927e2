"""Whether what an approval says of its end can be believed, by its own history. Pure functions."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pydantic

from . import edits
from .facts import Asked, Gate
from .fields import same_json
from .models import Outcome
from .requests import ApprovalRequest


def outcome_of(gate: Gate, asked: Asked, request: ApprovalRequest) -> Outcome | str:
    """How an approval ended; or why that can't be believed."""
    if asked.outcome is None:
        return Outcome(approval_id=gate.approval_id, status="withdrawn", digest=request.digest)
    try:
        outcome = Outcome.model_validate(asked.outcome)
    except pydantic.ValidationError:
        return "its outcome is malformed"
    told = gate.outcome
    if gate.closed and (not isinstance(told, dict) or not _same_end(told, asked.outcome)):
        return "the run was told another outcome than the approval had"
    if outcome.approval_id != gate.approval_id or not edits.is_of(request, outcome):
        return "its outcome is not of what was asked"
    if outcome.approved and not _answered(asked, request, outcome):
        return "approved, and no decision in its history says so"
    return outcome


def request_of(asked: Asked | None) -> ApprovalRequest | None:
    """What was shown; None where it is malformed, or not known any more."""
    plain = asked and asked.request
    try:
        return ApprovalRequest.model_validate(
            {"action": plain} if isinstance(plain, str) else plain
        )
    except pydantic.ValidationError:
        return None


def _same_end(one: Mapping[str, Any], other: Any) -> bool:
    """Whether two outcomes are the same; the run's converter may leave defaults out."""
    try:
        return Outcome.model_validate(one) == Outcome.model_validate(other)
    except pydantic.ValidationError:
        return False


def _answered(asked: Asked, request: ApprovalRequest, outcome: Outcome) -> bool:
    """Whether the decision that opened the gate is in the approval's own history."""
    decision = outcome.decision
    if decision is None:
        return False
    if decision.channel == "grant":
        return request.grant is not None
    if decision.channel == "signal":
        return any(value is True for _, value in asked.answers)
    return any(
        isinstance(value, dict)
        and value.get("approved") is True
        and value.get("decision_id") == decision.decision_id
        and value.get("reviewer") == decision.reviewer
        for _, value in asked.answers
    )


def changed_at(asked: Asked, outcome: Outcome) -> datetime | None:
    """When the changes that were approved came."""
    wanted = outcome.edit.arguments if outcome.edit else None
    for at, value in asked.answers:
        if isinstance(value, dict) and same_json(value.get("arguments"), wanted):
            return at
    return None

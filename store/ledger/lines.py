"""A line of the history, from the rows of a request. Pure functions."""

from collections.abc import Mapping, Sequence
from typing import Any

from clearance import ApprovalView
from clearance.models import reason_of
from clearance.views import FinishedApproval, Vote

from .rows import moment, view_of


def line_of(bodies: Sequence[Mapping[str, Any]]) -> FinishedApproval:
    """The line of a request, from the bodies of its first row and of the one it ended with.

    Raises:
        KeyError, ValueError: they are no such bodies.
    """
    view = view_of(bodies)
    if view is None:
        raise ValueError("it has not ended")
    moved = view.deadline != view.request.deadline(view.requested_at)
    return FinishedApproval.model_validate(
        {
            **view.current.memo(),
            "id": view.id,
            "status": view.status,
            "audience": _audience(view),
            "quorum": view.asked.quorum,
            "approvals": [Vote.of(one) for one in view.approvals],
            "delegates": [one.to for one in view.delegations],
            "stage": view.stage,
            "digest": view.digest,
            "requested_at": view.requested_at,
            "due": view.deadline if moved else None,
            "closed_at": moment(bodies[-1]["event"]["at"]),
            "decision": view.decision,
            "reason": reason_of(view.status, view.decision, view.explanation),
        }
    )


def _audience(view: ApprovalView) -> tuple[str, ...]:
    """With those it was escalated to."""
    asked = [one.audience for one in view.stages if one.number == view.stage]
    return asked[0] if asked else view.asked.audience

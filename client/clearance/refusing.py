"""The errors by which whoever decides learns that it does not count."""

from typing import Any

from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from . import contract, rules
from .errors import AlreadyDecided, Refused
from .models import Recorded
from .views import ApprovalView

_COMPLETED_MEANWHILE = "AcceptedUpdateCompletedWorkflow"
"""``ApplicationError.type`` by which the server answers an update that its workflow's end cut off."""


def already_decided(view: ApprovalView) -> AlreadyDecided:
    """The error that says how a request ended."""
    reason = rules.closed(view.status, view.decision)
    return AlreadyDecided(f"{view.id} is {reason}", view.status, view.decision)


def refused(view: ApprovalView, reason: str) -> Refused:
    """The error for what the record has as refused."""
    if view.status != "pending" and reason == rules.closed(view.status, view.decision):
        return already_decided(view)
    return Refused(reason)


def is_cut_off(error: WorkflowUpdateFailedError) -> bool:
    """Whether the end of its workflow cut an update off, so that it may have been taken or not."""
    return isinstance(error.cause, ApplicationError) and error.cause.type == _COMPLETED_MEANWHILE


def again(error: WorkflowUpdateFailedError) -> list[Any] | None:
    """With what else to send an update again that has left no trace; None: it was answered."""
    cause = error.cause
    if isinstance(cause, ApplicationError):
        if cause.type == contract.ERROR_STANDING:
            return list(cause.details)
        if cause.type == contract.ERROR_BUSY:
            return []
    return None


def refusal(error: WorkflowUpdateFailedError) -> Refused:
    """The error that a worker answered an update with."""
    cause = error.cause
    if not isinstance(cause, ApplicationError):
        return Refused(str(cause))
    if cause.type == contract.ERROR_ALREADY_DECIDED:
        status, decision = cause.details
        return AlreadyDecided(cause.message, status, decision and Recorded.model_validate(decision))
    return Refused(cause.message)

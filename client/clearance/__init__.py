"""Ask for, read and decide Clearance approvals.

From a service: ``ApprovalClient``. From inside a Temporal workflow: ``request_approval``.
"""

from .client import ApprovalClient
from .connect import connect
from .errors import (
    AlreadyDecided,
    Ambiguous,
    CannotConnect,
    ClearanceError,
    InvalidRequest,
    NotFound,
    NoWorker,
    Refused,
    WaitTimeout,
)
from .gate import pending_approvals, request_approval
from .models import ApprovalRequest, Decision, Outcome, Receipt, Recorded, Risk, Status
from .views import ApprovalSummary, ApprovalView, Event, PendingApproval

__all__ = [
    "AlreadyDecided",
    "Ambiguous",
    "ApprovalClient",
    "ApprovalRequest",
    "ApprovalSummary",
    "ApprovalView",
    "CannotConnect",
    "ClearanceError",
    "Decision",
    "Event",
    "InvalidRequest",
    "NoWorker",
    "NotFound",
    "Outcome",
    "PendingApproval",
    "Receipt",
    "Recorded",
    "Refused",
    "Risk",
    "Status",
    "WaitTimeout",
    "connect",
    "pending_approvals",
    "request_approval",
]

"""Ask for, read and decide Clearance approvals.

From a service: ``ApprovalClient``. From inside a Temporal workflow: ``request_approval``.
"""

from .acts import Act, ActReceipt
from .client import ApprovalClient
from .connect import connect
from .errors import (
    AlreadyAsked,
    AlreadyConsumed,
    AlreadyDecided,
    Ambiguous,
    CannotConnect,
    ClearanceError,
    InvalidRequest,
    NotFound,
    NotRecorded,
    NoWorker,
    OutcomeUnknown,
    Refused,
    WaitTimeout,
)
from .gate import approved_arguments, pending_approvals, request_approval
from .grants import Grant, GrantTerms, Revocation
from .models import Decision, Edit, Outcome, Receipt, Recorded, Status
from .permits import ActionOutcome, OutcomeReceipt, Permit
from .requests import ApprovalRequest, Risk
from .stages import Stage, Terms
from .views import (
    ApprovalSummary,
    ApprovalView,
    Delegation,
    Event,
    Execution,
    FinishedApproval,
    Page,
    PendingApproval,
    StageView,
)

__all__ = [
    "Act",
    "ActReceipt",
    "ActionOutcome",
    "AlreadyAsked",
    "AlreadyConsumed",
    "AlreadyDecided",
    "Ambiguous",
    "ApprovalClient",
    "ApprovalRequest",
    "ApprovalSummary",
    "ApprovalView",
    "CannotConnect",
    "ClearanceError",
    "Decision",
    "Delegation",
    "Edit",
    "Event",
    "Execution",
    "FinishedApproval",
    "Grant",
    "GrantTerms",
    "InvalidRequest",
    "NoWorker",
    "NotFound",
    "NotRecorded",
    "Outcome",
    "OutcomeReceipt",
    "OutcomeUnknown",
    "Page",
    "PendingApproval",
    "Permit",
    "Receipt",
    "Recorded",
    "Refused",
    "Revocation",
    "Risk",
    "Stage",
    "StageView",
    "Status",
    "Terms",
    "WaitTimeout",
    "approved_arguments",
    "connect",
    "pending_approvals",
    "request_approval",
]

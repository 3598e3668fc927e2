"""A request as it goes to the ledger."""

from pydantic import BaseModel, ConfigDict

from .views import ApprovalView

HAND_OVER = "clearance_hand_over"
"""What a workflow calls in its own process with a ``Kept`` and the time of its end, where the worker
has it (``workflow.extern_functions``)."""


class Kept(BaseModel):
    """All of a request at one moment, most often its end."""

    model_config = ConfigDict(frozen=True)

    execution: str
    """Temporal's own id of the execution: a run that is reset asks again under the same approval id."""

    queue: str
    """The task queue of its approvals."""

    view: ApprovalView

"""What came of a request in the run that asked."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio.service import RPCError

from clearance import ApprovalView, ClearanceError
from clearance.timeline import Entry, timeline
from clearance.views import Event
from web.context import Context

_MOST = 4
"""Steps of the run that are told here; its own page has all."""

_FAILED = "it failed"
"""How the record begins to say that an action was tried in vain."""


@dataclass(frozen=True)
class Next:
    """What happened after the decision."""

    taken: Event | None
    """An agent outside took the permission."""
    ran: Event | None
    """The action has run."""
    failed: bool
    steps: tuple[Entry, ...]
    """What the run did next."""


async def next_of(context: Context, view: ApprovalView, *, whole_run: bool) -> Next | None:
    """What came of a request that has ended; None where nothing is known or to be expected.

    Args:
        context: of the running inbox.
        view: the request.
        whole_run: whether its reader may read the run as well, and not this request alone.
    """
    if view.status == "pending":
        return None
    taken, ran = (
        next((one for one in reversed(view.events) if one.kind == kind), None)
        for kind in ("consumed", "executed")
    )
    steps = await _steps(context, view) if whole_run else ()
    if not (steps or taken or ran or (view.request.run_id and view.status == "approved")):
        return None
    return Next(taken, ran, ran is not None and ran.reason.startswith(_FAILED), steps)


async def _steps(context: Context, view: ApprovalView) -> tuple[Entry, ...]:
    run = view.request.run_id
    if run is None:
        return ()
    try:
        entries = (await timeline(context.approvals.temporal, run)).entries
    except (ClearanceError, RPCError):
        return ()  # it is no run of an agent, or long forgotten
    gates = [one for one in entries if one.approval_id == view.id]
    if not gates:
        return ()
    ended = gates[-1].at + (gates[-1].duration or timedelta(0))
    later = [one for one in entries if one.at >= ended and one.kind in ("result", "model", "end")]
    told = [one for one in later if one.text.strip() or one.status == "failed"]
    # The end of a run says once more what the agent said last.
    if len(told) > 1 and told[-1].kind == "end" and told[-1].text == told[-2].text:
        told.pop()
    return tuple(told[:_MOST])

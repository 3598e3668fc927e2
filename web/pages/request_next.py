"""What came of a request in the run that asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

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
    ran: datetime | None
    """When the action had run."""
    failed: bool
    result: str
    """What the action gave, or how it failed; empty where that is not known."""
    over: bool
    """Whether the run that asked has ended."""
    steps: tuple[Entry, ...]
    """What the run did next, besides the action."""


async def next_of(
    context: Context, view: ApprovalView, *, whole_run: bool, over: bool = False
) -> Next | None:
    """What came of a request that has ended; None where nothing is known or to be expected.

    Args:
        context: of the running inbox.
        view: the request.
        whole_run: whether its reader may read the run as well, and not this request alone.
        over: whether the run has ended.
    """
    if view.status == "pending":
        return None
    taken, executed = (
        next((one for one in reversed(view.events) if one.kind == kind), None)
        for kind in ("consumed", "executed")
    )
    action, steps = await _steps(context, view) if whole_run else (None, ())
    waited = view.request.run_id is not None and view.status == "approved"
    if not (steps or taken or executed or action or waited):
        return None
    ran, result = None, ""
    failed = executed is not None and executed.reason.startswith(_FAILED)
    if action is not None:
        ran = action.at + (action.duration or timedelta(0))
        failed = failed or action.status == "failed"
        result = action.text.strip()
    if executed is not None:
        ran, result = executed.at, executed.reason or result
    if failed:
        result = result if result.startswith(_FAILED) else f"{_FAILED}: {result}".rstrip(": ")
    return Next(taken, ran, failed, result, over, steps)


async def _steps(context: Context, view: ApprovalView) -> tuple[Entry | None, tuple[Entry, ...]]:
    """The action, if it is known which step of the run that was and it is done; what came besides."""
    run = view.request.run_id
    if run is None:
        return None, ()
    try:
        entries = (await timeline(context.approvals.temporal, run)).entries
    except (ClearanceError, RPCError):
        return None, ()  # it is no run of an agent, or long forgotten
    gates = [one for one in entries if one.approval_id == view.id]
    if not gates:
        return None, ()
    ended = gates[-1].at + (gates[-1].duration or timedelta(0))
    later = [one for one in entries if one.at >= ended and one.kind in ("result", "model", "end")]
    action = _action(view, entries, later)
    told = [one for one in later if one.text.strip() or one.status == "failed"]
    # The end of a run says once more what the agent said last.
    if len(told) > 1 and told[-1].kind == "end" and told[-1].text == told[-2].text:
        told.pop()
    return action, tuple([one for one in told if one is not action][:_MOST])


def _action(view: ApprovalView, entries: Sequence[Entry], later: Sequence[Entry]) -> Entry | None:
    """What was approved, as it ran; None where nothing tells which of several that was."""
    gate = next(at for at, one in enumerate(entries) if one.approval_id == view.id)
    turns = [at for at, one in enumerate(entries) if one.kind in ("model", "end")]
    start = max((at for at in turns if at < gate), default=0)
    end = min((at for at in turns if at > gate), default=len(entries))
    if view.status != "approved" or sum(one.kind == "call" for one in entries[start:end]) != 1:
        return None
    ran = list(takewhile(lambda one: one.kind == "result", later))
    done = ran[-1] if ran else None
    return done if done is not None and done.status in ("completed", "failed") else None

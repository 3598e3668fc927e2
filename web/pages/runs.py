"""The agent runs: their list, and one run as a timeline."""

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.service import RPCError, RPCStatusCode

from clearance import contract
from clearance.away import is_unknown
from clearance.runs import RunSummary, list_runs
from clearance.timeline import timeline
from clearance.views import ApprovalSummary
from web.context import Context, Here
from web.templating import page
from web.who import Person

from . import run_course

router = APIRouter(include_in_schema=False)

STEP = 50
"""Runs on a page at first, and more with each wish for more."""

MOST = 1_000

_AT_ONCE = 10
"""Runs that are asked at the same time what they wait for."""


@router.get("/runs")
async def runs(
    request: Request,
    who: Person,
    context: Here,
    running: bool = False,
    limit: Annotated[int, Query(ge=1, le=MOST)] = STEP,
) -> HTMLResponse:
    """Agent runs, newest first, and what each of them waits for."""
    client = context.approvals.temporal
    found = [one async for one in list_runs(client, running=running, limit=limit + 1)]
    shown, more = found[:limit], len(found) > limit
    return page(
        request,
        "runs.html",
        who=who,
        runs=shown,
        waits=await _waits(context, shown),
        running=running,
        lasted=run_course.lasted,
        following=min(limit + STEP, MOST) if more and limit < MOST else None,
        cut=more and limit == MOST,
    )


async def _waits(context: Context, shown: list[RunSummary]) -> dict[str, ApprovalSummary]:
    """What those under way wait for a person with, by the run's id: the latest of each."""
    free = asyncio.Semaphore(_AT_ONCE)

    async def ask(id: str) -> tuple[str, ApprovalSummary | None]:
        async with free:
            waiting = (await context.approvals.page(size=1, run=id)).items
        return id, waiting[0] if waiting else None

    asked = await asyncio.gather(*(ask(one.id) for one in shown if one.status == "running"))
    return {id: waiting for id, waiting in asked if waiting}


@router.get("/runs/{id:path}")
async def run(
    request: Request, who: Person, context: Here, id: str, seen: Annotated[str, Query()] = ""
) -> Response:
    """One run as a timeline; 204 for a look that finds nothing new since ``seen``."""
    client = context.approvals.temporal
    # Before the history is read, so that nothing is missed.
    described = await _described(client, id)
    now = _seen(described)
    if seen and seen == now:
        return Response(status_code=204)
    found = await timeline(client, id)
    return page(
        request,
        "run.html",
        who=who,
        run=found.run,
        found=found,
        steps=run_course.steps(found),
        waiting=run_course.waiting(found),
        doing=run_course.doing(found, described),
        ended=run_course.ENDED,
        lasted=run_course.lasted,
        address=run_course.address(found.run.id),
        seen=now,
        temporal=run_course.of_temporal(context.config.temporal_ui, client.namespace, found.run.id),
    )


async def _described(client: Client, id: str) -> WorkflowExecutionDescription | None:
    """The run of exactly this id; None where there is none."""
    try:
        found = await client.get_workflow_handle(id).describe()
    except RPCError as error:
        if is_unknown(error) or error.status == RPCStatusCode.INVALID_ARGUMENT:
            return None
        raise
    return found if found.workflow_type == contract.AGENT_WORKFLOW else None


def _seen(run: WorkflowExecutionDescription | None) -> str:
    """What a page of the run would show, in short: another one each minute, for the times in it."""
    if run is None:
        return ""
    tries = sum(one.attempt for one in run.raw_description.pending_activities)
    minute = int(time.time() // 60)
    return f"{run.run_id}.{run.history_length}.{tries}.{minute}"

"""Asking for changes: the model reads what to change, and its next call is the next attempt."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from openai.types.responses import ResponseFunctionToolCall

from clearance import ApprovalClient, contract
from clearance.models import Outcome, Recorded
from cli.settings import Settings
from tools.asking import answer
from tools.run import Run as State
from tools.run import RunContext
from workflows.patches import BEFORE_POLICIES

from . import test_hosted_mcp
from .agent_runs import Run, Start, playing, told, using
from .gating import own
from .model_server import Text, model_server
from .office import ADA, GRACE, decide, done, grant, policed
from .support import call, eventually

POLICY = """
    default = "allow"

    [[checkpoint]]
    checkpoint_id = "payments"
    action_pattern = "^(pay|refund)$"
    on_reject = "stop"

    [[checkpoint]]
    checkpoint_id = "questions"
    action_pattern = "^wait_for_confirmation$"
"""


with_a_worker = pytest.mark.usefixtures("player")


@pytest.fixture(scope="module")
def lasting(lasting: Settings) -> Settings:
    return policed(lasting, POLICY)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return policed(settings, POLICY)


def pay(cents: int, call_id: str, tool: str = "pay") -> ResponseFunctionToolCall:
    return call(tool, json.dumps({"to": "Ada", "cents": cents}), call_id)


async def request_changes(approvals: ApprovalClient, id: str, reason: str) -> None:
    await decide(approvals, id, approved=False, changes_requested=True, reason=reason)


async def another(run: Run, *known: str) -> str:
    """The id of the request that the run makes after these."""

    async def probe() -> str:
        found = [one.id async for one in run.approvals.pending(run=run.handle.id)]
        return next((id for id in found if id not in known), "")

    return await eventually(probe)


async def refers_to(approvals: ApprovalClient, id: str) -> tuple[str | None, int]:
    request = (await approvals.get(id)).request
    return request.previous, request.attempt


@with_a_worker
async def test_the_run_goes_on_and_the_next_call_refers_to_the_one_before(
    play: Start, approvals: ApprovalClient
) -> None:
    turns = [[pay(300, "call_1")], [pay(200, "call_2")], [pay(100, "call_3")]]
    async with play(*turns, agent="payer") as (run, model):
        first = await another(run)
        assert await refers_to(approvals, first) == (None, 1)
        await request_changes(approvals, first, "At most 200")
        second = await another(run, first)
        assert await refers_to(approvals, second) == (first, 2)
        await request_changes(approvals, second, "Less, please")
        third = await another(run, first, second)
        assert await refers_to(approvals, third) == (second, 3)
        await decide(approvals, third)
        await run.result()
    assert told(model) == {
        "call_1": "Changes requested: At most 200\nNothing ran. Make these changes and call pay "
        "again; a person then looks at it anew.",
        "call_2": "Changes requested: Less, please\nNothing ran. Make these changes and call pay "
        "again; a person then looks at it anew.",
        "call_3": "pay done",
    }
    assert done(run.handle.id) == [{"to": "Ada", "cents": 100}]
    view = await approvals.get(first)
    assert view.status == "rejected"
    assert view.decision is not None
    assert view.decision.changes_requested


@with_a_worker
async def test_an_approval_ends_the_attempts_and_another_tool_has_its_own(
    play: Start, approvals: ApprovalClient
) -> None:
    turns = [
        [pay(3, "call_1")],
        [pay(2, "call_2", "refund")],
        [pay(2, "call_3")],
        [pay(1, "call_4")],
    ]
    async with play(*turns, agent="payer") as (run, _):
        seen = [await another(run)]
        await request_changes(approvals, seen[0], "Less")
        seen.append(await another(run, *seen))
        assert await refers_to(approvals, seen[1]) == (None, 1)
        await decide(approvals, seen[1])
        seen.append(await another(run, *seen))
        assert await refers_to(approvals, seen[2]) == (seen[0], 2)
        await decide(approvals, seen[2])
        seen.append(await another(run, *seen))
        assert await refers_to(approvals, seen[3]) == (None, 1)
        await decide(approvals, seen[3])
        await run.result()


@with_a_worker
async def test_a_rejection_after_it_stops_the_run_as_the_policy_says(
    play: Start, approvals: ApprovalClient
) -> None:
    async with play([pay(3, "call_1")], [pay(2, "call_2")], agent="payer") as (run, _):
        first = await another(run)
        await request_changes(approvals, first, "Less")
        second = await another(run, first)
        await approvals.reject(second, reviewer=ADA, reason="No more")
        causes = await run.failure()
    assert "rejected: pay: No more" in str(causes[0])
    assert done(run.handle.id) == []


@with_a_worker
async def test_an_agent_that_asks_reads_it_too(play: Start, approvals: ApprovalClient) -> None:
    asking = [
        call("wait_for_confirmation", json.dumps({"action": f"Draft {n}"}), f"call_{n}")
        for n in (1, 2)
    ]
    async with play([asking[0]], [asking[1]], agent="assistant") as (run, model):
        first = await another(run)
        await request_changes(approvals, first, "Shorter")
        second = await another(run, first)
        assert await refers_to(approvals, second) == (first, 2)
        await decide(approvals, second)
        await run.result()
    assert told(model)["call_1"].startswith("Changes requested: Shorter\nNothing ran.")
    assert told(model)["call_2"] == "Approved"


@with_a_worker
async def test_it_ends_the_grants_of_the_tool(play: Start, approvals: ApprovalClient) -> None:
    turns = [[pay(1, "call_1")], [pay(1_000, "call_2")], [pay(1, "call_3")]]
    async with play(*turns, agent="payer") as (run, _):
        first = await another(run)
        await grant(approvals, first, "args.cents < 10", max_uses=5, expires_in=timedelta(hours=1))
        second = await another(run, first)
        await request_changes(approvals, second, "Less")
        third = await another(run, first, second)
        await decide(approvals, third, reviewer=GRACE)
        await run.result()
    assert len(done(run.handle.id)) == 2


def outcome(n: int, status: Any = "rejected", *, changes: bool = False) -> Outcome:
    decided = status in ("approved", "rejected")
    at: Any = "2026-11-21T12:00:00Z"
    recorded = Recorded(
        approved=status == "approved",
        reviewer=ADA,
        reason="Why",
        channel="client",
        digest="0" * 64,
        at=at,
        changes_requested=changes,
    )
    return Outcome(
        approval_id=f"run.{n}",
        status=status,
        digest="0" * 64,
        decision=recorded if decided else None,
    )


@pytest.mark.parametrize("status", ["approved", "rejected", "expired", "withdrawn"])
def test_any_other_outcome_of_the_tool_begins_anew(status: str) -> None:
    run = State(RunContext(), BEFORE_POLICIES)
    assert run.attempt("pay") == (None, 1)
    run.attempted(outcome(1, changes=True), "pay")
    assert run.attempt("pay") == ("run.1", 2)
    assert run.attempt("refund") == (None, 1)
    run.attempted(outcome(2, status), "refund")
    assert run.attempt("pay") == ("run.1", 2)
    run.attempted(outcome(3, status), "pay")
    assert run.attempt("pay") == (None, 1)


def test_the_count_ends_where_a_request_takes_no_more() -> None:
    run = State(RunContext(), BEFORE_POLICIES)
    for n in range(contract.MAX_ATTEMPTS + 5):
        run.attempted(outcome(n, changes=True), "pay")
    assert run.attempt("pay")[1] == contract.MAX_ATTEMPTS


def test_the_model_is_told_what_came_of_its_call() -> None:
    assert answer(outcome(1, "approved"), "pay") == "Approved"
    assert answer(outcome(1), "pay") == "Rejected: Why"
    assert answer(outcome(1, "expired"), "pay") == "Expired: nobody decided in time"


async def test_the_provider_of_a_hosted_tool_hears_it_too(
    settings: Settings, connection: dict[str, Any]
) -> None:
    settings = own(settings, test_hosted_mcp.__name__, test_hosted_mcp.POLICY)
    again = replace(test_hosted_mcp.ERASE, id="mcpr_2")
    async with (
        model_server(test_hosted_mcp.ERASE, again, Text("Done.")) as server,
        playing(using(settings, server, "responses"), connection) as workers,
    ):
        run = await workers.start("clerk")
        first = await another(run)
        await request_changes(workers.approvals, first, "Only their mail")
        second = await another(run, first)
        assert await refers_to(workers.approvals, second) == (first, 2)
        await workers.approvals.reject(second, reviewer=ADA)
        await run.result()
    said = "Changes requested: Only their mail\nNothing ran. Make these changes and call crm.erase "
    assert server.requests[1].permissions["mcpr_1"] == (
        False,
        said + "again; a person then looks at it anew.",
    )

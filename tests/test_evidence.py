"""Runs that were played on the real server: what their histories prove passes the strictest check."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from clearance import ApprovalClient, NotFound
from clearance.evidence import evidence
from cli.audit_trace import by_policy
from cli.settings import Settings

from .agent_runs import Run, Start
from .office import ADA, GRACE, decide, grant, policed, write
from .raw import RUNS_LEFT_OPEN
from .support import call
from .test_secrets import GIVEN, leaks
from .traced import Histories, Verdict, alter, check, histories

pytestmark = [RUNS_LEFT_OPEN, pytest.mark.usefixtures("player")]

POLICY = """
    secrets = ["iban"]
    default = "allow"

    [[checkpoint]]
    checkpoint_id = "large"
    action_pattern = "^pay$"
    when = "args.cents > 100000"
    audience = ["ada@example.com", "grace@example.com"]
    quorum = 2

    [[checkpoint]]
    checkpoint_id = "payments"
    action_pattern = "^pay$"
    when = "args.cents > 100"
    editable = true
    grants = true

    [[checkpoint]]
    checkpoint_id = "logins"
    action_pattern = "^log_in$"
    editable = true
"""

PASSES = Verdict("PASS", ())


@pytest.fixture(scope="module")
def lasting(lasting: Settings) -> Settings:
    return policed(lasting, POLICY)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return policed(settings, POLICY)


def pays(cents: int, call_id: str = "call_1") -> Any:
    return call("pay", json.dumps({"to": "bob", "cents": cents}), call_id)


LOG_IN = call("log_in", json.dumps(GIVEN))


@asynccontextmanager
async def asking(
    play: Start, *turns: Any, agent: str = "payer", **fields: Any
) -> AsyncIterator[Any]:
    """A run that waits for its first approval; it has ended when the context is left."""
    async with play(*turns, agent=agent, **fields) as (run, _):
        [waiting] = await run.waits_for()
        yield run, waiting.id
        await run.result()


async def recorded(run: Run) -> Histories:
    return await histories(run.approvals.temporal, run.handle.id)


def kinds(lines: Any) -> list[str]:
    return [str(one["type"]).removeprefix("action_").removeprefix("approval_") for one in lines]


async def test_an_approved_run_passes_and_its_free_calls_are_left_out(
    play: Start, approvals: ApprovalClient, temporal: Client, tmp_path: Path
) -> None:
    free = call("refund", json.dumps({"to": "bob", "cents": 9_999}), "call_0")
    async with asking(play, [free, pays(50, "call_00")], [pays(500)]) as (run, id):
        waiting = await evidence(temporal, run.handle.id, by_policy)
        assert not waiting.ended
        assert check(waiting, tmp_path).status == "INCOMPLETE"
        await approvals.approve(id, reviewer=ADA)
    found = await evidence(temporal, run.handle.id, by_policy)
    assert kinds(found.events) == ["proposed", "requested", "decision", "executed", "session_end"]
    assert found.notes == ()
    assert check(found, tmp_path) == PASSES
    assert (await (await recorded(run)).evidence()) == found
    view = await approvals.get(id)
    assert view.decision is not None
    assert found.events[2]["timestamp"] == view.decision.at.isoformat()
    everything = await evidence(temporal, run.handle.id)
    assert "ACK001" in check(everything, tmp_path).rules


async def test_a_rejected_run_passes_as_blocked(
    play: Start, approvals: ApprovalClient, tmp_path: Path
) -> None:
    async with asking(play, [pays(500)]) as (run, id):
        await approvals.reject(id, reviewer=ADA, reason="not today")
    found = await (await recorded(run)).evidence()
    assert kinds(found.events) == ["proposed", "requested", "decision", "blocked", "session_end"]
    assert found.events[3]["reason"] == "rejected: not today"
    assert check(found, tmp_path) == PASSES


async def test_an_expired_run_passes_as_blocked(play: Start, tmp_path: Path) -> None:
    async with play([pays(500)], agent="payer", expires_in="PT1S") as (run, _):
        await run.result()
    found = await (await recorded(run)).evidence()
    assert [found.events[2]["decision"], found.events[3]["reason"]] == [
        "deny",
        "expired: nobody decided in time",
    ]
    assert check(found, tmp_path) == PASSES


async def test_an_edited_run_passes_as_another_proposal_that_was_approved(
    play: Start, approvals: ApprovalClient, tmp_path: Path
) -> None:
    async with asking(play, [pays(500)]) as (run, id):
        await approvals.approve(id, reviewer=ADA, changes={"cents": 450})
    found = await (await recorded(run)).evidence()
    denied = ["proposed", "requested", "decision", "blocked"]
    again = ["proposed", "requested", "decision", "executed", "session_end"]
    assert kinds(found.events) == denied + again
    assert found.events[7]["action"] == found.events[5]["action"] != found.events[0]["action"]
    assert check(found, tmp_path) == PASSES


async def test_a_quorum_opens_once_and_passes(
    play: Start, approvals: ApprovalClient, temporal: Client, tmp_path: Path
) -> None:
    async with asking(play, [pays(500_000)]) as (run, id):
        await approvals.approve(id, reviewer=ADA)
        halfway = await evidence(temporal, run.handle.id, by_policy)
        assert "decision" not in kinds(halfway.events)
        await approvals.approve(id, reviewer=GRACE)
    found = await (await recorded(run)).evidence()
    assert kinds(found.events).count("decision") == 1
    assert check(found, tmp_path) == PASSES


async def test_a_standing_approval_passes_for_each_call(
    play: Start, approvals: ApprovalClient, tmp_path: Path
) -> None:
    later = [pays(300, "call_2"), pays(400, "call_3")]
    async with asking(play, [pays(500)], later) as (run, id):
        await grant(approvals, id)
    found = await (await recorded(run)).evidence()
    assert kinds(found.events).count("executed") == 3
    assert check(found, tmp_path) == PASSES


async def test_two_calls_of_one_tool_at_once_are_told_apart(
    play: Start, approvals: ApprovalClient, tmp_path: Path
) -> None:
    async with play([pays(500), pays(600, "call_2")], agent="payer") as (run, _):
        first, second = await run.waits_for(2)
        await approvals.approve(second.id, reviewer=ADA)
        await approvals.reject(first.id, reviewer=ADA, reason="no")
        await run.result()
    found = await (await recorded(run)).evidence()
    ended = {one["action_id"]: one["type"] for one in found.events if "action_id" in one}
    assert sorted(map(str, ended.values())) == ["action_blocked", "action_executed"]
    assert check(found, tmp_path) == PASSES


@pytest.mark.parametrize("changes", [None, {"user": "grace"}], ids=["as asked", "edited"])
async def test_secrets_are_compared_and_not_written(
    play: Start, approvals: ApprovalClient, tmp_path: Path, changes: Any
) -> None:
    async with asking(play, [LOG_IN], agent="user") as (run, id):
        await approvals.approve(id, reviewer=ADA, changes=changes)
    kept = await recorded(run)
    found = await kept.evidence()
    assert check(found, tmp_path) == PASSES
    assert leaks(found.jsonl()) == []
    assert found.jsonl().count("[masked: value 1]") >= 3
    broken = kept.broken()
    payloads = broken.effect().activity_task_scheduled_event_attributes.input
    payloads.payloads[0].data = payloads.payloads[0].data.replace(b"sk-live-77b1d2", b"another")
    swapped = await broken.evidence()
    assert "ACK003" in check(swapped, tmp_path).rules
    assert "another" not in swapped.jsonl()


async def test_words_that_were_approved_prove_no_action(
    play: Start, approvals: ApprovalClient, tmp_path: Path
) -> None:
    asks = call("wait_for_confirmation", json.dumps({"action": "Open the valve"}))
    async with asking(play, [asks], agent="assistant") as (run, id):
        await approvals.approve(id, reviewer=ADA)
    found = await (await recorded(run)).evidence()
    assert check(found, tmp_path) == Verdict("INCOMPLETE", ("ACK009",))
    assert "no activity" in found.notes[0]


async def test_a_run_that_nobody_started_is_not_found(temporal: Client) -> None:
    with pytest.raises(NotFound, match=r"nearest: |`clearance runs` lists the runs"):
        await evidence(temporal, "no-such-run-at-all")


async def test_a_decision_sent_by_anybody_else_is_found_in_the_history(
    play: Start, approvals: ApprovalClient, tmp_path: Path
) -> None:
    async with asking(play, [pays(500)]) as (run, id):
        await decide(approvals, id)
    assert check(await (await recorded(run)).evidence(), tmp_path) == PASSES


async def test_a_run_that_was_terminated_ends_with_its_request_withdrawn(
    play: Start, approvals: ApprovalClient, tmp_path: Path
) -> None:
    async with play([pays(500)], agent="payer") as (run, _):
        [waiting] = await run.waits_for()
        await run.handle.terminate(reason="enough")
        assert (await approvals.wait(waiting.id)).status == "withdrawn"
    found = await (await recorded(run)).evidence()
    last = ["decision", "blocked", "interrupt", "session_end"]
    assert kinds(found.events) == ["proposed", "requested", *last]
    assert check(found, tmp_path) == PASSES


async def test_the_sample_agent_passes(
    play: Start, settings: Settings, approvals: ApprovalClient, tmp_path: Path
) -> None:
    looks = call("look_up_order", json.dumps({"order_id": "A-1001"}), "call_0")
    refunds = call("issue_refund", json.dumps({"order_id": "A-1001", "cents": 100}))
    write(
        settings,
        'default = "allow"\n[[checkpoint]]\ncheckpoint_id = "r"\naction_pattern = "^issue_"',
    )
    async with asking(play, [looks], [refunds], agent="refund") as (run, id):
        await approvals.approve(id, reviewer=ADA)
    found = await (await recorded(run)).evidence()
    assert found.events[3]["action"] == {
        "tool": "issue_refund",
        "operation": "call",
        "parameters": {"order_id": "A-1001", "cents": 100},
    }
    assert check(found, tmp_path) == PASSES


async def test_a_call_that_was_let_through_for_other_arguments_than_it_had_fails(
    play: Start, tmp_path: Path
) -> None:
    async with play([pays(50)], agent="payer") as (run, _):
        await run.result()
    kept = await recorded(run)
    assert kinds((await kept.evidence()).events) == ["session_end"]
    got = kept.effect().activity_task_scheduled_event_attributes
    got.activity_type.name = "pay"
    alter(got.input, lambda value: value["arguments"].update(cents=5_000))
    found = await kept.evidence()
    assert check(found, tmp_path) == Verdict("FAIL", ("ACK001",))

"""Temporal takes 2 MB in one payload: what is larger ends with a clear error, and wedges nothing."""

from datetime import timedelta
from typing import Any

import pytest
from agents import Agent, function_tool
from pydantic import ValidationError
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from clearance import ApprovalClient, ApprovalRequest, InvalidRequest, Outcome, gate
from clearance.runs import AgentRun
from cli.settings import Settings
from workflows import agent

from . import parents
from .agent_runs import Start, told
from .office import policed
from .support import call, says

HUGE = 3_000_000


@activity.defn
async def read_it_all() -> str:
    return "x" * HUGE


@function_tool
async def read_all() -> str:
    """Read a very large file."""
    return await workflow.execute_activity(
        read_it_all, start_to_close_timeout=timedelta(seconds=30)
    )


AGENTS: dict[str, Any] = {"reader": lambda: Agent(name="reader", tools=[read_all])}
ACTIVITIES = [read_it_all]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return policed(settings, 'default = "allow"').model_copy(update={"agents": (__name__,)})


async def test_a_tool_that_answers_with_3_mb_runs_once_and_the_model_is_told(play: Start) -> None:
    async with play([call("read_all", "{}")], agent="reader") as (run, model):
        assert (await run.result()).output == "Finished."
        history = await run.handle.fetch_history()
    [failed] = [
        one.activity_task_failed_event_attributes.failure
        for one in history.events
        if one.HasField("activity_task_failed_event_attributes")
    ]
    assert failed.application_failure_info.type == "AnswerTooLarge"
    assert "read_it_all has run, and its answer is 3,000," in failed.message
    [answer] = told(model).values()
    assert "Activity task failed" in answer


async def test_a_model_that_answers_with_3_mb_is_paid_once_and_ends_the_run(play: Start) -> None:
    async with play([says("x" * HUGE)], agent="reader") as (run, model):
        assert "its answer is 3,000," in await _how_it_ended(run.handle)
    assert len(model.inputs) == 1


async def test_an_answer_of_nearly_2_mb_leaves_out_approvals_and_a_larger_one_fails_the_run(
    play: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = [
        Outcome(approval_id=f"run.{n}", status="withdrawn", digest="0" * 64, explanation="x" * 100)
        for n in range(900)
    ]
    monkeypatch.setattr(gate, "closed_approvals", lambda: closed)
    async with play([says("y" * 1_950_000)], agent="reader") as (run, _):
        result = await run.result()
    assert len(result.output) == 1_950_000
    assert 0 < len(result.approvals) < 300
    assert result.approvals[-1] == closed[-1]
    async with play([says('"' * 990_000)], agent="reader") as (run, _):
        assert len((await run.result()).output) == 990_000
    with pytest.raises(ApplicationError, match="the run has ended, and its answer is 2,000,"):
        agent._result("y" * 2_000_000)


async def _how_it_ended(handle: Any) -> str:
    try:
        return str(await handle.result())
    except WorkflowFailureError as error:
        said, reason = [], error.__cause__
        while reason is not None:
            said.append(str(reason))
            reason = reason.__cause__
        return " | ".join(said)


@pytest.mark.usefixtures("worker_running")
async def test_who_decides_with_300_kb_of_changes_is_told_how_much_is_taken(
    approvals: ApprovalClient,
) -> None:
    asked = await approvals.request(
        ApprovalRequest(action="Send it", tool="send", arguments={"body": "-"}, editable=True)
    )
    with pytest.raises((InvalidRequest, ValidationError), match="at most 262,144"):
        await approvals.approve(asked.id, reviewer="ada", arguments={"body": "x" * 300_000})


@pytest.mark.usefixtures("worker_running")
async def test_a_workflow_that_asks_with_300_kb_fails_and_says_why(
    temporal: Client, settings: Settings
) -> None:
    async with parents.worker_for(temporal, settings.agents_queue):
        handle = await parents.start(
            temporal, parents.AsksWith, settings.agents_queue, 300_000, settings.approvals_queue
        )
        ended = await _how_it_ended(handle)
    assert "pass a reference to the data instead" in ended


def test_a_prompt_of_3_mb_is_no_run() -> None:
    with pytest.raises(ValueError, match="shorten it"):
        AgentRun(agent="reader", prompt="x" * HUGE)

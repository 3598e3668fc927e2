"""When what was approved has run: the run that asked remembers, for whoever reads the record."""

import json
from typing import Any

import pytest
from agents import Agent, function_tool
from openai.types.responses import ResponseFunctionToolCall

from clearance import ApprovalClient, contract
from clearance.views import Execution
from cli.settings import Settings

from .agent_runs import Run, Start, told
from .gating import ACTIVITIES, GATE_ALL, effect, own
from .office import ADA, decide, grant
from .support import call


@function_tool
async def pay(cents: int) -> str:
    return await effect("pay", cents=cents)


@function_tool(failure_error_function=None)
async def fail(cents: int) -> str:
    raise ValueError(f"{cents} is too much")


AGENTS = {"payer": lambda: Agent(name="payer", tools=[pay, fail])}

__all__ = ["ACTIVITIES"]


POLICY = GATE_ALL + "\n[[checkpoint]]\ncheckpoint_id = 'pay'\naction_pattern = '^pay$'"

pytestmark = pytest.mark.usefixtures("player")


@pytest.fixture(scope="module")
def lasting(lasting: Settings) -> Settings:
    return own(lasting, __name__, POLICY)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return own(settings, __name__, POLICY)


def calls(tool: str, cents: int, call_id: str = "call_1") -> ResponseFunctionToolCall:
    return call(tool, json.dumps({"cents": cents}), call_id)


async def execution(run: Run, *given: Any) -> Execution | None:
    said = await run.handle.query(contract.QUERY_EXECUTION, args=given)
    return None if said is None else Execution.model_validate(said)


async def test_an_action_has_run_once_it_was_approved_and_done(
    play: Start, approvals: ApprovalClient
) -> None:
    async with play([calls("pay", 5)], agent="payer") as (run, _):
        [waiting] = await run.waits_for()
        assert await execution(run, waiting.id) is None
        await decide(approvals, waiting.id)
        await run.result()
        found = await execution(run, waiting.id)
        assert await execution(run, "another") is None
        assert await execution(run) is None
        assert await execution(run, waiting.id, "x") is None
        assert await execution(run, [waiting.id]) is None
    assert found is not None
    assert (found.approval_id, found.failed) == (waiting.id, False)
    decision = (await approvals.get(waiting.id)).decision
    assert decision is not None
    assert decision.at <= found.at


async def test_nothing_has_run_of_what_was_rejected(play: Start, approvals: ApprovalClient) -> None:
    async with play([calls("pay", 5)], agent="payer") as (run, _):
        [waiting] = await run.waits_for()
        await approvals.reject(waiting.id, reviewer=ADA)
        await run.result()
        assert await execution(run, waiting.id) is None


async def test_a_tool_that_raised_an_error_has_failed(
    play: Start, approvals: ApprovalClient
) -> None:
    async with play([calls("fail", 5)], agent="payer") as (run, _):
        [waiting] = await run.waits_for()
        await decide(approvals, waiting.id)
        await run.failure()
        found = await execution(run, waiting.id)
    assert found is not None
    assert found.failed


async def test_what_a_standing_approval_allowed_has_run_under_its_own_id(
    play: Start, approvals: ApprovalClient
) -> None:
    turns = [[calls("pay", 5, "call_1")], [calls("pay", 6, "call_2")]]
    async with play(*turns, agent="payer") as (run, model):
        [waiting] = await run.waits_for()
        await grant(approvals, waiting.id, max_uses=2)
        await run.result()
        ids = [contract.child_id(run.handle.id, n) for n in (1, 2, 3)]
        found = [await execution(run, id) for id in ids]
    assert told(model) == {"call_1": "pay done", "call_2": "pay done"}
    assert [one and one.approval_id for one in found] == [ids[0], ids[1], None]

"""``on_reject = "stop"`` and ``on_expiry = "stop"``: the run ends, and nothing on the way swallows it."""

import json
import logging
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest
from openai.types.responses import ResponseFunctionToolCall
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from clearance import ApprovalClient
from cli.settings import Settings

from .agent_runs import Run, Start, played_by_one, told
from .office import ADA, decide, done, policed, write
from .support import call, eventually

POLICY = """
    default = "allow"

    [[checkpoint]]
    checkpoint_id = "payments"
    action_pattern = "^pay$"
    on_reject = "stop"
    on_expiry = "stop"

    [[checkpoint]]
    checkpoint_id = "questions"
    action_pattern = "^(refund|wait_for_confirmation)$"
"""

PAY = call("pay", json.dumps({"to": "Ada", "cents": 100}), "call_pay")


@pytest.fixture(scope="module")
def settings(lasting: Settings) -> Settings:
    return policed(lasting, POLICY)


@pytest.fixture(scope="module")
async def play(settings: Settings, connection: dict[str, Any]) -> AsyncIterator[Start]:
    async with played_by_one(settings, connection) as start:
        yield start


@pytest.fixture(autouse=True)
def _policy(settings: Settings) -> Iterator[None]:
    yield
    write(settings, POLICY)


def delegate(tool: str, call_id: str) -> ResponseFunctionToolCall:
    return call(tool, json.dumps({"input": "Pay Ada"}), call_id)


async def ended(run: Run) -> ApplicationError:
    """The error that whoever waits for the run gets."""
    with pytest.raises(WorkflowFailureError) as raised:
        await run.handle.result()
    assert isinstance(raised.value.cause, ApplicationError)
    return raised.value.cause


ROUTES: dict[str, tuple[str, list[list[ResponseFunctionToolCall]]]] = {
    "by the agent itself, through a tool that swallows every failure": ("payer", [[PAY]]),
    "by an agent used as a tool": ("boss", [[delegate("payer", "call_1")], [PAY]]),
    "by an agent used as a tool of an agent used as a tool": (
        "chief",
        [[delegate("boss", "call_1")], [delegate("payer", "call_2")], [PAY]],
    ),
    "by an agent that was handed the run": (
        "desk",
        [[call("transfer_to_payer", "{}", "call_1")], [PAY]],
    ),
}


@pytest.mark.parametrize(("agent", "turns"), ROUTES.values(), ids=ROUTES)
async def test_a_rejection_ends_the_run_however_the_call_was_made(
    play: Start,
    approvals: ApprovalClient,
    agent: str,
    turns: list[list[ResponseFunctionToolCall]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with play(*turns, agent=agent) as (run, model):
        [waiting] = await run.waits_for()
        await approvals.reject(waiting.id, reviewer=ADA, reason="Wrong account")

        error = await ended(run)

    assert (error.type, error.message) == ("CollaborationError", "rejected: pay: Wrong account")
    assert str(error).startswith("CollaborationError: rejected")
    assert error.non_retryable
    assert len(model.inputs) == len(turns)  # nobody told the model, and it was asked nothing more
    assert done(run.handle.id) == []
    assert (await approvals.get(waiting.id)).status == "rejected"
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("agent", ["payer", "boss"])
async def test_an_expiry_ends_the_run(play: Start, agent: str) -> None:
    turns = [[PAY]] if agent == "payer" else [[delegate("payer", "call_1")], [PAY]]
    async with play(*turns, agent=agent, expires_in=timedelta(milliseconds=200)) as (run, model):
        error = await ended(run)

    assert (error.type, error.message) == ("TimeoutError", "expired: pay: nobody decided in time")
    assert error.non_retryable
    assert len(model.inputs) == len(turns)
    assert done(run.handle.id) == []


async def test_a_rejection_without_a_reason_says_so(play: Start, approvals: ApprovalClient) -> None:
    async with play([PAY], agent="payer") as (run, _):
        [waiting] = await run.waits_for()
        await approvals.reject(waiting.id, reviewer=ADA)

        assert (await ended(run)).message == "rejected: pay: no reason given"


async def test_what_else_the_run_waited_for_is_withdrawn(
    play: Start, approvals: ApprovalClient
) -> None:
    others = [
        call("refund", json.dumps({"to": "Ada", "cents": 1}), "call_refund"),
        call("pay", json.dumps({"to": "Grace", "cents": 2}), "call_grace"),
    ]
    async with play([PAY, *others], agent="payer") as (run, _):
        waiting = await run.waits_for(3)
        [rejected] = [one for one in waiting if "Ada" in one.action and one.tool == "pay"]
        await approvals.reject(rejected.id, reviewer=ADA, reason="No")
        await ended(run)

        async def statuses() -> dict[str, str] | None:
            found: dict[str, str] = {}
            for one in waiting:
                found[one.id] = (await approvals.get(one.id)).status
            return None if "pending" in found.values() else found

        assert await eventually(statuses) == {
            one.id: "rejected" if one is rejected else "withdrawn" for one in waiting
        }
        assert [one async for one in approvals.pending(run=run.handle.id)] == []
    assert done(run.handle.id) == []


async def test_parallel_agents_used_as_tools_are_stopped_together(
    play: Start, approvals: ApprovalClient
) -> None:
    first = [delegate("payer", "call_1"), delegate("payer", "call_2")]
    async with play(first, [PAY], [PAY], agent="boss") as (run, model):
        one, other = await run.waits_for(2)
        await approvals.reject(other.id, reviewer=ADA, reason="No")
        assert (await ended(run)).type == "CollaborationError"

        async def withdrawn() -> bool:
            return (await approvals.get(one.id)).status == "withdrawn"

        await eventually(withdrawn)
    assert len(model.inputs) == 3
    assert done(run.handle.id) == []


async def test_what_was_approved_before_has_been_done_and_stays_done(
    play: Start, approvals: ApprovalClient
) -> None:
    again = PAY.model_copy(update={"call_id": "call_again", "id": "call_again"})
    async with play([PAY], [again], agent="payer") as (run, _):
        [first] = await run.waits_for()
        await approvals.approve(first.id, reviewer=ADA)

        async def asked_again() -> str:
            found = [one.id async for one in approvals.pending(run=run.handle.id)]
            return next((id for id in found if id != first.id), "")

        second = await eventually(asked_again)
        await approvals.reject(second, reviewer=ADA, reason="Once is enough")
        assert (await ended(run)).message == "rejected: pay: Once is enough"

    assert done(run.handle.id) == [{"to": "Ada", "cents": 100}]


async def test_the_agents_own_question_is_stopped_too_where_the_policy_says_so(
    settings: Settings, play: Start, approvals: ApprovalClient
) -> None:
    write(settings, POLICY + '\n    on_reject = "stop"\n')
    asking = call("wait_for_confirmation", json.dumps({"action": "Wire it"}))
    async with play([asking], agent="assistant") as (run, _):
        [waiting] = await run.waits_for()
        await approvals.reject(waiting.id, reviewer=ADA, reason="Not now")

        error = await ended(run)
    assert str(error) == "CollaborationError: rejected: wait_for_confirmation: Not now"


REFUND = call("refund", json.dumps({"to": "Ada", "cents": 100}))


async def test_where_the_policy_says_tell_the_model_reads_the_reason_and_goes_on(
    play: Start, approvals: ApprovalClient
) -> None:
    async with play([REFUND], agent="payer") as (run, model):
        [waiting] = await run.waits_for()
        await approvals.reject(waiting.id, reviewer=ADA, reason="Ärger 😠")
        assert (await run.result()).output == "Finished."
    assert told(model) == {"call_1": "Rejected: Ärger 😠"}


async def test_where_the_policy_says_tell_the_model_reads_of_an_expiry_and_goes_on(
    play: Start,
) -> None:
    async with play([REFUND], agent="payer", expires_in=timedelta(milliseconds=200)) as (
        run,
        model,
    ):
        assert (await run.result()).output == "Finished."
    assert told(model) == {"call_1": "Expired: nobody decided in time"}


async def test_a_withdrawn_request_stops_nothing(play: Start, approvals: ApprovalClient) -> None:
    async with play([PAY], agent="payer") as (run, model):
        [waiting] = await run.waits_for()
        await approvals.temporal.get_workflow_handle(waiting.id).terminate(reason="test")
        assert (await run.result()).output == "Finished."
    assert told(model) == {"call_pay": "Withdrawn: the request was withdrawn"}


async def test_one_rejection_of_two_people_stops_the_run(
    settings: Settings, play: Start, approvals: ApprovalClient
) -> None:
    terms = 'quorum = 2\n    audience = ["ada@example.com", "bob"]'
    write(settings, POLICY.replace('"^pay$"', f'"^pay$"\n    {terms}'))
    async with play([PAY], agent="payer") as (run, _):
        [waiting] = await run.waits_for()
        await decide(approvals, waiting.id)
        assert (await approvals.get(waiting.id)).status == "pending"
        await decide(approvals, waiting.id, approved=False, reviewer="bob", reason="I object")
        assert (await ended(run)).message == "rejected: pay: I object"
    assert done(run.handle.id) == []

"""``wait_for_confirmation``: the agent asks, and reads the answer in so many words."""

import json
from typing import Any

import pytest
from openai.types.responses import ResponseFunctionToolCall

from clearance import ApprovalClient, Refused
from cli.settings import Settings

from .agent_runs import Start, told
from .gating import GATE_ALL
from .office import write
from .support import call

pytestmark = pytest.mark.usefixtures("player")


def gated(settings: Settings) -> Settings:
    """Everything waits, for anyone."""
    settings = settings.model_copy(update={"policy": settings.state.with_name("policy.toml")})
    write(settings, GATE_ALL)
    return settings


@pytest.fixture(scope="module")
def lasting(lasting: Settings) -> Settings:
    return gated(lasting)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return gated(settings)


def asking(arguments: Any, call_id: str = "call_1") -> ResponseFunctionToolCall:
    return call("wait_for_confirmation", json.dumps(arguments), call_id)


async def test_a_confirmed_agent_reads_approved_and_nothing_else(
    play: Start, approvals: ApprovalClient
) -> None:
    question = {"action": "Delete the backup", "details": "All of it."}
    async with play([asking(question)], agent="assistant") as (run, model):
        [waiting] = await run.waits_for()
        request = (await approvals.get(waiting.id)).request
        assert (request.action, request.details) == ("Delete the backup", "All of it.")
        await approvals.approve(waiting.id, reviewer="ada", reason="it is old")
        await run.result()

    assert told(model) == {"call_1": "Approved"}


@pytest.mark.parametrize(
    ("reason", "answer"), [("keep it", "Rejected: keep it"), ("", "Rejected: no reason given")]
)
async def test_an_agent_that_asked_reads_the_reason_of_a_rejection(
    play: Start, approvals: ApprovalClient, reason: str, answer: str
) -> None:
    async with play([asking({"action": "Delete the backup"})], agent="assistant") as (run, model):
        [waiting] = await run.waits_for()
        await approvals.reject(waiting.id, reviewer="ada", reason=reason)
        await run.result()

    assert told(model) == {"call_1": answer}


BY_GRACE = """
    default = "allow"

    [[checkpoint]]
    checkpoint_id = "questions"
    action_pattern = "^wait_for_confirmation$"
    when = 'args.action.contains("backup")'
    description_template = "Not these words, but the agent's own"
    risk = "critical"
    audience = ["grace"]
"""


async def test_an_agent_that_asks_asks_also_where_the_policy_lets_every_tool_through(
    play: Start, approvals: ApprovalClient, settings: Settings
) -> None:
    write(settings, BY_GRACE)
    async with play([asking({"action": "Buy a disk"})], agent="assistant") as (run, _):
        [waiting] = await run.waits_for()
        assert (waiting.checkpoint, waiting.audience) == (None, ())
        await approvals.approve(waiting.id, reviewer="ada")
        await run.result()


async def test_a_checkpoint_says_who_answers_and_the_words_stay_the_agents(
    play: Start, approvals: ApprovalClient, settings: Settings
) -> None:
    write(settings, BY_GRACE)
    async with play([asking({"action": "Delete the backup"})], agent="assistant") as (run, model):
        [waiting] = await run.waits_for()
        assert waiting.action == "Delete the backup"
        assert (waiting.checkpoint, waiting.risk) == ("questions", "critical")
        with pytest.raises(Refused):
            await approvals.approve(waiting.id, reviewer="ada")
        await approvals.approve(waiting.id, reviewer="grace")
        await run.result()
    assert told(model) == {"call_1": "Approved"}


UNASKABLE = {
    "an action over 500 characters": asking({"action": "x" * 501}),
    "an empty action": asking({"action": " "}),
    "details over 64 KB": asking({"action": "Send it", "details": "é" * 40_000}),
    "no action": asking({"details": "All of it."}),
    "a wrong type": asking({"action": 5}),
    "an array": asking(["Delete the backup"]),
    "a string": asking("Delete the backup"),
    "null": asking(None),
    "not JSON": call("wait_for_confirmation", "Delete the backup"),
}


@pytest.mark.parametrize("wrong", UNASKABLE.values(), ids=UNASKABLE)
async def test_what_cannot_be_asked_is_told_to_the_model_and_nobody_is_asked(
    play: Start, approvals: ApprovalClient, wrong: ResponseFunctionToolCall
) -> None:
    right = asking({"action": "Delete the backup"}, "call_2")
    async with play([wrong], [right], agent="assistant") as (run, model):
        [waiting] = await run.waits_for()
        assert (waiting.id, waiting.action) == (f"{run.handle.id}.1", "Delete the backup")
        await approvals.approve(waiting.id, reviewer="ada")
        await run.result()

    assert told(model)["call_1"].startswith("Nothing was asked and nothing ran: ")
    assert told(model)["call_2"] == "Approved"

"""``wait_for_confirmation``: the agent asks, and reads the answer in so many words."""

import json
from typing import Any

import pytest
from openai.types.responses import ResponseFunctionToolCall

from clearance import ApprovalClient
from cli.settings import Settings

from .agent_runs import Start, played, told
from .conftest import Serve
from .support import call


@pytest.fixture
def play(settings: Settings, serve: Serve) -> Start:
    """``async with play(turn, agent="assistant") as (run, model)``."""
    return played(settings, serve)


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

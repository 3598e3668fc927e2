"""What a model says or a tool answers can't wedge a run: it goes on, or it fails and says why."""

import json
from typing import Any

import pytest
from agents import Agent, function_tool
from openai.types.responses import ResponseOutputMessage
from temporalio.exceptions import ApplicationError

from clearance import ApprovalClient
from cli.settings import Settings
from tools.confirmation import wait_for_confirmation

from .agent_runs import Start, told
from .gating import ACTIVITIES, effect, effects, own
from .support import call, says

POLICY = """
    default = "allow"

    [[checkpoint]]
    checkpoint_id = "writing"
    action_pattern = "^write$"
    editable = true

    [[checkpoint]]
    checkpoint_id = "interns"
    action_pattern = "^wait_for_confirmation$"
    when = "requester == 'intern' && agent == 'writer'"
    audience = ["boss@example.com"]
"""


@function_tool
async def write(text: str) -> str:
    return await effect("write", size=len(text))


@function_tool
async def read(times: int) -> str:
    return "x" * times


def _writer() -> Agent[Any]:
    return Agent(name="writer", tools=[write, read, wait_for_confirmation])


AGENTS = {"writer": _writer}

__all__ = ["ACTIVITIES"]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return own(settings, __name__, POLICY)


async def test_large_changes_do_not_fill_the_result_of_the_run(
    play: Start, approvals: ApprovalClient
) -> None:
    calls = [call("write", json.dumps({"text": "a" * 240_000}), f"call_{n}") for n in range(3)]
    async with play(calls, agent="writer") as (run, _):
        for waiting in await run.waits_for(3):
            await approvals.approve(
                waiting.id, reviewer="ada", reason="r" * 4_000, changes={"text": "b" * 240_000}
            )
        result = await run.result()

    assert len(effects(run)) == 3
    assert [one.status for one in result.approvals] == ["approved"] * 3
    assert len(result.model_dump_json()) < 10_000


async def test_a_conversation_that_no_payload_can_carry_ends_the_run_and_says_so(
    play: Start,
) -> None:
    async with play([call("read", '{"times": 2000000}')], agent="writer") as (run, _):
        failures = await run.failure()

    assert isinstance(failures[0], ApplicationError)
    assert failures[0].type == "ConversationTooLarge"
    assert "the conversation of 'writer' has grown to 2,0" in failures[0].message


async def test_a_message_without_any_text_is_no_message(
    play: Start, approvals: ApprovalClient
) -> None:
    silent = says("")
    silent.content[0].text = None  # type: ignore[union-attr]
    turn: list[Any] = [silent, call("write", '{"text": "a"}')]
    async with play(turn, agent="writer") as (run, _):
        [waiting] = await run.waits_for()
        view = await approvals.get(waiting.id)
        await approvals.approve(waiting.id, reviewer="ada")
        await run.result()

    assert isinstance(silent, ResponseOutputMessage)
    assert view.request.agent_message == ""
    assert len(effects(run)) == 1


async def test_a_checkpoint_of_the_confirmation_tool_knows_who_asks_through_whom(
    play: Start, approvals: ApprovalClient
) -> None:
    asks = call("wait_for_confirmation", '{"action": "Go on", "details": ""}')
    async with play([asks], agent="writer", requester="intern") as (run, model):
        [waiting] = await run.waits_for()
        assert (waiting.checkpoint, waiting.audience) == ("interns", ("boss@example.com",))
        await approvals.approve(waiting.id, reviewer="boss@example.com")
        await run.result()
    assert told(model) == {"call_1": "Approved"}

    async with play([asks], agent="writer", requester="chief") as (run, _):
        [waiting] = await run.waits_for()
        assert (waiting.checkpoint, waiting.audience) == (None, ())
        await approvals.reject(waiting.id, reviewer="ada")
        await run.result()


async def test_a_secret_across_the_end_of_what_is_repeated_is_not_repeated_in_part(
    play: Start, approvals: ApprovalClient
) -> None:
    secret = "hunter2-" * 20
    prompt = "Sign in. " + "." * 1_900 + secret
    wanted = call("sign_in", json.dumps({"user": "ada", "password": secret}))
    async with play([wanted], agent="signer", prompt=prompt) as (run, _):
        [waiting] = await run.waits_for()
        request = (await approvals.get(waiting.id)).request
        await approvals.reject(waiting.id, reviewer="ada")
        await run.result()

    assert request.user_prompt.endswith(".[masked]")
    assert "hunter2" not in request.model_dump_json()


@function_tool(needs_approval=True)
async def sign_in(user: str, password: str) -> str:
    return await effect("sign_in", user=user)


AGENTS["signer"] = lambda: Agent(name="signer", tools=[sign_in])

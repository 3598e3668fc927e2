"""The gate around tools: what a person allows is what runs, and nothing else does."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from agents import Agent, FunctionTool, function_tool
from agents.tool_context import ToolContext
from pydantic import JsonValue
from temporalio.exceptions import ApplicationError

from clearance import ApprovalClient, ApprovalRequest, Outcome, Recorded, approved_arguments
from clearance.models import Edit
from cli.settings import Settings
from tools import gate

from .agent_runs import Run, Start, played_by_one, told
from .gating import ACTIVITIES, effect, effects, own
from .office import DONE, decide
from .support import call

POLICY = """
    default = "allow"

    [[checkpoint]]
    checkpoint_id = "payments"
    action_pattern = "^pay$"
    description_template = "Pay {cents} to {to}"
    risk = "critical"
    impact = "The money is gone."
    editable = true

    [[checkpoint]]
    checkpoint_id = "slow"
    action_pattern = "^think$"
"""


@function_tool
async def pay(ctx: ToolContext[Any], to: str, cents: int, notes: list[str]) -> str:
    assert ctx.tool_call is not None
    seen = [json.loads(ctx.tool_arguments), json.loads(ctx.tool_call.arguments)]
    assert seen == [{"to": to, "cents": cents, "notes": notes}] * 2
    await effect("pay", to=to, cents=cents, notes=notes)
    return f"paid {cents}"


@function_tool
async def look(cents: int) -> str:
    return await effect("look", cents=cents)


async def _think(hours: int) -> str:
    await asyncio.sleep(hours * 3600)
    return "thought"


def thinking() -> FunctionTool:
    tool: FunctionTool = function_tool(_think, name_override="think", timeout=0.05)
    return tool


AGENTS = {
    "payer": lambda: Agent(name="payer", tools=[pay, look]),
    # Gated by hand as well: gating twice is once.
    "careful": lambda: Agent(name="careful", tools=[gate.gated(gate.gated(pay))]),
    "thinker": lambda: Agent(name="thinker", tools=[thinking()]),
}

__all__ = ["ACTIVITIES"]

ARGUMENTS: dict[str, JsonValue] = {
    "to": "Ada",
    "cents": 100,
    "notes": ["première", "e\u0301 \u200b"],
}

PAY = call("pay", json.dumps(ARGUMENTS))


@pytest.fixture(scope="module")
def settings(lasting: Settings) -> Settings:
    """With the agents and the policy of this module."""
    return own(lasting, __name__, POLICY)


@pytest.fixture(scope="module")
async def play(settings: Settings, connection: dict[str, Any]) -> AsyncIterator[Start]:
    async with played_by_one(settings, connection) as start:
        yield start


def paid(run: Run) -> list[JsonValue]:
    return [arguments["cents"] for tool, arguments in effects(run) if tool == "pay"]


@pytest.mark.parametrize("agent", ["payer", "careful"])
async def test_a_reviewer_sees_the_whole_call_and_exactly_that_runs_under_the_approvals_id(
    play: Start, approvals: ApprovalClient, agent: str
) -> None:
    async with play([PAY], agent=agent, requester="grace@example.com") as (run, model):
        [waiting] = await run.waits_for()
        request = (await approvals.get(waiting.id)).request
        assert (request.action, request.impact) == ("Pay 100 to Ada", "The money is gone.")
        assert (request.tool, request.arguments) == ("pay", ARGUMENTS)
        assert (request.risk, request.requester) == ("critical", "grace@example.com")
        assert (request.checkpoint, request.run_id) == ("payments", run.handle.id)
        assert effects(run) == []

        await approvals.approve(waiting.id, reviewer="ada")
        [outcome] = (await run.result()).approvals

    [done] = [one for one in DONE if one.key == waiting.id]
    assert (done.tool, done.arguments) == ("pay", ARGUMENTS)
    assert outcome.digest == ApprovalRequest(action="-", tool="pay", arguments=ARGUMENTS).digest
    assert told(model) == {"call_1": "paid 100"}


async def test_what_a_reviewer_changed_is_what_the_tool_and_its_context_get(
    play: Start, approvals: ApprovalClient
) -> None:
    async with play([PAY], agent="payer") as (run, model):
        [waiting] = await run.waits_for()
        changed = {**ARGUMENTS, "cents": 80}
        await decide(approvals, waiting.id, arguments=changed)
        await run.result()

    assert effects(run) == [("pay", changed)]
    assert told(model)["call_1"].endswith("\npaid 80")


async def test_calls_at_the_same_time_run_under_their_own_approvals(
    play: Start, approvals: ApprovalClient
) -> None:
    several = [
        call("pay", json.dumps({**ARGUMENTS, "cents": cents}), f"call_{cents}")
        for cents in (1, 2, 3)
    ]
    async with play(several, agent="payer") as (run, model):
        waiting = await run.waits_for(3)
        for one in reversed(waiting):
            await approvals.approve(one.id, reviewer="ada")
        await run.result()

    by_key = {one.key: one.arguments for one in DONE}
    assert [by_key[one.id]["cents"] for one in waiting] == [1, 2, 3]
    assert told(model) == {"call_1": "paid 1", "call_2": "paid 2", "call_3": "paid 3"}


async def test_a_call_that_the_policy_lets_through_runs_under_a_key_of_its_own(play: Start) -> None:
    calls = [call("look", '{"cents": 70001}', f"call_{number}") for number in (1, 2)]
    async with play(calls, agent="payer") as (run, model):
        assert (await run.result()).approvals == []

    keys = {one.key for one in DONE if one.arguments == {"cents": 70001}}
    assert len(keys) == 2
    assert not any(key.startswith(run.handle.id) for key in keys)
    assert told(model) == {"call_1": "look done", "call_2": "look done"}


@pytest.mark.parametrize(
    ("reason", "answer"), [("not today", "Rejected: not today"), ("", "Rejected: no reason given")]
)
async def test_a_rejected_call_never_runs_and_the_model_is_told_why(
    play: Start, approvals: ApprovalClient, reason: str, answer: str
) -> None:
    async with play([PAY], agent="payer") as (run, model):
        [waiting] = await run.waits_for()
        await approvals.reject(waiting.id, reviewer="ada", reason=reason)
        await run.result()

    assert told(model) == {"call_1": answer}
    assert effects(run) == []


async def test_an_expired_call_never_runs_and_the_model_is_told(play: Start) -> None:
    async with play([PAY], agent="payer", expires_in=timedelta(milliseconds=100)) as (run, model):
        [outcome] = (await run.result()).approvals

    assert outcome.status == "expired"
    assert told(model) == {"call_1": "Expired: nobody decided in time"}
    assert effects(run) == []


@pytest.mark.parametrize("how", ["cancel", "terminate"])
async def test_a_withdrawn_call_never_runs_and_the_model_is_told(
    play: Start, approvals: ApprovalClient, how: str
) -> None:
    async with play([PAY], agent="payer") as (run, model):
        [waiting] = await run.waits_for()
        await getattr(approvals.temporal.get_workflow_handle(waiting.id), how)()
        [outcome] = (await run.result()).approvals

    assert outcome.status == "withdrawn"
    assert told(model) == {"call_1": "Withdrawn: the request was withdrawn"}
    assert effects(run) == []


async def test_a_tools_own_time_limit_counts_from_the_approval_and_not_before(
    play: Start, approvals: ApprovalClient
) -> None:
    async with play([call("think", '{"hours": 1}')], agent="thinker") as (run, model):
        [waiting] = await run.waits_for()
        history = await run.handle.fetch_history()
        assert not [one for one in history.events if one.HasField("timer_started_event_attributes")]
        await approvals.approve(waiting.id, reviewer="ada")
        await run.result()

    assert told(model) == {"call_1": "Tool 'think' timed out after 0.05 seconds."}


TOO_LONG = {
    "arguments over 256 KB": {**ARGUMENTS, "notes": ["x" * 300_000]},
    "arguments of 1 MB": {**ARGUMENTS, "to": "x" * 1_000_000},
}


@pytest.mark.parametrize("arguments", TOO_LONG.values(), ids=TOO_LONG)
async def test_a_call_too_long_to_be_asked_about_is_told_to_the_model_and_nobody_is_asked(
    play: Start, approvals: ApprovalClient, arguments: dict[str, Any]
) -> None:
    wrong = call("pay", json.dumps(arguments), "call_0")
    async with play([wrong], [PAY], agent="payer") as (run, model):
        [waiting] = await run.waits_for()
        assert (waiting.id, waiting.action) == (f"{run.handle.id}.1", "Pay 100 to Ada")
        await approvals.approve(waiting.id, reviewer="ada")
        await run.result()

    assert told(model)["call_0"].startswith("Nothing was asked and nothing ran: ")
    assert paid(run) == [100]


def asked(**fields: Any) -> ApprovalRequest:
    given = {"action": "-", "tool": "pay", "arguments": ARGUMENTS, **fields}
    return ApprovalRequest.model_validate(given)


def outcome_of(request: ApprovalRequest, status: str = "approved", **fields: Any) -> Outcome:
    decision = None
    if status in ("approved", "rejected"):
        decision = Recorded(
            approved=status == "approved",
            reviewer="ada",
            channel="cli",
            digest=request.digest,
            at=datetime.now(UTC),
        )
    given = {"approval_id": "run.1", "status": status, "digest": request.digest, **fields}
    return Outcome.model_validate({**given, "decision": decision})


def edit(arguments: dict[str, JsonValue], digest: str | None = None) -> Edit:
    made = asked(editable=True).with_arguments(arguments).digest
    return Edit(arguments=arguments, digest=digest or made, changes=())


OTHER: dict[str, JsonValue] = {**ARGUMENTS, "cents": 101}

TAMPERED = {
    "of other arguments": outcome_of(asked(arguments=OTHER)),
    "of no arguments": outcome_of(asked(arguments={})),
    "of another tool": outcome_of(asked(tool="look")),
    "rejected": outcome_of(asked(), "rejected"),
    "expired": outcome_of(asked(), "expired"),
    "withdrawn": outcome_of(asked(), "withdrawn"),
    "changed where nothing may be": outcome_of(asked(), edit=edit(OTHER)),
}


@pytest.mark.parametrize("outcome", TAMPERED.values(), ids=TAMPERED)
def test_an_outcome_that_does_not_allow_this_very_call_allows_nothing(outcome: Outcome) -> None:
    with pytest.raises(ApplicationError) as raised:
        approved_arguments(asked(), outcome)

    assert (raised.value.type, raised.value.non_retryable) == ("DigestMismatch", True)


FORGED = {
    "under the digest of what was asked": edit(OTHER, asked().digest),
    "under the digest of something else": edit(OTHER, asked(arguments={}).digest),
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_changes_that_are_not_those_of_their_digest_allow_nothing(forged: Edit) -> None:
    request = asked(editable=True)
    with pytest.raises(ApplicationError, match="nothing ran"):
        approved_arguments(request, outcome_of(request, edit=forged))
    assert approved_arguments(request, outcome_of(request, edit=edit(OTHER))) == OTHER


def test_there_is_no_key_outside_a_call() -> None:
    with pytest.raises(LookupError):
        gate.idempotency_key()

"""The gate around tools: what a person allows is what runs, and nothing else does."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from agents import Agent, FunctionTool, function_tool
from pydantic import BaseModel, JsonValue
from temporalio import activity, workflow
from temporalio.exceptions import ApplicationError

from clearance import ApprovalClient, ApprovalRequest, Outcome, Recorded
from cli.settings import Settings
from tools import gate

from .agent_runs import Run, Start, played, told
from .conftest import Serve
from .support import call


class Payment(BaseModel):
    """What reached the world."""

    to: str
    cents: int
    notes: list[str]
    key: str


PAID: list[Payment] = []
"""By every test of this module; each finds its own by the key, which begins with its run's id."""


@activity.defn
async def pay(payment: Payment) -> str:
    PAID.append(payment)
    return f"paid {payment.cents}"


async def _pay(to: str, cents: int, notes: list[str]) -> str:
    return await workflow.execute_activity(
        pay,
        Payment(to=to, cents=cents, notes=notes, key=gate.idempotency_key()),
        start_to_close_timeout=timedelta(seconds=30),
    )


def paying(**options: Any) -> FunctionTool:
    tool: FunctionTool = function_tool(_pay, name_override="pay", **options)
    return gate.gated(
        tool, action=lambda args: f"Pay {args['cents']} to {args['to']}", risk="critical"
    )


def build() -> Agent[Any]:
    return Agent(name="payer", tools=[paying()])


def build_impatient() -> Agent[Any]:
    return Agent(name="impatient", tools=[paying(timeout=0.001)])


AGENTS = {"payer": build, "impatient": build_impatient}
ACTIVITIES = [pay]

ARGUMENTS: dict[str, JsonValue] = {
    "to": "Ada",
    "cents": 100,
    "notes": ["première", "e\u0301 \u200b"],
}

PAY = call("pay", json.dumps(ARGUMENTS))


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With the agents of this module."""
    return settings.model_copy(update={"agents": (__name__,)})


@pytest.fixture
def play(settings: Settings, serve: Serve) -> Start:
    """``async with play(turn, agent="payer") as (run, model)``."""
    return played(settings, serve)


def paid(run: Run) -> list[Payment]:
    return [one for one in PAID if one.key.startswith(run.handle.id)]


async def test_a_reviewer_sees_the_whole_call_and_exactly_that_runs_under_the_approvals_id(
    play: Start, approvals: ApprovalClient
) -> None:
    async with play([PAY], agent="payer", requester="grace@example.com") as (run, model):
        [waiting] = await run.waits_for()
        request = (await approvals.get(waiting.id)).request
        assert request.action == "Pay 100 to Ada"
        assert (request.tool, request.arguments) == ("pay", ARGUMENTS)
        assert (request.risk, request.requester) == ("critical", "grace@example.com")
        assert paid(run) == []

        await approvals.approve(waiting.id, reviewer="ada")
        [outcome] = (await run.result()).approvals

    assert paid(run) == [Payment.model_validate({**ARGUMENTS, "key": waiting.id})]
    assert outcome.digest == ApprovalRequest(action="-", tool="pay", arguments=ARGUMENTS).digest
    assert told(model) == {"call_1": "paid 100"}


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

    assert {(one.key, one.cents) for one in paid(run)} == {
        (one.id, number) for number, one in enumerate(waiting, 1)
    }
    assert told(model) == {"call_1": "paid 1", "call_2": "paid 2", "call_3": "paid 3"}


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
    assert paid(run) == []


async def test_an_expired_call_never_runs_and_the_model_is_told(play: Start) -> None:
    async with play([PAY], agent="payer", expires_in=timedelta(milliseconds=100)) as (run, model):
        [outcome] = (await run.result()).approvals

    assert outcome.status == "expired"
    assert told(model) == {"call_1": "Expired: nobody decided in time"}
    assert paid(run) == []


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
    assert paid(run) == []


async def test_a_tools_own_time_limit_does_not_run_while_a_person_thinks(
    play: Start, approvals: ApprovalClient
) -> None:
    async with play([PAY], agent="impatient") as (run, _):
        [waiting] = await run.waits_for()
        history = await run.handle.fetch_history()
        assert not [one for one in history.events if one.HasField("timer_started_event_attributes")]
        await approvals.reject(waiting.id, reviewer="ada")
        await run.result()


def outcome_of(arguments: dict[str, JsonValue], *, approved: bool) -> Outcome:
    digest = ApprovalRequest(action="-", tool="pay", arguments=arguments).digest
    now = datetime.now(UTC)
    decision = Recorded(approved=approved, reviewer="ada", channel="cli", digest=digest, at=now)
    status: Any = "approved" if approved else "rejected"
    return Outcome(approval_id="run.1", status=status, digest=digest, decision=decision)


@pytest.mark.parametrize(
    "outcome",
    [
        outcome_of({**ARGUMENTS, "cents": 101}, approved=True),
        outcome_of({}, approved=True),
        outcome_of(ARGUMENTS, approved=False),
    ],
    ids=["other arguments", "no arguments", "not approved"],
)
async def test_an_outcome_that_does_not_allow_this_very_call_runs_nothing(outcome: Outcome) -> None:
    ran: list[str] = []

    async def invoke(_: Any, raw: str) -> None:
        ran.append(raw)

    context: Any = None
    with pytest.raises(ApplicationError) as raised:
        await gate._run(invoke, context, "pay", ARGUMENTS, outcome)

    assert (raised.value.type, raised.value.non_retryable) == ("DigestMismatch", True)
    assert ran == []
    with pytest.raises(LookupError):
        gate.idempotency_key()


TOO_LONG = {
    "arguments over 256 KB": {**ARGUMENTS, "notes": ["x" * 300_000]},
    "an action over 500 characters": {**ARGUMENTS, "to": "x" * 501},
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
    assert [one.cents for one in paid(run)] == [100]

"""Agents inside agents: used as tools, reached by handoff, run by a tool. Each call meets the gate."""

import gc
import json
from collections.abc import Callable
from typing import Any

import pytest
from agents import Agent, RunContextWrapper, Runner, function_tool, handoff
from openai.types.responses import ResponseFunctionToolCall

from clearance import ApprovalClient
from cli.settings import Settings

from .agent_runs import Start, told
from .gating import ACTIVITIES, ALLOW_ALL, GATE_ALL, effect, effects, everywhere, own
from .office import write
from .support import call, says, unique

PAYMENTS_WAIT = """
    default = "allow"

    [[checkpoint]]
    checkpoint_id = "payments"
    action_pattern = "^pay$"
"""

INNER_ONLY = """
    default = "allow"

    [[checkpoint]]
    checkpoint_id = "payments"
    action_pattern = "^pay$"
    when = 'agent == "payer" && requester == "grace"'
"""


@function_tool
async def pay(to: str) -> str:
    return await effect("pay", to=to)


@function_tool
async def look(to: str) -> str:
    return await effect("look", to=to)


def payer(name: str = "payer") -> Agent[Any]:
    return Agent(name=name, tools=[pay, look])


@function_tool
async def delegate(to: str) -> str:
    """Start another agent, in a run of its own."""
    return str((await Runner.run(payer(), f"Pay {to}")).final_output)


class _Elsewhere:
    """A context that says what would open a gate, if a gate asked it."""

    approved = True
    policy = None
    requester = "grace"
    approvals_queue = "nobody"


@function_tool
async def delegate_elsewhere(to: str) -> str:
    """The same, with a context of its own."""
    result = await Runner.run(payer(), f"Pay {to}", context=_Elsewhere(), max_turns=4)
    return str(result.final_output)


def _as_tool() -> Agent[Any]:
    return Agent(name="boss", tools=[payer().as_tool("payer", "Pays.")])


def _two_deep() -> Agent[Any]:
    middle = Agent[Any](name="middle", tools=[payer().as_tool("payer", "Pays.")])
    return Agent(name="boss", tools=[middle.as_tool("middle", "Has a payer.")])


def _on_the_fly() -> Agent[Any]:
    """Its handoffs build a new agent each time, and forget the one before."""
    transfers = []
    for number in (1, 2):
        transfer = handoff(Agent[Any](name=f"payer-{number}"), tool_name_override=f"to_{number}")

        async def build(
            ctx: RunContextWrapper[Any], arguments: str, number: int = number
        ) -> Agent[Any]:
            gc.collect(1)  # what is young; all of it takes a second
            back = _on_the_fly().handoffs
            return Agent(name=f"payer-{number}", tools=[pay, look], handoffs=back)

        transfer.on_invoke_handoff = build
        transfers.append(transfer)
    return Agent(name="boss", handoffs=list(transfers))


def _circle() -> Agent[Any]:
    first, second = payer("first"), payer("second")
    first.handoffs, second.handoffs = [second], [first]
    return first


class Careful(Agent[Any]):
    """An agent of a team's own class, with tools that only it knows of."""

    async def get_all_tools(self, run_context: RunContextWrapper[Any]) -> list[Any]:
        return [*await super().get_all_tools(run_context), pay]


AGENTS: dict[str, Callable[[], Agent[Any]]] = {
    "as-tool": _as_tool,
    "two-deep": _two_deep,
    "handoff": lambda: Agent(name="boss", handoffs=[payer()]),
    "handoff-object": lambda: Agent(name="boss", handoffs=[handoff(payer())]),
    "handoff-to-boss": lambda: Agent(name="front", handoffs=[_as_tool()]),
    "on-the-fly": _on_the_fly,
    "circle": _circle,
    "delegate": lambda: Agent(name="boss", tools=[delegate]),
    "delegate-elsewhere": lambda: Agent(name="boss", tools=[delegate_elsewhere]),
    "own-class": lambda: Careful(name="payer"),
}

__all__ = ["ACTIVITIES"]

Turn = list[ResponseFunctionToolCall]


def to(tool: str, call_id: str, **arguments: str) -> Turn:
    return [call(tool, json.dumps(arguments), call_id)]


PAY = to("pay", "call_pay", to="Ada")

ROUTES: dict[str, list[Turn]] = {
    "as-tool": [to("payer", "call_1", input="Pay")],
    "two-deep": [to("middle", "call_1", input="Pay"), to("payer", "call_2", input="Pay")],
    "handoff": [to("transfer_to_payer", "call_1")],
    "handoff-object": [to("transfer_to_payer", "call_1")],
    "handoff-to-boss": [to("transfer_to_boss", "call_1"), to("payer", "call_2", input="Pay")],
    "on-the-fly": [to("to_1", "call_1"), to("to_2", "call_2"), to("to_1", "call_3")],
    "circle": [to("transfer_to_second", "call_1"), to("transfer_to_first", "call_2")],
    "delegate": [to("delegate", "call_1", to="Ada")],
    "delegate-elsewhere": [to("delegate_elsewhere", "call_1", to="Ada")],
    "own-class": [],
}
"""What the models say, one after the other, until a payer pays."""


pytestmark = pytest.mark.usefixtures("player")


@pytest.fixture(scope="module")
def lasting(lasting: Settings) -> Settings:
    return own(lasting, __name__, PAYMENTS_WAIT)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With the agents of this module; payments wait."""
    return own(settings, __name__, PAYMENTS_WAIT)


ENDS: list[Any] = [[says("Paid.")], [says("Paid.")]]


@pytest.mark.parametrize("approved", [True, False])
@pytest.mark.parametrize("route", ROUTES)
async def test_a_tool_inside_waits_by_its_own_name_wherever_its_agent_is(
    play: Start, approvals: ApprovalClient, route: str, approved: bool
) -> None:
    async with play(*ROUTES[route], PAY, *ENDS, agent=route) as (run, model):
        [waiting] = await run.waits_for()
        assert (waiting.tool, waiting.checkpoint, waiting.run_id) == (
            "pay",
            "payments",
            run.handle.id,
        )
        assert effects(run) == []
        await approvals.decide(waiting.id, approved=approved, reviewer="ada", reason="because")
        [outcome] = (await run.result()).approvals

    assert outcome.approved is approved
    assert effects(run) == ([("pay", {"to": "Ada"})] if approved else [])
    after = model.inputs[len(ROUTES[route]) + 1]
    outputs = {one["call_id"]: one["output"] for one in after if "output" in one}
    assert outputs["call_pay"] == ("pay done" if approved else "Rejected: because")


@pytest.mark.parametrize("route", ["as-tool", "two-deep", "delegate", "delegate-elsewhere"])
async def test_a_condition_on_the_agent_and_the_requester_sees_the_inner_one(
    play: Start, approvals: ApprovalClient, settings: Settings, route: str
) -> None:
    write(settings, INNER_ONLY)
    async with play(*ROUTES[route], PAY, *ENDS, agent=route, requester="grace") as (run, _):
        [waiting] = await run.waits_for()
        await approvals.reject(waiting.id, reviewer="ada")
        await run.result()
    assert effects(run) == []


async def test_a_context_of_ones_own_does_not_stand_in_for_the_runs(
    play: Start, settings: Settings
) -> None:
    write(settings, INNER_ONLY)
    mark = unique("Ada")
    paid = to("pay", "call_pay", to=mark)
    route = ROUTES["delegate-elsewhere"]
    # The context says grace; the run was started by eve, of whom the policy says nothing.
    async with play(*route, paid, *ENDS, agent="delegate-elsewhere", requester="eve") as (run, _):
        assert (await run.result()).approvals == []
    assert everywhere(mark) == ["pay"]


@pytest.mark.parametrize("route", ["as-tool", "delegate"])
async def test_the_outer_tool_waits_by_its_name_and_then_the_one_inside(
    play: Start, approvals: ApprovalClient, settings: Settings, route: str
) -> None:
    write(settings, GATE_ALL)
    async with play(*ROUTES[route], PAY, *ENDS, agent=route) as (run, model):
        [outer] = await run.waits_for()
        assert outer.tool == ROUTES[route][0][0].name
        assert len(model.inputs) == 1
        await approvals.approve(outer.id, reviewer="ada")
        [inner] = await run.waits_for()
        assert (inner.tool, inner.id) == ("pay", f"{run.handle.id}.2")
        await approvals.approve(inner.id, reviewer="ada")
        await run.result()
    assert effects(run) == [("pay", {"to": "Ada"})]


async def test_an_agent_that_a_person_refused_as_a_tool_never_starts(
    play: Start, approvals: ApprovalClient, settings: Settings
) -> None:
    write(settings, GATE_ALL)
    async with play(*ROUTES["as-tool"], agent="as-tool") as (run, model):
        [outer] = await run.waits_for()
        await approvals.reject(outer.id, reviewer="ada", reason="no")
        await run.result()
    assert told(model) == {"call_1": "Rejected: no"}
    assert len(model.inputs) == 2


async def test_where_everything_is_allowed_nobody_is_asked_on_any_level(
    play: Start, settings: Settings
) -> None:
    write(settings, ALLOW_ALL)
    mark = unique("Ada")
    paid = to("pay", "call_pay", to=mark)
    async with play(*ROUTES["two-deep"], paid, *ENDS, agent="two-deep") as (run, _):
        assert (await run.result()).approvals == []
    assert everywhere(mark) == ["pay"]


async def test_two_payers_used_at_once_wait_each_for_itself(
    play: Start, approvals: ApprovalClient
) -> None:
    both = [*to("payer", "call_1", input="Pay"), *to("payer", "call_2", input="Pay")]
    # The same call id in both inner runs: what one person says of one is not of the other.
    async with play(both, PAY, PAY, *ENDS, agent="as-tool") as (run, _):
        first, second = await run.waits_for(2)
        await approvals.reject(first.id, reviewer="ada")
        await approvals.approve(second.id, reviewer="ada")
        await run.result()
    assert effects(run) == [("pay", {"to": "Ada"})]

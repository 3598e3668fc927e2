"""What reaches an agent as a function tool: activities, Nexus operations, namespaces; its own word."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import nexusrpc
import pytest
from agents import Agent, FunctionTool, RunContextWrapper, ToolOutputText, function_tool
from agents.tool import tool_namespace
from temporalio import activity
from temporalio.api.nexus.v1 import EndpointSpec, EndpointTarget
from temporalio.api.operatorservice.v1 import CreateNexusEndpointRequest
from temporalio.client import Client
from temporalio.openai_agents.workflow import activity_as_tool, nexus_operation_as_tool
from temporalio.worker import Worker

from clearance import ApprovalClient
from cli.settings import Settings
from tools import gate

from .agent_runs import Start, told
from .gating import ACTIVITIES as EFFECTS
from .gating import ALLOW_ALL, GATE_ALL, effect, effects, everywhere, own
from .office import decide, write
from .support import call, unique


@activity.defn
async def wire(to: str, cents: int) -> str:
    return f"wired {cents} to {to}"


@nexusrpc.service
class BankService:
    quote: nexusrpc.Operation[str, str]


@nexusrpc.handler.service_handler(service=BankService)
class BankHandler:
    @nexusrpc.handler.sync_operation
    async def quote(self, ctx: nexusrpc.handler.StartOperationContext, input: str) -> str:
        return f"quoted {input}"


ENDPOINT = unique("bank")


async def _pay(to: str) -> str:
    return await effect("pay", to=to)


def paying(**options: Any) -> FunctionTool:
    tool: FunctionTool = function_tool(_pay, name_override="pay", **options)
    return tool


def _answer(value: Any) -> Callable[[Any, dict[str, Any], str], Any]:
    async def wants(ctx: RunContextWrapper[Any], arguments: dict[str, Any], call_id: str) -> Any:
        arguments["to"] = "Eve"  # of no effect: the call is not theirs to change
        return value

    return wants


def _raises(ctx: RunContextWrapper[Any], arguments: dict[str, Any], call_id: str) -> bool:
    raise RuntimeError(f"no limit is known for {arguments['to']}")


def _synchronous(ctx: RunContextWrapper[Any], arguments: dict[str, Any], call_id: str) -> bool:
    return False


def _looks(ctx: RunContextWrapper[Any], arguments: dict[str, Any], call_id: str) -> bool:
    return bool(arguments["to"] != "Grace")


ITSELF = "pay itself wants this call approved."

WANTS: dict[str, tuple[Any, str]] = {
    "yes": (True, ITSELF),
    "says yes": (_answer(True), ITSELF),
    "says a word": (_answer("no"), ITSELF),
    "says nothing": (_answer(None), ITSELF),
    "says 0": (_answer(0), ITSELF),
    "is a word": ("false", ITSELF),
    "is nothing": (None, ITSELF),
    "by what it pays": (_looks, ITSELF),
    "raises": (
        _raises,
        "can't be told, so the gate closes: RuntimeError",
    ),
}

DOES_NOT: dict[str, Any] = {"no": False, "says no": _answer(False), "says so at once": _synchronous}


@function_tool
async def picture(of: str) -> list[ToolOutputText]:
    return [ToolOutputText(text=f"a picture of {of}")]


def _spaced() -> Agent[Any]:
    tools = tool_namespace(name="bank", description="A bank.", tools=[paying()])
    return Agent(name="spaced", tools=list(tools))


def _gated_then_spaced() -> Agent[Any]:
    tools = tool_namespace(name="bank", description="A bank.", tools=[gate.gated(paying())])
    return Agent(name="gated then spaced", tools=list(tools))


def _swapped() -> Agent[Any]:
    """One whose author put another function into a tool that was gated before."""
    tool = gate.gated(function_tool(_pay, name_override="look"))
    tool.name = "pay"
    tool.on_invoke_tool = paying().on_invoke_tool
    return Agent(name="swapped", tools=[tool])


def _activity() -> Agent[Any]:
    tool = activity_as_tool(wire, start_to_close_timeout=timedelta(seconds=30))
    return Agent(name="wire", tools=[tool])


def _nexus() -> Agent[Any]:
    tool = nexus_operation_as_tool(BankService.quote, service=BankService, endpoint=ENDPOINT)
    return Agent(name="nexus", tools=[tool])


def _with_word(word: Any) -> Callable[[], Agent[Any]]:
    return lambda: Agent(name="asker", tools=[paying(needs_approval=word)])


AGENTS: dict[str, Callable[[], Agent[Any]]] = {
    "activity": _activity,
    "nexus": _nexus,
    "spaced": _spaced,
    "gated-then-spaced": _gated_then_spaced,
    "swapped": _swapped,
    "artist": lambda: Agent(name="artist", tools=[picture]),
    **{f"wants {name}": _with_word(word) for name, (word, _) in WANTS.items()},
    **{f"does not: {name}": _with_word(word) for name, word in DOES_NOT.items()},
}
ACTIVITIES = [wire, *EFFECTS]


pytestmark = pytest.mark.usefixtures("player")


@pytest.fixture(scope="module")
def lasting(lasting: Settings) -> Settings:
    return own(lasting, __name__, GATE_ALL)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With the agents of this module; everything waits."""
    return own(settings, __name__, GATE_ALL)


def pay(to: str = "Ada", **further: Any) -> Any:
    return call("pay", json.dumps({"to": to})).model_copy(update=further)


async def test_an_activity_as_a_tool_waits_for_a_person(
    play: Start, approvals: ApprovalClient
) -> None:
    calls = [
        call("wire", '{"to": "Ada", "cents": 1}', "call_1"),
        call("wire", '{"to": "Eve", "cents": 2}', "call_2"),
    ]
    async with play(calls, agent="activity") as (run, model):
        first, second = await run.waits_for(2)
        assert first.tool == "wire"
        await approvals.approve(first.id, reviewer="ada")
        await approvals.reject(second.id, reviewer="ada", reason="no")
        await run.result()
        assert b"wired 2" not in await run.stored()
    assert told(model) == {"call_1": "wired 1 to Ada", "call_2": "Rejected: no"}


@pytest.fixture
async def bank(temporal: Client) -> AsyncIterator[None]:
    """Another team's worker, reached through a Nexus endpoint."""
    queue = unique("bank")
    place = EndpointTarget.Worker(namespace=temporal.namespace, task_queue=queue)
    spec = EndpointSpec(name=ENDPOINT, target=EndpointTarget(worker=place))
    await temporal.operator_service.create_nexus_endpoint(CreateNexusEndpointRequest(spec=spec))
    async with Worker(temporal, task_queue=queue, nexus_service_handlers=[BankHandler()]):
        yield


@pytest.mark.usefixtures("bank")
async def test_a_nexus_operation_as_a_tool_waits_for_a_person(
    play: Start, approvals: ApprovalClient
) -> None:
    async with play([call("quote", '{"input": "ACME"}')], agent="nexus") as (run, model):
        [waiting] = await run.waits_for()
        assert waiting.tool == "quote"
        assert b"quoted" not in await run.stored()
        await approvals.approve(waiting.id, reviewer="ada")
        await run.result()
    assert told(model) == {"call_1": "quoted ACME"}


@pytest.mark.parametrize("name", WANTS)
async def test_a_tools_own_word_stops_a_call_that_the_policy_lets_through(
    play: Start, approvals: ApprovalClient, settings: Settings, name: str
) -> None:
    write(settings, ALLOW_ALL)
    async with play([pay()], agent=f"wants {name}") as (run, model):
        [waiting] = await run.waits_for()
        request = (await approvals.get(waiting.id)).request
        assert request.details.endswith(WANTS[name][1])
        assert (request.arguments, request.checkpoint) == ({"to": "Ada"}, None)
        assert effects(run) == []
        await approvals.approve(waiting.id, reviewer="ada")
        await run.result()
    assert effects(run) == [("pay", {"to": "Ada"})]
    assert told(model) == {"call_1": "pay done"}


@pytest.mark.parametrize("name", DOES_NOT)
async def test_only_a_plain_no_of_a_tool_lets_its_call_through(
    play: Start, settings: Settings, name: str
) -> None:
    write(settings, ALLOW_ALL)
    to = unique("Ada")
    async with play([pay(to)], agent=f"does not: {name}") as (run, _):
        assert (await run.result()).approvals == []
    assert everywhere(to) == ["pay"]


@pytest.mark.parametrize("name", DOES_NOT)
async def test_a_tools_own_no_opens_no_gate_of_the_policy(
    play: Start, approvals: ApprovalClient, name: str
) -> None:
    async with play([pay()], agent=f"does not: {name}") as (run, _):
        [waiting] = await run.waits_for()
        await approvals.reject(waiting.id, reviewer="ada")
        await run.result()
    assert effects(run) == []


GATES_THE_SHORT_NAME = """
    default = "allow"

    [[checkpoint]]
    checkpoint_id = "payments"
    action_pattern = "^pay$"
"""

GATES_THE_WHOLE_NAME = """
    default = "allow"

    [[checkpoint]]
    checkpoint_id = "payments"
    action_pattern = '^bank\\.pay$'
"""

ALLOWS_THE_SHORT_NAME = """
    [[checkpoint]]
    checkpoint_id = "free"
    action_pattern = "^pay$"
    allow = true
"""


@pytest.mark.parametrize("agent", ["spaced", "gated-then-spaced"])
@pytest.mark.parametrize(
    ("policy", "checkpoint"),
    [
        (GATES_THE_SHORT_NAME, "payments"),
        (GATES_THE_WHOLE_NAME, "payments"),
        (ALLOWS_THE_SHORT_NAME, None),
    ],
    ids=["gated by the short name", "gated by the whole name", "allowed by the short name alone"],
)
async def test_a_tool_in_a_namespace_is_stopped_by_either_name(
    play: Start,
    approvals: ApprovalClient,
    settings: Settings,
    agent: str,
    policy: str,
    checkpoint: str | None,
) -> None:
    write(settings, policy)
    async with play([pay(namespace="bank")], agent=agent) as (run, _):
        [waiting] = await run.waits_for()
        assert (await approvals.get(waiting.id)).request.checkpoint == checkpoint
        await approvals.reject(waiting.id, reviewer="ada")
        await run.result()
    assert effects(run) == []


FIRST_MATCH_ALLOWS = r"""
    [[checkpoint]]
    checkpoint_id = "free"
    action_pattern = '^bank\.pay$'
    allow = true

    [[checkpoint]]
    checkpoint_id = "payments"
    action_pattern = "pay"
"""


async def test_a_tool_in_a_namespace_is_let_through_by_its_whole_name_if_that_matches_first(
    play: Start, settings: Settings
) -> None:
    write(settings, FIRST_MATCH_ALLOWS)
    to = unique("Ada")
    async with play([pay(to, namespace="bank")], agent="spaced") as (run, _):
        assert (await run.result()).approvals == []
    assert everywhere(to) == ["pay"]


async def test_a_tool_that_was_gated_and_then_calls_something_else_is_gated_anew(
    play: Start, approvals: ApprovalClient
) -> None:
    async with play([pay()], agent="swapped") as (run, _):
        [waiting] = await run.waits_for()
        assert waiting.tool == "pay"
        await approvals.reject(waiting.id, reviewer="ada")
        await run.result()
    assert effects(run) == []


async def test_an_output_of_parts_is_told_with_what_was_changed_before_it(
    play: Start, approvals: ApprovalClient, settings: Settings
) -> None:
    write(
        settings,
        '[[checkpoint]]\ncheckpoint_id = "pictures"\naction_pattern = "picture"\neditable = true',
    )
    async with play([call("picture", '{"of": "Ada"}')], agent="artist") as (run, model):
        [waiting] = await run.waits_for()
        await decide(approvals, waiting.id, arguments={"of": "Grace"})
        await run.result()
    parts: Any = told(model)["call_1"]
    assert 'of: "Ada" became "Grace"' in parts[0]["text"]
    assert [part["text"] for part in parts[1:]] == ["a picture of Grace"]

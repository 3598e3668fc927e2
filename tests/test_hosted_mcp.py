"""MCP servers that the model's provider calls: it asks before each call, and our policy answers."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from agents import Agent, HostedMCPTool
from agents.tool import MCPToolApprovalFunctionResult, MCPToolApprovalRequest

from cli.settings import Settings

from .agent_runs import Answering, answering
from .gating import ALLOW_ALL, GATE_ALL, own
from .model_server import Asks, Text
from .office import write


def _yes(request: MCPToolApprovalRequest) -> MCPToolApprovalFunctionResult:
    return {"approve": True}


def _with_crm(*, says_yes: bool = False, **config: Any) -> Callable[[], Any]:
    def build() -> Agent[Any]:
        given: Any = {
            "type": "mcp",
            "server_label": "crm",
            "server_url": "https://crm.example/mcp",
            **config,
        }
        tool = HostedMCPTool(given, on_approval_request=_yes if says_yes else None)
        return Agent(name="clerk", tools=[tool])

    return build


AGENTS = {
    "clerk": _with_crm(),
    "never": _with_crm(require_approval="never"),
    "partly": _with_crm(require_approval={"never": {"tool_names": ["lookup", "erase"]}}),
    "own-callback": _with_crm(says_yes=True),
}

POLICY = r"""
    default = "allow"

    [[checkpoint]]
    checkpoint_id = "erasures"
    action_pattern = '^crm\.erase$'
    description_template = "Erase {id}"
    risk = "critical"
    editable = true
"""

ERASE = Asks("crm", "erase", '{"id": 7, "password": "hunter2hunter2"}')

LOOKUP = Asks("crm", "lookup", '{"id": 7}')


@pytest.fixture(scope="module")
def settings(lasting: Settings) -> Settings:
    """With the agents of this module; erasing waits."""
    return own(lasting, __name__, POLICY)


@pytest.fixture(autouse=True)
def _policy(settings: Settings) -> Iterator[None]:
    yield
    write(settings, POLICY)


@pytest.fixture(scope="module")
async def clerks(settings: Settings, connection: dict[str, Any]) -> AsyncIterator[Answering]:
    async with answering(settings, connection, "responses") as answers:
        yield answers


@pytest.mark.parametrize("agent", AGENTS)
async def test_the_provider_is_told_to_ask_always_whatever_the_agents_own_settings_say(
    clerks: Answering, agent: str
) -> None:
    server, play = clerks(Text("Nothing to do."))
    await (await play.start(agent)).result()
    [tool] = server.requests[0].body["tools"]
    assert (tool["server_label"], tool["require_approval"]) == ("crm", "always")


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("approved", [True, False])
async def test_a_gated_call_waits_and_the_provider_hears_what_a_person_said(
    clerks: Answering, agent: str, approved: bool
) -> None:
    server, play = clerks(ERASE, Text("Done."))
    run = await play.start(agent)
    [waiting] = await run.waits_for()
    request = (await play.approvals.get(waiting.id)).request
    assert (request.action, request.risk) == ("Erase 7", "critical")
    assert (request.tool, request.checkpoint) == ("crm.erase", "erasures")
    assert request.arguments == {"id": 7, "password": "[masked]"}
    assert not request.editable  # the provider has the arguments; nobody could change them
    assert not request.grantable
    assert len(server.requests) == 1
    await play.approvals.decide(waiting.id, approved=approved, reviewer="ada", reason="why")
    assert (await run.result()).output == "Done."

    said = (True, None) if approved else (False, "Rejected: why")
    assert server.requests[1].permissions == {"mcpr_1": said}


async def test_a_call_that_the_policy_lets_through_asks_nobody(clerks: Answering) -> None:
    server, play = clerks(LOOKUP, Text("Done."))
    result = await (await play.start("clerk")).result()
    assert result.approvals == []
    assert server.requests[1].permissions == {"mcpr_1": (True, None)}


CHECKPOINT = '[[checkpoint]]\ncheckpoint_id = "c"\naction_pattern = "{}"\n'

POLICIES: dict[str, tuple[str, bool]] = {
    "the default": (GATE_ALL, True),
    "the tool's own name": ('default = "allow"\n' + CHECKPOINT.format("^lookup$"), True),
    "the server": ('default = "allow"\n' + CHECKPOINT.format("^crm[.]"), True),
    "the agent": (
        'default = "allow"\n' + CHECKPOINT.format("lookup") + "when = 'agent == \"clerk\"'",
        True,
    ),
    "a condition on what is not there": (
        'default = "allow"\n' + CHECKPOINT.format("lookup") + "when = 'args.no > 1'\nallow = true",
        True,
    ),
    "a condition that lets it through": (
        'default = "allow"\n' + CHECKPOINT.format("lookup") + "when = 'args.id == 7'\nallow = true",
        True,
    ),
    "a condition that passes it over": (
        'default = "allow"\n' + CHECKPOINT.format("lookup") + "when = 'args.id > 7'",
        True,
    ),
    "a condition on its own name alone that passes it over": (
        'default = "allow"\n' + CHECKPOINT.format("^lookup$") + "when = 'args.id > 7'",
        True,
    ),
    "a condition that passes it over to one that allows": (
        CHECKPOINT.format("lookup")
        + "when = 'args.id > 7'\n"
        + CHECKPOINT.format("^crm").replace('"c"', '"d"')
        + "allow = true",
        True,
    ),
    "one that allows, before a condition": (
        CHECKPOINT.format("^crm")
        + "allow = true\n"
        + CHECKPOINT.format("lookup").replace('"c"', '"d"')
        + "when = 'args.id > 7'",
        False,
    ),
    "a condition on another tool": (
        'default = "allow"\n' + CHECKPOINT.format("^look$") + "when = 'args.id > 7'",
        False,
    ),
    "another agent": (
        'default = "allow"\n' + CHECKPOINT.format("lookup") + "when = 'agent == \"boss\"'",
        False,
    ),
    "a condition on the agent that lets it through": (
        CHECKPOINT.format("lookup") + "when = 'agent == \"clerk\"'\nallow = true",
        False,
    ),
    "allowed by its own name alone": (CHECKPOINT.format("^lookup$") + "allow = true", True),
    "allowed by its whole name": (CHECKPOINT.format("^crm[.]lookup$") + "allow = true", False),
    "another tool's name": ('default = "allow"\n' + CHECKPOINT.format("^look$"), False),
    "all allowed": (ALLOW_ALL, False),
}


@pytest.mark.parametrize(("policy", "gated"), POLICIES.values(), ids=POLICIES)
async def test_which_policies_stop_a_call_at_the_provider(
    settings: Settings, clerks: Answering, policy: str, gated: bool
) -> None:
    write(settings, policy)
    server, play = clerks(LOOKUP, Text("Done."))
    run = await play.start("clerk")
    if gated:
        [waiting] = await run.waits_for()
        await play.approvals.reject(waiting.id, reviewer="ada")
    await run.result()
    assert server.requests[1].permissions["mcpr_1"][0] is not gated


async def test_the_reviewer_is_told_that_a_condition_on_unchecked_arguments_opened_nothing(
    settings: Settings, clerks: Answering
) -> None:
    rehearsal = CHECKPOINT.format("deploy") + "when = 'args.dry_run != false'\nallow = true"
    write(settings, rehearsal)
    server, play = clerks(Asks("crm", "deploy", '{"dry_run": "false"}'), Text("Done."))
    run = await play.start("clerk")
    [waiting] = await run.waits_for()
    request = (await play.approvals.get(waiting.id)).request
    await play.approvals.reject(waiting.id, reviewer="ada")
    await run.result()
    assert request.checkpoint == "c"
    assert "can't be checked against a schema" in request.details
    assert server.requests[1].permissions["mcpr_1"][0] is False


MALFORMED = {
    "not JSON": "id=7",
    "an array": "[7]",
    "a name twice": '{"id": 7, "id": 8}',
    "NaN": '{"id": NaN}',
    "a number beyond floats": '{"id": 1e999}',
    "half a surrogate": '{"id": "\\ud800"}',
    "nested 101 deep": '{"id": ' + "[" * 101 + "]" * 101 + "}",
    "nested without end": '{"id": ' + "[" * 100_000,
}


@pytest.mark.parametrize("tool", ["erase", "lookup"])
@pytest.mark.parametrize("arguments", MALFORMED.values(), ids=MALFORMED)
async def test_arguments_that_nobody_could_read_are_refused_and_nobody_is_asked(
    clerks: Answering, arguments: str, tool: str
) -> None:
    server, play = clerks(Asks("crm", tool, arguments), Text("Sorry."))
    result = await (await play.start("clerk")).result()
    assert result.approvals == []
    approve, reason = server.requests[1].permissions["mcpr_1"]
    assert approve is False
    assert reason is not None
    assert reason.startswith(f"Nothing ran: the arguments of crm.{tool} ")


async def test_arguments_too_large_to_be_shown_are_refused_and_nobody_is_asked(
    clerks: Answering,
) -> None:
    large = json.dumps({"id": "x" * 300_000})
    server, play = clerks(Asks("crm", "erase", large), Text("Sorry."))
    result = await (await play.start("clerk")).result()
    assert result.approvals == []
    approve, reason = server.requests[1].permissions["mcpr_1"]
    assert approve is False
    assert str(reason).startswith("Nothing was asked and nothing ran: ")


async def test_a_server_that_the_agent_does_not_have_gets_no_permission(clerks: Answering) -> None:
    server, play = clerks(Asks("crm2", "lookup", "{}"), Text("never"))
    error, *_ = await (await play.start("clerk")).failure()
    assert getattr(error, "type", None) == "ModelBehaviorError"
    assert len(server.requests) == 1


async def test_a_rejection_that_stops_the_run_gives_no_permission(
    settings: Settings, clerks: Answering
) -> None:
    write(settings, POLICY + '    on_reject = "stop"\n')
    server, play = clerks(ERASE, Text("never"))
    run = await play.start("clerk")
    [waiting] = await run.waits_for()
    await play.approvals.reject(waiting.id, reviewer="ada", reason="never")
    error, *_ = await run.failure()
    assert getattr(error, "type", None) == "CollaborationError"
    assert "rejected: crm.erase: never" in str(error)
    assert len(server.requests) == 1

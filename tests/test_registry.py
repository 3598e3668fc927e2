"""Agents of one's own: a module on the path and one setting, nothing of ours touched."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from temporalio.openai_agents.testing import TestModelProvider as provider  # noqa: N813

import worker
from cli.settings import Settings
from tools import registry

from .agent_runs import Play, playing, using
from .conftest import Serve
from .gating import GATE_ALL, own
from .model_server import Call, Text, calls, model_server
from .support import PlayedModel, says, unique

Write = Callable[[str], str]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes a module onto the path and returns its name, which no other test uses."""
    names = []
    folder = tmp_path / "modules"
    folder.mkdir()

    def write(text: str) -> str:
        name = unique("team").replace("-", "_")
        (folder / f"{name}.py").write_text(dedent(text))
        monkeypatch.syspath_prepend(folder)
        names.append(name)
        return name

    yield write
    for name in names:
        sys.modules.pop(name, None)


def with_agents(settings: Settings, *modules: str) -> Settings:
    return settings.model_copy(update={"agents": modules})


PAYROLL = """
    from datetime import timedelta

    from agents import Agent, function_tool
    from temporalio import activity, workflow

    from tools.gate import idempotency_key


    @activity.defn
    async def pay_salary(name: str, key: str) -> str:
        return f"{name} was paid under {key}"


    @function_tool
    async def pay(name: str) -> str:
        return await workflow.execute_activity(
            pay_salary,
            args=[name, idempotency_key()],
            start_to_close_timeout=timedelta(seconds=30),
        )


    def build():
        return Agent(name="payroll", model="payroll-7b", tools=[pay])


    AGENTS = {"payroll": build}
    ACTIVITIES = [pay_salary]
"""


async def test_an_agent_of_a_module_of_ones_own_runs_with_its_own_model_gate_and_activity(
    settings: Settings, connection: dict[str, Any], module: Write
) -> None:
    mine = own(settings, module(PAYROLL), GATE_ALL)
    pay = Call("pay", json.dumps({"name": "Ada"}))
    async with (
        model_server(calls(pay), Text("Paid.")) as server,
        playing(using(mine, server, "responses"), connection) as play,
    ):
        assert play.serving.agents == ["assistant", "cleanup", "email", "payroll", "refund"]
        run = await play.start("payroll", "Pay Ada")
        [request] = await run.waits_for()
        assert request.action == 'pay {"name": "Ada"}'
        await play.approvals.approve(request.id, reviewer="grace")
        assert (await run.result()).output == "Paid."

    assert server.requests[0].body["model"] == "payroll-7b"
    assert server.requests[1].results == {"call_1": f"Ada was paid under {request.id}"}


async def test_an_unknown_agent_fails_the_run_and_lists_those_there_are(
    settings: Settings, serve: Serve
) -> None:
    async with serve(PlayedModel([says("never")])) as serving:
        error, *_ = await (await Play(settings, serving).start("payrol")).failure()

    assert getattr(error, "type", None) == "InvalidRequest"
    assert "'payrol'" in str(error)
    assert "assistant, cleanup, email, refund" in str(error)


AGENT = "from agents import Agent, function_tool\nfrom temporalio import activity\n"

BROKEN = {
    "an import fails": ("import nothing_of_that_name", "No module named 'nothing_of_that_name'"),
    "a syntax error": ("def build(:", "SyntaxError"),
    "it raises": ("raise RuntimeError('no database')", "no database"),
    "no AGENTS": ("agents = {}", "has no AGENTS"),
    "AGENTS is empty": ("AGENTS = {}", "has no AGENTS"),
    "AGENTS is a list": ("AGENTS = ['email']", "has no AGENTS"),
    "not a function": ("AGENTS = {'mine': 5}", "building the agent 'mine' fails"),
    "a factory raises": ("AGENTS = {'mine': lambda: 1 / 0}", "division by zero"),
    "a factory takes an argument": ("AGENTS = {'mine': lambda name: name}", "missing 1 required"),
    "not an agent": ("AGENTS = {'mine': lambda: 'me'}", "'me', not an Agent"),
    "a name that is no string": (AGENT + "AGENTS = {5: lambda: Agent(name='a')}", "AGENTS[5]"),
    "a name nobody can type": (AGENT + "AGENTS = {' ': lambda: Agent(name='a')}", "AGENTS[' ']"),
    "a name there is already": (
        AGENT + "AGENTS = {'email': lambda: Agent(name='a')}",
        "'email' exists already",
    ),
    "a model that is no name": (
        AGENT + "from agents import OpenAIResponsesModel\nfrom openai import AsyncOpenAI\n"
        "model = OpenAIResponsesModel('m', openai_client=AsyncOpenAI(api_key='k'))\n"
        "AGENTS = {'mine': lambda: Agent(name='a', model=model)}",
        "must name its model as a string",
    ),
    "a tool that needs a thread": (
        AGENT + "@function_tool\ndef look() -> str:\n    return ''\n"
        "AGENTS = {'mine': lambda: Agent(name='a', tools=[look])}",
        "'look' is a plain def",
    ),
    "a gated tool that needs a thread": (
        AGENT + "from tools.gate import gated\n@function_tool\ndef look() -> str:\n    return ''\n"
        "AGENTS = {'mine': lambda: Agent(name='a', tools=[gated(look)])}",
        "'look' is a plain def",
    ),
    "an agent behind a handoff": (
        AGENT + "@function_tool\ndef look() -> str:\n    return ''\n"
        "AGENTS = {'mine': lambda: Agent(name='a', handoffs=[Agent(name='b', tools=[look])])}",
        "'look' is a plain def",
    ),
    "an agent behind a handoff object": (
        AGENT + "from agents import handoff\n@function_tool\ndef look() -> str:\n    return ''\n"
        "AGENTS = {'mine': lambda: Agent('a', handoffs=[handoff(Agent('b', tools=[look]))])}",
        "'look' is a plain def",
    ),
    "an agent used as a tool": (
        AGENT + "@function_tool\ndef look() -> str:\n    return ''\n"
        "AGENTS = {'mine': lambda: Agent('a', tools=[Agent('b', tools=[look]).as_tool('b', '')])}",
        "'look' is a plain def",
    ),
    "a tool that can't be gated": (
        AGENT + "from agents import LocalShellTool\n"
        "AGENTS = {'mine': lambda: Agent(name='a', tools=[LocalShellTool(executor=print)])}",
        "can't be gated: it runs commands where the workflow runs",
    ),
    "MCP_SERVERS is no dictionary": (
        AGENT + "AGENTS = {'mine': lambda: Agent(name='a')}\nMCP_SERVERS = ['files']",
        "MCP_SERVERS is ['files'], not a dictionary",
    ),
    "an MCP server that is none": (
        AGENT + "AGENTS = {'mine': lambda: Agent(name='a')}\nMCP_SERVERS = {'files': 'npx'}",
        "MCP_SERVERS['files'] is no function under a name",
    ),
    "an MCP server whose factory takes too much": (
        AGENT + "AGENTS = {'mine': lambda: Agent(name='a')}\n"
        "MCP_SERVERS = {'files': lambda one, two: one}",
        "MCP_SERVERS['files'] takes more than one argument",
    ),
    "ACTIVITIES is no list": (
        AGENT + "AGENTS = {'mine': lambda: Agent(name='a')}\nACTIVITIES = None",
        "ACTIVITIES",
    ),
    "an activity that is none": (
        AGENT + "AGENTS = {'mine': lambda: Agent(name='a')}\nACTIVITIES = [print]",
        "print",
    ),
    "an activity there is already": (
        AGENT + "AGENTS = {'mine': lambda: Agent(name='a')}\n"
        "@activity.defn\nasync def send_email() -> None: ...\nACTIVITIES = [send_email]",
        "send_email",
    ),
}


@pytest.mark.parametrize(("text", "reason"), BROKEN.values(), ids=BROKEN)
async def test_a_broken_module_is_a_start_up_error_that_says_which_and_why(
    settings: Settings, connection: dict[str, Any], module: Write, text: str, reason: str
) -> None:
    model = PlayedModel([says("Hello.")])
    name = module(text)
    broken = worker.running(with_agents(settings, name), connection, model_provider=provider(model))
    with pytest.raises(worker.CannotServe) as raised:
        async with broken:
            pytest.fail("it serves")
    assert name in str(raised.value)
    assert reason in str(raised.value)

    async with worker.running(settings, connection, model_provider=provider(model)) as serving:
        assert serving.agents == ["assistant", "cleanup", "email", "refund"]
        run = await Play(settings, serving).start("assistant")
        assert (await run.result()).output == "Hello."


async def test_a_module_that_does_not_exist_is_a_start_up_error(
    settings: Settings, connection: dict[str, Any]
) -> None:
    broken = with_agents(settings, "no_such_team.agents")
    with pytest.raises(worker.CannotServe, match=r"^no_such_team\.agents: importing it fails"):
        async with worker.running(broken, connection, model_provider=provider(PlayedModel())):
            pytest.fail("it serves")


def test_a_broken_module_leaves_the_agents_as_they_were(module: Write) -> None:
    registry.load(["tools.samples", module(PAYROLL)])
    with pytest.raises(registry.BrokenModule):
        registry.load(["tools.samples", module("AGENTS = {}")])
    assert "payroll" in registry.names()
    assert registry.build("payroll").name == "payroll"


def test_two_modules_may_not_use_the_same_name(module: Write) -> None:
    first, second = module(PAYROLL), module(PAYROLL)
    with pytest.raises(registry.BrokenModule, match=f"{second}: the agent 'payroll' exists"):
        registry.load([first, second])


def test_every_run_gets_an_agent_of_its_own(module: Write) -> None:
    registry.load([module(PAYROLL)])
    assert registry.build("payroll") is not registry.build("payroll")

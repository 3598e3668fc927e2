"""Tools of MCP servers behind ``temporal_mcp_server``, over HTTP and in a process of their own: gated
like any other."""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from agents import Agent
from agents.agent import MCPConfig
from agents.mcp import MCPServer, MCPServerStdio, MCPServerStreamableHttp
from temporalio.openai_agents.workflow import temporal_mcp_server

import worker
from clearance import ApprovalClient
from cli.settings import Settings

from . import mcp_bank
from .agent_runs import Run, Start, played_by_one, told
from .conftest import Serve
from .gating import ALLOW_ALL, GATE_ALL, own
from .mcp_bank import LONG
from .office import decide, write
from .support import PlayedModel, call, unique


class Bank(uvicorn.Server):
    """The bank over HTTP, beside the tests."""

    address = ""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """They are the tests'."""
        yield


def bank() -> MCPServer:
    """The bank over HTTP."""
    return MCPServerStreamableHttp(params={"url": Bank.address}, name="bank")


def branch() -> MCPServer:
    """The bank in a process of its own, started by the worker."""
    arguments = [str(Path(mcp_bank.__file__)), str(mcp_bank.LEDGER)]
    return MCPServerStdio(params={"command": sys.executable, "args": arguments}, name="branch")


def _with_bank(
    config: MCPConfig | None = None, name: str = "bank", **options: Any
) -> Callable[[], Agent[Any]]:
    def build() -> Agent[Any]:
        servers = [temporal_mcp_server(name, **options)]
        return Agent(name="teller", mcp_servers=servers, mcp_config=config or MCPConfig())

    return build


AGENTS = {
    "teller": _with_bank(),
    "branch": _with_bank(name="branch"),
    "prefixed": _with_bank(MCPConfig(include_server_in_tool_names=True)),
    "always": _with_bank(require_approval="always"),
    "some": _with_bank(require_approval={"transfer": "always", "balance": "never"}),
    "never": _with_bank(require_approval="never"),
}
MCP_SERVERS = {"bank": bank, "branch": branch}

TRANSFERS_WAIT = """
    default = "allow"

    [[checkpoint]]
    checkpoint_id = "transfers"
    action_pattern = "^transfer"
    description_template = "Send {cents} to {to}"
    editable = ["cents"]
"""


@pytest.fixture(scope="module")
def settings(lasting: Settings) -> Settings:
    """With the agents of this module; transfers wait."""
    return own(lasting, __name__, TRANSFERS_WAIT)


@pytest.fixture(autouse=True)
def _policy(settings: Settings) -> Iterator[None]:
    yield
    write(settings, TRANSFERS_WAIT)


@pytest.fixture(scope="module")
async def _bank(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[None]:
    app = mcp_bank.server.streamable_http_app(stateless_http=True, json_response=True)
    with socket.create_server(("127.0.0.1", 0)) as listening, pytest.MonkeyPatch.context() as patch:
        patch.setattr(mcp_bank, "LEDGER", tmp_path_factory.mktemp("bank") / "ledger")
        patch.setattr(Bank, "address", f"http://127.0.0.1:{listening.getsockname()[1]}/mcp")
        running = Bank(uvicorn.Config(app, log_config=None, access_log=False))
        serving = asyncio.create_task(running.serve(sockets=[listening]))
        yield
        running.should_exit = True
        await serving


@pytest.fixture(scope="module")
async def play(settings: Settings, connection: dict[str, Any], _bank: None) -> AsyncIterator[Start]:
    async with played_by_one(settings, connection) as start:
        yield start


@pytest.fixture
def to() -> str:
    """Whom this test pays."""
    return unique("Ada")


def ledger(to: str) -> list[str]:
    """What the bank did for somebody."""
    file = mcp_bank.LEDGER
    lines = file.read_text().splitlines() if file.exists() else []
    return [line for line in lines if line.endswith(to)]


def transfer(to: str, name: str = "transfer", **further: Any) -> Any:
    return call(name, json.dumps({"to": to, "cents": 100, **further}))


@pytest.mark.parametrize(
    ("agent", "approved"), [("teller", True), ("teller", False), ("branch", True)]
)
async def test_a_tool_of_an_mcp_server_waits_for_a_person(
    play: Start, approvals: ApprovalClient, to: str, agent: str, approved: bool
) -> None:
    looked = call("balance", json.dumps({"of": to}), "call_0")
    async with play([looked], [transfer(to)], agent=agent) as (run, model):
        [waiting] = await run.waits_for()
        assert (waiting.action, waiting.tool) == (f"Send 100 to {to}", "transfer")
        assert ledger(to) == [f"balance of {to}"]
        await approvals.decide(waiting.id, approved=approved, reviewer="ada", reason="because")
        await run.result()
    assert ledger(to)[1:] == ([f"transferred 100 to {to}"] if approved else [])
    assert (told(model)["call_1"] == "Rejected: because") is not approved


async def test_an_mcp_server_gets_the_arguments_that_a_person_changed(
    play: Start, approvals: ApprovalClient, to: str
) -> None:
    async with play([transfer(to)], agent="teller") as (run, model):
        [waiting] = await run.waits_for()
        await decide(approvals, waiting.id, arguments={"to": to, "cents": 80})
        await run.result()
    assert ledger(to) == [f"transferred 80 to {to}"]
    assert "cents: 100 became 80" in str(told(model)["call_1"])


async def test_arguments_that_do_not_fit_the_servers_schema_are_told_and_nobody_is_asked(
    play: Start, to: str
) -> None:
    wrong = transfer(to, cents="a hundred")
    async with play([wrong], agent="teller") as (run, model):
        assert (await run.result()).approvals == []
    assert "cents: must be integer" in told(model)["call_1"]
    assert ledger(to) == []


PREFIXED = {
    "the server's own name": ("^transfer$", "mcp_bank__transfer"),
    "the whole name": ("^mcp_bank__transfer$", "mcp_bank__transfer"),
    "the server": ("^mcp_bank__", "mcp_bank__balance"),
}


@pytest.mark.parametrize(("pattern", "name"), PREFIXED.values(), ids=PREFIXED)
async def test_a_prefix_before_the_name_takes_no_tool_past_its_checkpoint(
    play: Start, approvals: ApprovalClient, settings: Settings, to: str, pattern: str, name: str
) -> None:
    write(
        settings,
        f'default = "allow"\n[[checkpoint]]\ncheckpoint_id = "c"\naction_pattern = "{pattern}"',
    )
    wanted = call(name, json.dumps({"of": to})) if "balance" in name else transfer(to, name)
    async with play([wanted], agent="prefixed") as (run, _):
        [waiting] = await run.waits_for()
        assert (waiting.tool, waiting.checkpoint) == (name, "c")
        await approvals.reject(waiting.id, reviewer="ada")
        await run.result()
    assert ledger(to) == []


async def test_a_name_that_was_cut_to_fit_is_gated_by_what_is_left_of_it(
    play: Start, approvals: ApprovalClient, settings: Settings, to: str
) -> None:
    write(
        settings,
        'default = "allow"\n[[checkpoint]]\ncheckpoint_id = "c"\naction_pattern = "^transfer_between"',
    )
    async with play(agent="prefixed") as (run, _):
        await run.result()
    name = await _offered(run, f"mcp_bank__{LONG}"[:40])
    assert len(name) <= 64
    async with play([call(name, json.dumps({"to": to}))], agent="prefixed") as (run, _):
        [waiting] = await run.waits_for()
        assert waiting.tool == name
        await approvals.reject(waiting.id, reviewer="ada")
        await run.result()
    assert ledger(to) == []


async def _offered(run: Run, beginning: str) -> str:
    """The whole name of a tool, as the run offered it to its model."""
    stored = (await run.stored()).decode(errors="replace")
    start = stored.index(beginning)
    return stored[start : stored.index('"', start)]


@pytest.mark.parametrize("agent", ["always", "some"])
async def test_a_servers_own_require_approval_stops_a_call_that_the_policy_lets_through(
    play: Start, approvals: ApprovalClient, settings: Settings, to: str, agent: str
) -> None:
    write(settings, ALLOW_ALL)
    async with play([transfer(to)], agent=agent) as (run, _):
        [waiting] = await run.waits_for()
        request = (await approvals.get(waiting.id)).request
        assert request.details == "transfer itself wants this call approved."
        await approvals.approve(waiting.id, reviewer="ada")
        await run.result()
    assert ledger(to) == [f"transferred 100 to {to}"]


async def test_a_servers_own_never_opens_no_gate_of_the_policy(
    play: Start, approvals: ApprovalClient, settings: Settings, to: str
) -> None:
    write(settings, GATE_ALL)
    async with play([transfer(to)], agent="never") as (run, _):
        [waiting] = await run.waits_for()
        await approvals.reject(waiting.id, reviewer="ada")
        await run.result()
    assert ledger(to) == []


async def test_a_server_that_no_module_brings_is_refused_at_the_workers_start(
    settings: Settings, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = Agent[Any](name="x", mcp_servers=[temporal_mcp_server("nowhere")])
    monkeypatch.setitem(AGENTS, "lost", lambda: Agent(name="front", handoffs=[agent]))
    with pytest.raises(worker.CannotServe) as raised:
        async with serve(PlayedModel()):
            pytest.fail("it serves")
    assert str(raised.value) == (
        f"{__name__}: the agent 'lost' uses the MCP server 'nowhere', which is in no MCP_SERVERS"
    )

"""The worker process: ``clearance worker``, which is ``python worker.py``."""

import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from clearance import ApprovalClient, attributes
from clearance.runs import AgentRun, start_run
from cli.settings import Settings
from tests.model_server import Call, ModelServer, Text, calls, model_server
from tests.raw import history, only
from tests.support import eventually

from .conftest import COMMAND, REPOSITORY, Running, Shell, only_line

_AGENTS = '''
import asyncio, pathlib
from datetime import timedelta
from agents import Agent, function_tool
from temporalio import activity, workflow

FOLDER = pathlib.Path({folder!r})

@activity.defn
async def press() -> str:
    """Takes until somebody says that it may end."""
    with (FOLDER / "press.log").open("a") as log:
        log.write("started\\n")
        log.flush()
        while not (FOLDER / "may-end").exists():
            await asyncio.sleep(0.02)
        log.write("finished\\n")
    return "pressed"

@function_tool
async def press_button() -> str:
    """Press it."""
    return await workflow.execute_activity(press, start_to_close_timeout=timedelta(minutes=5))

AGENTS = {{"presser": lambda: Agent(name="presser", instructions="Press.", tools=[press_button])}}
ACTIVITIES = [press]
'''


@asynccontextmanager
async def _started(shell: Shell, how: str, *flags: str) -> AsyncIterator[Running]:
    command, first = (COMMAND, "worker") if "clearance" in how else (sys.executable, "worker.py")
    async with shell.start(first, *flags, command=command, cwd=REPOSITORY) as running:
        yield running


def _with_model(shell: Shell, model: ModelServer) -> Shell:
    return shell.having(OPENAI_BASE_URL=model.url, OPENAI_API_KEY=model.key)


@pytest.mark.parametrize("start", ["clearance worker", "python worker.py"])
async def test_its_first_line_says_where_it_is_and_what_it_serves_and_stopped_it_counts_no_more(
    cli: Shell, settings: Settings, start: str
) -> None:
    begun = cli.cold() if "python" in start else cli
    shell = begun.having(OPENAI_BASE_URL="http://127.0.0.1:1/v1")
    async with _started(shell, start) as worker:
        await worker.says("approvals on")
        worker.signal(signal.SIGTERM)
        ended = await worker.ends()
    assert (ended.code, ended.out) == (0, "")
    first, *rest = ended.err.splitlines()
    assert first == (
        f"clearance worker: connected to {cli.env['TEMPORAL_ADDRESS']}, namespace default; "
        f"agents on {settings.agents_queue}: assistant, cleanup, email, refund; "
        "policy checkpoints.toml; "
        f"approvals on {settings.approvals_queue}"
    )
    assert rest == [
        "clearance worker: stopping, running activities may finish",
        "clearance worker: stopped",
    ]
    found = {check["check"]: check["ok"] for check in (await cli("doctor", "--json")).json}
    assert (found["approvals worker"], found["agents worker"]) == (False, False)
    assert "no worker serves agents" in only_line(await cli("run", "Go.", "--no-wait"), 1)


@pytest.mark.parametrize(
    ("start", "number"),
    [("clearance worker", signal.SIGTERM), ("python worker.py", signal.SIGINT)],
)
async def test_asked_to_stop_it_finishes_what_runs_and_exits_0(
    cli: Shell,
    settings: Settings,
    temporal: Client,
    number: signal.Signals,
    start: str,
) -> None:
    (cli.folder / "button.py").write_text(_AGENTS.format(folder=str(cli.folder)))
    log = cli.folder / "press.log"
    async with model_server(calls(Call("press_button", "{}")), Text("Pressed.")) as model:
        shell = _with_model(cli, model).having(
            CLEARANCE_AGENTS="button", PYTHONPATH=str(cli.folder)
        )
        async with _started(shell, start) as worker:
            await worker.says("assistant, cleanup, email, presser, refund")
            run = AgentRun(agent="presser", prompt="Press it.")
            handle = await start_run(temporal, run, task_queue=settings.agents_queue)

            async def pressing() -> bool:
                return log.exists() and log.read_text() == "started\n"

            await eventually(pressing, within=60)
            worker.signal(number)
            await worker.says("stopping")
            (cli.folder / "may-end").touch()
            ended = await worker.ends()
        assert (ended.code, log.read_text()) == (0, "started\nfinished\n")
        done = only(await history(handle), EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED)
        said = [event.activity_task_completed_event_attributes.result for event in done]
        assert any(b"pressed" in payload.data for one in said for payload in one.payloads)
        async with _started(shell, start):
            assert (await handle.result())["output"] == "Pressed."
    assert log.read_text() == "started\nfinished\n"


async def test_an_agents_module_beside_the_shell_is_found_and_without_a_policy_every_tool_waits(
    cli: Shell,
) -> None:
    (cli.folder / "button.py").write_text(_AGENTS.format(folder=str(cli.folder)))
    shell = cli.having(CLEARANCE_AGENTS="button", OPENAI_BASE_URL="http://127.0.0.1:1/v1")
    async with shell.start("worker") as worker:
        await worker.says("presser")
        await worker.says("no policy file, so every tool waits")


async def test_without_a_model_it_serves_approvals_and_says_why_agents_are_off(
    cli: Shell, approvals: ApprovalClient
) -> None:
    async with cli.start("worker") as worker:
        await worker.says("agents are off, no model is configured: set OPENAI_API_KEY, or OPENAI_")
        asked = await approvals.request("Deploy")
        assert (await cli("approve", asked.id)).code == 0
        assert "no worker serves agents" in only_line(await cli("run", "Go."), 1)


async def test_only_approvals_serves_no_agents(cli: Shell) -> None:
    shell = cli.having(OPENAI_BASE_URL="http://127.0.0.1:1/v1")
    async with shell.start("worker", "--only", "approvals") as worker:
        line = await worker.says("clearance worker: connected.*\n")
        assert "approvals on" in line[0]
        assert "agents" not in line[0]
        assert "no worker serves agents" in only_line(await cli("run", "Go."), 1)


async def test_only_agents_leaves_approvals_to_others(
    cli: Shell, approvals: ApprovalClient
) -> None:
    shell = cli.having(OPENAI_BASE_URL="http://127.0.0.1:1/v1")
    async with shell.start("worker", "--only", "agents") as worker:
        line = await worker.says("clearance worker: connected.*\n")
        assert "agents on" in line[0]
        assert "approvals on" not in line[0]
        asked = await approvals.request("Deploy")
        assert "when a worker is back" in (await cli("approve", asked.id)).out


async def test_only_agents_without_a_model_is_an_error(cli: Shell) -> None:
    said = only_line(await cli("worker", "--only", "agents"), 1)
    assert "no model is configured: set OPENAI_API_KEY, or OPENAI_BASE_URL" in said


@pytest.mark.parametrize(
    ("module", "text", "says"),
    [
        ("missing_agents", None, "No module named 'missing_agents'"),
        ("raising_agents", "1 / 0", "ZeroDivisionError"),
        ("empty_agents", "", "has no AGENTS"),
        ("odd_agents", "AGENTS = {'odd': lambda: 7}", "returns 7, not an Agent"),
        (
            "twin_agents",
            "from agents import Agent\nAGENTS = {'email': lambda: Agent(name='email')}",
            "the agent 'email' exists already",
        ),
    ],
)
async def test_a_broken_agents_module_is_one_line(
    cli: Shell, module: str, text: str | None, says: str
) -> None:
    if text is not None:
        (cli.folder / f"{module}.py").write_text(text)
    shell = cli.having(
        CLEARANCE_AGENTS=module,
        PYTHONPATH=str(cli.folder),
        OPENAI_BASE_URL="http://127.0.0.1:1/v1",
    )
    said = only_line(await shell("worker"), 1)
    assert says in said
    assert module in said


async def test_a_broken_policy_stops_it_with_the_line_of_every_fault(cli: Shell) -> None:
    policy = cli.folder / "checkpoints.toml"
    policy.write_text('default = "maybe"\n\n[[checkpoint]]\naction_pattern = "*"\n')
    for shell in (cli, cli.having(OPENAI_BASE_URL="http://127.0.0.1:1/v1")):
        ended = await shell("worker")
        assert ended.code == 1
        said = ended.err.splitlines()
        assert len(said) == 3
        assert all("checkpoints.toml:" in line for line in said)
        assert "checkpoints.toml:1: default" in said[0]
        assert "checkpoints.toml:4: " in ended.err


async def test_an_agent_that_nothing_could_stop_keeps_it_from_starting(cli: Shell) -> None:
    (cli.folder / "searching.py").write_text(
        "from agents import Agent, WebSearchTool\n"
        "AGENTS = {'searcher': lambda: Agent(name='searcher', tools=[WebSearchTool()])}\n"
    )
    shell = cli.having(OPENAI_BASE_URL="http://127.0.0.1:1/v1", CLEARANCE_AGENTS="searching")
    said = only_line(await shell("worker"), 1)
    assert "'web_search' runs at the model's provider" in said
    (cli.folder / "checkpoints.toml").write_text('default = "allow"\n')
    async with shell.start("worker") as worker:
        await worker.says("searcher")


async def test_a_mail_server_that_is_none_is_one_line(cli: Shell) -> None:
    shell = cli.having(
        CLEARANCE_SMTP_URL="imap://mail.example.com", OPENAI_BASE_URL="http://127.0.0.1:1/v1"
    )
    assert "smtp://host:port" in only_line(await shell("worker"), 1)


async def test_it_registers_missing_search_attributes_itself(
    bare: Shell, untouched: Client
) -> None:
    assert len(await attributes.missing(untouched)) == len(attributes.KEYS)
    async with bare.start("worker") as worker:
        await worker.says("approvals on")
        asked = await bare("request", "Deploy", "--json")
        assert asked.code == 0, asked.err
        assert (await bare("approve", json.loads(asked.out)["id"])).code == 0
    assert await attributes.missing(untouched) == []

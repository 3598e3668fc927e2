"""What docs/bring-your-own.md shows: an agent gated by policy alone, a package with only the client."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError

import worker
from clearance import ApprovalClient, ApprovalSummary
from clearance.runs import AgentRun, start_run
from cli.settings import EmbeddedServer, Settings

from .conftest import Serve
from .support import PlayedModel, call, eventually, pinned_date, run, says, unique

ROOT = Path(__file__).parent.parent
PAYROLL = ROOT / "docs" / "examples" / "payroll"
TRANSFERS = ROOT / "docs" / "examples" / "transfers"
ADA = '{"employee": "Ada", "cents": 120000}'


@pytest.fixture
def settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """As somebody in the example's folder would set them."""
    monkeypatch.syspath_prepend(PAYROLL)
    return settings.model_copy(
        update={"agents": ("payroll",), "policy": PAYROLL / "checkpoints.toml"}
    )


async def _first(approvals: ApprovalClient, run_id: str) -> ApprovalSummary:
    async def probe() -> list[ApprovalSummary]:
        return [one async for one in approvals.pending(run=run_id)]

    return (await eventually(probe))[0]


@pytest.mark.parametrize("approved", [True, False])
async def test_a_teams_own_tools_wait_by_the_policy_alone(
    serve: Serve, settings: Settings, approvals: ApprovalClient, temporal: Client, approved: bool
) -> None:
    model = PlayedModel(
        [call("look_up_salary", '{"employee": "Ada"}')],
        [call("pay", ADA, "call_2")],
        [says("Paid.")],
    )
    async with serve(model):
        wanted = AgentRun(
            agent="payroll", prompt="Pay Ada", approvals_queue=settings.approvals_queue
        )
        handle = await start_run(temporal, wanted, task_queue=settings.agents_queue)
        waiting = await _first(approvals, handle.id)
        assert waiting.action == "Pay Ada 120000 cents"
        assert waiting.checkpoint == "salaries"
        assert waiting.audience == ("cfo@example.com",)
        assert "120000" in str(model.inputs[-1])  # looking up waited for nobody

        await approvals.decide(waiting.id, approved=approved, reviewer="cfo@example.com")

        if approved:
            assert (await handle.result())["output"] == "Paid."
            assert f"paid Ada 1200.00 ({waiting.id})" in str(model.inputs[-1])
        else:
            with pytest.raises(WorkflowFailureError) as raised:
                await handle.result()
            assert isinstance(raised.value.cause, ApplicationError)
            assert str(raised.value.cause).startswith("CollaborationError: rejected")


def test_the_example_policy_covers_every_tool_of_the_example(settings: Settings) -> None:
    tools = {one.tool for one in worker.registered_tools(settings) if one.agent == "payroll"}

    assert tools == {"look_up_salary", "pay"}


@pytest.fixture(scope="module")
def python_with_the_client_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that has the example package and what it needs, and nothing of ours besides."""
    folder = tmp_path_factory.mktemp("transfers")
    run("uv", "venv", "-q", "--python", sys.executable, str(folder / "venv"), cwd=folder)
    python = folder / "venv" / "bin" / "python"
    run(
        *("uv", "pip", "install", "-q", "--python", str(python)),
        *("--exclude-newer", pinned_date(), str(ROOT / "client"), str(TRANSFERS)),
        cwd=folder,
    )
    return python


@asynccontextmanager
async def _transfers(python: Path, server: EmbeddedServer) -> AsyncIterator[None]:
    """The example's own worker process."""
    process = await asyncio.create_subprocess_exec(
        *(str(python), "-m", "transfers"),
        env={"PATH": os.environ["PATH"], "TEMPORAL_ADDRESS": server.address},
        cwd=python.parent,
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()


async def test_a_workflow_in_a_package_with_only_the_client_installed_asks_and_obeys(
    python_with_the_client_alone: Path, temporal: Client, server: EmbeddedServer
) -> None:
    installed = json.loads(
        run(
            *("uv", "pip", "list", "--format", "json", "--python"),
            str(python_with_the_client_alone),
            cwd=ROOT,
        )
    )
    assert not {one["name"] for one in installed} & {"clearance", "openai-agents", "typer"}
    # The names of the default queues: this test is the only one in its process that serves them.
    async with (
        worker.running(Settings(), {"target_host": server.address}, only="approvals"),
        _transfers(python_with_the_client_alone, server),
    ):
        approvals = ApprovalClient(temporal)
        handle = await temporal.start_workflow(
            "Transfer", args=["ACME", 500], id=unique("transfer"), task_queue="transfers"
        )
        waiting = await _first(approvals, handle.id)
        view = await approvals.get(waiting.id)
        await approvals.decide(
            waiting.id,
            approved=True,
            reviewer="cfo@example.com",
            digest=view.digest,
            arguments={**view.request.arguments, "amount": 80},
        )
        assert await handle.result() == f"sent 80 EUR to ACME ({waiting.id})"

        other = await temporal.start_workflow(
            "Transfer", args=["ACME", 500], id=unique("transfer"), task_queue="transfers"
        )
        asked = await _first(approvals, other.id)
        await approvals.reject(asked.id, reviewer="cfo@example.com", reason="not this year")
        assert await other.result() == "not sent: not this year"

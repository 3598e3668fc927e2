"""What the README says is so: every command and setting is in it, and its examples run."""

import asyncio
import os
import re
import sys
import sysconfig
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.openai_agents.testing import TestModelProvider
from temporalio.worker import Worker

import worker
from clearance import ApprovalClient, ApprovalRequest, connect, contract
from clearance.runs import AgentRun, start_run
from cli.settings import EmbeddedServer, Settings
from policy.model import Checkpoint, Policy
from tools import kinds

from .commands import every_command
from .support import PlayedModel, call, eventually, says, unique

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def example(name: str) -> str:
    """The code block that follows ``<!-- example: name -->``."""
    found = re.search(rf"<!-- example: {name} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert found, f"the README has no example {name}"
    return found[1]


def test_every_command_is_in_the_readme() -> None:
    for command, _ in every_command():
        assert f"clearance {command}" in README


def test_every_key_of_the_policy_is_in_its_documentation_and_in_the_sample() -> None:
    said = (ROOT / "docs" / "checkpoints.md").read_text()
    sample = (ROOT / "checkpoints.toml").read_text()
    for key in [*Policy.model_fields, *Checkpoint.model_fields]:
        assert f"`{key}`" in said or f"`[[{key}]]`" in said, key
        assert key in sample, key


def test_every_kind_of_tool_is_in_the_documentation() -> None:
    said = (ROOT / "docs" / "checkpoints.md").read_text().lower()
    for kind in [*kinds.AT_THE_PROVIDER, *kinds.REFUSED]:
        words = re.findall("[A-Z][a-z]+", kind.__name__.removesuffix("Tool"))
        assert " ".join(words).lower() in said, kind


def test_every_setting_is_in_the_readme() -> None:
    for name, field in Settings.model_fields.items():
        variable = field.validation_alias or f"CLEARANCE_{name.upper()}"
        assert f"`{variable}`" in README


def test_every_file_the_readme_names_exists() -> None:
    root = Path(__file__).parent.parent
    for path in re.findall(r"`((?:tests|docs)/[\w./]+)`|\]\(((?!http)[\w./]+)\)", README):
        assert (root / (path[0] or path[1])).exists(), path


async def test_the_client_example_decides(temporal: Client, server: EmbeddedServer) -> None:
    async with worker.running(Settings(), {"target_host": server.address}, only="approvals"):
        client = ApprovalClient(temporal)
        asked = await client.request(ApprovalRequest(action="Open the valve", risk="critical"))
        await eventually(lambda: _listed(client, asked.id))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", example("client")),
            env={**os.environ, "TEMPORAL_ADDRESS": server.address},
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await process.communicate()
        assert f"rejected {asked.id} Open the valve" in said.decode()
        assert (await client.wait(asked.id)).status == "rejected"


async def test_the_script_example_gates_what_follows(
    temporal: Client, server: EmbeddedServer
) -> None:
    scripts = sysconfig.get_path("scripts")
    reviewer = unique("reviewer")
    async with worker.running(Settings(), {"target_host": server.address}, only="approvals"):
        process = await asyncio.create_subprocess_exec(
            *("sh", "-c", example("script")),
            env={
                **os.environ,
                "TEMPORAL_ADDRESS": server.address,
                "PATH": f"{scripts}:{os.environ['PATH']}",
                "CLEARANCE_REVIEWER": reviewer,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        client = ApprovalClient(temporal)

        async def asked() -> list[str]:
            return [one.id async for one in client.pending(requester=reviewer)]

        (approval_id,) = await eventually(asked)
        await client.approve(approval_id, reviewer="ada")
        said, _ = await process.communicate()
        assert process.returncode == 0
        assert said.decode().splitlines()[-1] == "deploying"


async def test_the_workflow_example_asks_and_acts_on_the_answer(
    temporal: Client, server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = unique("transfer").replace("-", "_")
    (tmp_path / f"{module}.py").write_text(example("workflow"))
    monkeypatch.syspath_prepend(tmp_path)
    transfer = __import__(module).Transfer
    queue = unique("transfers")
    connection = {"target_host": server.address}
    async with (
        worker.running(Settings(), connection, only="approvals"),
        Worker(await connect(connection), task_queue=queue, workflows=[transfer]),
    ):
        handle = await temporal.start_workflow("Transfer", 80, id=queue, task_queue=queue)
        client = ApprovalClient(temporal)
        approval_id = contract.child_id(handle.id, 1)
        await eventually(lambda: _listed(client, approval_id))
        await client.approve(approval_id, reviewer="CFO@example.com")
        assert await handle.result() == "sent"


async def test_the_agents_example_runs_with_its_own_activity(
    temporal: Client,
    settings: Settings,
    server: EmbeddedServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "salaries.py").write_text(example("agents"))
    (tmp_path / "checkpoints.toml").write_text(example("policy"))
    monkeypatch.syspath_prepend(tmp_path)
    model = PlayedModel([call("pay", '{"employee": "Ada", "cents": 120000}')], [says("Paid.")])
    policy = tmp_path / "checkpoints.toml"
    mine = settings.model_copy(update={"agents": ("salaries",), "policy": policy})
    connection = {"target_host": server.address}
    async with worker.running(mine, connection, model_provider=TestModelProvider(model)):
        run = AgentRun(agent="payroll", prompt="Pay Ada", approvals_queue=mine.approvals_queue)
        handle = await start_run(temporal, run, task_queue=mine.agents_queue)
        client = ApprovalClient(temporal, task_queue=mine.approvals_queue)
        approval_id = contract.child_id(handle.id, 1)
        await eventually(lambda: _listed(client, approval_id))
        assert (await client.get(approval_id)).request.action == "Pay Ada 120000 cents"
        await client.approve(approval_id, reviewer="cfo@example.com")
        assert (await handle.result())["output"] == "Paid."
        assert f"paid Ada 1200.00 ({approval_id})" in str(model.inputs[-1])


async def _listed(client: ApprovalClient, approval_id: str) -> bool:
    return approval_id in [one.id async for one in client.pending()]

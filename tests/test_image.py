"""The image: what its files promise, and the health check that it carries."""

import asyncio
import contextlib
import importlib.util
import os
import re
import sqlite3
import sys
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from clearance import ApprovalClient
from clearance.workers import has_worker
from cli.settings import EmbeddedServer, Settings
from web.config import DEFAULT_PORT, WebConfig
from web.server import running
from workflows.approval import ApprovalWorkflow

from .conftest import Serve
from .support import PlayedModel, eventually, unique

ROOT = Path(__file__).parents[1]
HEALTHY = ROOT / "deploy" / "healthy.py"
READY = ROOT / "deploy" / "ready.py"
DOCKERFILE = (ROOT / "Dockerfile").read_text()


async def health(
    server: str, settings: Settings, *only: str, **environment: str
) -> tuple[int | None, str]:
    """Exit code and words of the health check in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(HEALTHY), *only),
        env={
            "PATH": os.environ["PATH"],
            "TEMPORAL_ADDRESS": server,
            "CLEARANCE_STATE": str(settings.state),
            "CLEARANCE_APPROVALS_QUEUE": settings.approvals_queue,
            "CLEARANCE_AGENTS_QUEUE": settings.agents_queue,
            **environment,
        },
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    return process.returncode, said.decode().strip()


def test_every_image_it_is_built_from_has_a_pinned_tag() -> None:
    images = re.findall(r"(?:^FROM |--from=)(\S*[:/]\S+)", DOCKERFILE, re.MULTILINE)
    assert len(images) == 3
    for image in images:
        assert re.search(r":\d+\.\d+[\w.-]*$", image), image


def test_it_runs_as_a_user_with_a_fixed_number_that_is_not_root() -> None:
    user = re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE)[-1]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)


def test_the_final_stage_has_no_build_tool_and_starts_the_worker() -> None:
    final = DOCKERFILE.rpartition("\nFROM ")[2]
    assert not re.search(r"\buv\b|apt-get|pip install", final)
    assert 'ENTRYPOINT ["clearance"]\nCMD ["worker"]' in final


def test_it_brings_the_driver_of_every_database_that_the_inbox_takes() -> None:
    installs = re.findall(r"uv sync .*", DOCKERFILE)
    assert len(installs) == 2
    assert all("--extra postgresql" in command for command in installs)


def test_it_names_the_port_of_the_inbox() -> None:
    assert re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE) == [str(DEFAULT_PORT)]


def test_all_that_the_packages_are_built_from_reaches_the_image_and_no_secret_does() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    allowed = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    built_from = project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    assert rules[0] == "*"
    assert allowed == {
        *built_from,
        *project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"],
        *project["tool"]["uv"]["workspace"]["members"],
        *project["project"]["license-files"],
        *("pyproject.toml", project["project"]["readme"]),
        *("deploy/healthy.py", "deploy/ready.py"),
    }


async def test_a_worker_that_polls_is_healthy(
    server: EmbeddedServer, settings: Settings, serve: Serve
) -> None:
    async with serve(PlayedModel()):
        assert await health(server.address, settings, OPENAI_API_KEY="set") == (0, "")


async def test_a_worker_that_lacks_a_queue_it_should_serve_is_not_healthy(
    server: EmbeddedServer, settings: Settings, serve: Serve
) -> None:
    async with serve():
        assert await health(server.address, settings) == (0, "")
        assert await health(server.address, settings, OPENAI_API_KEY="set") == (
            1,
            f"this worker does not poll {settings.agents_queue}",
        )


async def test_a_worker_of_one_queue_is_asked_for_that_alone(
    server: EmbeddedServer, settings: Settings, serve: Serve
) -> None:
    async with serve():
        assert await health(server.address, settings, "approvals", OPENAI_API_KEY="set") == (0, "")
        code, said = await health(server.address, settings, "agents")
    assert (code, said) == (1, f"this worker does not poll {settings.agents_queue}")


async def test_another_hosts_worker_does_not_make_this_one_healthy(
    server: EmbeddedServer, settings: Settings, temporal: Client
) -> None:
    elsewhere = Worker(
        temporal,
        task_queue=settings.approvals_queue,
        workflows=[ApprovalWorkflow],
        identity=unique("1@elsewhere"),
    )
    async with elsewhere:
        await eventually(lambda: has_worker(temporal, settings.approvals_queue))
        code, said = await health(server.address, settings)
    assert (code, said) == (1, f"this worker does not poll {settings.approvals_queue}")


async def test_a_worker_that_no_longer_asks_for_work_is_not_healthy(
    settings: Settings, temporal: Client, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = importlib.util.spec_from_file_location("healthy", HEALTHY)
    assert source is not None
    assert source.loader is not None
    healthy = importlib.util.module_from_spec(source)
    source.loader.exec_module(healthy)
    async with serve():
        assert await healthy.polls(temporal, settings.approvals_queue)
        monkeypatch.setattr(healthy, "SILENT", timedelta(0))
        assert not await healthy.polls(temporal, settings.approvals_queue)


async def test_no_answer_from_temporal_is_not_healthy(
    settings: Settings, unused_tcp_port: int
) -> None:
    code, said = await health(f"127.0.0.1:{unused_tcp_port}", settings)
    assert code == 1
    assert said.startswith("cannot reach Temporal at 127.0.0.1:")
    assert "\n" not in said


async def readiness(port: int) -> tuple[int | None, str]:
    """Exit code and words of the inbox's check in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(READY)),
        env={"CLEARANCE_WEB_PORT": str(port), "http_proxy": "http://127.0.0.1:9"},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    return process.returncode, said.decode().strip()


async def test_an_inbox_that_can_serve_is_ready_and_one_whose_database_is_gone_is_not(
    approvals: ApprovalClient, tmp_path: Path
) -> None:
    config = WebConfig(port=0, database=f"sqlite:///{tmp_path / 'db'}")
    async with running(config, approvals) as inbox:
        port = int(inbox.url.rpartition(":")[2])
        assert await readiness(port) == (0, "")
        with contextlib.closing(sqlite3.connect(tmp_path / "db")) as file:
            file.execute("DROP TABLE sessions")

        async def unready() -> str:
            code, said = await readiness(port)
            return said if code == 1 else ""

        assert "no answer from: database" in await eventually(unready)


async def test_no_inbox_is_not_ready(unused_tcp_port: int) -> None:
    code, said = await readiness(unused_tcp_port)
    assert code == 1
    assert said.startswith(f"no answer on port {unused_tcp_port}: ")
    assert "\n" not in said

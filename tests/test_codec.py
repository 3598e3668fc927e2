"""Encryption at work: what Temporal's database holds, and who reads it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.openai_agents.testing import TestModelProvider

import worker
from clearance import ApprovalClient, ApprovalRequest, attributes, connect, keyfile, keys, reading
from clearance.keys import InvalidKeys
from clearance.legible import UNREADABLE
from clearance.timeline import timeline
from cli import embedded
from cli.settings import EmbeddedServer, Settings
from web.config import WebConfig
from web.server import running

from .agent_runs import Play
from .cli.conftest import SCRIPTS, Shell
from .encrypting import KEPT, MARK, kept, live, marked, marked_model
from .office import ADA, GRACE
from .support import eventually, unique

ENCRYPTION = keys.KINDS["encryption"]


@pytest.fixture(scope="module")
async def on_disk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedServer]:
    """A server that keeps a file."""
    state = tmp_path_factory.mktemp("disk")
    async with embedded.server(state, ports=(0, 0)) as running:
        yield running


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    keyfile.create(path, keys.new(ENCRYPTION))
    return path


@asynccontextmanager
async def playing(settings: Settings, address: str) -> AsyncIterator[Play]:
    connection = {"target_host": address}
    provider = TestModelProvider(marked_model())
    async with worker.running(settings, connection, model_provider=provider) as serving:
        yield Play(settings, serving)


async def test_nothing_that_was_written_is_in_the_database_and_all_of_it_is_readable(
    settings: Settings, key_file: Path, tmp_path: Path
) -> None:
    open_settings = marked(settings)
    closed = open_settings.model_copy(update={"encryption_keys": key_file})
    state = tmp_path / "disk"
    async with embedded.server(state, ports=(0, 0)) as server:
        async with playing(closed, server.address) as play:
            ids = await live(play)
            assert MARK.encode() not in kept(state)

            keyfile.change(key_file, now=True)  # and nobody is told
            runs = play.serving.client.list_workflows("WorkflowType = 'AgentWorkflow'")
            [run] = [one async for one in runs]
            told = await timeline(play.serving.client, run.id)
            shown = repr(told) + "".join([repr(await play.approvals.get(id)) for id in ids])
            shown += "".join([repr(one) async for one in play.approvals.history()])
            missing = [word for word in KEPT if word not in shown]
            assert missing == [f"{MARK}-{word}" for word in ("stumble", "malformed", "stored")]
            assert told.failure and f"{MARK}-refusal" in told.failure
            ids += await live(play)
            assert MARK.encode() not in kept(state)
            async with connected(closed, server.address) as other:
                assert (await other.get(ids[-1])).request.action == "Wait"

        # The same where nothing is encrypted: else the search above would prove nothing.
        async with playing(open_settings, server.address) as play:
            await live(play)
    found = kept(state)
    assert [word for word in KEPT if word.encode() not in found] == []


@asynccontextmanager
async def connected(settings: Settings, address: str) -> AsyncIterator[ApprovalClient]:
    client = await connect({"target_host": address}, keys=settings.encryption_keys)
    yield ApprovalClient(client, task_queue=settings.approvals_queue)

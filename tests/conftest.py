"""A real Temporal server for the whole session; fresh queues for every test."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

# Before anything of ours is imported: no test may depend on the machine's own settings.
for name in [n for n in os.environ if n.startswith(("CLEARANCE_", "TEMPORAL_", "OPENAI_"))]:
    del os.environ[name]

from temporalio.client import Client
from temporalio.openai_agents.testing import TestModelProvider

import worker
from clearance import ApprovalClient, connect
from cli import embedded
from cli.settings import EmbeddedServer, Settings

from .support import PlayedModel, unique


@pytest.fixture(scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedServer]:
    """The embedded server, in memory, on free ports."""
    state = tmp_path_factory.mktemp("server")
    async with embedded.server(state, in_memory=True, ports=(0, 0)) as running:
        yield running


@pytest.fixture(scope="session")
def connection(server: EmbeddedServer) -> dict[str, Any]:
    """How to reach it."""
    return {"target_host": server.address}


@pytest.fixture(scope="session")
async def temporal(connection: dict[str, Any]) -> Client:
    """A connected client."""
    return await connect(connection)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Queues and a state folder of this test's own."""
    return Settings(
        approvals_queue=unique("approvals"),
        agents_queue=unique("agents"),
        state=tmp_path / "state",
    )


@pytest.fixture
def approvals(temporal: Client, settings: Settings) -> ApprovalClient:
    """A client on this test's approvals queue."""
    return ApprovalClient(temporal, task_queue=settings.approvals_queue)


Serve = Callable[..., AbstractAsyncContextManager[worker.Serving]]


@pytest.fixture
def serve(settings: Settings, connection: dict[str, Any]) -> Serve:
    """``async with serve():`` runs the workers; ``serve(model)`` with a model for the agents."""

    def start(model: PlayedModel | None = None, **options: Any) -> Any:
        provider = TestModelProvider(model) if model else None
        return worker.running(settings, connection, model_provider=provider, **options)

    return start


@pytest.fixture
async def worker_running(serve: Serve) -> AsyncIterator[worker.Serving]:
    """The approvals worker, without a model."""
    async with serve() as serving:
        yield serving

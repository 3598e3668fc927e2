"""A real Temporal server for the whole session; fresh queues for every test."""

import faulthandler
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key

# Before anything of ours is imported: no test may depend on the machine's own settings.
for name in [
    n for n in os.environ if n.startswith(("CLEARANCE_", "TEMPORAL_", "OPENAI_", "OTEL_"))
]:
    del os.environ[name]

# Databases and servers in memory where there is some to spare: on a disk the tests wait for it a
# quarter of their time. What is killed here is processes, never the machine.
_MEMORY, _ENOUGH = Path("/dev/shm"), 4 * 2**30
if "TMPDIR" not in os.environ and _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ENOUGH:
    os.environ["TMPDIR"] = str(_MEMORY)
    tempfile.tempdir = None  # it may have been asked for before

# For servers that live for minutes: fewer collections, and stacks that begin as deep as they end.
os.environ.update(GOGC="400", GODEBUG="adaptivestackstart=1")

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.openai_agents.testing import TestModelProvider
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

import worker
from activities.directory import DirectoryActivities
from activities.keeping import KeepingActivities
from clearance import ApprovalClient, attributes, connect
from cli import embedded
from cli.settings import EmbeddedServer, Settings
from workflows.approval import ApprovalWorkflow
from workflows.consumption import ConsumptionWorkflow

from . import sparing, warm
from .agent_runs import Start, played, played_by_one
from .support import PlayedModel, unique
from .upgrading import SOON

sparing.begin()

hypothesis.settings.register_profile("short", max_examples=25)
hypothesis.settings.register_profile("long", max_examples=100)
hypothesis.settings.load_profile("short")  # `just test-long` draws the many


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: much of what is tested is waiting."""
    return (os.cpu_count() or 1) + 1


def pytest_configure(config: pytest.Config) -> None:
    """All workers have their programs started by one, which can import what they need meanwhile."""
    if config.getoption("dist", "no") != "no":
        os.environ[warm.DOOR] = warm.begin()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, None, None]:
    """From the last test's end the process has a minute and a half, whatever is left running in it.

    Else it says where it was stuck: a thread that never returns is waited for without end otherwise.
    """
    if nextitem is None:
        file = os.dup(item.config.stash[fault_handler_stderr_fd_key])  # pytest closes its own
        faulthandler.dump_traceback_later(90, exit=True, file=file)
    return (yield)


SPARING = (
    *embedded.TUNING,
    # Every test has queues of its own: four partitions of each are most of what a server holds.
    "--dynamic-config-value=matching.numTaskqueueReadPartitions=1",
    "--dynamic-config-value=matching.numTaskqueueWritePartitions=1",
)


@pytest.fixture(scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedServer]:
    """The embedded server, in memory, on free ports."""
    state = tmp_path_factory.mktemp("server")
    async with embedded.server(state, in_memory=True, ports=(0, 0), tuning=SPARING) as running:
        yield running


@pytest.fixture(scope="session")
async def forgetting(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedServer]:
    """Another one, which deletes at once what it is told to delete, as it does after the retention.

    A task whose worker was killed it gives to another one after three seconds, instead of ten, and it
    soon sees which versions of workers have drained.
    """
    soon = (
        f'--dynamic-config-value=history.{one}ProcessorUpdateAckInterval="500ms"'
        for one in ("transfer", "visibility", "timer")
    )
    killed = '--dynamic-config-value=history.defaultWorkflowTaskTimeout="3s"'
    state, tuning = tmp_path_factory.mktemp("forgetting"), (*SPARING, *SOON, *soon, killed)
    async with embedded.server(state, in_memory=True, ports=(0, 0), tuning=tuning) as running:
        yield running


@pytest.fixture(scope="session")
def connection(server: EmbeddedServer) -> dict[str, Any]:
    """How to reach it."""
    return {"target_host": server.address}


@pytest.fixture(scope="session")
async def temporal(connection: dict[str, Any]) -> Client:
    """A connected client."""
    return await connect(connection)


def _settings(folder: Path) -> Settings:
    return Settings(
        approvals_queue=unique("approvals"),
        agents_queue=unique("agents"),
        state=folder / "state",
        reconcile_every=None,  # each queue would go on to be reconciled after its test
    )


@pytest.fixture
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Queues and a state folder of this test's own, or of its module if one worker serves that."""
    if {"served", "player"} & set(request.fixturenames):
        settings: Settings = request.getfixturevalue("lasting")
        return settings
    return _settings(tmp_path)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The same for a module, where one worker serves all tests, one after the other."""
    return _settings(tmp_path_factory.mktemp("lasting"))


@pytest.fixture(scope="module")
async def served(lasting: Settings, connection: dict[str, Any]) -> AsyncIterator[worker.Serving]:
    """The approvals worker for all tests of a module that use it, which is what makes them fast."""
    async with worker.running(lasting, connection) as serving:
        yield serving


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


@pytest.fixture(scope="module")
async def player(lasting: Settings, connection: dict[str, Any]) -> AsyncIterator[Start]:
    """What ``play`` is for all tests of a module that use this: on one worker."""
    async with played_by_one(lasting, connection) as start:
        yield start


@pytest.fixture
def play(request: pytest.FixtureRequest, settings: Settings, serve: Serve) -> Start:
    """``async with play(turn, agent="payer") as (run, model)``: one run of an agent."""
    if "player" in request.fixturenames:
        player: Start = request.getfixturevalue("player")
        return player
    return played(settings, serve)


@pytest.fixture
async def worker_running(serve: Serve) -> AsyncIterator[worker.Serving]:
    """The approvals worker, without a model."""
    async with serve() as serving:
        yield serving


@pytest.fixture(scope="module")
async def environment() -> AsyncIterator[WorkflowEnvironment]:
    """A server on which the time of one workflow can be moved."""
    async with await WorkflowEnvironment.start_time_skipping_v2(
        data_converter=pydantic_data_converter,
        search_attributes=attributes.KEYS,
        dev_server_existing_path=embedded.temporal_command(),
        dev_server_extra_args=["--dynamic-config-value=frontend.WorkflowTimeSkippingEnabled=true"],
        dev_server_log_level="error",
    ) as environment:
        yield environment


@pytest.fixture
async def over_time(environment: WorkflowEnvironment) -> AsyncIterator[ApprovalClient]:
    """A client on a queue of this test's own there, which a worker serves."""
    queue = unique("approvals")
    async with Worker(
        environment.client,
        task_queue=queue,
        workflows=[ApprovalWorkflow, ConsumptionWorkflow],
        activities=[*DirectoryActivities(None).activities, *KeepingActivities().activities],
    ):
        yield ApprovalClient(environment.client, task_queue=queue)

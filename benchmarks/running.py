"""What benchmarks run beside themselves: our commands, as processes of their own."""

import asyncio
import os
import re
import signal
import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

COMMAND = str(Path(sysconfig.get_path("scripts")) / "clearance")


@asynccontextmanager
async def process(
    *command: str, says: str, environment: dict[str, str]
) -> AsyncIterator[re.Match[str]]:
    """A process, once it has said so; stopped with the context."""
    async with started(*command, says=says, environment=environment) as (_, found):
        yield found


@asynccontextmanager
async def started(
    *command: str, says: str, environment: dict[str, str]
) -> AsyncIterator[tuple[asyncio.subprocess.Process, re.Match[str]]]:
    """The same, with the process itself, which may be killed."""
    begun = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert begun.stdout is not None
    drained = None
    try:
        said = ""
        while (found := re.search(says, said)) is None:
            line = await begun.stdout.readline()
            assert line, f"{command} ended: {said}"
            said += line.decode()
        drained = asyncio.create_task(begun.stdout.read())  # it must not wait for a reader
        yield begun, found
    finally:
        if begun.returncode is None:
            begun.send_signal(signal.SIGTERM)
        await begun.wait()
        if drained:
            await drained


async def token(who: str, environment: dict[str, str]) -> str:
    """An API token that reads, and decides as that person."""
    made = await asyncio.create_subprocess_exec(
        *(COMMAND, "token", "create", "--name=benchmark", "--scopes=read,decide", f"--as={who}"),
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    said, _ = await made.communicate()
    return said.decode().strip()

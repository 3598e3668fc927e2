"""What else people use to wait for somebody's decision, doing the same work.

Those who wait do so in a process of their own. It is told whom to let wait, an id a line, and says
``id moment`` when one has gone on, on its standard input and output: no engine's own way of telling
that something has ended is measured with it.
"""

import asyncio
import importlib.util
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from benchmarks.contenders import Contender
from benchmarks.measuring import progress


class Apart:
    """A process in which others wait."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Of one whose standard input and output are pipes."""
        self._process = process
        self._resumed: dict[str, asyncio.Future[int]] = {}
        self._reading = asyncio.create_task(self._read())

    def begin(self, id: str) -> None:
        """Let somebody wait under this id."""
        self._resumed[id] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        self._process.stdin.write(f"{id}\n".encode())

    async def resumed(self, id: str) -> int:
        """The moment at which they went on."""
        moment = await self._resumed[id]
        del self._resumed[id]
        return moment

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            id, _, moment = line.decode().strip().partition(" ")
            if id in self._resumed:
                self._resumed[id].set_result(int(moment))


@asynccontextmanager
async def apart(module: str, *arguments: str) -> AsyncIterator[Apart]:
    """Run ``python -m module`` until the context is left, from when it says ``ready``."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        said = b""
        while said != b"ready\n":
            said = await process.stdout.readline()
            assert said, f"{module} ended"
        yield Apart(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def lines() -> AsyncIterator[str]:
    """In such a process: the ids it is given, until there is nobody any more who gives some."""
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    async for line in reader:
        yield line.decode().strip()


@asynccontextmanager
async def others(folder: Path) -> AsyncIterator[list[Contender]]:
    """Those of them that can run here, the one that polls last; it is said who can't."""
    from . import on_dbos, on_langgraph, polling

    async with AsyncExitStack() as stack:
        found = []
        for name, missing, contender in (
            ("DBOS", _lacks("dbos") + on_dbos.lacks(), on_dbos.contender),
            ("LangGraph", _lacks("langgraph.checkpoint.sqlite"), on_langgraph.contender),
            ("polling", [], polling.contender),
        ):
            if missing:
                progress(f"without {name}: {'; '.join(missing)}")
            else:
                found.append(await stack.enter_async_context(contender(folder)))
        yield found


def _lacks(package: str) -> list[str]:
    """By which command it is installed, unless it is."""
    try:
        there = importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        there = False
    return [] if there else ["uv sync --group bench"]

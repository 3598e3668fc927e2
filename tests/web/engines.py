"""A Temporal of a test's own, to be stopped and started."""

import signal
from contextlib import AsyncExitStack
from pathlib import Path

from cli import embedded
from tests.processes import Process, kill, server_process


class Engine:
    """A server with its data in a folder."""

    def __init__(self, folder: Path) -> None:
        self._database = folder / "temporal.db"
        self._stack = AsyncExitStack()
        self.port = embedded.free_port(0)
        self.process: Process

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        started = server_process(self.port, self._database)
        self.process = await self._stack.enter_async_context(started)

    async def stop(self) -> None:
        await kill(self.process)

    async def end(self) -> None:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGCONT)
        await self._stack.aclose()

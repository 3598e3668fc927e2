"""A way to Temporal that can be cut: a TCP proxy."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Way:
    """From a port of its own to the server's."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.answers = asyncio.Event()
        """Cleared: what is sent arrives, and no answer comes back."""
        self.answers.set()
        self._is_cut = False

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        self._open |= {writer, back}
        try:
            await asyncio.gather(self._pass(reader, back), self._pass(there, writer, self.answers))
        finally:
            self._open -= {writer, back}
            writer.transport.abort()
            back.transport.abort()

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        may: asyncio.Event | None = None,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if may is not None:
                    await may.wait()
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

    def cut(self) -> None:
        """End every connection, and take none any more."""
        self._is_cut = True
        for one in self._open:
            one.transport.abort()
        self.answers.set()


@asynccontextmanager
async def way_to(port: int) -> AsyncIterator[Way]:
    """A way to what listens on that port of this machine; it ends with the context."""
    way = Way(port)
    listening = await asyncio.start_server(way.serve, "127.0.0.1", 0)
    way.port = listening.sockets[0].getsockname()[1]
    try:
        yield way
    finally:
        listening.close()
        way.cut()
        await listening.wait_closed()

"""A TCP proxy before Temporal: the way to it can be cut, slowed down, and made deaf."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_CHUNK = 65_536


class Proxy:
    """Passes on what comes in at its port, as long as it isn't told otherwise."""

    def __init__(self, target: int) -> None:
        """Lead to this port of 127.0.0.1."""
        self._target = target
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.is_cut = False
        """Whether connections are refused."""
        self.delay = 0.0
        """Seconds that each piece of data waits, in either direction."""
        self.answers = asyncio.Event()
        """Cleared: what is sent arrives, and no answer comes back."""
        self.answers.set()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Break every connection, and refuse new ones until it is healed."""
        self.is_cut = True
        for writer in self._open:
            writer.transport.abort()

    def heal(self) -> None:
        """Pass everything on again, at once."""
        self.is_cut, self.delay = False, 0.0
        self.answers.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        self._open.add(writer)
        try:
            if self.is_cut:
                return
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
            self._open.add(back)
            try:
                ways = {
                    asyncio.ensure_future(self._pass_on(reader, back)),
                    asyncio.ensure_future(self._pass_on(there, writer, self.answers)),
                }
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in ways:
                    way.cancel()
                await asyncio.wait(ways)
            finally:
                self._open.discard(back)
                back.transport.abort()
        except OSError:
            pass  # nobody listens there: whoever called finds the connection closed
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        may: asyncio.Event | None = None,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                if self.delay:
                    await asyncio.sleep(self.delay)
                if may is not None:
                    await may.wait()
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def proxy(target: int) -> AsyncIterator[Proxy]:
    """One on a free port of 127.0.0.1, for as long as the context is open."""
    one = Proxy(target)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        one.cut()
        server.close()
        await server.wait_closed()

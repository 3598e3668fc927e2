"""Another service that is told by HTTP, for tests: a real server that answers as it is told to."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Receiver:
    """What it was sent, and what it answers: 200 where nothing else is said."""

    port: int = 0
    taken: list[tuple[dict[str, str], str]] = field(default_factory=list)
    """Headers and body of each request."""
    answers: deque[Answer] = field(default_factory=deque)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks/secret-path"

    async def has_taken(self) -> bool:
        return bool(self.taken)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.taken.append((dict(request.headers), await request.text()))
        if self.answers:
            return await self.answers.popleft()(request)
        return web.Response(text="ok")


def status(code: int, **headers: str) -> Answer:
    """A short answer."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=code, text="so it is", headers=headers)

    return answer


async def hang(_: web.Request) -> web.StreamResponse:
    """No answer."""
    await asyncio.Event().wait()
    raise AssertionError("nobody wakes it up")


async def pour(request: web.Request) -> web.StreamResponse:
    """An answer without an end."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65_536)


async def drip(request: web.Request) -> web.StreamResponse:
    """An answer without an end, byte by byte."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x")
        await asyncio.sleep(0.2)


@asynccontextmanager
async def receiver(*answers: Answer, **how: Any) -> AsyncIterator[Receiver]:
    """A receiver on a free port of this machine."""
    one = Receiver(answers=deque(answers))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", one.answer)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, **how)
    await site.start()
    one.port = runner.addresses[0][1]
    try:
        yield one
    finally:
        await runner.cleanup()

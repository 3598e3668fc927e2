"""That Temporal is away, told once, and once that it is back, instead of every poll that fails."""

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from temporalio.client import Client
from temporalio.service import RPCError

from clearance.away import persistently
from clearance.workers import pollers

from . import logs

_RETRIED: Final = re.compile(r"gRPC call \w+ retried \d+ times")
_TRANSPORT: Final = re.compile(r"tonic::transport|code: Unavailable")
"""In the error of such a line: nobody was reached. What a server refuses is another."""

_log = logging.getLogger("clearance")


class Unreached(logging.Filter):
    """Keeps back the engine's lines of calls that reached nobody; all others pass."""

    def __init__(self, notice: Callable[[], object]) -> None:
        """Call ``notice`` for each, in whatever thread the engine logs."""
        super().__init__()
        self._notice = notice

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be logged."""
        if not _RETRIED.match(record.getMessage()):
            return True
        fields = getattr(getattr(record, "temporal_log", None), "fields", {})
        if not _TRANSPORT.search(str(fields.get("error", ""))):
            return True
        self._notice()
        return False


@asynccontextmanager
async def told(client: Client, queue: str) -> AsyncIterator[None]:
    """Log when Temporal goes away and when it is back, for as long as the context is open.

    Args:
        client: of the worker that polls.
        queue: any that it polls: it is back when that can be asked about.
    """
    loop, away = asyncio.get_running_loop(), asyncio.Event()
    unreached = Unreached(lambda: loop.call_soon_threadsafe(away.set))
    engine = logging.getLogger(logs.ENGINE)
    engine.addFilter(unreached)
    telling = asyncio.create_task(_tell(client, queue, away))
    try:
        yield
    finally:
        engine.removeFilter(unreached)
        telling.cancel()
        await asyncio.wait({telling})


async def _tell(client: Client, queue: str, away: asyncio.Event) -> None:
    while True:
        await away.wait()
        began = time.monotonic()
        address = client.service_client.config.target_host
        _log.warning("Temporal at %s does not answer: nothing is done until it is back", address)
        with contextlib.suppress(RPCError):  # it refuses: then it is there
            await persistently(lambda: pollers(client, queue))
        away.clear()
        _log.info("Temporal answers again, %.0f s later", time.monotonic() - began)

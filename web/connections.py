"""Connections that take their time: a request has to arrive whole within a while.

Somebody who sends a byte a minute would hold a connection for as long as they like, and a thousand of
them all that there are. uvicorn limits only how long a connection may be idle between two requests.
"""

import asyncio
import resource
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_WITHIN = 20.0
"""Seconds from the connection, or from the head's first byte, to its last."""

BODY_WITHIN = 60.0
"""Seconds from a request's head to the last byte of its body."""


class Prompt(H11Protocol):
    """Closes a connection whose request doesn't arrive in time."""

    _waits_for: object = None
    _deadline: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        """As uvicorn makes it."""
        super().__init__(*args, **options)
        # Its own log names the path as it was asked for, secrets and all, wherever a process has a
        # handler for everything.
        self.access_log = False

    def connection_made(self, transport: Any) -> None:
        """Somebody has connected, and is to say what they want."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """A piece of a request."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Between two requests uvicorn's own timeout counts."""
        super().on_response_complete()
        self._waits()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        self._waits()
        super().connection_lost(exc)

    def _watch(self) -> None:
        state = self.conn.their_state
        if state not in (h11.IDLE, h11.SEND_BODY):
            self._waits()
        elif state is not self._waits_for:
            self._waits()
            self._waits_for = state
            within = HEAD_WITHIN if state is h11.IDLE else BODY_WITHIN
            self._deadline = self.loop.call_later(within, self._give_up)

    def _waits(self) -> None:
        """Not for anything, from now on."""
        self._waits_for = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._waits()
        self.transport.abort()


def allow_many() -> None:
    """Let this process have as many open connections as the system grants it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

"""Telling people by everything that Apprise reaches: chats, phones, mail by its own URLs, ..."""

import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from clearance.text import one_line
from policy.channels import ENV, Service

from .messages import MAX_CHARS, Message
from .unsent import NotSent
from .webhooks import variable

TIMEOUT_SECONDS = 30.0
"""For a channel to say that it took a message."""

_AT_ONCE = 8
_STARTING_AT_ONCE = 2
"""It takes about a second of computing: more of them at once are no faster, and all late."""

_WAIT_SECONDS = 12.0
"""For a place and for its process to be ready; with the above, less than an attempt's 45 s."""

_PROGRAM = Path(__file__).with_name("apprising.py")
_MAX_ANSWER = 256 * 1024  # bytes

_ENVIRONMENT = frozenset(
    ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH")
) | frozenset(("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"))
_PROXIES = frozenset(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"))  # in small, too

_LONG = re.compile(r"[\w+/=.~%-]{12,}")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)


class _Ready(BaseModel):
    room: int | None
    """Characters of text in one message; None where the URL is none."""


class _Done(BaseModel):
    sent: bool
    said: str


class Chats:
    """Sends through Apprise, each message in a process of its own: a service that answers slowly or
    without end takes neither the worker's memory nor its time. No sandbox: it has the worker's user."""

    def __init__(
        self,
        environ: Mapping[str, str],
        timeout: float = TIMEOUT_SECONDS,
        *,
        at_once: int = _AT_ONCE,
        wait: float = _WAIT_SECONDS,
    ) -> None:
        """Prepare; no process is started yet.

        Args:
            environ: where the URLs are that a file doesn't hold.
            timeout: seconds a channel has to say that it took a message.
            at_once: how many messages are under way at the same time.
            wait: seconds that a message waits for its turn.
        """
        self._environ = environ
        self._timeout = timeout
        self._wait = wait
        self._places = asyncio.Semaphore(at_once)
        self._starting = asyncio.Semaphore(_STARTING_AT_ONCE)

    async def send(self, to: Service, compose: Callable[[int], Message]) -> None:
        """Send one message.

        Args:
            to: where to.
            compose: makes the message, for a text of so many characters.

        Raises:
            NotSent: it was refused; for good, where the URL is none, or where nobody knows: the
                channel didn't say within the time whether it took the message, or sending it was
                cancelled or broke off.
        """
        url = self._url(to)
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self._wait):
                    await stack.enter_async_context(self._places)
                    async with self._starting:
                        child = await stack.enter_async_context(_child(self._environ))
                        ready = await self._ready(child, url)
            except TimeoutError:
                raise NotSent("too many other messages are on their way") from None
            except (OSError, ValueError):
                raise NotSent("no process could be started for it") from None
            if ready.room is None:
                raise _no_url(url)
            done = await self._handed(
                child, compose(max(100, min(MAX_CHARS, ready.room * 19 // 20)))
            )
        if not done.sent:
            raise NotSent(_bare(done.said, url) or "it was refused")

    async def _ready(self, child: Process, url: str) -> _Ready:
        where = {"url": url, "wait": self._wait, "timeout": self._timeout}
        return _Ready.model_validate_json(await _answer(child, where))

    async def _handed(self, child: Process, message: Message) -> _Done:
        """What became of it. From here on it may be on its way, whatever happens."""
        try:
            async with asyncio.timeout(self._timeout):
                said = await _answer(child, {"title": message.title, "text": message.text})
                return _Done.model_validate_json(said)
        except TimeoutError:
            reason = f"no answer within {self._timeout:g} s"
        except asyncio.CancelledError:  # told as what is known of it: else it would be sent again
            reason = "the worker stopped while sending"
        except (OSError, ValueError):
            reason = "sending broke off, its answer is too large or broken"
        raise NotSent(f"{reason}: it may have arrived, so it is not sent again", final=True)

    def _url(self, to: Service) -> str:
        said = to.url
        return variable(self._environ, said.removeprefix(ENV)) if said.startswith(ENV) else said


@asynccontextmanager
async def _child(environ: Mapping[str, str]) -> AsyncIterator[Process]:
    """A process that takes one message; it is gone after the context, and with whoever started it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", str(_PROGRAM)),
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        limit=_MAX_ANSWER,
        env=_reduced(environ),
        start_new_session=True,  # Ctrl-C is for the worker, which lets it finish
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


def _reduced(environ: Mapping[str, str]) -> dict[str, str]:
    """What Python and TLS need: none of our keys, passwords and other channels' URLs."""
    return {
        name: value
        for name, value in environ.items()
        if name in _ENVIRONMENT or name.upper() in _PROXIES
    }


async def _answer(child: Process, asked: Mapping[str, Any]) -> bytes:
    """Its next line, empty where it has ended. Raises OSError, and ValueError for a line too long."""
    assert child.stdin and child.stdout  # noqa: S101, PT018 - both are pipes
    child.stdin.write(json.dumps(asked).encode() + b"\n")
    await child.stdin.drain()
    return await child.stdout.readline()


def _no_url(url: str) -> NotSent:
    scheme = url.partition("://")[0][:20] if "://" in url else "no"
    return NotSent(f"Apprise can't read its URL ({one_line(scheme)}://)", final=True)


def _bare(said: str, url: str) -> str:
    """The reason without anything of the URL: neither itself nor a part of it that may be secret."""
    said = _URL.sub("(address)", said)
    for part in sorted(set(re.split(r"[/:@?&=,#]+", url)), key=len, reverse=True):
        if len(part) > 3:
            said = said.replace(part, "(hidden)")
    return one_line(_LONG.sub(_hidden, said), 200)


def _hidden(found: re.Match[str]) -> str:
    """A long run of characters with figures in it looks like a token."""
    word = found[0]
    return "(hidden)" if any(c.isdigit() for c in word) else word

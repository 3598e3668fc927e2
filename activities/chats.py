"""Telling people by everything that Apprise reaches: chats, phones, mail by its own URLs, ..."""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from clearance.text import one_line
from policy.channels import ENV, Service, apprise

from .messages import MAX_CHARS, Message
from .unsent import NotSent
from .webhooks import variable

TIMEOUT_SECONDS = 30.0
"""For a channel to say that it took a message."""

_AT_ONCE = 32
_QUEUE_SECONDS = 10.0

_LONG = re.compile(r"[\w+/=.~%-]{12,}")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)


class Chats:
    """Sends through Apprise."""

    def __init__(self, environ: Mapping[str, str], timeout: float = TIMEOUT_SECONDS) -> None:
        """``environ`` is where the URLs are that a file doesn't hold; ``timeout`` is in seconds."""
        self._environ = environ
        self._timeout = timeout
        # Of our own: whoever else needs a thread doesn't wait for a channel that hangs.
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="apprise")
        self._free = asyncio.Semaphore(_AT_ONCE)

    async def send(self, to: Service, compose: Callable[[int], Message]) -> None:
        """Send one message.

        Args:
            to: where to.
            compose: makes the message, for a text of so many characters.

        Raises:
            NotSent: it was refused; for good, where the URL is none, or where nobody knows: the
                channel didn't say within the time whether it took the message.
        """
        url = self._url(to)
        result = await self._in_thread(lambda: self._notify(url, compose))
        if not result:
            raise _failure(result, url)

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        """What it returns, if it does in time; else it goes on, and its thread is free when it ends."""
        try:
            async with asyncio.timeout(_QUEUE_SECONDS):
                await self._free.acquire()
        except TimeoutError:
            raise NotSent("too many other channels are hanging") from None
        running = asyncio.get_running_loop().run_in_executor(self._threads, work)
        running.add_done_callback(self._ended)
        try:
            async with asyncio.timeout(self._timeout):
                return await asyncio.shield(running)
        except TimeoutError:
            said = f"no answer within {self._timeout:g} s: it may have arrived, so it is not sent again"
            raise NotSent(said, final=True) from None

    def _ended(self, running: asyncio.Future[Any]) -> None:
        self._free.release()
        if not running.cancelled():
            running.exception()  # nobody may be there any more to hear it

    def _notify(self, url: str, compose: Callable[[int], Message]) -> Any:
        service = self._service(url)
        message = compose(_room(service[0]))
        return service.notify(
            body=message.text,
            title=message.title,
            body_format="text",
            log_level=logging.WARNING,
        )

    def _url(self, to: Service) -> str:
        said = to.url
        return variable(self._environ, said.removeprefix(ENV)) if said.startswith(ENV) else said

    def _service(self, url: str) -> Any:
        library = apprise()
        asset = library.AppriseAsset(
            app_id="Clearance",
            app_desc="Clearance",
            app_url="",
            image_url_mask="",
            image_url_logo="",
            storage_mode="memory",  # nothing of it is left on disk
            http_redirects=False,
            allow_templates=False,
            async_mode=False,
            service_timeout=0,  # it would take other threads to keep it
        )
        found = library.Apprise.instantiate(url, asset=asset)
        if found is None:
            scheme = url.partition("://")[0][:20] if "://" in url else "no"
            said = f"Apprise can't read its URL ({one_line(scheme)}://)"
            raise NotSent(said, final=True)
        # A service that took the message, and didn't say so in time, must not count as one that refused
        # it: that one is tried again. So its own time is no shorter than ours.
        found.socket_read_timeout = self._timeout + 1
        return library.Apprise(found, asset=asset)


def _room(service: Any) -> int:
    """How many characters of text it takes in one message."""
    taken = service.body_maxlen - (0 if service.title_maxlen > 0 else 200)
    return max(100, min(MAX_CHARS, int(taken * 0.95)))


def _failure(result: Any, url: str) -> NotSent:
    logs = [entry.message for entry in result.logs()]
    return NotSent(_bare(" ".join(logs), url) or "it was refused")


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

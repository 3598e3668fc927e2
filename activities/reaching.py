"""Calling an address that somebody wrote into a file, without being led into our own network.

A name is resolved once; the addresses that were looked at are the ones that are connected to. So a
name that answers otherwise the second time (DNS rebinding) leads nowhere else.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence

import httpx2

from clearance.text import one_line
from policy.reachable import PRIVATE
from policy.reachable import is_public as is_public

from .unsent import NotSent

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""From a host and a port to its addresses."""

TIMEOUT_SECONDS = 15.0
"""For everything: resolving, connecting, and the answer's first line and headers."""

_MAX_ADDRESSES = 3
"""Of one name that are tried."""


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, as this machine's resolver says. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


async def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    allow_private: bool,
    resolve: Resolve = resolve,
    timeout: float = TIMEOUT_SECONDS,
) -> int:
    """The status that an address answers with. Redirects aren't followed, and no body is read.

    Proxies of the environment aren't used: they would resolve the name for themselves.

    Raises:
        NotSent: no such host, no answer within ``timeout`` seconds; for good, where the address isn't
            public and ``allow_private`` doesn't say that it may be.
    """
    try:
        async with asyncio.timeout(timeout):
            target = httpx2.URL(url)
            port = target.port or (443 if target.scheme == "https" else 80)
            addresses = await _addresses(target.host, port, resolve)
            if not allow_private and not all(map(is_public, addresses)):
                raise NotSent(PRIVATE, final=True)
            return await _post(target, addresses, body, headers)
    except TimeoutError:
        raise NotSent(f"no answer within {timeout:g} s") from None
    except httpx2.ConnectError as error:
        raise NotSent(_unreached(error)) from None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise NotSent(one_line(str(error), 200) or type(error).__name__) from None


def _unreached(error: Exception) -> str:
    """In words of ours where the system's say little; never with the address, which may be a secret."""
    said = one_line(str(error), 200)
    if "connection attempts failed" in said.lower() or "refused" in said.lower():
        return "nothing listens at the webhook's address"
    return said or "the connection failed"


async def _addresses(host: str, port: int, resolve: Resolve) -> Sequence[str]:
    try:
        found = await resolve(host, port)
    except (OSError, UnicodeError) as error:
        raise NotSent(f"its host is not found: {error}") from None
    if not found:
        raise NotSent("its host is not found")
    return found[:_MAX_ADDRESSES]


async def _post(
    target: httpx2.URL, addresses: Sequence[str], body: bytes, headers: Mapping[str, str]
) -> int:
    """Connect to one of these addresses; Host and TLS keep the name."""
    sent = {**headers, "host": target.netloc.decode("ascii"), "accept-encoding": "identity"}
    extensions = {"sni_hostname": target.raw_host.decode("ascii")}
    client = httpx2.AsyncClient(
        verify=httpx2.create_ssl_context(),  # SSL_CERT_FILE counts
        trust_env=False,
        follow_redirects=False,
        timeout=None,
    )
    async with client:
        for number, address in enumerate(addresses, 1):
            url = target.copy_with(host=address)
            request = client.build_request(
                "POST", url, content=body, headers=sent, extensions=extensions
            )
            try:
                response = await client.send(request, stream=True)
            except httpx2.ConnectError:
                if number == len(addresses):
                    raise
                continue
            await response.aclose()
            return response.status_code
    raise AssertionError("there is always an address")

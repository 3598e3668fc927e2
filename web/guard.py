"""What stands before every route: which hosts are ours, what a browser may do with a page, the log."""

import ipaddress
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from starlette.datastructures import MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .access_log import AccessLog
from .config import WebConfig
from .context import Context

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""OWASP's list of secure headers. The policy has no 'unsafe-inline': a script in a page is dead text."""


class _Headers:
    """Adds them to every answer; what people and programs read here is kept in no cache."""

    def __init__(self, app: ASGIApp, secure: bool) -> None:
        self._app = app
        self._headers = dict(_HEADERS)
        if secure:
            self._headers["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)  # a route may be stricter
                if not scope.get("path", "").startswith("/static/"):
                    headers["Cache-Control"] = "no-store"
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


class _Hosts:
    """Answers only to names of ours. What watches over a process calls it by any address."""

    def __init__(self, app: ASGIApp, hosts: list[str]) -> None:
        self._app = app
        self._checked = TrustedHostMiddleware(app, allowed_hosts=hosts, www_redirect=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app if scope.get("path") in ("/healthz", "/readyz") else self._checked
        await app(scope, receive, send)


def address_of(request: Request) -> str:
    """Where somebody calls from: what a trusted proxy says, else the connection's other end.

    Of IPv6 the first 64 bits: whoever has one address has all that begin so.
    """
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 6 and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return host


def _hosts(config: WebConfig) -> list[str]:
    """The names that a request may call us by; any, where nobody said how we are reached.

    A page elsewhere could point a name of its own at a server that only this machine or a private
    network reaches, and would then be of the same origin (DNS rebinding).
    """
    if not config.loopback and config.public_url is None:
        return ["*"]
    public = urlsplit(config.public_url or "").hostname
    here = f"[{config.host}]" if ":" in config.host else config.host
    return sorted({here, "localhost", "127.0.0.1", "[::1]", *([public] if public else [])})


def guarded(app: FastAPI, context: Context) -> None:
    """Put it all before the routes."""
    config = context.config

    app.add_middleware(_Hosts, hosts=_hosts(config))
    app.add_middleware(AccessLog)


def with_headers(app: ASGIApp, config: WebConfig) -> ASGIApp:
    """Put the headers around everything, also around what answers where a route has failed."""
    return _Headers(app, secure=config.secure)

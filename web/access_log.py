"""One line for every answer, on the logger ``clearance.access``: nothing in it opens anything.

The path is that of the route, ``/sign-in/{token}``, never the one that was asked for: sign-in links,
signed links and ids stay out of the log. So do queries, cookies and tokens, and, for being of no use
to anybody, the answers of ``/static``.
"""

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOG = logging.getLogger("clearance.access")

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class AccessLog:
    """Method, route, status, milliseconds, and which kind of caller it was.

    A stream is told when it ends. Who asks is ``person``, ``token``, ``link`` or ``-``: whoever found
    out puts it into ``request.state.caller``.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Around the whole application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and say so."""
        if scope["type"] != "http" or scope["path"].startswith("/static/"):
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            took = (time.perf_counter() - started) * 1_000
            method = scope["method"] if scope["method"] in _METHODS else "OTHER"
            caller = scope.get("state", {}).get("caller", "-")
            parts = (method, _route(scope), status or 500, took, caller)
            fields = dict(zip(("method", "route", "status", "ms", "caller"), parts, strict=True))
            _LOG.info("%s %s %d %.0fms %s", *parts, extra={"access": fields | {"ms": round(took)}})


def _route(scope: Scope) -> str:
    """Which route answered, with the prefix of its router; ``-`` for none of ours."""
    included = scope.get("fastapi", {}).get("effective_route_context")
    path = getattr(included, "path_format", None) or getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) and path else "-"

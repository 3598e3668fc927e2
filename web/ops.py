"""For whoever runs an inbox: whether it lives, whether it can serve, and answers while it can't."""

import asyncio
import logging
import time
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from temporalio.service import RPCError

from clearance.away import watched

from .context import Context
from .errors import answered, problem

ANSWERS_WITHIN = 2.0
"""Seconds that Temporal and the database have to answer a look."""

KEPT_FOR = 1.0
"""Seconds that what a look found is believed: however often it is asked, Temporal is asked once."""

RETRY_AFTER = 5
"""Seconds that whoever got no answer is told to wait."""

_AWAY = (
    "Temporal, which keeps the requests, does not answer. Nothing is lost: what waits goes on "
    "waiting. Try again in a moment."
)
_NOT_RECORDED = (
    "Temporal, which keeps the requests, does not answer, and nothing was recorded. Send it again in "
    "a moment."
)
_UNKNOWN = (
    "Temporal, which keeps the requests, does not answer, so it is not known whether this was "
    "recorded. Send it again in a moment: the same decision sent twice counts once."
)

_log = logging.getLogger("clearance.web")

router = APIRouter(include_in_schema=False)


class Readiness:
    """What of all that an inbox needs is away."""

    def __init__(self, context: Context) -> None:
        """Of this inbox. Nothing is asked yet."""
        self._context = context
        self._known: tuple[str, ...] = ()
        self._until = 0.0
        self._looking: asyncio.Task[tuple[str, ...]] | None = None

    async def away(self) -> tuple[str, ...]:
        """``temporal``, ``database``, both or none, as of a second ago at most.

        Everybody who asks while a look is under way gets what it finds, within two seconds.
        """
        if time.monotonic() < self._until:
            return self._known
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        return await asyncio.shield(self._looking)

    async def _look(self) -> tuple[str, ...]:
        try:
            found = await asyncio.gather(
                _fails("temporal", self._temporal()), _fails("database", self._database())
            )
            away = tuple(name for name in found if name)
            if away != self._known:
                _log.warning("%s", f"no answer from {', '.join(away)}" if away else "ready again")
            self._known, self._until = away, time.monotonic() + KEPT_FOR
            return away
        finally:
            self._looking = None

    async def _temporal(self) -> None:
        # Finds nothing, by the index that every list here is read from.
        await self._context.approvals.temporal.count_workflows(
            "WorkflowId = '-'", rpc_timeout=timedelta(seconds=ANSWERS_WITHIN)
        )

    async def _database(self) -> None:
        await self._context.store.sessions.find("-")


async def _fails(name: str, asked: Coroutine[Any, Any, None]) -> str | None:
    try:
        async with asyncio.timeout(ANSWERS_WITHIN):
            await asked
    except (OSError, RPCError, SQLAlchemyError):  # OSError: TimeoutError is one
        return name
    return None


@router.get("/healthz")
async def healthz() -> JSONResponse:
    """The process serves."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz")
async def readyz(request: Request) -> Response:
    """Temporal and the database answer; else 503, and which of them doesn't."""
    readiness: Readiness = request.app.state.readiness
    if away := await readiness.away():
        made = problem(503, f"no answer from: {', '.join(away)}", away=list(away))
        made.headers["Retry-After"] = str(RETRY_AFTER)
        return made
    return JSONResponse({"status": "ready"})


class _Patience:
    """Waits for a slow answer as long as Temporal answers at all.

    Temporal's client goes on trying for ten seconds where nothing listens, and waits for thirty
    where nobody answers. Whoever looks at a page is told within four.
    """

    def __init__(self, app: ASGIApp, readiness: Readiness) -> None:
        self._app = app
        self._readiness = readiness

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in ("/healthz", "/readyz"):
            await self._app(scope, receive, send)
            return
        begun = asyncio.Event()

        async def sending(message: Message) -> None:
            begun.set()
            await send(message)

        acting = watched()
        answering = asyncio.ensure_future(self._app(scope, receive, sending))
        try:
            if await self._worth_waiting(answering, begun):
                await answering
                return
        finally:
            if not answering.done():
                answering.cancel()
                await asyncio.wait({answering})
        if begun.is_set():  # it was cut off just as it began
            return
        request = Request(scope, receive)
        if request.method in ("GET", "HEAD"):
            kind, said = "away", _AWAY
        elif acting.nothing_sent:
            kind, said = "not-recorded", _NOT_RECORDED
        else:
            kind, said = "outcome-unknown", _UNKNOWN
        made = answered(request, 503, said, kind)
        made.headers["Retry-After"] = str(RETRY_AFTER)
        await made(scope, receive, send)

    async def _worth_waiting(self, answering: asyncio.Future[None], begun: asyncio.Event) -> bool:
        """True once an answer begins or fails; False if Temporal turns out to be away before."""
        while True:
            await asyncio.wait({answering}, timeout=ANSWERS_WITHIN)
            if not answering.done() and not begun.is_set():
                away = await self._readiness.away()
            if answering.done() or begun.is_set():
                return True
            if "temporal" in away:
                return False


def operable(app: FastAPI, context: Context) -> None:
    """Tell how an inbox is, and answer everything else while Temporal is away."""
    app.state.readiness = readiness = Readiness(context)
    app.add_middleware(_Patience, readiness=readiness)
    app.include_router(router)

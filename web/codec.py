"""Temporal's remote codec: lets its pages and its command show what is encrypted, to those who may.

For services with the scope ``codec``, and for operators of ``reviewers.toml`` who are signed in. It
shows everything that Temporal keeps, also what pages mask, so each use is logged with who it was.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials
from google.protobuf import json_format
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send
from temporalio.api.common.v1 import Payload, Payloads

from clearance import ClearanceError, InvalidRequest, Refused
from clearance.codec import VARIABLE, Encryption, encryption_of
from clearance.text import one_line

from .api.auth import BEARER, service_of
from .config import WebConfig, is_loopback
from .context import Context, Here
from .who import Forged, session_of

PREFIX = "/codec/"

MAX_BODY_BYTES = 4 * 1024 * 1024
"""Two payloads of Temporal's largest size, as JSON writes them."""

_log = logging.getLogger("clearance.codec")

router = APIRouter(include_in_schema=False)


async def _encryption(context: Here) -> Encryption:
    found = encryption_of(context.approvals.temporal)
    if found is None or found.current is None:
        raise HTTPException(404, f"nothing is encrypted here: set {VARIABLE} where the inbox runs")
    return found


Codec = Annotated[Encryption, Depends(_encryption)]
"""How payloads are encrypted. Raises HTTPException: they aren't."""


async def _reader(
    request: Request,
    context: Here,
    codec: Codec,
    given: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)],
) -> str:
    """Who may read everything, for the log.

    Raises:
        TokenNeeded, ScopeMissing: the token doesn't hold, or is for something else.
        SignInNeeded, Refused: nobody is signed in, or no operator is.
        Forged: it was sent from another site than ours and Temporal's pages.
        TooMany: that was too often.
    """
    try:
        if given is not None:
            service = await service_of(request, context, given)
            service.needs("codec")
            return f"token {service.name!r}"
        return await _operator(request, context)
    except ClearanceError as error:
        _log.warning("refused %s: %s", request.url.path, one_line(str(error)))
        raise


async def _operator(request: Request, context: Context) -> str:
    session = await session_of(request, context)
    if request.headers.get("origin") not in {_origin(context.url), *_origins(context.config)}:
        raise Forged("this was sent from another site")
    context.limits.hit("codec", f"person {session.who}")
    directory = await context.directory.current()
    who = directory.standing(session.who, datetime.now(UTC), vouched=session.groups)
    if not who.operator:
        raise Refused(f"{session.who} is no operator in reviewers.toml, and only they read it all")
    return f"person {session.who!r}"


Reader = Annotated[str, Depends(_reader)]


@router.post(PREFIX + "decode")
async def decode(request: Request, codec: Codec, reader: Reader) -> Response:
    """The payloads of the body, decrypted; what isn't encrypted as it is."""
    return await _answered(request, codec.decode, reader)


@router.post(PREFIX + "encode")
async def encode(request: Request, codec: Codec, reader: Reader) -> Response:
    """The payloads of the body, encrypted."""
    return await _answered(request, codec.encode, reader)


async def _answered(
    request: Request, work: Callable[[list[Payload]], Awaitable[list[Payload]]], reader: str
) -> Response:
    try:
        given = json_format.Parse(await request.body(), Payloads())
    except (json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest('send Temporal\'s Payloads as JSON: {"payloads": [...]}') from error
    done = Payloads(payloads=await work(list(given.payloads)))
    _log.info("%s: %d payloads for %s", request.url.path, len(done.payloads), reader)
    return Response(json_format.MessageToJson(done, indent=None), media_type="application/json")


class _Elsewhere:
    """Lets Temporal's pages call the codec from their own origin, and nobody else."""

    def __init__(self, app: ASGIApp, origins: list[str]) -> None:
        self._app = app
        self._shared = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_credentials=True,
            allow_methods=["POST"],
            allow_headers=["Authorization", "Content-Type", "X-Namespace"],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._shared if scope.get("path", "").startswith(PREFIX) else self._app
        await app(scope, receive, send)


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def _origins(config: WebConfig) -> list[str]:
    """Of Temporal's pages; on this machine by both of its names."""
    if config.temporal_ui is None:
        return []
    parts = urlsplit(config.temporal_ui)
    if not is_loopback(parts.hostname or ""):
        return [_origin(config.temporal_ui)]
    port = f":{parts.port}" if parts.port else ""
    return [f"{parts.scheme}://{name}{port}" for name in ("127.0.0.1", "localhost")]


def coded(app: FastAPI, context: Context) -> None:
    """Offer it."""
    app.add_middleware(_Elsewhere, origins=_origins(context.config))
    app.include_router(router)

"""What goes wrong, as a page or as ``application/problem+json`` (RFC 9457)."""

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.routing import iter_route_contexts
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send
from temporalio.service import RPCError, RPCStatusCode

from clearance import ClearanceError, rules
from clearance.away import is_away
from clearance.errors import (
    AlreadyAsked,
    AlreadyConsumed,
    AlreadyDecided,
    Ambiguous,
    CannotConnect,
    InvalidRequest,
    NotFound,
    NotRecorded,
    NoWorker,
    OutcomeUnknown,
    Refused,
    WaitTimeout,
)
from clearance.keys import Altered, InvalidKeys
from clearance.text import one_line, visible
from policy.reading import BrokenPolicy
from store import CannotStore

from .error_words import for_people
from .problems import MEDIA_TYPE, TYPE, Fault, KeyReused, ScopeMissing, TokenNeeded
from .rates import TooMany
from .templating import page
from .who import Forged, SignInNeeded, recognise

_log = logging.getLogger("clearance.web")

_UNKNOWN = (
    "unknown: Temporal stopped answering while this was on its way. Send the same again, with the same "
    "Idempotency-Key where it had one: it counts once"
)

_FAULTS = 20
"""Fields that one answer tells of."""

_KINDS: tuple[tuple[type[Exception], int, str], ...] = (
    (SignInNeeded, 401, "sign-in-needed"),
    (ScopeMissing, 403, "scope-missing"),
    (TokenNeeded, 401, "token-needed"),
    (Forged, 403, "forged"),
    (NotFound, 404, "not-found"),
    (AlreadyDecided, 409, "already-decided"),
    (AlreadyConsumed, 409, "already-consumed"),
    (Ambiguous, 409, "ambiguous"),
    (Refused, 403, "refused"),
    (WaitTimeout, 504, "still-waits"),
    (NoWorker, 503, "no-worker"),
    (NotRecorded, 503, "not-recorded"),
    (OutcomeUnknown, 503, "outcome-unknown"),
    (CannotConnect, 503, "away"),
    (SQLAlchemyError, 503, "away"),
    (CannotStore, 503, "away"),
    (BrokenPolicy, 503, "broken-policy"),
    (Altered, 503, "altered"),
    (InvalidKeys, 503, "missing-key"),
    (AlreadyAsked, 409, "already-asked"),
    (KeyReused, 422, "key-reused"),
    (TooMany, 429, "too-many-requests"),
    (InvalidRequest, 422, "invalid"),
    (ClearanceError, 400, "bad-request"),
)
"""The first that fits."""

_OF_TEMPORAL = {
    RPCStatusCode.INVALID_ARGUMENT: (422, "invalid"),
    RPCStatusCode.NOT_FOUND: (404, "not-found"),
    RPCStatusCode.RESOURCE_EXHAUSTED: (429, "too-many-requests"),
}
"""What Temporal's own errors mean here; any other is that it is away."""

_OF_HTTP = {
    400: "bad-request",
    401: "sign-in-needed",
    403: "refused",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "unsupported-media-type",
    422: "invalid",
    429: "too-many-requests",
    503: "away",
}
"""What a status alone says. Python's own words for them differ from version to version."""


def _kind(error: Exception) -> tuple[int, str]:
    if isinstance(error, RPCError):
        return (503, "away") if is_away(error) else _OF_TEMPORAL.get(error.status, (503, "away"))
    if isinstance(error, Refused) and str(error) == rules.CHANGED:
        return 409, "changed"
    return next((code, name) for kind, code, name in _KINDS if isinstance(error, kind))


def status_of(error: Exception) -> int:
    """The HTTP status of what went wrong."""
    return _kind(error)[0]


def problem(status: int, detail: str, kind: str = "", **more: Any) -> JSONResponse:
    """An error for programs.

    Args:
        status: of HTTP.
        detail: what went wrong, and what to do.
        kind: the end of its ``type``; left out, what the status says.
        more: further members.
    """
    kind = kind or _OF_HTTP.get(status, "failed")
    title = kind.replace("-", " ").capitalize()
    body = {"type": TYPE + kind, "title": title, "status": status, "detail": visible(detail)}
    return JSONResponse({**body, **more}, status, media_type=MEDIA_TYPE)


def is_for_programs(request: Request) -> bool:
    """Whether an answer is read by a program: of the API, the codec and the two classic routes."""
    path = request.url.path
    return path.startswith(("/api/", "/approve/", "/codec/")) or path == "/pending"


def answered(request: Request, status: int, detail: str, kind: str = "", **more: Any) -> Response:
    """An error in the form its reader takes. The arguments are those of ``problem``."""
    if is_for_programs(request):
        return problem(status, detail, kind, **more)
    title, said = for_people(kind or _OF_HTTP.get(status, "failed"), request.url.path, detail)
    who = getattr(request.state, "who", None)
    return page(request, "error.html", status, who=who, status=status, title=title, detail=said)


def _of(request: Request, error: Exception, detail: str) -> Response:
    status, kind = _kind(error)
    more: dict[str, str] = {}
    if isinstance(error, AlreadyDecided):
        more["request_status"] = error.status
        if error.decision is not None:
            more["decided_by"] = visible(error.decision.by)
    if kind == "away" and not is_for_programs(request):
        kind = "database" if isinstance(error, SQLAlchemyError | CannotStore) else "silent"
    made = answered(request, status, detail, kind, **more)
    if isinstance(error, TokenNeeded):
        made.headers["WWW-Authenticate"] = error.challenge
    if status in (429, 503):
        made.headers["Retry-After"] = str(error.wait if isinstance(error, TooMany) else 1)
    return made


def _methods(request: Request) -> list[str]:
    """What may be done at a path: the framework tells of the first route only."""
    path: str = request.scope["path"]
    found: set[str] = set()
    for route in iter_route_contexts(request.app.routes):
        if route.methods and route.path_regex.match(path):
            found |= route.methods
    return sorted(found)


def _faults(error: RequestValidationError) -> list[Fault]:
    found = []
    for one in error.errors()[:_FAULTS]:
        where = ".".join(str(part) for part in one["loc"][1:])
        said = str(one["msg"]).removeprefix("Value error, ")
        found.append(Fault(field=one_line(where, 80), message=one_line(said, 300)))
    return found


def handle_errors(app: FastAPI) -> None:
    """Answer every error of ours, of the engine and of the framework."""

    @app.exception_handler(SignInNeeded)
    async def sign_in(request: Request, error: SignInNeeded) -> Response:
        if is_for_programs(request) or "hx-request" in request.headers:
            return _of(request, error, str(error))
        path = request.url.path if request.method == "GET" else "/"
        to = request.url_for("sign_in").include_query_params(next=path)
        return RedirectResponse(f"{to.path}?{to.query}", 303)

    @app.exception_handler(ClearanceError)
    async def ours(request: Request, error: ClearanceError) -> Response:
        # Programs choose the id of a decision by a key of their own.
        said = _UNKNOWN if isinstance(error, OutcomeUnknown) else str(error)
        return _of(request, error, said)

    @app.exception_handler(RPCError)
    async def engine(request: Request, error: RPCError) -> Response:
        return _of(request, error, f"Temporal answered with an error: {error.message}")

    @app.exception_handler(CannotStore)
    @app.exception_handler(SQLAlchemyError)
    async def store(request: Request, error: Exception) -> Response:
        # Its text may say where the database is, which is for the log.
        _log.error("the database failed", exc_info=error)
        said = "the inbox's database does not answer: try again in a moment"
        return _of(request, error, said)

    @app.exception_handler(HTTPException)
    async def framework(request: Request, error: HTTPException) -> Response:
        await recognise(request)
        made = answered(request, error.status_code, str(error.detail))
        made.headers.update(error.headers or {})
        if error.status_code == 405:
            made.headers["Allow"] = ", ".join(_methods(request))
        return made

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> Response:
        faults = _faults(error)
        first = faults[0]
        said = f"{first.field}: {first.message}" if first.field else first.message
        more = {"errors": [one.model_dump() for one in faults]}
        return answered(request, 422, said, "invalid", **more)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        # The server logs it, and the words of it may tell more than a stranger should read.
        return answered(request, 500, "something failed here: whoever runs this can find it logged")


class _Sized:
    """Refuses a body that says itself that it is too large, before any of it is read."""

    def __init__(self, app: ASGIApp, most: int, larger: Mapping[str, int]) -> None:
        self._limits = [
            (prefix, size, RequestBodyLimitMiddleware(app, max_body_size=size))
            for prefix, size in {**larger, "": most}.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        most, limited = next((s, app) for begin, s, app in self._limits if path.startswith(begin))
        if scope["type"] == "http":
            request = Request(scope)
            length = request.headers.get("content-length", "0")
            if length.isdecimal() and int(length) > most:
                made = answered(request, 413, f"a body has at most {most:,} bytes")
                await made(scope, receive, send)
                return
        await limited(scope, receive, send)


def sized(app: FastAPI, most: int, larger: Mapping[str, int]) -> None:
    """Take bodies of at most so many bytes, and larger ones where a path begins so. The framework's
    own limit answers in plain text."""
    app.add_middleware(_Sized, most=most, larger=larger)

"""What goes wrong, as a page or as ``application/problem+json`` (RFC 9457)."""

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException
from temporalio.service import RPCError

from clearance import ClearanceError
from clearance.errors import (
    AlreadyDecided,
    Ambiguous,
    CannotConnect,
    InvalidRequest,
    NotFound,
    NoWorker,
    Refused,
    WaitTimeout,
)

from .templating import page
from .who import Forged, SignInNeeded

_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (SignInNeeded, 401),
    (Forged, 403),
    (NotFound, 404),
    (AlreadyDecided, 409),
    (Ambiguous, 409),
    (Refused, 403),
    (WaitTimeout, 504),
    (NoWorker, 503),
    (CannotConnect, 503),
    (RPCError, 503),
    (InvalidRequest, 422),
    (ClearanceError, 400),
)
"""The first that fits."""


def status_of(error: Exception) -> int:
    """The HTTP status of what went wrong."""
    return next(code for kind, code in _STATUS if isinstance(error, kind))


def problem(status: int, detail: str, **more: object) -> JSONResponse:
    """An error for programs."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    return JSONResponse(
        {**body, "detail": detail, **more}, status, media_type="application/problem+json"
    )


def is_for_programs(request: Request) -> bool:
    """Whether an answer is read by a program: of the API and of the two classic routes."""
    path = request.url.path
    return path.startswith(("/api/", "/approve/")) or path == "/pending"


def answered(request: Request, status: int, detail: str) -> Response:
    """An error in the form its reader takes."""
    if is_for_programs(request):
        return problem(status, detail)
    title = HTTPStatus(status).phrase
    return page(request, "error.html", status, status=status, title=title, detail=detail)


def handle_errors(app: FastAPI) -> None:
    """Answer every error of ours, of the engine and of the framework."""

    @app.exception_handler(SignInNeeded)
    async def sign_in(request: Request, error: SignInNeeded) -> Response:
        if is_for_programs(request) or "hx-request" in request.headers:
            return answered(request, 401, str(error))
        path = request.url.path if request.method == "GET" else "/"
        to = request.url_for("sign_in").include_query_params(next=path)
        return RedirectResponse(f"{to.path}?{to.query}", 303)

    @app.exception_handler(ClearanceError)
    async def ours(request: Request, error: ClearanceError) -> Response:
        return answered(request, status_of(error), str(error))

    @app.exception_handler(RPCError)
    async def engine(request: Request, error: RPCError) -> Response:
        return answered(request, 503, f"Temporal answered with an error: {error.message}")

    @app.exception_handler(HTTPException)
    async def framework(request: Request, error: HTTPException) -> Response:
        made = answered(request, error.status_code, str(error.detail))
        made.headers.update(error.headers or {})
        return made

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        return answered(request, 422, f"{where}: {first['msg']}" if where else str(first["msg"]))

"""The ASGI application: every route, and what stands before them."""

from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from . import codec, links, oidc, signin
from .api import offered
from .context import Context
from .errors import handle_errors, sized
from .guard import guarded
from .ops import operable
from .pages import bulk, history, inbox, request, request_live, runs

MAX_BODY_BYTES = 1024 * 1024
"""Of one request: arguments have at most 256 KB, and a form encodes them."""


def make(context: Context) -> FastAPI:
    """The application of a running inbox."""
    app = FastAPI(
        title="Clearance",
        summary="A durable approval gate between an AI agent and an action that can't be undone",
        version="1",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.context = context
    handle_errors(app)
    sized(app, MAX_BODY_BYTES, {codec.PREFIX: codec.MAX_BODY_BYTES})
    offered(app, context)
    codec.coded(app, context)
    operable(app, context)
    oidc.set_up(app, context)
    guarded(app, context)
    app.include_router(bulk.router)
    app.include_router(history.router)
    app.include_router(inbox.router)
    app.include_router(links.router)
    app.include_router(request.router)
    app.include_router(request_live.router)
    app.include_router(runs.router)
    app.include_router(oidc.router)  # before signin, which takes any other word for a token
    app.include_router(signin.router)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
    return app

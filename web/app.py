"""The ASGI application: every route, and what stands before them."""

from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from . import signin
from .context import Context
from .errors import handle_errors
from .guard import guarded

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
        max_body_size=MAX_BODY_BYTES,
    )
    app.state.context = context
    handle_errors(app)
    guarded(app, context)
    app.include_router(signin.router)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
    return app

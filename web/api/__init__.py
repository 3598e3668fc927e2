"""The HTTP API: what other services call. ``docs/api.md`` tells how."""

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from web.context import Context

from . import classic, deciding, events, requests, taking
from .document import documented
from .whole import SlashesInIds


def offered(app: FastAPI, context: Context) -> None:
    """Offer it."""
    app.add_middleware(SlashesInIds)
    v1 = APIRouter(prefix="/api/v1", generate_unique_id_function=_name)
    for part in (requests, deciding, taking, events):
        v1.include_router(part.router)
    app.include_router(v1)
    app.include_router(classic.router)
    documented(app)


def _name(route: APIRoute) -> str:
    return route.name

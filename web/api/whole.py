"""Ids as programs write them: whole, in one segment of the path."""

from typing import Annotated
from urllib.parse import quote, unquote

from fastapi import Depends, Path
from pydantic import AfterValidator
from starlette.types import ASGIApp, Receive, Scope, Send

from clearance import ApprovalClient, contract
from web.context import Here

_SLASH = "\0"
"""Stands for a slash inside an id until the id is read; no id has it."""

_BELOW = ("/api/v1/requests/", "/approve/")


class SlashesInIds:
    """Keeps an id with a slash, sent as ``%2F``, in one segment.

    Without it ``/requests/a%2Foutcome`` is the same as ``/requests/a/outcome``.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Before the routes."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the path anew from what was sent."""
        if scope["type"] == "http" and scope["path"].startswith(_BELOW):
            parts = scope["raw_path"].decode("latin-1").split("/")
            scope["path"] = "/".join(unquote(part).replace("/", _SLASH) for part in parts)
        await self._app(scope, receive, send)


def _with_slashes(id: str) -> str:
    return id.replace(_SLASH, "/")


Id = Annotated[
    str,
    Path(
        description="The whole id of a request, percent-encoded: a slash in it is `%2F`.",
        examples=["approval-7f3k9d02c4"],
        min_length=1,
        max_length=contract.MAX_ID_CHARS,
    ),
    AfterValidator(_with_slashes),
]
"""The id of a request in a path."""


def path_of(id: str) -> str:
    """Where a request is read."""
    return f"/api/v1/requests/{quote(id, safe='')}"


def _approvals(context: Here) -> ApprovalClient:
    return context.approvals


Approvals = Annotated[ApprovalClient, Depends(_approvals)]
"""The requests, as a route asks for them: by whole ids."""

"""Ids as programs write them: whole, in one segment of the path."""

from typing import Annotated, Self
from urllib.parse import quote, unquote

from fastapi import Depends, Path, Request
from pydantic import AfterValidator
from starlette.types import ASGIApp, Receive, Scope, Send
from temporalio.client import WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from clearance import (
    ApprovalClient,
    ApprovalRequest,
    NotFound,
    contract,
    reading,
)

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


class Whole(ApprovalClient):
    """Takes ids only whole. A prefix helps people who type; a program that sends one has a fault, and
    must not decide another request than it means."""

    @classmethod
    def like(cls, other: ApprovalClient) -> Self:
        """On the same connection and queue."""
        return cls(other.temporal, task_queue=other._queue, answer_timeout=other._answer_timeout)

    async def has_ended(self, id: str) -> bool:
        """Whether a request waits no more. Raises NotFound."""
        return (await self._described(id)).status != WorkflowExecutionStatus.RUNNING

    async def has_asked(self, id: str, request: ApprovalRequest) -> bool:
        """Whether this very request was asked under that id."""
        handle = self.temporal.get_workflow_handle(id)
        return await reading.stored_request(handle) == request.concealed()

    async def _described(self, id: str) -> WorkflowExecutionDescription:
        try:
            found = await self.temporal.get_workflow_handle(id).describe()
        except RPCError as error:
            if error.status not in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
                raise
        else:
            if found.workflow_type == contract.APPROVAL_WORKFLOW:
                return found
        raise NotFound("no request has this id; ids are given whole here")


def _approvals(request: Request) -> Whole:
    approvals: Whole = request.app.state.whole
    return approvals


Approvals = Annotated[Whole, Depends(_approvals)]
"""The requests, as a route asks for them."""

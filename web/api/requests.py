"""Asking, and reading what was asked."""

from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, BeforeValidator

from clearance import (
    AlreadyAsked,
    ApprovalClient,
    ApprovalRequest,
    ApprovalSummary,
    FinishedApproval,
    InvalidRequest,
    Outcome,
    Page,
    Risk,
    WaitTimeout,
)
from web.context import Here
from web.problems import KeyReused

from .auth import CanRead, CanReadOrRequest, CanRequest
from .document import header, posted, problems
from .keys import IdempotencyKey, key_of
from .models import Json, NewRequest, Read, StillWaits, Untaken, Waiting
from .waiting import MAX_WAIT, outcome_within, while_there
from .whole import Approvals, Id, path_of

router = APIRouter(tags=["requests"])

_LOCATION = header("Location", "Where the request is read.")

_MALFORMED = {422: "A filter or the cursor is none: begin again without the cursor."}


@router.post(
    "/requests",
    summary="Ask for an approval",
    status_code=201,
    response_model=ApprovalSummary,
    responses={
        200: {
            "description": "It was asked with this `Idempotency-Key` before. As it stands now.",
            "model": ApprovalSummary,
            "headers": _LOCATION,
        },
        201: {"description": "It waits for a decision.", "headers": _LOCATION},
        **posted(
            {
                409: "A request has, or had, this `id`. Nothing was asked.",
                422: "Or nobody could ever approve it; or another request was asked with this "
                "`Idempotency-Key`. Nothing was asked.",
            },
            one=False,
        ),
    },
)
async def create(
    body: Json[NewRequest],
    response: Response,
    service: CanRequest,
    approvals: Approvals,
    idempotency_key: IdempotencyKey = None,
) -> Any:
    """Asks people, as the request says: whom, how many of them, until when.

    Your service is the one that asks; with the scope `request-for` it may name another `requester`, for
    whom it asks. What may be done afterwards is bound to
    the `digest` in the answer. Secrets among `arguments` are masked before they are stored.
    """
    if body.requester is not None and body.requester != service.name:
        service.needs("request-for")  # who approves their own is judged by that name
    asked = body.as_request(service.name)
    key = key_of(service, idempotency_key)
    if key is None:
        made = await approvals.request(
            asked, id=body.id or f"approval-{uuid4().hex[:16]}", new=True
        )
    elif body.id is not None:
        raise InvalidRequest("give either an id or an Idempotency-Key: either makes it one request")
    else:
        made, is_new = await _asked_once(approvals, asked, f"approval-{key}")
        response.status_code = 201 if is_new else 200
    response.headers["Location"] = path_of(made.id)
    return made


async def _asked_once(
    approvals: ApprovalClient, asked: ApprovalRequest, id: str
) -> tuple[ApprovalSummary, bool]:
    """The one request under an id that a key makes, and whether it is new."""
    try:
        return await approvals.request(asked, id=id, new=True), True
    except AlreadyAsked:
        if (await approvals.get(id)).request != asked.sent():
            raise KeyReused(
                "another request was asked with this Idempotency-Key: take a new key"
            ) from None
        return await approvals.request(asked, id=id), False


def _written_out(value: object) -> object:
    # A number would be read as seconds since 1970, which nobody means who forgets a date's hyphens.
    if isinstance(value, str) and "T" not in value.upper():
        raise ValueError("write a time like 2026-11-21T09:30:00Z")
    return value


Filter = Annotated[str | None, Query(min_length=1, max_length=200)]
Size = Annotated[int, Query(ge=1, le=200, description="Lines of a page.")]
Cursor = Annotated[
    str | None,
    Query(
        max_length=4_000,
        description="That of the page before, with the same filters: gets the next one.",
    ),
]
Time = Annotated[AwareDatetime | None, Query(), BeforeValidator(_written_out)]


@router.get(
    "/requests",
    summary="What waits for a decision",
    response_model=Waiting,
    responses=problems(_MALFORMED),
)
async def pending(
    _: CanRead,
    context: Here,
    tool: Filter = None,
    run: Filter = None,
    risk: Annotated[Risk | None, Query()] = None,
    requester: Filter = None,
    checkpoint: Filter = None,
    reviewer: Filter = None,
    audience: Filter = None,
    due_before: Time = None,
    limit: Size = 50,
    cursor: Cursor = None,
) -> Any:
    """Newest first; all filters that are given must fit.

    `reviewer` gets what this person may decide: as themselves, for a group, for whom they stand in
    for, or because anybody may. `audience` gets what names this person or group.
    """
    found = await context.approvals.page(
        size=limit,
        cursor=cursor,
        tool=tool,
        run=run,
        risk=risk,
        requester=requester,
        checkpoint=checkpoint,
        reviewer=reviewer,
        also=None if reviewer is None else await context.names_of(reviewer),
        audience=audience,
        due_before=due_before,
    )
    return Waiting(**_fields(found), served=await context.approvals.is_served())


@router.get(
    "/history",
    summary="What has ended",
    response_model=Page[FinishedApproval],
    responses=problems(_MALFORMED),
)
async def history(
    _: CanRead,
    context: Here,
    status: Annotated[
        Literal["approved", "rejected", "expired", "withdrawn"] | None, Query()
    ] = None,
    reviewer: Filter = None,
    tool: Filter = None,
    run: Filter = None,
    risk: Annotated[Risk | None, Query()] = None,
    requester: Filter = None,
    checkpoint: Filter = None,
    since: Time = None,
    until: Time = None,
    limit: Size = 50,
    cursor: Cursor = None,
) -> Any:
    """The latest end first; all filters that are given must fit. `reviewer` is who closed it."""
    found = await context.archive.page(
        size=limit,
        cursor=cursor,
        status=status,
        reviewer=reviewer,
        tool=tool,
        run=run,
        risk=risk,
        requester=requester,
        checkpoint=checkpoint,
        since=since,
        until=until,
    )
    return found.value


@router.get(
    "/requests/{id}",
    summary="One request, whole",
    response_model=Read,
    responses=problems({422: "Or the request itself was malformed."}, one=True),
)
async def get(id: Id, _: CanRead, context: Here) -> Any:
    """What was asked, who has decided, and everything that happened. `digest` is what a decision has
    to name. While no worker answers, `complete` is false, `events` is empty, and `recorded` has what was
    sent meanwhile."""
    view = (await context.archive.get(id)).value
    served = view.status != "pending" or await context.approvals.is_served()
    untaken = await context.approvals.untaken(view)
    recorded = [Untaken(what=one.what, who=one.who) for one in untaken]
    return Read.model_construct(**_fields(view), served=served, recorded=recorded)


def _fields(of: BaseModel) -> dict[str, Any]:
    """What was validated already, by name."""
    return {name: getattr(of, name) for name in type(of).model_fields}


@router.get(
    "/requests/{id}/outcome",
    summary="Wait until it has ended",
    response_model=Outcome,
    responses={
        202: {
            "description": "It still waits: ask again.",
            "model": StillWaits,
            "headers": header("Retry-After", "Seconds until it is worth asking again.", "integer"),
        },
        **problems({422: "Or the request itself was malformed."}, one=True),
    },
)
async def outcome(
    id: Id,
    request: Request,
    _: CanReadOrRequest,
    approvals: Approvals,
    context: Here,
    timeout: Annotated[
        int, Query(ge=0, le=MAX_WAIT, description="Seconds to wait; 0 for one look.")
    ] = 30,
) -> Any:
    """Answers as soon as it has ended, or after `timeout` seconds.

    Test `status` before you act: only `approved` is a permission.
    """
    try:
        waiting = outcome_within(approvals, context.archive, id, timeout)
        ended = await while_there(request, context.stopping, waiting)
    except WaitTimeout:
        ended = None
    if ended is not None:
        return ended
    waits = StillWaits(approval_id=id).model_dump()
    return JSONResponse(waits, 202, {"Retry-After": "1"})

"""For an agent outside Temporal: taking the permission to act, and saying what the action did."""

from typing import Any

from fastapi import APIRouter, Response

from clearance import NotFound, OutcomeReceipt, Permit, Refused

from .auth import CanRequest
from .document import posted
from .keys import IdempotencyKey, key_of
from .models import Did, Json, WouldDo
from .whole import Approvals, Id

router = APIRouter(tags=["acting"], prefix="/requests/{id}/consumption")


@router.post(
    "",
    summary="Take the permission to act",
    response_model=Permit,
    responses={
        200: {"description": "Act now: nobody else will."},
        **posted(
            {
                403: "Or there is no permission: it wasn't approved, or something else was, or it is "
                "too late, or a run asked for it and acts itself.",
                409: "Somebody has taken it. Do not act.",
            }
        ),
    },
)
async def consume(
    id: Id,
    body: Json[WouldDo],
    service: CanRequest,
    approvals: Approvals,
    idempotency_key: IdempotencyKey = None,
) -> Any:
    """One taker gets it, once, as long after the approval as the request's `usable_for` says.

    `arguments` of the answer are what was approved, which a reviewer may have changed; `digest` is
    that of what you are about to do. With the same `Idempotency-Key` you get the same answer again,
    after a failure of the network for instance; without one, only the first request gets it.
    """
    return await approvals.consume(
        id,
        digest=body.digest,
        taker=service.name,
        consumption_id=key_of(service, idempotency_key, "consumption"),
    )


@router.post(
    "/outcome",
    summary="Say what the action did",
    response_model=OutcomeReceipt,
    responses={
        200: {"description": "It stands in the record."},
        202: {
            "description": "It is stored, and stands in the record when a worker is back.",
            "model": OutcomeReceipt,
        },
        **posted(
            {
                403: "Or nobody has taken the permission, or another service has, or you have "
                "reported something else before.",
            }
        ),
    },
)
async def report(
    id: Id, body: Json[Did], response: Response, service: CanRequest, approvals: Approvals
) -> Any:
    """For whoever took the permission. The first report stands; the same one again is fine."""
    try:
        receipt = await approvals.report(
            id, taker=service.name, succeeded=body.succeeded, summary=body.summary
        )
    except NotFound:
        await approvals.summary(id)  # raises where there is no such request
        raise Refused(
            f"nobody has taken the permission of {id}: take it, act, then report"
        ) from None
    response.status_code = 200 if receipt.in_effect else 202
    return receipt

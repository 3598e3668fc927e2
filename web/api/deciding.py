"""Deciding, and what else people do to a request. As whom, the token says."""

from typing import Any, TypeVar

from fastapi import APIRouter, Response

from clearance import ActReceipt, Receipt
from clearance.acting import How

from .auth import CanDecide, CanRequestOrDecide, Service
from .document import posted
from .keys import IdempotencyKey, key_of
from .models import HandOver, Json, Verdict, Why, Words
from .whole import Approvals, Id

router = APIRouter(tags=["deciding"], prefix="/requests/{id}")

R = TypeVar("R", Receipt, ActReceipt)


def _receipts(model: type[Any], refused: str) -> dict[int | str, dict[str, Any]]:
    return {
        200: {"description": "It counts."},
        202: {
            "description": "It is recorded, and takes effect when a worker is back: `recorded_at` is "
            "null. With the same `Idempotency-Key` you learn later whether it counted.",
            "model": model,
        },
        **posted(
            {
                403: f"Or {refused}",
                409: "The request has ended (`already-decided`), or is another one by now than you "
                "have read (`changed`).",
            }
        ),
    }


_DECIDED = _receipts(Receipt, "the decision does not count, and `detail` says why.")
_ACTED = _receipts(ActReceipt, "this person may not do it.")


def _told(response: Response, receipt: R) -> R:
    response.status_code = 200 if receipt.in_effect else 202
    return receipt


def _how(service: Service, key: str | None, kind: str) -> How:
    said: How = {"channel": "api"}
    if (act_id := key_of(service, key, kind)) is not None:
        said["act_id"] = act_id
    return said


@router.post("/decision", summary="Decide", response_model=Receipt, responses=_DECIDED)
async def decide(
    id: Id,
    body: Json[Verdict],
    response: Response,
    service: CanDecide,
    approvals: Approvals,
    idempotency_key: IdempotencyKey = None,
) -> Any:
    """Approves or rejects what has this `digest`, as the person that the token decides as.

    `status` of the receipt is `pending` while more people have to approve.
    """
    return _told(
        response,
        await approvals.decide(
            id,
            **{name: getattr(body, name) for name in type(body).model_fields},
            reviewer=service.reviewer,
            channel="api",
            decision_id=key_of(service, idempotency_key, "decision"),
        ),
    )


@router.post("/comment", summary="Comment", response_model=ActReceipt, responses=_ACTED)
async def comment(
    id: Id,
    body: Json[Words],
    response: Response,
    service: CanDecide,
    approvals: Approvals,
    idempotency_key: IdempotencyKey = None,
) -> Any:
    """Says something to everybody who reads the request. Decides nothing."""
    how = _how(service, idempotency_key, "comment")
    return _told(response, await approvals.comment(id, body.text, who=service.reviewer, **how))


@router.post("/question", summary="Ask a question", response_model=ActReceipt, responses=_ACTED)
async def question(
    id: Id,
    body: Json[Words],
    response: Response,
    service: CanDecide,
    approvals: Approvals,
    idempotency_key: IdempotencyKey = None,
) -> Any:
    """Asks whoever asked for the action."""
    how = _how(service, idempotency_key, "question")
    return _told(response, await approvals.ask(id, body.text, who=service.reviewer, **how))


@router.post("/answer", summary="Answer a question", response_model=ActReceipt, responses=_ACTED)
async def answer(
    id: Id,
    body: Json[Words],
    response: Response,
    service: CanRequestOrDecide,
    approvals: Approvals,
    idempotency_key: IdempotencyKey = None,
) -> Any:
    """For whoever asked for the action, and for operators: with the scope `request` as your service,
    else as the person that the token decides as."""
    how = _how(service, idempotency_key, "answer")
    return _told(response, await approvals.answer(id, body.text, who=service.requester, **how))


@router.post("/delegation", summary="Hand it over", response_model=ActReceipt, responses=_ACTED)
async def delegate(
    id: Id,
    body: Json[HandOver],
    response: Response,
    service: CanDecide,
    approvals: Approvals,
    idempotency_key: IdempotencyKey = None,
) -> Any:
    """Lets somebody else decide this one request instead."""
    how = _how(service, idempotency_key, "delegation")
    receipt = await approvals.delegate(
        id, to=body.to, who=service.reviewer, reason=body.reason, **how
    )
    return _told(response, receipt)


@router.post("/withdrawal", summary="Withdraw it", response_model=ActReceipt, responses=_ACTED)
async def withdraw(
    id: Id,
    body: Json[Why],
    response: Response,
    service: CanRequestOrDecide,
    approvals: Approvals,
    idempotency_key: IdempotencyKey = None,
) -> Any:
    """Ends a request that need not be decided any more. For whoever asked for the action, and for
    operators: with the scope `request` as your service, else as the person that the token decides
    as."""
    how = _how(service, idempotency_key, "withdrawal")
    receipt = await approvals.withdraw(id, who=service.requester, reason=body.reason, **how)
    return _told(response, receipt)

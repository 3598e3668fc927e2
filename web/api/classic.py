"""The two routes of the well-known recipe, for services that speak them already.

A decision of theirs names no digest: it is about what is there when it arrives. ``/api/v1`` binds it to
what was read.
"""

import json
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Response
from pydantic import JsonValue, ValidationError

from clearance import ApprovalRequest, InvalidRequest, contract, mask, text
from clearance.errors import explain

from .auth import CanDecide, CanRequest
from .document import posted
from .models import ClassicAnswer, ClassicDecision, ClassicRequest, Json
from .whole import Approvals, Id

router = APIRouter(tags=["classic"])


@router.post(
    "/pending",
    summary="Ask for an approval",
    operation_id="ask_classic",
    status_code=201,
    response_model=ClassicAnswer,
    responses={
        201: {"description": "It waits for a decision."},
        **posted({409: "A request has, or had, this id. Nothing was asked."}, one=False),
    },
)
async def ask(body: Json[ClassicRequest], service: CanRequest, approvals: Approvals) -> Any:
    """Anybody may decide it. `agent_context` is shown to reviewers; secrets in it are masked."""
    made = await approvals.request(_request(body, service.name), id=body.request_id, new=True)
    return ClassicAnswer(request_id=made.id, status="pending")


@router.post(
    "/approve/{id}",
    summary="Decide",
    operation_id="decide_classic",
    response_model=ClassicAnswer,
    responses={
        200: {"description": "It counts."},
        202: {
            "description": "It is recorded, and takes effect when a worker is back.",
            "model": ClassicAnswer,
        },
        **posted(
            {
                403: "Or the decision does not count, and `detail` says why.",
                409: "It was decided already.",
            }
        ),
    },
)
async def decide(
    id: Id,
    body: Json[ClassicDecision],
    response: Response,
    service: CanDecide,
    approvals: Approvals,
) -> Any:
    """Decides what is there now, whatever was read before: prefer `/api/v1/requests/{id}/decision`."""
    approved = body.decision in (True, "approved")
    receipt = await approvals.decide(
        id, approved=approved, reviewer=service.reviewer, reason=body.reason, channel="api"
    )
    response.status_code = 200 if receipt.in_effect else 202
    return ClassicAnswer(
        request_id=receipt.approval_id, status=receipt.status, decided_by=service.reviewer
    )


def _request(body: ClassicRequest, requester: str) -> ApprovalRequest:
    """What is asked. Raises InvalidRequest: it is too much to be shown."""
    known: dict[str, JsonValue] = {"agent_context": body.agent_context}
    shown, masked = mask.conceal(known)
    said = mask.scrub(body.action_description.strip(), known, masked)
    action = text.one_line(said, contract.MAX_ACTION_CHARS)
    parts = [said] if said != action else []
    if body.agent_context is not None:
        parts.append(f"Context: {_readable(shown['agent_context'])}")
    if body.timestamp is not None:
        asked = body.timestamp
        when = asked.isoformat() if isinstance(asked, datetime) else f"{asked:.0f} s after 1970"
        parts.append(f"Asked at {when}, by the agent's clock.")
    try:
        mask.check(masked)
        return ApprovalRequest(action=action, details="\n\n".join(parts), requester=requester)
    except ValidationError as error:
        raise InvalidRequest(explain(error)) from error
    except ValueError as error:
        raise InvalidRequest(str(error)) from error


def _readable(context: JsonValue) -> str:
    """JSON on lines of its own where there is room for it; a text as it is."""
    if isinstance(context, str):
        return context
    plain = json.dumps(context, ensure_ascii=False)
    if (size := len(plain.encode())) > contract.MAX_DETAILS_BYTES:
        raise InvalidRequest(
            f"agent_context is {size:,} bytes of JSON, at most {contract.MAX_DETAILS_BYTES:,}: "
            "shorten it, or link to the document"
        )
    pretty = json.dumps(context, ensure_ascii=False, indent=2)
    return pretty if len(pretty.encode()) < contract.MAX_DETAILS_BYTES // 2 else plain

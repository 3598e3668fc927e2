"""Deciding several requests at once: of one checkpoint, of low risk, each as a decision of its own."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from starlette.datastructures import FormData
from temporalio.service import RPCError

from clearance import ApprovalClient, ClearanceError, contract
from clearance.errors import AlreadyDecided, InvalidRequest
from clearance.models import Receipt
from clearance.text import one_line
from clearance.views import ApprovalView
from web.context import Context, Here
from web.templating import page
from web.who import Acting, Who

from .inbox import listed
from .inbox_asked import understood
from .inbox_view import SIZE, Asked

router = APIRouter(include_in_schema=False)

_AT_ONCE = 10
"""Requests that are read, or decided, at the same time."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Pick:
    """One selected request, as its row showed it."""

    id: str
    digest: str
    stage: int


@dataclass(frozen=True)
class Result:
    """What became of one decision."""

    view: ApprovalView
    counted: bool
    status: str
    """The request's status from here on, as far as it is known."""
    words: str


@router.post("/bulk")
async def bulk(request: Request, context: Here, who: Acting) -> HTMLResponse:
    """Decide what was selected, or nothing of it where it doesn't go together: then the inbox is
    shown again, with what is selected and why nothing was decided.

    Raises:
        NotFound: a request isn't there any more.
        TooMany: that would be more decisions than somebody may take in a minute.
    """
    form = await request.form()
    asked, _ = understood(Asked, dict(parse_qsl(str(form.get("asked", "")).partition("?")[2])))
    verdict, reason = str(form.get("verdict", "")), str(form.get("reason", "")).strip()
    try:
        picks, views = await _selected(context, form, verdict, reason)
    except InvalidRequest as error:
        picked = set(map(str, form.getlist("pick")))
        return await listed(
            request, context, who, asked, refused=str(error), picked=picked, reason=reason
        )
    approvals, batch = context.approvals, str(form.get("batch", ""))
    for _ in picks[1:]:  # the form itself was counted as one
        context.limits.hit("act", f"person {who.name}")

    async def decide(both: tuple[Pick, ApprovalView]) -> Result:
        key = _key(batch or who.csrf, verdict, both[0])
        return await _decided(approvals, who, *both, verdict == "approve", reason, key)

    results = await _each(list(zip(picks, views, strict=True)), decide)
    return page(request, "bulk.html", who=who, verdict=verdict, results=results, back=asked.url())


async def _selected(
    context: Context, form: FormData, verdict: str, reason: str
) -> tuple[list[Pick], list[ApprovalView]]:
    """What is to be decided, as it is now. Raises InvalidRequest: it can't be, not in this way."""
    picks = _picked(form)
    if verdict not in ("approve", "reject"):
        raise InvalidRequest("Choose Approve or Reject. Nothing was decided.")
    if verdict == "reject" and not reason:
        raise InvalidRequest("To reject, say why: the agents are told. Nothing was decided.")
    if len(reason) > contract.MAX_REASON_CHARS:
        raise InvalidRequest("The reason has more than 4,000 characters. Nothing was decided.")
    views = await _each(picks, lambda pick: context.approvals.get(pick.id))
    _go_together(picks, views)
    return picks, views


def _picked(form: FormData) -> list[Pick]:
    picks = []
    for given in dict.fromkeys(map(str, form.getlist("pick"))):
        digest, _, rest = given.partition(":")
        stage, _, id = rest.partition(":")
        if not (digest and stage.isascii() and stage.isdecimal() and len(stage) < 4 and id):
            raise InvalidRequest("That selection is none of this page: select anew.")
        picks.append(Pick(id, digest, int(stage)))
    if not picks:
        raise InvalidRequest("Nothing was selected: tick what you want to decide.")
    if len(picks) > SIZE:
        raise InvalidRequest(f"At most {SIZE} at once: select fewer. Nothing was decided.")
    return picks


def _go_together(picks: Sequence[Pick], views: Sequence[ApprovalView]) -> None:
    """Raise InvalidRequest unless, by what the gate says now, they may be decided in one go."""
    for pick, view in zip(picks, views, strict=True):
        request = view.request
        what = f"“{one_line(request.action, 80)}”"
        if view.id != pick.id:
            raise InvalidRequest("One of these is not there any more. Nothing was decided.")
        if request.risk != "low":
            said = f"{what} is of {request.risk} risk: only low risk is decided several at once"
        elif not request.checkpoint:
            said = f"{what} was stopped by no checkpoint, so nothing says what it is like"
        elif request.confirm_phrase is not None:
            said = f"{what} asks for a phrase to be typed"
        elif request.response_schema is not None:
            said = f"{what} asks for an answer"
        else:
            continue
        raise InvalidRequest(f"{said}. Open it to decide it. Nothing was decided.")
    checkpoints = sorted({str(view.request.checkpoint) for view in views})
    if len(checkpoints) > 1:
        raise InvalidRequest(
            f"These are of {len(checkpoints)} checkpoints, {' and '.join(checkpoints[:5])}: "
            "select those of one. Nothing was decided."
        )


def _key(batch: str, verdict: str, pick: Pick) -> str:
    """The id of one decision: the same form sent twice is the same decisions."""
    content = "\0".join((batch, verdict, pick.id, pick.digest, str(pick.stage)))
    return hashlib.sha256(content.encode(errors="replace")).hexdigest()


async def _decided(
    approvals: ApprovalClient,
    who: Who,
    pick: Pick,
    view: ApprovalView,
    approved: bool,
    reason: str,
    key: str,
) -> Result:
    try:
        receipt = await approvals.decide(
            view.id,
            approved=approved,
            reviewer=who.name,
            groups=who.groups,
            channel=who.channel,
            reason=reason,
            digest=pick.digest,
            stage=pick.stage if view.request.stages else None,
            decision_id=key,
        )
    except AlreadyDecided as error:
        return Result(view, False, error.status, str(error))
    except ClearanceError as error:
        return Result(view, False, view.status, str(error))
    except RPCError as error:
        return Result(view, False, view.status, f"Temporal did not take it: {error.message}")
    return Result(view, receipt.counted, receipt.status, _words(receipt, approved))


def _words(receipt: Receipt, approved: bool) -> str:
    if not receipt.in_effect:
        return "recorded; it takes effect when a worker is back"
    if receipt.status != "pending":
        return ""
    if receipt.next_stage is not None:
        return f"counted; now {receipt.next_stage} is asked"
    has, of = (
        (receipt.approvals, receipt.quorum)
        if approved
        else (receipt.rejections, receipt.reject_quorum)
    )
    return f"counted: {has} of {of} so far"


async def _each(items: Iterable[T], work: Callable[[T], Awaitable[R]]) -> list[R]:
    """The results in order, a few at a time. Raises what the first that fails does."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(item: T) -> R:
        async with slots:
            return await work(item)

    tasks = [asyncio.ensure_future(one(item)) for item in items]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()

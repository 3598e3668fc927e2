"""The page of one request, where somebody decides it."""

import contextlib
import shlex
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.background import BackgroundTask
from temporalio.service import RPCError

from clearance import ApprovalView, CannotConnect, ClearanceError, InvalidRequest, Refused, render
from clearance.away import before_sending
from web.context import Context, Here
from web.errors import status_of
from web.templating import page
from web.who import Acting, Person, Who

from . import answering, editing, request_values
from .forms import Form
from .request_acts import send
from .request_course import stages
from .request_live import live_path, run_over, settled, stamp
from .request_may import may
from .request_next import next_of
from .request_words import changed_by, editor_counts, end_of, sentence, told

router = APIRouter(include_in_schema=False)

_SAID_LASTS = 600
"""Seconds for which the address of a page says what has just been done."""

_UNTAKEN = 5
"""Lines at most of what has not taken effect yet, the latest."""

Said = Annotated[str, Query(max_length=4_000)]


def path_of(id: str) -> str:
    """The page of a request; an id may have slashes and anything else that can be printed."""
    return f"/requests/{quote(id, safe='')}"


async def shown(
    context: Context,
    who: Who,
    id: str,
    *,
    act_url: str = "",
    links_elsewhere: bool = True,
    form: Form | None = None,
    error: ClearanceError | None = None,
    preview: bool = False,
    edit: bool = False,
    said: str = "",
) -> dict[str, Any]:
    """All that ``_request_body.html`` shows of a request to somebody.

    Args:
        context: of the running inbox.
        who: reads it; decides what is offered.
        id: the request, or what means it.
        act_url: where its forms go; left out, to its own page.
        links_elsewhere: whether it may tell of its run, and link to that and to other requests.
        form: what was sent and not taken: it stands in the inputs again.
        error: why it wasn't.
        preview: whether the form asks to see its changes.
        edit: whether it is opened to be changed; an approval as it is isn't offered beside that.
        said: what ``said_of`` made, to be told above everything.

    Raises:
        NotFound, Ambiguous, InvalidRequest: nothing, or more than one, is meant.
    """
    found = await context.archive.get(id)
    view = found.value
    draft, error = _draft(view, form, error, preview=preview)
    request = view.current
    email, arguments = request_values.read(request)
    fields = editing.fields(view, form)
    over = found.forgotten or await run_over(context.approvals.temporal, view)
    done = _said(context, who, view, said)
    waiting = await context.approvals.untaken(view)
    lines = [one.sentence(who.name) for one in waiting[-_UNTAKEN:]]
    return {
        "who": who,
        "csrf": who.csrf,
        "act_url": act_url or path_of(view.id),
        "links_elsewhere": links_elsewhere,
        "run_url": f"/runs/{quote(view.request.run_id or '', safe='')}",
        "view": view,
        "shell_id": shlex.quote(view.id),
        "asked": request,
        "may": await may(context, who, view),
        "end": end_of(view),
        "title_holds": view.edit is None or view.request.description_template is not None,
        "changed_by": changed_by(view),
        "editor_counts": editor_counts(view),
        "editing": bool(fields) and draft is None and (edit or _is_edited(form)),
        "email": email,
        "arguments": arguments,
        "changed": list(request_values.compared(view.edit.changes if view.edit else ())),
        "answer": _answer(view),
        "stages": stages(view),
        "facts": [*_facts(view), *([render.KEPT] if found.forgotten else [])],
        "story": told(view),
        "sentence": lambda text: sentence(text, who, view),
        "compared": request_values.compared,
        "unanswered": _unanswered(view),
        "next": await next_of(context, view, whole_run=links_elsewhere, over=over),
        "questions": answering.asked(view, form),
        "fields": fields,
        "draft": draft,
        "phrase": (draft.request if draft else request).phrase,
        "do": form.do if form else "",
        "typed": _typed(form),
        "error": error,
        "problem": sentence(str(error), who, view) if error else "",
        "problems": getattr(error, "fields", {}),
        "said": done,
        "untaken": [one for one in lines if done is None or one != done[1]],
        "has_decided": any(one.decides and one.who == who.name for one in waiting),
        "decision_id": uuid.uuid4().hex,
        "act_id": uuid.uuid4().hex,
        "live": live_path(view, over=over),
        "stamp": stamp(view, over=over),
        "settled": settled(view, over=over),
        "path_of": path_of,
    }


def said_of(context: Context, who: Who, id: str, tone: str, sentence: str) -> str:
    """What is said of something that was just done, signed: nobody else makes a page of ours say it."""
    return str(_signer(context).dumps([who.name, id, tone, sentence]))


@router.get("/requests/{id:path}", name="request")
async def read(
    request: Request, id: str, context: Here, who: Person, said: Said = "", edit: bool = False
) -> Response:
    """Show a request, as far as it is; with ``edit`` to change it."""
    body = await shown(context, who, id, said=said, edit=edit)
    view: ApprovalView = body["view"]
    if view.id != id:
        return RedirectResponse(path_of(view.id), 303)
    response = page(request, "request.html", **body)
    if _is_read(request, who, view):
        response.background = BackgroundTask(_viewed, context, who, view.id)
    return response


@router.post("/requests/{id:path}")
async def act(request: Request, id: str, context: Here, who: Acting) -> Response:
    """Decide it, or do something else to it; or show what changes would come to."""
    form = Form(await request.form())
    if form.do == "preview":
        body = await shown(context, who, id, form=form, preview=True)
        code = status_of(body["error"]) if body["error"] else 200
        return page(request, "request.html", code, **body)
    async with before_sending():
        view = await context.approvals.get(id)
    try:
        tone, sentence = await send(context, who, view, form)
    except CannotConnect:
        raise  # the request could not be shown either
    except ClearanceError as error:
        body = await shown(context, who, view.id, form=form, error=error)
        return page(request, "request.html", status_of(error), **body)
    said = f"?said={said_of(context, who, view.id, tone, sentence)}" if sentence else ""
    return RedirectResponse(path_of(view.id) + said, 303)


def _draft(
    view: ApprovalView, form: Form | None, error: ClearanceError | None, *, preview: bool
) -> tuple[editing.Preview | None, ClearanceError | None]:
    """The changes that are about to be approved, if there are any; or what is wrong with them."""
    if form is None or view.status != "pending":
        return None, error
    try:
        if preview:
            return editing.preview(view, form), error
        if form.do == "approve" and "arguments" in form:
            return editing.sent(view, form), error
    except (Refused, InvalidRequest) as fault:
        return None, error or fault
    return None, error


def _is_edited(form: Form | None) -> bool:
    """Whether a form was sent that has changes: they must not be lost by approving what stands above."""
    return form is not None and (form.do == "preview" or "arguments" in form)


def _typed(form: Form | None) -> Callable[[str, str], str]:
    """What stood in a field of one of the forms, where it was that one."""

    def typed(do: str, name: str) -> str:
        return form.text(name) if form is not None and form.do in do.split() else ""

    return typed


def _facts(view: ApprovalView) -> list[tuple[str, str]]:
    """What the command line tells besides, where there is something to tell."""
    kept = ("Policy", "Own approval", "Decisions", "Granted", "Masked")
    return [one for one in render.fields(view, datetime.now(UTC)) if one[0] in kept]


def _answer(view: ApprovalView) -> list[request_values.Part]:
    if view.decision is None or view.decision.response is None:
        return []
    return request_values.answered(view.decision.response)


def _unanswered(view: ApprovalView) -> str:
    """The last question, if nobody has answered since."""
    talk = [one for one in view.events if one.kind in ("asked", "answered")]
    return talk[-1].reason if talk and talk[-1].kind == "asked" else ""


def _said(context: Context, who: Who, view: ApprovalView, token: str) -> tuple[str, str] | None:
    if not token:
        return None
    try:
        name, id, tone, sentence = _signer(context).loads(token, max_age=_SAID_LASTS)
    except (BadSignature, ValueError):
        return None
    mine = (name, id) == (who.name, view.id)
    outdated = tone.startswith("wait") and view.status != "pending"  # it has taken effect meanwhile
    return (tone, sentence) if mine and not outdated else None


def _signer(context: Context) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(context.store.signing_key, salt="said")


def _is_read(request: Request, who: Who, view: ApprovalView) -> bool:
    """Whether somebody reads it now for the first time, and not a program on their behalf."""
    headers = request.headers
    loads = headers.get("sec-fetch-dest", "document") == "document"
    if not loads or "hx-request" in headers or "sec-purpose" in headers:
        return False
    name = who.name.casefold()
    seen = any(one.kind == "viewed" and (one.who or "").casefold() == name for one in view.events)
    return view.complete and view.status == "pending" and not seen


async def _viewed(context: Context, who: Who, id: str) -> None:
    """Record it. The page is shown whether that succeeds or not."""
    with contextlib.suppress(ClearanceError, RPCError):
        await context.approvals.viewed(id, who=who.name, groups=who.groups, channel=who.channel)

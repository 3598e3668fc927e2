"""Signed links: one person's way to one request, and to nothing else.

A GET never decides: mail scanners follow every link, so it leaves no trace in the record either.
"""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from clearance import CannotConnect, ClearanceError, InvalidRequest, NotFound
from clearance.away import before_sending
from store import Link
from store.links import id_of

from .context import Context, Here
from .errors import status_of
from .guard import address_of
from .pages.forms import Form
from .pages.request import said_of, shown
from .pages.request_acts import send
from .templating import page
from .who import CSRF_FIELD, Who, check_form, csrf_of

router = APIRouter(include_in_schema=False)

_DOES = ("approve", "reject", "changes", "preview", "comment", "ask", "answer")
"""What somebody does by a link. Whom it may be handed over to is for whoever made it to say."""


class LinkGone(ClearanceError):
    """A link that opens nothing. ``status`` is for HTTP: 403 for none of ours, 410 for one that was."""

    def __init__(self, status: int, text: str) -> None:
        """Say what it is, and what to do."""
        super().__init__(text)
        self.status = status


@router.get("/l/{token}")
async def read(
    request: Request, token: str, context: Here, said: str = "", edit: bool = False
) -> Response:
    """Show the request while it waits; then only who ended it."""
    try:
        link = await _opened(request, context, token)
    except LinkGone as gone:
        return _gone(request, gone)
    return await _page(request, context, link, token, 200, said=said, edit=edit)


@router.post("/l/{token}")
async def act(request: Request, token: str, context: Here) -> Response:
    """Decide it, or say something to it."""
    try:
        link = await _opened(request, context, token)
    except LinkGone as gone:
        return _gone(request, gone)
    form = Form(await request.form())
    check_form(context, request, _subject(link), form.raw(CSRF_FIELD))
    context.limits.hit("act", _subject(link))
    who = _who(context, link)
    async with before_sending():
        view = await context.approvals.get(link.approval_id)
    try:
        if form.do not in _DOES:
            raise InvalidRequest("that is not done by a link: reload the page and try again")
        if form.do == "preview":
            return await _page(request, context, link, token, 200, form=form, preview=True)
        tone, sentence = await send(context, who, view, form)
    except CannotConnect:
        raise  # the request could not be shown either
    except ClearanceError as error:
        code = status_of(error)
        return await _page(request, context, link, token, code, form=form, error=error)
    said = f"?said={said_of(context, who, view.id, tone, sentence)}" if sentence else ""
    return _private(RedirectResponse(f"/l/{quote(token)}{said}", 303))


async def _opened(request: Request, context: Context, token: str) -> Link:
    """The link, which holds. Raises LinkGone, TooMany."""
    id = id_of(context.store.signing_key, token)
    link = None if id is None else await context.store.links.find(id)
    if link is None:
        context.limits.hit("sign_in", address_of(request))
        raise LinkGone(
            403,
            "This is no link of this inbox. Was it cut off on its way? Copy it whole from where it "
            "was sent to you.",
        )
    if link.revoked_at is not None:
        raise LinkGone(410, "This link was revoked. Ask whoever sent it for another.")
    if not link.holds(datetime.now(UTC)):
        raise LinkGone(410, "This link has expired. Ask whoever sent it for another.")
    request.state.caller = "link"
    await _check_same(context, link)
    return link


async def _check_same(context: Context, link: Link) -> None:
    """Raise LinkGone where what has the id by now is another request than the link was made for."""
    try:
        asked = (await context.approvals.summary(link.approval_id)).requested_at
    except NotFound:
        asked = None
    if asked != link.asked_at:
        raise LinkGone(410, "What this link was for is not there any more.")


def _subject(link: Link) -> str:
    """What its forms are bound to."""
    return f"link {link.id}"


def _who(context: Context, link: Link) -> Who:
    return Who(link.who, "link", (), csrf_of(context, _subject(link)))


async def _page(
    request: Request, context: Context, link: Link, token: str, code: int, **more: Any
) -> Response:
    who = _who(context, link)
    address = f"/l/{quote(token)}"
    body = await shown(
        context, who, link.approval_id, act_url=address, links_elsewhere=False, **more
    )
    if body["end"] is not None:
        form: Form | None = more.get("form")
        ended = {
            "status": body["view"].status,
            "end": body["end"],
            "yours": body["end"].by == link.who,
            "lost": (form.text("reason") or form.text("text")).strip() if form else "",
        }
        return _private(page(request, "link_ended.html", 410 if code == 200 else code, **ended))
    body |= {"may": replace(body["may"], delegate=False, withdraw=False), "link": link}
    return _private(page(request, "link.html", code, **body))


def _gone(request: Request, gone: LinkGone) -> Response:
    shown = {"status": gone.status, "detail": str(gone)}
    return _private(page(request, "link_gone.html", gone.status, **shown))


def _private(response: Response) -> Response:
    """Its address opens the request: no other page may learn it."""
    response.headers["Referrer-Policy"] = "no-referrer"
    return response

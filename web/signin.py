"""Signing in and out."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from .context import Context, Here
from .guard import address_of
from .templating import page
from .who import Acting, cookie, set_cookie

router = APIRouter(include_in_schema=False)

Next = Annotated[str, Query(max_length=2_000)]


def within(path: str) -> str:
    """A path of ours to go on to; ``/`` for anything that could lead elsewhere."""
    ours = path.startswith("/") and not path.startswith("//") and "\\" not in path
    return path if ours and path.isprintable() else "/"


async def entered(
    context: Context, who: str, groups: tuple[str, ...] = (), to: str = "/"
) -> Response:
    """Sign somebody in, whoever vouched for them, and send them on to a path of ours."""
    secret, _ = await context.store.sessions.begin(who, groups)
    response = RedirectResponse(within(to), 303)
    set_cookie(response, context.config, secret)
    return response


@router.get("/sign-in", name="sign_in")
async def sign_in(request: Request, next: Next = "/") -> HTMLResponse:
    """The ways in."""
    return page(request, "signin.html", next=within(next), problem="")


@router.get("/sign-in/{token}")
async def redeem(request: Request, token: str, context: Here) -> Response:
    """Follow a link that a command has printed; it works once."""
    who = await context.store.sessions.redeem(token) if context.config.local else None
    if who is None:
        context.limits.hit("sign_in", address_of(request))
        return page(
            request,
            "signin.html",
            403,
            next="/",
            problem="That link was used or is too old. `clearance sign-in` prints another.",
        )
    return await entered(context, who)


@router.post("/sign-out")
async def sign_out(request: Request, context: Here, _: Acting) -> Response:
    """End the session, here and on the server."""
    name = cookie(context.config)
    await context.store.sessions.end(request.cookies[name])
    response = RedirectResponse("/sign-in", 303)
    response.delete_cookie(name, secure=context.config.secure, httponly=True, samesite="lax")
    return response

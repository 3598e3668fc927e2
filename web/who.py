"""Who is asking: a person with a session, or a service with a token. Never what a body says.

Routes take ``Person`` to be read by somebody who is signed in, and ``Acting`` where they change
something: that is refused unless the form was one of ours (a token bound to the session, and the
browser's own word on where the request comes from).
"""

import contextlib
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy.exc import SQLAlchemyError

from clearance import ClearanceError
from clearance.models import HumanChannel
from store import Session
from store.sessions import SESSION_LASTS

from .config import WebConfig
from .context import Context, Here

CSRF_FIELD = "csrf"
CSRF_HEADER = "X-CSRF-Token"


class SignInNeeded(ClearanceError):
    """Nobody is signed in, or not any more."""


class Forged(ClearanceError):
    """A form that is none of ours; nothing was done."""


@dataclass(frozen=True)
class Who:
    """A person in a browser."""

    name: str
    channel: HumanChannel
    groups: tuple[str, ...] = ()
    """What their sign-in vouches for: ``group:finance``."""
    csrf: str = ""
    """What forms carry in ``CSRF_FIELD``, scripts in ``CSRF_HEADER``."""


def cookie(config: WebConfig) -> str:
    """The name of the session's cookie; over https only our own host can have set it."""
    return "__Host-clearance" if config.secure else "clearance"


def set_cookie(response: Response, config: WebConfig, secret: str) -> None:
    """Let a browser continue a session."""
    response.set_cookie(
        cookie(config),
        secret,
        max_age=int(SESSION_LASTS.total_seconds()),
        httponly=True,
        secure=config.secure,
        samesite="lax",
    )


def csrf_of(context: Context, subject: str) -> str:
    """What a form carries that was made for this session, or this link."""
    return str(_csrf(context).dumps(subject))


def check_form(context: Context, request: Request, subject: str, given: str) -> None:
    """Refuse what no page of ours has sent.

    Raises:
        Forged: it names another session or none, is too old, or comes from another site.
    """
    site = request.headers.get("sec-fetch-site")
    if site not in (None, "same-origin", "none"):
        raise Forged("this form was sent from another site: open the page here and try again")
    try:
        lasts = int(SESSION_LASTS.total_seconds())
        if _csrf(context).loads(given, max_age=lasts) == subject:
            return
    except BadSignature:
        pass
    raise Forged("this form is too old or was made for somebody else: reload the page, try again")


def _csrf(context: Context) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(context.store.signing_key, salt="form")


async def session_of(request: Request, context: Context) -> Session:
    """The session of whoever is signed in. Raises SignInNeeded."""
    secret = request.cookies.get(cookie(context.config))
    session = await context.store.sessions.find(secret) if secret else None
    if session is None:
        raise SignInNeeded("sign in first")
    request.state.caller = "person"
    request.state.who = _who(context, session)  # for the page of an error that may follow
    return session


async def recognise(request: Request) -> None:
    """Find out who asks, for a page that anybody is shown."""
    with contextlib.suppress(SignInNeeded, SQLAlchemyError):
        await session_of(request, request.app.state.context)


def _who(context: Context, session: Session) -> Who:
    return Who(session.who, "inbox", session.groups, csrf_of(context, session.id))


async def _person(request: Request, context: Here) -> Who:
    return _who(context, await session_of(request, context))


async def _acting(request: Request, context: Here) -> Who:
    session = await session_of(request, context)
    given = request.headers.get(CSRF_HEADER) or (await request.form()).get(CSRF_FIELD)
    check_form(context, request, session.id, given if isinstance(given, str) else "")
    context.limits.hit("act", f"person {session.who}")
    return _who(context, session)


Person = Annotated[Who, Depends(_person)]
"""Whoever is signed in. Raises SignInNeeded."""

Acting = Annotated[Who, Depends(_acting)]
"""Whoever is signed in and has sent a form of ours. Raises SignInNeeded, Forged, TooMany."""

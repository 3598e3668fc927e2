"""Signing in by an OpenID Connect provider: authorization code, bound by PKCE, state and nonce.

The provider says who somebody is, in claims; nothing else does. What it says has to be whole: where a
claim is missing or strange, nobody is signed in.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx2
from authlib.common.errors import AuthlibBaseError  # type: ignore[import-untyped]
from authlib.integrations.starlette_client import (  # type: ignore[import-untyped]
    OAuth,
    OAuthError,
)
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from joserfc.errors import JoseError
from pydantic import TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.sessions import SessionMiddleware

from clearance import ClearanceError, contract
from clearance.fields import Name
from clearance.stages import GROUP, is_group
from clearance.text import one_line

from .config import Oidc
from .context import Context, Here
from .guard import address_of
from .signin import Next, entered, within
from .templating import page

router = APIRouter(include_in_schema=False)

_DANCE_LASTS = 15 * 60
"""Seconds from the way to the provider to the way back."""

_LONGEST_WAY = 1_000
"""Characters of the path that somebody is sent on to afterwards."""

_ANSWERS_WITHIN = 10.0
"""Seconds that the provider has for each answer."""


class _Unusable(ClearanceError):
    """What the provider says names nobody."""


class Provider:
    """The provider of a running inbox."""

    def __init__(self, oidc: Oidc) -> None:
        """Ask nothing yet: what it is able to do is looked up when the first person comes."""
        secret = oidc.client_secret
        self.oidc = oidc
        self.client: Any = OAuth().register(
            name="oidc",
            client_id=oidc.client_id,
            client_secret=secret.get_secret_value() if secret else None,
            server_metadata_url=f"{oidc.issuer.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs={
                "code_challenge_method": "S256",
                "timeout": _ANSWERS_WITHIN,
                **({} if secret else {"token_endpoint_auth_method": "none"}),
            },
        )

    async def way_there(self, request: Request, back: str) -> Response:
        """A redirect to the provider, which sends the browser ``back``."""
        metadata = await self._metadata()
        offered = metadata.get("scopes_supported")
        wanted = dict.fromkeys(["openid", "profile", "email", self.oidc.groups_claim])
        if isinstance(offered, list):
            scopes = [one for one in wanted if one == "openid" or one in offered]
        else:
            scopes = ["openid", "profile", "email"]
        answer: Response = await self.client.authorize_redirect(
            request, back, scope=" ".join(scopes)
        )
        return answer

    async def claims(self, request: Request) -> Mapping[str, Any]:
        """What the provider says of the person who came back.

        From the ID token; where that lacks what is asked for, from the userinfo endpoint too, which
        has to speak of the same person.
        """
        token = await self.client.authorize_access_token(
            request,
            claims_options={"iss": {"essential": True, "values": [self.oidc.issuer]}},
        )
        said = token.get("userinfo")
        if not isinstance(said, Mapping) or not said.get("sub"):
            raise _Unusable("the provider sent no ID token")
        asked = {self.oidc.name_claim, self.oidc.groups_claim}
        asked |= {"email_verified"} if self.oidc.name_claim == "email" else set()
        if asked <= said.keys() or "userinfo_endpoint" not in await self._metadata():
            return said
        more = await self.client.userinfo(token=token)
        if more.get("sub") != said["sub"]:
            raise _Unusable("the provider speaks of two different people")
        return {**more, **said}

    async def _metadata(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = await self.client.load_server_metadata()
        if (name := found.get("issuer")) != self.oidc.issuer:
            self.client.server_metadata.clear()  # ask again once somebody has put it right
            raise _Unusable(f"the provider calls itself {one_line(str(name), 300)}")
        return found


def set_up(app: FastAPI, context: Context) -> None:
    """Offer the way in, where a provider is configured."""
    if context.config.oidc is None:
        return
    app.state.provider = Provider(context.config.oidc)
    app.add_middleware(
        SessionMiddleware,
        secret_key=hmac.digest(context.store.signing_key, b"oidc", hashlib.sha256).hex(),
        session_cookie="__Secure-clearance-oidc" if context.config.secure else "clearance-oidc",
        max_age=_DANCE_LASTS,
        path="/sign-in",
        same_site="lax",
        https_only=context.config.secure,
    )


def _provider(request: Request) -> Provider:
    provider: Provider | None = getattr(request.app.state, "provider", None)
    if provider is None:
        raise HTTPException(404)
    return provider


@router.get("/sign-in/oidc")
async def leave(request: Request, context: Here, next: Next = "/") -> Response:
    """Go to the provider."""
    provider = _provider(request)
    try:
        answer = await provider.way_there(request, f"{context.url}/sign-in/oidc/callback")
    except (httpx2.HTTPError, ValueError, KeyError, TypeError, RuntimeError) as error:
        return _refused(request, 502, _away(error))
    except _Unusable as error:
        return _refused(request, 502, f"Nobody can be signed in: {error}.")
    # It travels in the cookie, which browsers drop when it has more than 4 KB.
    request.session["next"] = within(next) if len(quote(next)) <= _LONGEST_WAY else "/"
    return answer


@router.get("/sign-in/oidc/callback")
async def come_back(request: Request, context: Here) -> Response:
    """Come back from the provider."""
    provider, address = _provider(request), address_of(request)
    began = _began(request)  # else anybody could have our page say what a link of theirs does
    to = request.session.pop("next", "/")
    try:
        claims = await provider.claims(request)
        who, groups = name_of(claims, provider.oidc), groups_of(claims, provider.oidc)
    except OAuthError as error:
        code, problem = 403, _said(error) if began else _ELSEWHERE
    except (JoseError, AuthlibBaseError, _Unusable) as error:
        code, problem = 403, f"You are not signed in: {one_line(str(error), 300)}."
    except (httpx2.HTTPError, ValueError, KeyError, TypeError, RuntimeError) as error:
        code, problem = 502, _away(error)
    else:
        request.session.clear()
        return await entered(context, who, groups, to)
    context.limits.hit("sign_in", address)
    request.session.clear()
    return _refused(request, code, problem)


def name_of(claims: Mapping[str, Any], oidc: Oidc) -> str:
    """Who somebody is. Raises ClearanceError where the claims don't say."""
    claim, name = oidc.name_claim, claims.get(oidc.name_claim)
    if not isinstance(name, str):
        raise _Unusable(f"the provider does not say your {one_line(claim)}")
    verified = claims.get("email_verified") in (True, "true")
    if claim == "email" and not (verified or oidc.accept_unverified):
        raise _Unusable("the provider does not say that it has verified your email address")
    try:
        found = str(TypeAdapter(Name).validate_python(name))
    except ValidationError as error:
        raise _Unusable(f"your {one_line(claim)} is no name of a person here") from error
    if is_group(found):
        raise _Unusable(f"your {one_line(claim)} is the name of a group")
    return found


def groups_of(claims: Mapping[str, Any], oidc: Oidc) -> tuple[str, ...]:
    """The groups that somebody is in, as ``group:finance``; none where there is no such claim.

    Raises ClearanceError for a claim that is no list of names, or of more than 200.
    """
    given = claims.get(oidc.groups_claim, [])
    listed = [given] if isinstance(given, str) else given
    claim = one_line(oidc.groups_claim)
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise _Unusable(f"the provider's {claim} is no list of names")
    if len(listed) > contract.MAX_VOUCHED:
        raise _Unusable(
            f"the provider's {claim} lists more than {contract.MAX_VOUCHED}: let it send only those "
            "that decide here"
        )
    try:
        found = TypeAdapter(tuple[Name, ...]).validate_python([GROUP + one for one in listed])
    except ValidationError as error:
        raise _Unusable(f"the provider's {claim} has a name that is none here") from error
    return tuple(dict.fromkeys(found))


_ELSEWHERE = "You are not signed in: that was started elsewhere or too long ago. Try again."


def _began(request: Request) -> bool:
    """Whether this browser was sent to the provider by us, and comes back from that."""
    state = request.query_params.get("state", "")
    return bool(state) and any(key.endswith(f"_{state}") for key in request.session)


def _said(error: OAuthError) -> str:
    """What a provider refused, in words."""
    if error.error == "access_denied":
        return "You are not signed in: the provider says that access was denied."
    if error.error == "mismatching_state":
        return _ELSEWHERE
    told = one_line(
        f"{error.error}: {error.description}" if error.description else error.error, 300
    )
    return f"You are not signed in: the provider answered {told}."


def _away(error: Exception) -> str:
    kind = one_line(str(error) or type(error).__name__, 300)
    return f"The provider that says who you are can't be used now ({kind}). Try again in a while."


def _refused(request: Request, code: int, problem: str) -> HTMLResponse:
    return page(request, "signin.html", code, next="/", problem=problem)

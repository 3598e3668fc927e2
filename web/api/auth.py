"""Which service calls: told by its token, never by what it sends."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from store.tokens import Scope
from web.context import Here
from web.guard import address_of
from web.problems import ScopeMissing, TokenNeeded

BEARER = HTTPBearer(
    scheme_name="token",
    description="An API token: `clearance token create` prints it, once.",
    auto_error=False,
)


@dataclass(frozen=True)
class Service:
    """A service with a token that holds."""

    token_id: str
    name: str
    scopes: frozenset[str]
    decides_as: str | None
    """Whose decisions it brings; only with the scope ``decide``."""

    def needs(self, scope: Scope) -> None:
        """Raise ScopeMissing where it lacks this one."""
        if scope not in self.scopes:
            raise _missing(scope)

    @property
    def reviewer(self) -> str:
        """As whom it decides. Raises ScopeMissing: it names nobody."""
        if "decide" in self.scopes and self.decides_as:
            return self.decides_as
        raise _missing("decide")

    @property
    def requester(self) -> str:
        """As whom it answers and withdraws: itself, where it may ask; else whoever it decides as."""
        return self.name if "request" in self.scopes else self.reviewer


async def service_of(
    request: Request,
    context: Here,
    given: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)],
) -> Service:
    """The service whose token came along. Raises TokenNeeded, TooMany."""
    if given is None:
        raise TokenNeeded("send a token: Authorization: Bearer clr_...", "Bearer")
    token = await context.store.tokens.find(given.credentials)
    if token is None:
        # A token that holds is let in from the same address all the while.
        context.limits.hit("failed_token", address_of(request))
        raise TokenNeeded(
            "this token is none, is too old or was revoked: `clearance token create` makes another",
            'Bearer error="invalid_token"',
        )
    request.state.caller = "token"
    if request.method == "POST":
        context.limits.hit("act", f"token {token.id}")
    return Service(token.id, token.name, frozenset(token.scopes), token.decides_as)


def _missing(*scopes: str) -> ScopeMissing:
    return ScopeMissing(
        f"this token lacks the scope {' or '.join(scopes)}",
        f'Bearer error="insufficient_scope", scope="{" ".join(scopes)}"',
    )


def _with(*scopes: Scope) -> Callable[..., Awaitable[Service]]:
    async def allowed(
        request: Request, service: Annotated[Service, Depends(service_of)]
    ) -> Service:
        if service.scopes.isdisjoint(scopes):
            raise _missing(*scopes)
        await _check_is_json(request)
        return service

    return allowed


async def _check_is_json(request: Request) -> None:
    """Raise HTTPException for a body that doesn't say that it is JSON."""
    if request.method != "POST" or not await request.body():
        return
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (
        kind.startswith("application/") and kind.endswith("+json")
    ):
        raise HTTPException(415, "send JSON, and say so: Content-Type: application/json")


CanRead = Annotated[Service, Depends(_with("read"))]
"""A service that may read. Raises TokenNeeded, ScopeMissing."""

CanRequest = Annotated[Service, Depends(_with("request"))]
"""A service that may ask. Raises TokenNeeded, ScopeMissing."""

CanDecide = Annotated[Service, Depends(_with("decide"))]
"""A service that decides as one person. Raises TokenNeeded, ScopeMissing."""

CanReadOrRequest = Annotated[Service, Depends(_with("read", "request"))]
"""A service that may do one of them. Raises TokenNeeded, ScopeMissing."""

CanRequestOrDecide = Annotated[Service, Depends(_with("request", "decide"))]
"""A service that may do one of them. Raises TokenNeeded, ScopeMissing."""

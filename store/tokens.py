"""API tokens: made once, shown once, kept as a hash."""

import hmac
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from clearance.errors import InvalidRequest, NotFound

from .hashing import hashed, new_secret
from .tables import TokenRow

Scope = Literal["request", "request-for", "read", "decide", "codec"]
"""``request``: ask, withdraw what one asked for, take the permission to act. ``request-for``: ask for
others, and say who they are. ``read``: read. ``decide``: decide, comment and delegate as the one person
that the token names. ``codec``: have everything decrypted that Temporal keeps."""

PREFIX = "clr"

_LATELY = 1.0
"""Seconds for which a token that was found is not looked up again. One that was revoked elsewhere is let
in for as long."""

_MANY = 1_000
"""Tokens that are remembered so."""


@dataclass(frozen=True)
class ApiToken:
    """What is known of a token; not the token itself."""

    id: str
    name: str
    scopes: tuple[str, ...]
    decides_as: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def holds(self, now: datetime) -> bool:
        """Whether it is accepted at that moment."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class Tokens:
    """The tokens of services."""

    def __init__(self, begin: async_sessionmaker[AsyncSession]) -> None:
        """In this database."""
        self._begin = begin
        self._lately: dict[str, tuple[float, ApiToken]] = {}
        """By the hash of the whole token: when it was found."""

    async def create(
        self,
        name: str,
        scopes: Sequence[Scope],
        *,
        decides_as: str | None = None,
        lasts: timedelta | None,
    ) -> tuple[str, ApiToken]:
        """Make a token. Returns it, to be shown this once, and what is known of it.

        Args:
            name: of the service, unlike every other token's, capitals aside; requests it makes carry it.
            scopes: what it may be used for; at least one.
            decides_as: with ``decide``, as whom.
            lasts: for how long; None for until it is revoked.

        Raises:
            InvalidRequest: another token has that name.
        """
        secret = new_secret()
        now = datetime.now(UTC)
        row = TokenRow(
            id=secrets.token_hex(6),
            name=name,
            name_key=name.casefold(),
            secret_hash=hashed(secret),
            scopes=sorted(set(scopes)),
            decides_as=decides_as,
            created_at=now,
            expires_at=None if lasts is None else now + lasts,
            revoked_at=None,
        )
        try:
            async with self._begin.begin() as session:
                session.add(row)
        except IntegrityError as error:
            raise InvalidRequest(
                f"there is a token {name!r} already: choose another name"
            ) from error
        return f"{PREFIX}_{row.id}_{secret}", _known(row)

    async def find(self, token: str) -> ApiToken | None:
        """What is known of a token that holds now; None for any other text."""
        now, whole = time.monotonic(), hashed(token)
        found_at, known = self._lately.get(whole, (now - _LATELY, None))
        if known is None or now - found_at >= _LATELY:
            if (known := await self._look_up(token)) is None:
                self._lately.pop(whole, None)
                return None
            if len(self._lately) >= _MANY:
                self._lately.clear()
            self._lately[whole] = (now, known)
        return known if known.holds(datetime.now(UTC)) else None

    async def _look_up(self, token: str) -> ApiToken | None:
        prefix, _, rest = token.partition("_")
        id, _, secret = rest.partition("_")
        if prefix != PREFIX or not secret:
            return None
        async with self._begin() as session:
            row = await session.get(TokenRow, id)
        if row is None or not hmac.compare_digest(row.secret_hash, hashed(secret)):
            return None
        return _known(row)

    async def still_holds(self, id: str) -> bool:
        """Whether a token that was found holds by now."""
        async with self._begin() as session:
            row = await session.get(TokenRow, id)
        return row is not None and _known(row).holds(datetime.now(UTC))

    async def all(self) -> list[ApiToken]:
        """All tokens, also those that don't hold any more, the oldest first."""
        async with self._begin() as session:
            rows = await session.scalars(select(TokenRow).order_by(TokenRow.created_at))
            return [_known(row) for row in rows]

    async def revoke(self, name: str) -> ApiToken:
        """End a token, by its name or id. The same again changes nothing.

        Raises:
            NotFound: there is none.
        """
        self._lately.clear()
        async with self._begin.begin() as session:
            of = (TokenRow.name_key == name.casefold()) | (TokenRow.id == name)
            row = await session.scalar(select(TokenRow).where(of))
            if row is None:
                raise NotFound(f"no token {name!r}: `clearance token list` shows all")
            if row.revoked_at is None:
                row.revoked_at = datetime.now(UTC)
            return _known(row)


def _known(row: TokenRow) -> ApiToken:
    return ApiToken(
        id=row.id,
        name=row.name,
        scopes=tuple(row.scopes),
        decides_as=row.decides_as,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )

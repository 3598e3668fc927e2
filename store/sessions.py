"""Who is signed in, and the links that sign somebody in once."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from .hashing import hashed, new_secret
from .tables import SessionRow, SignInRow

SESSION_LASTS = timedelta(hours=12)
SIGN_IN_LASTS = timedelta(minutes=10)


@dataclass(frozen=True)
class Session:
    """Somebody who is signed in."""

    id: str
    """Names the session without being able to continue it: what forms are bound to."""
    who: str
    groups: tuple[str, ...]
    expires_at: datetime


class Sessions:
    """Sign-in links and sessions."""

    def __init__(self, begin: async_sessionmaker[AsyncSession]) -> None:
        """In this database."""
        self._begin = begin

    async def invite(self, who: str, lasts: timedelta = SIGN_IN_LASTS) -> str:
        """A token that signs ``who`` in, once, within that time."""
        token = new_secret()
        expires_at = datetime.now(UTC) + lasts
        async with self._begin.begin() as session:
            await session.execute(
                delete(SignInRow).where(
                    SignInRow.expires_at < datetime.now(UTC) - timedelta(days=1)
                )
            )
            session.add(
                SignInRow(token_hash=hashed(token), who=who, expires_at=expires_at, used_at=None)
            )
        return token

    async def redeem(self, token: str) -> str | None:
        """Whom a token signs in, once; None for one that is unknown, used or too old."""
        now = datetime.now(UTC)
        async with self._begin.begin() as session:
            taken = await session.execute(
                update(SignInRow)
                .where(
                    SignInRow.token_hash == hashed(token),
                    SignInRow.used_at.is_(None),
                    SignInRow.expires_at > now,
                )
                .values(used_at=now)
                .returning(SignInRow.who)
            )
            return taken.scalar_one_or_none()

    async def begin(
        self, who: str, groups: tuple[str, ...] = (), lasts: timedelta = SESSION_LASTS
    ) -> tuple[str, Session]:
        """Sign somebody in. Returns the secret for their browser, and the session."""
        secret = new_secret()
        now = datetime.now(UTC)
        row = SessionRow(
            token_hash=hashed(secret),
            who=who,
            groups=list(groups),
            created_at=now,
            expires_at=now + lasts,
        )
        async with self._begin.begin() as session:
            await session.execute(delete(SessionRow).where(SessionRow.expires_at < now))
            session.add(row)
        return secret, _session(row)

    async def find(self, secret: str) -> Session | None:
        """The session that a browser's secret continues; None where it has ended."""
        async with self._begin() as session:
            row = await session.get(SessionRow, hashed(secret))
        return None if row is None or row.expires_at <= datetime.now(UTC) else _session(row)

    async def end(self, secret: str) -> None:
        """Sign out."""
        async with self._begin.begin() as session:
            await session.execute(delete(SessionRow).where(SessionRow.token_hash == hashed(secret)))


def _session(row: SessionRow) -> Session:
    return Session(
        id=row.token_hash[:32],
        who=row.who,
        groups=tuple(row.groups),
        expires_at=row.expires_at,
    )

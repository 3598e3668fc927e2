"""Signed links: which were made, for whom, and which were revoked.

A link names a row of this table, where it can be revoked; its signature keeps anybody from trying names.
"""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from .tables import LinkRow


@dataclass(frozen=True)
class Link:
    """One person's way to one request."""

    id: str
    approval_id: str
    asked_at: datetime
    """When the request was asked: another one may have its id later."""
    who: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None

    def holds(self, now: datetime) -> bool:
        """Whether it opens anything at that moment."""
        return self.revoked_at is None and now < self.expires_at


class Links:
    """All links."""

    def __init__(self, begin: async_sessionmaker[AsyncSession]) -> None:
        """In this database."""
        self._begin = begin

    async def create(
        self, approval_id: str, who: str, lasts: timedelta, *, asked_at: datetime
    ) -> Link:
        """Remember a new link to the request that was asked then."""
        now = datetime.now(UTC)
        return await self._add(approval_id, who, asked_at, now, now + lasts)

    async def _add(
        self, approval_id: str, who: str, asked_at: datetime, now: datetime, until: datetime
    ) -> Link:
        row = LinkRow(
            id=secrets.token_hex(8),
            approval_id=approval_id,
            asked_at=asked_at,
            who=who,
            created_at=now,
            expires_at=until,
            revoked_at=None,
        )
        async with self._begin.begin() as session:
            session.add(row)
        return _link(row)

    async def told(
        self, approval_id: str, who: str, until: datetime, *, asked_at: datetime
    ) -> Link | None:
        """One person's link to the request that was asked then, for a message to them.

        Who is told again gets the same link, as long as it holds for half of the time at least. None
        where somebody has revoked one of theirs: a message doesn't bring it back.
        """
        now = datetime.now(UTC)
        which = (LinkRow.approval_id == approval_id) & (LinkRow.who == who)
        which &= LinkRow.asked_at == asked_at
        async with self._begin() as session:
            rows = (await session.scalars(select(LinkRow).where(which))).all()
        if any(row.revoked_at is not None for row in rows):
            return None
        latest = max(rows, key=lambda row: row.expires_at, default=None)
        if latest is not None and latest.expires_at >= now + (until - now) / 2:
            return _link(latest)
        return await self._add(approval_id, who, asked_at, now, until)

    async def find(self, id: str) -> Link | None:
        """A link, also one that doesn't hold any more; None where there is none."""
        async with self._begin() as session:
            row = await session.get(LinkRow, id)
        return None if row is None else _link(row)

    async def revoke(self, approval_id: str, who: str | None = None) -> list[Link]:
        """End all links to a request that hold, or those of one person. Returns them."""
        now = datetime.now(UTC)
        which = (LinkRow.approval_id == approval_id) & LinkRow.revoked_at.is_(None)
        which &= LinkRow.expires_at > now
        if who is not None:
            which &= LinkRow.who == who
        async with self._begin.begin() as session:
            rows = await session.scalars(
                update(LinkRow).where(which).values(revoked_at=now).returning(LinkRow)
            )
            return [_link(row) for row in rows]

    async def of(self, approval_id: str) -> list[Link]:
        """All links to a request, the oldest first."""
        async with self._begin() as session:
            rows = await session.scalars(
                select(LinkRow)
                .where(LinkRow.approval_id == approval_id)
                .order_by(LinkRow.created_at)
            )
            return [_link(row) for row in rows]


def _link(row: LinkRow) -> Link:
    return Link(
        id=row.id,
        approval_id=row.approval_id,
        asked_at=row.asked_at,
        who=row.who,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )


def path_of(signing_key: bytes, link_id: str) -> str:
    """The path of a link in the inbox, with its signature."""
    return f"/l/{_signer(signing_key).dumps(link_id)}"


def id_of(signing_key: bytes, token: str) -> str | None:
    """The id of the link that stands in such a path behind ``/l/``; None where we didn't sign it."""
    try:
        id = _signer(signing_key).loads(token)
    except BadSignature:
        return None
    return id if isinstance(id, str) else None


def _signer(signing_key: bytes) -> URLSafeSerializer:
    return URLSafeSerializer(signing_key, salt="link")

"""The database behind the inbox."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker

from .engine import opened, working
from .links import Links
from .migrating import Schema, migrate
from .sessions import Sessions
from .tables import Key, Table
from .tokens import Tokens

SCHEMA = Schema(name="inbox", latest="inbox_1", tables=Table.metadata)


class Store:
    """One open database."""

    def __init__(self, engine: AsyncEngine, signing_key: bytes) -> None:
        """Over tables that exist."""
        begin = async_sessionmaker(engine, expire_on_commit=False)
        self.signing_key = signing_key
        """Signs links and forms; the same for all instances on this database."""
        self.tokens = Tokens(begin)
        self.sessions = Sessions(begin)
        self.links = Links(begin)

    @classmethod
    @asynccontextmanager
    async def open(cls, address: str) -> AsyncIterator["Store"]:
        """Open a database, and bring its tables to this version.

        Args:
            address: ``sqlite:///path`` or ``postgresql://user:password@host/name``.

        Raises:
            CannotStore: no such kind of database, no driver for it, it does not answer, or a newer
                version has changed its tables.
        """
        async with opened(address) as engine:
            with working(engine.url):
                await migrate(engine, SCHEMA)
                key = await _key(engine)
            yield cls(engine, key)


async def _key(engine: AsyncEngine) -> bytes:
    """Make the key, or find it."""
    begin = async_sessionmaker(engine)
    try:
        async with begin.begin() as session:
            if (found := await session.get(Key, "signing")) is not None:
                return found.value
            session.add(Key(name="signing", value=secrets.token_bytes(32)))
    except IntegrityError:
        pass  # another instance has made one meanwhile
    async with begin() as session:
        made = await session.get_one(Key, "signing")
        return made.value

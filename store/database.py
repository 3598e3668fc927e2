"""The database behind the store."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine

from clearance import ClearanceError

from .links import Links
from .sessions import Sessions
from .tables import Key, Table
from .tokens import Tokens

_TRIES = 20
"""To make the tables: instances that start together may get in each other's way, table by table."""

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
}


class CannotStore(ClearanceError):
    """The database can't be used; the text says why, without its password."""


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
        """Open a database, and make its tables where there are none.

        Args:
            address: ``sqlite:///path`` or ``postgresql://user:password@host/name``.

        Raises:
            CannotStore: no such kind of database, no driver for it, or it does not answer.
        """
        url = _url(address)
        try:
            engine = create_async_engine(url, pool_pre_ping=True)
            if url.get_backend_name() == "sqlite":
                event.listen(engine.sync_engine, "connect", _prepare)
        except (ImportError, SQLAlchemyError) as error:
            raise CannotStore(f"{_told(url)}: {error}") from error
        try:
            try:
                key = await _ready(engine)
            except (OSError, SQLAlchemyError) as error:
                reason = error.orig if isinstance(error, DBAPIError) else error
                raise CannotStore(f"{_told(url)} can't be used: {reason}") from error
            yield cls(engine, key)
        finally:
            await engine.dispose()


def _url(address: str) -> URL:
    try:
        url = make_url(address)
    except ArgumentError as error:
        raise CannotStore(
            "the database address is none: write sqlite:///path or postgresql://user@host/name"
        ) from error
    if url.drivername not in _DRIVERS:
        raise CannotStore(
            f"{url.drivername}: the databases are sqlite:///path and postgresql://user@host/name"
        )
    if url.drivername == "sqlite" and url.database:
        try:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
            Path(url.database).touch(mode=0o600)
        except OSError as error:
            raise CannotStore(f"{_told(url)} can't be used: {error.strerror or error}") from error
    return url.set(drivername=_DRIVERS[url.drivername])


def _told(url: URL) -> str:
    return (
        url.render_as_string(hide_password=True).replace("+aiosqlite", "").replace("+psycopg", "")
    )


def _prepare(connection: Any, _record: object) -> None:
    """Several processes share the file: readers don't wait, and writers wait for each other."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA busy_timeout=10000")
    cursor.close()


async def _ready(engine: AsyncEngine) -> bytes:
    """Make the tables and the key, or find them. Returns the key."""
    for left in reversed(range(_TRIES)):
        try:
            async with engine.begin() as connection:
                await connection.run_sync(Table.metadata.create_all)
            break
        except DBAPIError:  # another instance was making them at the same moment
            if not left:
                raise
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

"""Opening a database: a SQLite file, or PostgreSQL where several instances share it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from clearance import ClearanceError

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
}

_PATIENCE = 10
"""Seconds that a writer waits for others, and that a connection may take to be made."""


class CannotStore(ClearanceError):
    """The database can't be used; the text says why, without its password."""


class NoDatabase(CannotStore):
    """There is none yet, and none was to be made."""


@asynccontextmanager
async def opened(address: str, *, create: bool = True) -> AsyncIterator[AsyncEngine]:
    """An engine on a database; what fails inside is ``CannotStore``, too.

    Args:
        address: ``sqlite:///path`` or ``postgresql://user:password@host/name``.
        create: whether to make a SQLite file that isn't there.

    Raises:
        CannotStore: no such kind of database, no driver for it, or it can't be reached.
        NoDatabase: there is no such file, and it was not to be made.
    """
    url = _url(address, create=create)
    try:
        if url.get_backend_name() == "sqlite":
            engine = create_async_engine(url, pool_pre_ping=True)
            event.listen(engine.sync_engine, "connect", _prepare)
        else:
            patience = {"connect_timeout": _PATIENCE}
            engine = create_async_engine(url, pool_pre_ping=True, connect_args=patience)
    except (ImportError, SQLAlchemyError) as error:
        raise CannotStore(f"{told(url)}: {error}") from error
    try:
        yield engine
    finally:
        await engine.dispose()


@contextmanager
def working(url: URL, error: type[CannotStore] = CannotStore) -> Iterator[None]:
    """What a database refuses in here is told as ``error``, in one line without what was written."""
    try:
        yield
    except (OSError, SQLAlchemyError) as failed:
        raise error(f"{told(url)} can't be used: {_reason(failed)}") from failed


async def alone(connection: AsyncConnection, lock: int) -> None:
    """Begin a transaction that no other one with the same ``lock`` overlaps, in any process."""
    if connection.dialect.name == "sqlite":
        await connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})


def told(url: URL) -> str:
    """The address of a database as it may be shown: without its password."""
    return (
        url.render_as_string(hide_password=True).replace("+aiosqlite", "").replace("+psycopg", "")
    )


def _reason(error: Exception) -> str:
    """The first line: in those that follow, PostgreSQL repeats what was to be written."""
    reason = error.orig if isinstance(error, DBAPIError) else error
    return str(reason).partition("\n")[0]


def _url(address: str, *, create: bool) -> URL:
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
            _file(Path(url.database), url, create=create)
        except OSError as error:
            raise CannotStore(f"{told(url)} can't be used: {error.strerror or error}") from error
    return url.set(drivername=_DRIVERS[url.drivername])


def _file(path: Path, url: URL, *, create: bool) -> None:
    if not create and not path.exists():
        raise NoDatabase(f"{told(url)}: there is no such file")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)


def _prepare(connection: Any, _record: object) -> None:
    """Several processes share the file: readers don't wait, and writers wait for each other."""
    # One text that is none must not keep all others from being read.
    connection.driver_connection.text_factory = partial(str, encoding="utf-8", errors="replace")
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={_PATIENCE * 1000}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.close()

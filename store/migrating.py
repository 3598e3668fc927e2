"""Bringing a database to the tables of this version, by Alembic.

A database that is up to date costs one small query, and needs no right to make tables. Several
instances that start together wait for each other.

Tables change by a new file in the folder (``revision``, ``down_revision``, ``upgrade``) and the schema's
``latest``; a revision that is out is never edited.
"""

import asyncio
import threading
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, MetaData, NullPool, create_engine, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from .engine import CannotStore, told

_FOLDER = Path(__file__).parent / "migrations"
_TRIES = 20
"""Instances that make a new SQLite file together may get in each other's way before they can wait."""

_LOCK = 5_172_640_001
"""PostgreSQL's advisory lock of whoever makes tables."""

_one_at_a_time = threading.Lock()
"""Alembic keeps what it works on in a global."""


@dataclass(frozen=True)
class Schema:
    """The tables of one kind of database, and the folder of what makes them."""

    name: str
    """Also of the folder in ``migrations``; one database may hold several."""
    latest: str
    """The newest revision in that folder."""
    tables: MetaData

    @property
    def version_table(self) -> str:
        """Where a database says which revision it has."""
        return f"{self.name}_version"


async def migrate(engine: AsyncEngine, schema: Schema) -> None:
    """Make the tables, or bring them to what this version needs; nothing where they are.

    Raises:
        CannotStore: a newer version has changed them.
        sqlalchemy.exc.SQLAlchemyError: the database refused.
    """
    for left in reversed(range(_TRIES)):
        try:
            if await revision(engine, schema) != schema.latest:
                await asyncio.to_thread(_upgrade, engine, schema)
            return
        except DBAPIError:
            if engine.dialect.name != "sqlite" or not left:
                raise
            await asyncio.sleep(0.05)


async def revision(engine: AsyncEngine, schema: Schema) -> str | None:
    """The revision that a database has; None for none."""
    async with engine.connect() as connection:
        return await connection.run_sync(_revision, schema)


def _revision(connection: Connection, schema: Schema) -> str | None:
    if not inspect(connection).has_table(schema.version_table):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {schema.version_table}"))  # noqa: S608
    return found.scalar_one_or_none()


def _upgrade(engine: AsyncEngine, schema: Schema) -> None:
    """In a thread, by a connection of its own."""
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    url = engine.url
    sync = create_engine(
        url.set(drivername=url.drivername.replace("+aiosqlite", "")), poolclass=NullPool
    )
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("version_locations", str(_FOLDER / schema.name).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    with _one_at_a_time, sync.connect() as connection:
        _alone(connection)
        config.attributes["connection"] = connection
        config.attributes["schema"] = schema
        has = _revision(connection, schema)
        known = {one.revision for one in ScriptDirectory.from_config(config).walk_revisions()}
        if has is not None and has not in known:
            raise CannotStore(f"{told(url)} is of a newer version ({has}): upgrade clearance")
        command.upgrade(config, "head")
        connection.commit()


def _alone(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA busy_timeout=30000")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})

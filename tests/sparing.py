"""What a program makes once when it starts, made once for all tests of a process.

Every test starts a worker or an inbox of its own. What those make once in their life, a process full
of tests would make a thousand times, in a good part of all its time. What is made stays what the
program makes; tests of the making itself call ``MIGRATES``.
"""

import contextlib
import functools
import shutil
import sqlite3
import ssl
import tempfile
from collections.abc import Callable
from typing import Any, TypeVar

import certifi
import fastapi.routing
import pytest
from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from temporalio.openai_agents._invoke_model_activity import ActivityModelInput

from store import database, migrating
from store.ledger import table
from store.migrating import Schema

T = TypeVar("T")

MIGRATES = migrating._upgrade
"""What Alembic does for a database, each time."""

_secure = ssl.create_default_context
_depends = fastapi.routing._build_dependant_with_parameterless_dependencies
_tables: dict[str, list[str]] = {}


def begin() -> None:
    """From now on in this process, and in those forked from it."""
    for name, made in (
        # A converter keeps the validators of its types, and each client has a converter of its own.
        ("temporalio.contrib.pydantic.TypeAdapter", _validators),
        # An HTTP client reads all authorities of the web.
        ("ssl.create_default_context", _context),
        # An inbox works out anew what its routes, the same for every one, depend on.
        ("fastapi.routing._build_dependant_with_parameterless_dependencies", _dependant),
        ("store.migrating._upgrade", _upgrade),
    ):
        pytest.MonkeyPatch().setattr(name, made)


def prepare() -> None:
    """Make what most programs need, for those that will be forked from this one."""
    folder = tempfile.mkdtemp()
    for schema in (database.SCHEMA, table.SCHEMA):
        engine = create_async_engine(f"sqlite+aiosqlite:///{folder}/{schema.name}.db")
        _upgrade(engine, schema)
    shutil.rmtree(folder)
    _authorities()
    _validators(ActivityModelInput)


def _once(make: Callable[..., T]) -> Callable[..., T]:
    """Keeps what it made of arguments that can be kept."""
    kept = functools.lru_cache(maxsize=1024)(make)

    def made(*given: Any) -> T:
        try:
            hash(given)
        except TypeError:
            return make(*given)
        return kept(*given)

    return made


_validators = _once(TypeAdapter)


@functools.cache
def _authorities() -> ssl.SSLContext:
    return _secure(cafile=certifi.where())


def _context(*given: Any, **named: Any) -> ssl.SSLContext:
    usual = not given and named == {"cafile": certifi.where()}
    return _authorities() if usual else _secure(*given, **named)


@_once
def _same(path: str, call: Callable[..., Any], dependencies: tuple[Any, ...]) -> Any:
    return _depends(path=path, call=call, dependencies=dependencies)


def _dependant(*, path: str, call: Callable[..., Any], dependencies: Any) -> Any:
    if "<locals>" in call.__qualname__:  # it holds on to its inbox
        return _depends(path=path, call=call, dependencies=dependencies)
    return _same(path, call, tuple(dependencies))


def _upgrade(engine: AsyncEngine, schema: Schema) -> None:
    """An empty SQLite file gets at once the tables that Alembic has made in the first one."""
    path = engine.url.database if engine.dialect.name == "sqlite" else None
    if path is None:
        return MIGRATES(engine, schema)
    with contextlib.closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as file:
        file.execute("BEGIN IMMEDIATE")
        empty = not file.execute("SELECT 1 FROM sqlite_master").fetchone()
        known = _tables.get(schema.name, []) if empty else []
        for statement in known:
            file.execute(statement)
        file.execute("COMMIT")
        if not known:
            MIGRATES(engine, schema)
            if empty:
                _tables[schema.name] = _made(file, schema)
    return None


def _made(file: sqlite3.Connection, schema: Schema) -> list[str]:
    names = {schema.version_table, *schema.tables.tables}
    found = file.execute("SELECT tbl_name, sql FROM sqlite_master WHERE sql > '' ORDER BY rowid")
    version = f"INSERT INTO {schema.version_table} VALUES ('{schema.latest}')"  # noqa: S608
    return [*(statement for table, statement in found if table in names), version]

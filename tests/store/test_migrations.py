"""What brings both databases to the tables of this version."""

import asyncio
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from store import CannotStore, NoDatabase, Store
from store.database import SCHEMA as INBOX
from store.engine import opened
from store.ledger import Ledger, LedgerAway
from store.ledger.table import SCHEMA as LEDGER
from store.migrating import Schema, migrate, revision
from store.tables import Table
from tests.support import unique

from .asked import kept_by


def _unlike(connection: Connection, schema: Schema) -> list[object]:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    options = {
        "include_name": lambda name, kind, _: kind != "table" or name in schema.tables.tables
    }
    return list(
        compare_metadata(MigrationContext.configure(connection, opts=options), schema.tables)
    )


async def test_migrations_make_the_tables_that_the_program_knows(address: str) -> None:
    async with opened(address) as engine:
        for schema in (INBOX, LEDGER):  # one database may hold both
            await migrate(engine, schema)
            assert await revision(engine, schema) == schema.latest
            async with engine.connect() as connection:
                assert await connection.run_sync(_unlike, schema) == []


async def test_instances_that_start_at_once_migrate_once(address: str) -> None:
    async def begin() -> int:
        async with Store.open(address), Ledger.open(address) as ledger:
            return (await ledger.head()).position

    assert await asyncio.gather(*(begin() for _ in range(4))) == [0] * 4


async def test_an_inbox_from_before_there_were_migrations_is_adopted_with_all_it_has(
    address: str,
) -> None:
    async with Store.open(address) as store:
        token, known = await store.tokens.create("ci", ["read"], lasts=timedelta(days=1))
        key = store.signing_key
    async with opened(address) as engine:
        await _run(engine, "DROP TABLE inbox_version", "DROP TABLE links")
    async with Store.open(address) as store:
        assert (await store.tokens.find(token), store.signing_key) == (known, key)
        assert await store.links.of("pay.1") == []
    async with opened(address) as engine:
        assert await revision(engine, INBOX) == INBOX.latest


async def test_tables_that_were_made_without_migrations_are_taken_as_they_are(address: str) -> None:
    async with opened(address) as engine:
        async with engine.begin() as connection:
            await connection.run_sync(Table.metadata.create_all)
        await migrate(engine, INBOX)
        async with engine.connect() as connection:
            assert await connection.run_sync(_unlike, INBOX) == []


async def test_a_database_of_a_newer_version_is_refused_and_left_alone(address: str) -> None:
    async with Store.open(address), Ledger.open(address) as ledger:
        await ledger.append([kept_by("ada")])
    async with opened(address) as engine:
        for schema in (INBOX, LEDGER):
            later = f"UPDATE {schema.version_table} SET version_num = 'later_9'"  # noqa: S608
            await _run(engine, later)
    for open_ in (Store.open, Ledger.open):
        with pytest.raises(CannotStore, match=r"of a newer version \(later_9\): upgrade clearance"):
            async with open_(address):
                pass
    async with opened(address) as engine, engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM ledger")) == 2


async def test_the_database_itself_refuses_to_change_or_delete_a_row(address: str) -> None:
    async with Ledger.open(address) as ledger:
        await ledger.append([kept_by("ada")])
        before = await ledger.head()
    statements = ["UPDATE ledger SET who = 'eve'", "DELETE FROM ledger WHERE position = 2"]
    if address.startswith("postgresql"):
        statements.append("TRUNCATE ledger")
    else:
        statements += map(_replacing, ("", "position", "sequence", "rowid"))
    async with opened(address) as engine:
        for statement in statements:
            with pytest.raises(DBAPIError, match="the ledger is only appended to"):
                await _run(engine, statement)
    async with Ledger.open(address) as ledger:
        assert await ledger.head() == before


async def test_on_postgresql_the_right_to_read_and_insert_is_enough(on_postgresql: str) -> None:
    async with Ledger.open(on_postgresql):
        pass
    role = unique("writer").replace("-", "_")
    grants = (
        f"CREATE ROLE {role} LOGIN",
        f"GRANT SELECT, INSERT ON ledger TO {role}",
        f"GRANT SELECT, INSERT, DELETE ON ledger_marks TO {role}",
        f"GRANT SELECT ON ledger_version TO {role}",
    )
    psql = ("psql", on_postgresql, *(f"--command={one}" for one in grants))
    await asyncio.to_thread(subprocess.run, psql, check=True, capture_output=True)
    async with Ledger.open(on_postgresql.replace("clearance@", f"{role}@")) as ledger:
        assert await ledger.append([kept_by("ada")]) == 2
        await ledger.set_mark("reconciled", "now")
        assert (await ledger.verify()).count == 0
        with pytest.raises(DBAPIError, match="must be owner"):
            await _run(ledger._engine, "DROP TRIGGER ledger_is_kept ON ledger")


async def test_a_ledger_that_is_not_there_is_only_made_where_it_should_be(address: str) -> None:
    with pytest.raises(NoDatabase):
        async with Ledger.open(address, create=False):
            pass
    async with Store.open(address):
        pass
    with pytest.raises(NoDatabase, match="there is no ledger in it"):
        async with Ledger.open(address, create=False):
            pass


async def test_a_ledger_that_goes_away_is_told_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(CannotStore) as refused:
        async with Ledger.open("postgresql://ada:geheim@127.0.0.1:1/ledger"):
            pass
    assert "geheim" not in str(refused.value)
    path = tmp_path / "ledger.db"
    async with Ledger.open(f"sqlite:///{path}") as ledger:
        async with opened(f"sqlite:///{path}") as engine:
            await _run(engine, "DROP TABLE ledger")
        with pytest.raises(LedgerAway, match="no such table"):
            await ledger.append([kept_by("ada")])
    for odd in ("mysql://host/name", "nonsense", f"sqlite:///{tmp_path}"):
        with pytest.raises(CannotStore):
            async with Ledger.open(odd):
                pass


async def test_a_file_that_is_no_database_is_told_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_text("Dear diary, " * 100)
    with pytest.raises(CannotStore, match="file is not a database"):
        async with Ledger.open(f"sqlite:///{path}"):
            pass
    assert path.read_text() == "Dear diary, " * 100


def _replacing(place: str) -> str:
    """Put another row in the place of the second: of its value in one column, or of all of it."""
    others = {"position": "9", "rowid": "9", "sequence": "9"} if place else {"position": "position"}
    values = {
        "rowid": "rowid",
        "sequence": "sequence",
        **others,
        place or "rowid": place or "rowid",
    }
    rest = (
        "request, execution, queue, at, kind, who, tool, checkpoint, requester, risk, run, status, "
        "reviewer, closed_at, body, previous, hash"
    )
    return (
        f"INSERT OR REPLACE INTO ledger ({', '.join(values)}, {rest}) "  # noqa: S608
        f"SELECT {', '.join(values.values())}, {rest} FROM ledger WHERE position = 2"
    )


async def _run(engine: AsyncEngine, *statements: str) -> None:
    async with engine.begin() as connection:
        for one in statements:
            await connection.execute(text(one))


def test_the_two_schemas_share_no_table() -> None:
    tables: list[MetaData] = [INBOX.tables, LEDGER.tables]
    assert not set(tables[0].tables) & set(tables[1].tables)

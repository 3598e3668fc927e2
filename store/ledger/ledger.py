"""The ledger, opened: what appends to it. Nothing in it is ever changed."""

import json
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from clearance.kept import Kept
from clearance.views import Event
from store.engine import NoDatabase, alone, opened, told, working
from store.migrating import migrate, revision

from .afterwards import later_row, numbered
from .finished import Finished
from .reading import head_of, in_batches, which
from .rows import Row, columns_of, hash_of, rows_of, same
from .table import SCHEMA, ledger
from .verifying import Verifying

log = logging.getLogger("clearance.ledger")

_LOCK = 5_172_640_002
"""PostgreSQL's advisory lock of whoever appends."""


class Ledger(Finished, Verifying):
    """One open ledger; several processes may have the same one open."""

    @classmethod
    @asynccontextmanager
    async def open(cls, address: str, *, create: bool = True) -> AsyncIterator["Ledger"]:
        """Open a ledger, and bring its tables to this version.

        Args:
            address: ``sqlite:///path`` or ``postgresql://user:password@host/name``.
            create: whether to make one where there is none.

        Raises:
            CannotStore: no such kind of database, no driver for it, it does not answer, or a newer
                version has changed its tables.
            NoDatabase: there is none, and none was to be made.
        """
        async with opened(address, create=create) as engine:
            with working(engine.url):
                if not create and await revision(engine, SCHEMA) is None:
                    raise NoDatabase(f"{told(engine.url)}: there is no ledger in it")
                await migrate(engine, SCHEMA)
            yield cls(engine)

    async def append(self, kepts: Sequence[Kept]) -> int:
        """Write what the ledger doesn't have of these requests, all or nothing. Returns how many rows.

        What it has stays as it is. Where a request says otherwise now, that is left out, and logged
        by its ids.

        Raises:
            InvalidRequest: one of them is refused by ``rows_of``; nothing is written.
            LedgerAway: the database is away or full; nothing is written.
        """
        requests = [rows for kept in kepts if (rows := rows_of(kept))]
        if not requests:
            return 0
        with self._working():
            async with self._engine.connect() as connection:
                await alone(connection, _LOCK)
                known = await _known(connection, (rows[0].of for rows in requests))
                fresh = [row for rows in requests for row in _unknown(rows, known[rows[0].of])]
                await _write(connection, fresh)
        return len(fresh)

    async def add(
        self, request: str, execution: str, event: Event, requested_at: datetime | None = None
    ) -> bool:
        """Write what happened after a request's end, under the next number; again, it changes nothing.

        A request that went on in other executions is in the ledger by its last one: where the one that is
        named isn't, it is the one that was asked at this time.

        Returns whether it is there now: not so where the ledger doesn't have the end yet.

        Raises:
            LedgerAway: the database is away or full; nothing is written.
        """
        of = (request, execution)
        with self._working():
            async with self._engine.connect() as connection:
                await alone(connection, _LOCK)
                known = (await _known(connection, [of]))[of]
                if not known and requested_at is not None:
                    of = (request, await _asked_at(connection, request, requested_at) or execution)
                    known = (await _known(connection, [of]))[of]
                if (row := later_row(known, event)) is None:
                    return False
                await _write(connection, _unknown([row], known))
        return True


async def _asked_at(connection: AsyncConnection, request: str, at: datetime) -> str | None:
    """The execution of a request that began at this time."""
    query = select(ledger.c.execution, ledger.c.body)
    for row in await connection.execute(
        query.where(ledger.c.request == request, ledger.c.sequence == 1)
    ):
        if datetime.fromisoformat(json.loads(row.body)["asked"]["requested_at"]) == at:
            return str(row.execution)
    return None


async def _known(
    connection: AsyncConnection, requests: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], dict[int, str]]:
    """The bodies of all rows that there are of these (request, execution), by their numbers."""
    known: dict[tuple[str, str], dict[int, str]] = {of: {} for of in requests}
    columns = (ledger.c.request, ledger.c.execution, ledger.c.sequence, ledger.c.body)
    for some in in_batches(known):
        query = select(*columns).where(which(some)).order_by(ledger.c.sequence)
        for found in await connection.execute(query):
            known[found.request, found.execution][found.sequence] = found.body
    return known


def _unknown(rows: Sequence[Row], known: dict[int, str]) -> list[Row]:
    """Those of a request that are to be written; each once. What is ``known`` learns of them."""
    fresh = []
    for row in numbered(rows, known) if known else rows:
        if row.sequence not in known:
            known[row.sequence] = row.body
            fresh.append(row)
        elif not same(known[row.sequence], row.body):
            log.warning("the ledger says otherwise of request %s, execution %s, event %d", *row.key)
    return fresh


async def _write(connection: AsyncConnection, rows: Sequence[Row]) -> None:
    """After the last one; the transaction has ended when it returns."""
    if rows:
        head = await head_of(connection)
        await connection.execute(insert(ledger), _chained(rows, head.position, head.hash))
    await connection.commit()


def _chained(rows: Iterable[Row], position: int, previous: str) -> list[dict[str, Any]]:
    """The rows as they are stored, after the one at this position."""
    chained = []
    for row in rows:
        position += 1
        hash = hash_of(previous, position, row.body)
        chained.append(
            {
                "position": position,
                **columns_of(row.body),
                "body": row.body,
                "previous": previous,
                "hash": hash,
            }
        )
        previous = hash
    return chained

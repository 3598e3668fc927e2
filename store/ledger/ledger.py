"""The ledger, opened: what appends to it. Nothing in it is ever changed."""

import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from clearance.kept import Kept
from store.engine import NoDatabase, alone, opened, told, working
from store.migrating import migrate, revision

from .finished import Finished
from .reading import head_of, in_batches, which
from .rows import Row, columns_of, hash_of, rows_of, same
from .table import SCHEMA, ledger
from .verifying import Verifying

log = logging.getLogger(__name__)

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
        rows = [row for kept in kepts for row in rows_of(kept)]
        if not rows:
            return 0
        with self._working():
            async with self._engine.connect() as connection:
                await alone(connection, _LOCK)
                fresh = _unknown(rows, await _known(connection, rows))
                if fresh:
                    head = await head_of(connection)
                    chained = _chained(fresh, head.position, head.hash)
                    await connection.execute(insert(ledger), chained)
                await connection.commit()
        return len(fresh)


async def _known(
    connection: AsyncConnection, rows: Sequence[Row]
) -> dict[tuple[str, str, int], str]:
    """The bodies of all rows that there are of these requests."""
    known: dict[tuple[str, str, int], str] = {}
    columns = (ledger.c.request, ledger.c.execution, ledger.c.sequence, ledger.c.body)
    for some in in_batches(dict.fromkeys(row[:2] for row in rows)):
        for found in await connection.execute(select(*columns).where(which(some))):
            known[found.request, found.execution, found.sequence] = found.body
    return known


def _unknown(rows: Iterable[Row], known: dict[tuple[str, str, int], str]) -> list[Row]:
    """Those that are to be written; each once."""
    fresh = []
    for row in rows:
        if row.key not in known:
            known[row.key] = row.body
            fresh.append(row)
        elif not same(known[row.key], row.body):
            log.warning("the ledger says otherwise of request %s, execution %s, event %d", *row.key)
    return fresh


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

"""Requests that have ended, by the page: what the history shows."""

import json
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import pydantic
from sqlalchemy import Row, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from clearance.history import Past
from clearance.views import FinishedApproval, Page, check_size

from .lines import line_of
from .paging import conditions, make_cursor, read_cursor
from .reading import Reading, in_batches, which
from .table import ledger

log = logging.getLogger("clearance.ledger")


class Finished(Reading):
    """The method of ``Ledger`` that lists."""

    async def finished(
        self, queue: str, asked: Past, *, size: int = 50, after: str | None = None
    ) -> Page[FinishedApproval]:
        """What has ended, the latest end first, one page of it.

        Args:
            queue: the task queue of the approvals.
            asked: as of ``ApprovalClient.history_page``.
            size: lines of a page, 1 to 1,000.
            after: the cursor of the page before, with the same filters.

        Raises:
            InvalidRequest: a filter, a size or a cursor that is none.
        """
        check_size(size)
        narrowed = conditions(queue, asked)
        of = f"{queue} {sorted((name, str(value)) for name, value in asked.items() if value)}"
        where = [*narrowed]
        if after is not None:
            where.append(tuple_(ledger.c.closed_at, ledger.c.position) < read_cursor(after, of))
        columns = (ledger.c.closed_at, ledger.c.position, ledger.c.request, ledger.c.execution)
        query = (
            select(*columns, ledger.c.body)
            .where(*where)
            .order_by(ledger.c.closed_at.desc(), ledger.c.position.desc())
            .limit(size + 1)
        )
        with self._working():
            async with self._engine.connect() as connection:
                found = (await connection.execute(query)).all()
                firsts = await _firsts(connection, found[:size])
        last = found[size - 1] if len(found) > size else None
        return Page[FinishedApproval](
            items=tuple(_lines(found[:size], firsts)),
            cursor=last and make_cursor((last.closed_at, last.position), of),
        )


async def _firsts(
    connection: AsyncConnection, ends: Sequence[Row[*tuple[Any, ...]]]
) -> dict[tuple[str, str], str]:
    """The bodies of the first rows of these requests."""
    firsts: dict[tuple[str, str], str] = {}
    columns = (ledger.c.request, ledger.c.execution, ledger.c.body)
    for some in in_batches((row.request, row.execution) for row in ends):
        query = select(*columns).where(which(some), ledger.c.sequence == 1)
        for row in await connection.execute(query):
            firsts[row.request, row.execution] = row.body
    return firsts


def _lines(
    ends: Sequence[Row[*tuple[Any, ...]]], firsts: dict[tuple[str, str], str]
) -> Iterator[FinishedApproval]:
    for row in ends:
        try:
            whole = [json.loads(firsts[row.request, row.execution]), json.loads(row.body)]
            yield line_of(whole if row.body != firsts[row.request, row.execution] else whole[:1])
        except (KeyError, ValueError, pydantic.ValidationError):
            log.warning("the ledger's row %d can't be read: clearance audit verify", row.position)

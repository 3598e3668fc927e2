"""What the ledger tells: requests that have ended, one by one and by the page, and its rows."""

import json
import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple, TypedDict, Unpack

from sqlalchemy import ColumnElement, Row, and_, case, delete, func, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from clearance import ApprovalView
from store.engine import CannotStore, working

from .rows import FIRST, folded, moment, view_of
from .table import ledger, marks

log = logging.getLogger("clearance.ledger")

_BATCH = 2_000
"""Rows that are read at once."""

_PAIRS = 200
"""Requests that one query asks for."""


class LedgerAway(CannotStore):
    """The ledger's database can't be reached, or takes nothing; the text says why."""


class Head(NamedTuple):
    """The last row: who knows its hash knows that no row up to it was changed."""

    position: int
    """0 where there is none."""
    hash: str


NOTHING = Head(0, FIRST)
"""Of an empty ledger."""


@dataclass(frozen=True)
class Written:
    """What the ledger has of one execution of a request."""

    rows: int = 0
    status: str | None = None
    """How it ended; None where that isn't written yet."""
    executed: bool = False
    """Whether it says that the action has run."""

    @property
    def ended(self) -> bool:
        """Whether it says how the request ended."""
        return self.status is not None


class Narrowed(TypedDict, total=False):
    """What the rows of an export can be narrowed to; None leaves it as it is."""

    since: datetime | None
    """Only what happened then or later; with a time zone."""
    until: datetime | None
    """Only what happened before; with a time zone."""
    reviewer: str | None
    """Only what this person did; capitals don't matter."""
    tool: str | None
    """Only of this tool."""
    id: str | None
    """Only of this request."""


class Reading:
    """The methods of ``Ledger`` that read. All raise LedgerAway where the database fails."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Over tables that exist."""
        self._engine = engine

    def _working(self) -> AbstractContextManager[None]:
        return working(self._engine.url, LedgerAway)

    async def head(self) -> Head:
        """The last row."""
        with self._working():
            async with self._engine.connect() as connection:
                return await head_of(connection)

    async def hash_at(self, position: int) -> str | None:
        """The hash of the row there; None for none."""
        query = select(ledger.c.hash).where(ledger.c.position == position)
        with self._working():
            async with self._engine.connect() as connection:
                found: str | None = await connection.scalar(query)
        return found

    async def view(self, id: str) -> ApprovalView | None:
        """The whole record of a request that has ended: of the one asked last that has this id.

        None where there is none, and where it still waits.
        """
        columns = (ledger.c.execution, ledger.c.body)
        order = (ledger.c.execution, ledger.c.sequence)
        query = select(*columns).where(ledger.c.request == id).order_by(*order)
        bodies: dict[str, list[Any]] = {}
        with self._working():
            async with self._engine.connect() as connection:
                for row in await connection.execute(query):
                    bodies.setdefault(row.execution, []).append(json.loads(row.body))
        views = [view for one in bodies.values() if (view := view_of(one)) is not None]
        return max(views, key=lambda view: view.requested_at, default=None)

    async def matching(self, typed: str) -> list[str]:
        """The ids of requests that have ended and begin or end like this, at most two.

        A whole id is the only one.
        """
        id, last = ledger.c.request, "\U0010ffff"
        begins = and_(id >= typed, id < typed + last)
        ends = func.substr(id, -len(typed)) == typed
        if self._engine.dialect.name != "sqlite":
            ends = func.right(id, len(typed)) == typed
        has_ended = ledger.c.closed_at.is_not(None)
        found: list[str] = []
        with self._working():
            async with self._engine.connect() as connection:
                for fits in (id == typed, begins | ends):
                    query = select(id).where(fits, has_ended).distinct().order_by(id).limit(2)
                    found = found or list(await connection.scalars(query))
        return found

    async def has(self, id: str) -> bool:
        """Whether there is any row of this request, also while it waits."""
        query = select(ledger.c.position).where(ledger.c.request == id).limit(1)
        with self._working():
            async with self._engine.connect() as connection:
                return await connection.scalar(query) is not None

    async def kept_of(self, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Written]:
        """What is written of each of these (request, execution); those without a row are left out."""
        ran = func.max(case((ledger.c.kind == "executed", 1), else_=0)).label("ran")
        columns = (func.count().label("rows"), func.max(ledger.c.status).label("status"), ran)
        written: dict[tuple[str, str], Written] = {}
        with self._working():
            async with self._engine.connect() as connection:
                for some in in_batches(pairs):
                    of = (ledger.c.request, ledger.c.execution)
                    query = select(*of, *columns).where(which(some)).group_by(*of)
                    for row in await connection.execute(query):
                        told = Written(row.rows, row.status, bool(row.ran))
                        written[row.request, row.execution] = told
        return written

    async def rows(self, **narrowed: Unpack[Narrowed]) -> AsyncIterator[Row[*tuple[Any, ...]]]:
        """All rows that fit, in order: ``position``, ``body``, ``previous``, ``hash`` and columns."""
        equal = (
            (ledger.c.tool, narrowed.get("tool")),
            (ledger.c.request, narrowed.get("id")),
            (ledger.c.who, folded(narrowed.get("reviewer"))),
        )
        where = [column == value for column, value in equal if value is not None]
        if (since := narrowed.get("since")) is not None:
            where.append(ledger.c.at >= moment(since))
        if (until := narrowed.get("until")) is not None:
            where.append(ledger.c.at < moment(until))
        async for row in self._all(*where):
            yield row

    async def _all(self, *where: ColumnElement[bool]) -> AsyncIterator[Row[*tuple[Any, ...]]]:
        """In batches, so that no reader keeps a transaction open."""
        position = None
        while True:
            query = select(ledger).where(*where).order_by(ledger.c.position).limit(_BATCH)
            if position is not None:
                query = query.where(ledger.c.position > position)
            with self._working():
                async with self._engine.connect() as connection:
                    found = (await connection.execute(query)).all()
            for row in found:
                yield row
            if len(found) < _BATCH:
                return
            position = found[-1].position

    async def mark(self, name: str) -> str | None:
        """How far somebody is, as they noted it; None where they didn't."""
        query = select(marks.c.value).where(marks.c.name == name)
        with self._working():
            async with self._engine.connect() as connection:
                noted: str | None = await connection.scalar(query)
        return noted

    async def set_mark(self, name: str, value: str) -> None:
        """Note how far somebody is."""
        with self._working():
            async with self._engine.begin() as connection:
                await connection.execute(delete(marks).where(marks.c.name == name))
                await connection.execute(insert(marks), {"name": name, "value": value})


async def head_of(connection: AsyncConnection) -> Head:
    """The last row, as this transaction sees it."""
    query = select(ledger.c.position, ledger.c.hash).order_by(ledger.c.position.desc()).limit(1)
    last = (await connection.execute(query)).first()
    return NOTHING if last is None else Head(last.position, last.hash)


def in_batches(pairs: Iterable[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """As many as one query takes, at a time."""
    left = iter(pairs)
    while some := list(islice(left, _PAIRS)):
        yield some


def which(pairs: Sequence[tuple[str, str]]) -> ColumnElement[bool]:
    """The rows of these (request, execution)."""
    return tuple_(ledger.c.request, ledger.c.execution).in_(pairs)

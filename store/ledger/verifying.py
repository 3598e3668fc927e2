"""Going through the whole ledger, for any row that was changed, taken out, put in or moved."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, func, or_, select

from clearance.signatures import DecisionKey

from .heads import SignedHead
from .reading import NOTHING, Head, Reading
from .rows import columns_of, hash_of
from .signed import Signed
from .table import ledger

_SHOWN = 20
"""Faults that are told one by one."""


@dataclass(frozen=True)
class Fault:
    """Something that shows that the ledger is not as it was written."""

    text: str
    position: int | None = None
    request: str | None = None
    execution: str | None = None
    sequence: int | None = None


@dataclass
class Verified:
    """What was found."""

    rows: int = 0
    head: Head = NOTHING
    heads: int = 0
    """Heads that were held against it."""
    signed: int = 0
    """Signed decisions whose signatures fit."""
    faults: list[Fault] = field(default_factory=list)
    """The first twenty."""
    count: int = 0
    """How many faults there are in all."""

    def add(self, *faults: Fault) -> None:
        """Further faults."""
        self.count += len(faults)
        self.faults += faults[: _SHOWN - len(self.faults)]


class Verifying(Reading):
    """The method of ``Ledger`` that verifies."""

    async def verify(
        self,
        heads: Iterable[SignedHead] = (),
        decision_keys: Collection[DecisionKey] | None = None,
    ) -> Verified:
        """Hold every row against the one before, and against what it says; and the end against heads.

        What is appended meanwhile is verified or not. Of a ledger whose end was cut off only heads
        tell, and only they tell that all of it was written anew; of signed decisions their signatures.

        Args:
            heads: whose signatures have been checked.
            decision_keys: all that a request may pin; None for whatever it pins.

        Raises:
            LedgerAway: the database fails.
        """
        found, decisions = Verified(), Signed(decision_keys)
        signed: dict[int, list[SignedHead]] = {}
        for head in heads:
            signed.setdefault(head.position, []).append(head)
            found.heads += 1
        async for row in self._all():
            found.rows += 1
            if wrong := _of_another_kind(row):
                found.add(*_told(row, [wrong]))
                continue
            found.add(*_faults(row, found.head))
            found.add(*_unlike(row, signed.pop(row.position, ())))
            found.add(*_told(row, decisions.faults(row.request, row.execution, row.body)))
            found.head = Head(row.position, row.hash)
        found.signed = decisions.decisions
        found.add(*await self._gaps())
        for position in sorted(signed):
            found.add(*(_cut(head, found.head) for head in signed[position]))
        return found

    async def _gaps(self) -> list[Fault]:
        """Requests of which an event is missing: they are numbered without gaps."""
        of = (ledger.c.request, ledger.c.execution)
        rows, last = func.count(), func.max(ledger.c.sequence)
        broken = or_(last != rows, func.min(ledger.c.sequence) != 1)
        query = select(*of, rows.label("rows"), last.label("last")).group_by(*of).having(broken)
        with self._working():
            async with self._engine.connect() as connection:
                found = (await connection.execute(query.order_by(*of))).all()
        return [
            Fault(
                f"{row.rows} events are here, and the last is number {row.last}",
                request=_shown(row.request),
                execution=_shown(row.execution),
            )
            for row in found
        ]


def _faults(row: Row[*tuple[Any, ...]], before: Head) -> list[Fault]:
    """What is wrong with a row that stands after this one."""
    said = []
    if row.position > before.position + 1:
        first, last = before.position + 1, row.position - 1
        which = f"row {first} is" if first == last else f"rows {first} to {last} are"
        said.append(f"{which} missing before it")
    elif row.position != before.position + 1:
        said.append(f"its position is none: it stands after {before.position}")
    elif row.previous != before.hash:
        said.append("it does not continue the row before: one of them was changed or moved")
    if row.hash != hash_of(row.previous, row.position, row.body):
        said.append("it was changed or moved: its hash is another")
    return _told(row, [*said, *_projections(row)])


def _told(row: Row[*tuple[Any, ...]], said: Iterable[str]) -> list[Fault]:
    about = (row.position, row.request, row.execution, row.sequence)
    return [Fault(text, *map(_shown, about)) for text in said]


def _of_another_kind(row: Row[*tuple[Any, ...]]) -> str | None:
    """Names what is of no kind that was written: SQLite keeps anything in any column."""
    texts = ("request", "execution", "body", "previous", "hash")
    has = row._mapping
    wrong = [name for name in texts if type(has[name]) is not str]
    wrong += [name for name in ("position", "sequence") if type(has[name]) is not int]
    return f"it was changed: {', '.join(wrong)} can't be read" if wrong else None


def _shown(value: Any) -> Any:
    return value if isinstance(value, int | str) else repr(value)


def _projections(row: Row[*tuple[Any, ...]]) -> list[str]:
    try:
        columns = columns_of(row.body)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return ["its body is none that was written here"]
    if tuple(columns.values()) == row[1:-3]:  # in the table's order: fast, for nearly all
        return []
    has = row._mapping
    unlike = [name for name, value in columns.items() if has[name] != value]
    told = f"columns to search by differ from the row itself: {', '.join(unlike)}"
    return [told] if unlike else []


def _unlike(row: Row[*tuple[Any, ...]], heads: Iterable[SignedHead]) -> Sequence[Fault]:
    unlike = (head for head in heads if head.hash != row.hash)
    text = "the head signed at {0.at} says that its hash is {0.hash}".format
    return _told(row, map(text, unlike))


def _cut(head: SignedHead, last: Head) -> Fault:
    if 0 < head.position < last.position:
        return Fault(f"the head signed at {head.at} is of a row that is missing", head.position)
    return Fault(
        f"the ledger ends at {last.position}, and a head signed at {head.at} says "
        f"{head.position}: its end was cut off",
        head.position,
    )

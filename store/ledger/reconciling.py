"""Bringing into the ledger what Temporal knows and the ledger doesn't have yet.

That is requests that were terminated with their run, that ended while the ledger was away or while an
older worker served, and what came of approved ones after their end.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from pydantic import BaseModel, Field

from clearance import ClearanceError, InvalidRequest, NotFound
from clearance.kept import Kept

from .ledger import Ledger
from .reading import Written
from .source import Execution, Source

_LISTED = 1_000
_WRITTEN = 100
_READ = 10
"""Requests that are looked up, written and read together."""

OVERLAP = timedelta(minutes=10)
"""What has ended may be listed later than what ended after it."""

_SKEW = timedelta(minutes=1)
"""By how much the clocks of two workers may differ."""

_FIRST = datetime(2020, 1, 1, tzinfo=UTC)
"""There was nothing to be reconciled then."""

_PATIENCE = timedelta(days=1)
"""How long the rest of the ledger's work begins at what can't be read: a key that is missing may come."""

_AGES = tuple(
    timedelta(hours=hours) for hours in (0.05, 0.2, 1, 6, 24, 3 * 24, 7 * 24, 31 * 24, 62 * 24)
)
"""How long after its end an approved request is looked at again for what came of it, until it is known
that its action has run: its permission may be taken for 30 days, and told of for 30 more."""

_NAMED = 20


class Progress(NamedTuple):
    """How far the ledger is known to have everything."""

    complete: datetime
    """Whatever ended before is in the ledger."""
    looked: datetime
    """When it was last looked what came of approved requests."""
    held: datetime | None = None
    """Since when there is always something that can't be read; None where all could."""


class Reconciled(BaseModel):
    """What a reconciliation has found and done."""

    missing: int = 0
    """Requests that the ledger did not have, or not to their end."""
    rows: int = 0
    """Events that were written."""
    left: int = 0
    """Requests that could not be read; the next reconciliation tries again."""
    reasons: list[str] = Field(default_factory=list)
    """Why, of the first twenty."""
    passed_over: int = 0
    """What was malformed, so that nobody was asked, or forgotten meanwhile; and what could not be read
    for a day, which is in ``reasons``, and which only ``everything`` tries again."""
    served: bool = True
    """Whether there was a worker to read them by."""
    otherwise: list[str] = Field(default_factory=list)
    """What has ended otherwise than the ledger says, which keeps what it has: the id, and both ends. Then
    one of the two was set back to a copy of before."""


async def progress_of(
    ledger: Ledger, queue: str, *, now: datetime | None = None
) -> Progress | None:
    """How far it was reconciled; None where it never was, and where what is noted can't be."""
    noted = await ledger.mark(_mark(queue))
    try:
        plain = json.loads(noted or "{}")
        times = {name: datetime.fromisoformat(at) for name, at in plain.items() if at is not None}
        latest = (now or datetime.now(UTC)) + _SKEW
        return Progress(**times) if all(_FIRST < at < latest for at in times.values()) else None
    except (AttributeError, RecursionError, TypeError, ValueError):
        return None


async def behind(ledger: Ledger, source: Source, *, limit: int = _LISTED) -> list[Execution]:
    """What has ended lately, the latest first, and isn't in the ledger; at most of the last ``limit``."""
    known = await progress_of(ledger, source.queue)
    since = known.complete - OVERLAP if known else None
    found = [one async for one in source.executions(since=since, limit=limit)]
    return await not_ended(ledger, found)


async def reconcile(
    ledger: Ledger,
    source: Source,
    *,
    everything: bool = False,
    now: datetime | None = None,
    beat: Callable[[], None] = lambda: None,
) -> Reconciled:
    """Write what is missing, by the time it ended. Doing it again, or twice at once, changes nothing.

    Args:
        ledger: is written to.
        source: knows what has ended.
        everything: go through all that Temporal has, whatever was reconciled before.
        now: the time, unless it is that of the clock.
        beat: is called again and again, to say that it goes on.

    Raises:
        LedgerAway: the ledger fails. What was written stays.
    """
    done = Reconciled()
    began = now or datetime.now(UTC)
    before = None if everything else await progress_of(ledger, source.queue, now=began)
    since = before.complete - OVERLAP if before else None
    missing: list[Execution] = []
    async for some in _pages(source.executions(since=since)):
        both = await _written(ledger, some)
        missing += [one for one, written in both if not written.ended]
        done.otherwise += _otherwise(source, both)
        beat()
    done.missing = len(missing)
    again = [one async for one in _again(ledger, source, before, began)]
    work = sorted([*missing, *again], key=_closed_at)
    if work and not await source.is_served():
        done.served, done.left = False, len(missing)
        return done
    failed: list[Execution] = []
    for start in range(0, len(work), _WRITTEN):
        failed += await _bring(ledger, source, work[start : start + _WRITTEN], done)
        beat()
    runs = {one.run_id for one in missing}
    left = [_closed_at(one) for one in failed if one.run_id in runs]
    held = ((before and before.held) or began) if left else None
    if held is not None and held <= began - _PATIENCE:
        kept = [at for at in left if at > began - _PATIENCE]
        done.passed_over += len(left) - len(kept)
        left = kept
    done.left = len(left)
    await _note(ledger, source.queue, Progress(min([began, *left]), began, held))
    return done


async def _note(ledger: Ledger, queue: str, progress: Progress) -> None:
    times = {name: at and at.isoformat() for name, at in progress._asdict().items()}
    await ledger.set_mark(_mark(queue), json.dumps(times))


async def _again(
    ledger: Ledger, source: Source, before: Progress | None, began: datetime
) -> AsyncIterator[Execution]:
    """Approved requests of which it may be known by now that their action has run."""
    spans: list[tuple[datetime | None, datetime]] = [(None, began)]
    if before is not None:
        spans = [(before.looked - age, began - age) for age in _AGES]
    for since, until in spans:
        found = source.executions(since=since, until=until, approved=True)
        async for some in _pages(found):
            for one, written in await _written(ledger, some):
                if written.ended and not written.executed:
                    yield one


async def _bring(
    ledger: Ledger, source: Source, batch: Sequence[Execution], done: Reconciled
) -> list[Execution]:
    """Read and write these. Returns those that could not be."""
    room = asyncio.Semaphore(_READ)

    async def read(one: Execution) -> Kept | ClearanceError:
        async with room:
            try:
                return await source.read(one)
            except ClearanceError as error:
                return error

    found = await asyncio.gather(*map(read, batch))
    kepts = [one for one in found if isinstance(one, Kept)]
    refused = await _append(ledger, kepts, done)
    failed = []
    for execution, one in zip(batch, found, strict=True):
        reason = one if isinstance(one, ClearanceError) else refused.get(execution.run_id)
        if isinstance(one, InvalidRequest | NotFound):
            done.passed_over += 1
        elif reason is not None:
            failed.append(execution)
            if len(done.reasons) < _NAMED:
                done.reasons.append(f"{execution.id}: {reason}")
    return failed


async def _append(
    ledger: Ledger, kepts: Sequence[Kept], done: Reconciled
) -> dict[str, ClearanceError]:
    """Write them together; one by one where the ledger takes one of them for none. Returns those."""
    try:
        done.rows += await ledger.append(kepts)
    except InvalidRequest as error:
        if len(kepts) == 1:
            return {kepts[0].execution: error}
        refused: dict[str, ClearanceError] = {}
        for one in kepts:
            refused |= await _append(ledger, [one], done)
        return refused
    return {}


async def not_ended(ledger: Ledger, some: Sequence[Execution]) -> list[Execution]:
    """Those of which the ledger doesn't know the end."""
    return [one for one, written in await _written(ledger, some) if not written.ended]


async def _written(ledger: Ledger, some: Sequence[Execution]) -> list[tuple[Execution, Written]]:
    """Each, and what the ledger has of it."""
    known = await ledger.kept_of((one.id, one.run_id) for one in some)
    return [(one, known.get((one.id, one.run_id), Written())) for one in some]


def _otherwise(source: Source, both: Sequence[tuple[Execution, Written]]) -> list[str]:
    return [
        f"{one.id}: {now} in Temporal, {written.status} in the ledger"
        for one, written in both
        if written.ended and (now := source.status_of(one)) not in (None, written.status)
    ]


async def _pages(found: AsyncIterator[Execution]) -> AsyncIterator[list[Execution]]:
    page: list[Execution] = []
    async for one in found:
        page.append(one)
        if len(page) == _LISTED:
            yield page
            page = []
    if page:
        yield page


def _closed_at(one: Execution) -> datetime:
    return one.close_time or datetime.now(UTC)


def _mark(queue: str) -> str:
    return f"reconciled {queue}"

"""Writing requests to the ledger, as workflows have it done: those that come together, together."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from clearance import ClearanceError, InvalidRequest, contract
from clearance.kept import Kept
from clearance.notices import Untold
from clearance.views import Event
from store.ledger import LedgerAway
from store.ledger.breaker import Breaker

from . import measuring

TOGETHER = 50
"""Requests of one transaction."""

_Waiting = tuple[Kept, "asyncio.Future[int]"]


class KeepingActivities:
    """The ledger, as workflows reach it. It never keeps one of them waiting."""

    def __init__(self, ledger: Breaker | None = None) -> None:
        """Write to this one; left out, nothing is kept."""
        self._ledger = ledger
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None

    @property
    def activities(self) -> Sequence[Callable[..., Any]]:
        """What a worker registers; workflows call ``keep`` as a local activity."""
        return [self.keep, self.untold]

    @activity.defn(name=contract.ACTIVITY_KEEP)
    async def keep(self, kept: Kept) -> None:
        """Write what the ledger doesn't have of a request.

        Raises:
            ApplicationError: type ``LedgerAway``, it is not written; or ``InvalidRequest``, the ledger
                takes it for none. Neither is retried: the reconciliation does it later.
        """
        try:
            measuring.ledger_took(activity.metric_meter(), await self.write(kept))
        except ClearanceError as error:
            raise _failure(error) from None

    async def write(self, kept: Kept) -> int:
        """The same out of any activity. Returns how many rows of it and of what came with it are new.

        Raises:
            LedgerAway: it is not written.
            InvalidRequest: the ledger takes it for none.
        """
        if self._ledger is None:
            return 0
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((kept, future))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write(self._ledger))
        return await future

    @activity.defn(name=contract.ACTIVITY_UNTOLD)
    async def untold(self, untold: Untold) -> None:
        """Write that somebody could not be told how a request ended. Again, it changes nothing.

        Raises:
            ApplicationError: type ``LedgerAway``; the ledger, or the end of the request in it, isn't
                there yet. To be retried.
        """
        if self._ledger is None:
            return
        event = Event(
            sequence=0,  # the ledger numbers what comes after the end
            at=untold.at,
            kind="notified",
            who=untold.to.who,
            channel="engine",
            reason=untold.reason,
        )
        try:
            there = await self._ledger.ask(
                lambda ledger: ledger.add(
                    untold.approval_id, untold.execution, event, untold.requested_at
                )
            )
        except ClearanceError as error:
            raise _failure(error, is_final=False) from None
        if not there:
            raise _failure(LedgerAway("it is not in the ledger yet"), is_final=False)

    async def _write(self, ledger: Breaker) -> None:
        """Whatever waits, until nothing does: what comes meanwhile goes with the next ones."""
        while self._waiting:
            batch, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
            await _append(ledger, batch)


async def _append(ledger: Breaker, batch: Sequence[_Waiting]) -> None:
    """Answer each; one by one where the ledger takes one of them for none."""
    kepts = [kept for kept, _ in batch]
    try:
        rows = await ledger.ask(lambda opened: opened.append(kepts))
    except InvalidRequest as error:
        if len(batch) > 1:
            for one in batch:
                await _append(ledger, [one])
        else:
            _answer(batch, error)
    except Exception as error:
        _answer(batch, error if isinstance(error, ClearanceError) else LedgerAway(str(error)))
    else:
        for number, (_, future) in enumerate(batch):
            if not future.done():  # else nobody waits for it any more
                future.set_result(0 if number else rows)


def _answer(batch: Sequence[_Waiting], error: ClearanceError) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)


def _failure(error: ClearanceError, *, is_final: bool = True) -> ApplicationError:
    """As the history has it: without what a database says, which names machines and people."""
    away = not isinstance(error, InvalidRequest)
    return ApplicationError(
        "the ledger does not take it now" if away else str(error),
        type="LedgerAway" if away else contract.ERROR_INVALID_REQUEST,
        non_retryable=is_final or not away,
        category=ApplicationErrorCategory.BENIGN,
    )

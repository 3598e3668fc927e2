"""Requests that have ended, on their way from their workflows to the ledger.

A workflow hands its record over as the last thing it does, within the process: nothing waits for that,
and nothing of it is in the history. But what a workflow task did counts only once the server has taken
it. So the server is asked first, for many at once; what it doesn't confirm is not written from here, and
the reconciliation reads it from the server instead.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.common import MetricMeter
from temporalio.service import RPCError
from temporalio.worker import Interceptor, WorkflowInterceptorClassInput

from clearance import ClearanceError, InvalidRequest, attributes
from clearance.filters import quoted
from clearance.kept import HAND_OVER, Kept
from store.ledger.breaker import Breaker

from . import measuring
from .keeping import TOGETHER, KeepingActivities

log = logging.getLogger("clearance.ledger")

_TICK = 0.2
"""Seconds between two rounds: those that end in between go together."""

_PATIENCE = 30.0
"""Seconds after which the reconciliation has to bring what could not be written."""

_LAST = 3.0
"""Seconds for what is left when the worker stops."""

_MOST = 2_000
"""Records in memory; what comes beyond is left to the reconciliation."""

_RPC = timedelta(seconds=2)

_CLOSED = (WorkflowExecutionStatus.COMPLETED, WorkflowExecutionStatus.CANCELED)
"""How a request ends by itself. One that is terminated has another record than its workflow knew."""


@dataclass(eq=False)
class _Ended:
    kept: Kept
    at: datetime
    until: float
    due: float = 0.0
    pause: float = _TICK
    failed: bool = False
    """Whether the ledger, and not the server, is what it waits for."""


class Handover(Interceptor):
    """Gives workflows somebody to hand their records to; a context that is open while they run."""

    def __init__(self, client: Client, ledger: Breaker) -> None:
        """Nothing is taken yet.

        Args:
            client: asks the server.
            ledger: is written to; it is open while this is.
        """
        self.ledger = ledger
        self._client = client
        self._keeping = KeepingActivities(ledger)
        self._waiting: dict[str, _Ended] = {}
        """By their execution."""
        self._is_full = False
        self._open = AsyncExitStack()
        self._arrived = asyncio.Event()
        runtime = client.service_client.config.runtime
        self._meter = runtime.metric_meter if runtime else MetricMeter.noop

    async def __aenter__(self) -> Self:
        """Open the ledger, and begin to write what is handed over."""
        await self._open.enter_async_context(self.ledger)
        self.ledger.warm_up()
        self._loop = asyncio.get_running_loop()
        self._working = asyncio.create_task(self._work())
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Write what is left, as far as that takes no more than three seconds, and close the ledger."""
        self._working.cancel()
        with suppress(asyncio.CancelledError):
            await self._working
        async with self._open:
            await self._finish()

    async def _finish(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST):
                while any(not one.failed for one in self._waiting.values()):
                    await self._round(list(self._waiting.values()))
                    await asyncio.sleep(_TICK if self._waiting else 0)  # the index may lag behind
        if self._waiting:
            log.info("the reconciliation brings %d requests to the ledger", len(self._waiting))

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> None:
        """Let workflows call ``take``."""
        input.unsafe_extern_functions[HAND_OVER] = self.take

    def take(self, kept: Kept, at: datetime) -> None:
        """Take a record from a workflow's thread. It returns at once, and never fails.

        Args:
            kept: the record; of the same execution, the last one counts.
            at: the end, as the attribute ``ApprovalClosed`` has it if the server takes it.
        """
        with suppress(
            RuntimeError
        ):  # the loop is closed: the worker has stopped without this thread
            self._loop.call_soon_threadsafe(self._add, kept, at)

    def _add(self, kept: Kept, at: datetime) -> None:
        if len(self._waiting) >= _MOST and kept.execution not in self._waiting:
            if not self._is_full:
                log.warning("too many requests end at once: the reconciliation brings the rest")
            self._is_full = True
            return
        self._waiting[kept.execution] = _Ended(kept, at, until=self._loop.time() + _PATIENCE)
        self._arrived.set()

    async def _work(self) -> None:
        while True:
            await self._arrived.wait()
            await asyncio.sleep(_TICK)
            now = self._loop.time()
            await self._round([one for one in self._waiting.values() if one.due <= now])
            if not self._waiting:
                self._arrived.clear()
                self._is_full = False

    async def _round(self, due: Sequence[_Ended]) -> None:
        """Write those that the server has taken; the others wait a while longer."""
        for start in range(0, len(due), TOGETHER):
            some = due[start : start + TOGETHER]
            try:
                found = await self._listed(some)
            except RPCError as error:
                log.debug("Temporal can't be asked what has ended: %s", error.status.name)
                found = {}
            writing = []
            for one in some:
                execution = found.get(one.kept.execution)
                if execution is None or execution.status is WorkflowExecutionStatus.RUNNING:
                    self._later(one)
                elif _is_same(one, execution):
                    writing.append(self._write(one))
                else:
                    log.debug("request %s has ended otherwise", one.kept.view.id)
                    self._drop(one)
            await asyncio.gather(*writing)

    async def _listed(self, some: Sequence[_Ended]) -> dict[str, WorkflowExecution]:
        runs = ", ".join(quoted(one.kept.execution) for one in some)
        listed = self._client.list_workflows(
            f"RunId IN ({runs})", page_size=len(some), rpc_timeout=_RPC
        )
        return {one.run_id: one async for one in listed}

    async def _write(self, one: _Ended) -> None:
        try:
            rows = await self._keeping.write(one.kept)
        except InvalidRequest as error:
            log.warning("not in the ledger: %s", error)
            self._fail(one)
        except ClearanceError:  # which the ledger's breaker tells of
            one.failed = True
            self._later(one)
        else:
            measuring.ledger_took(self._meter, rows)
            self._drop(one)

    def _later(self, one: _Ended) -> None:
        now = self._loop.time()
        one.due, one.pause = now + one.pause, 2 * one.pause
        if now < one.until:
            return
        log.debug("the reconciliation brings request %s to the ledger", one.kept.view.id)
        if one.failed:
            self._fail(one)
        else:
            self._drop(one)

    def _fail(self, one: _Ended) -> None:
        measuring.ledger_failed(self._meter)
        self._drop(one)

    def _drop(self, one: _Ended) -> None:
        if self._waiting.get(one.kept.execution) is one:  # else there is a later one
            del self._waiting[one.kept.execution]


def _is_same(one: _Ended, execution: WorkflowExecution) -> bool:
    """Whether this record's end is the one that the server took.

    The time is that of the workflow task: another one of the same execution has another, to the
    millisecond that every index keeps.
    """
    closed = execution.typed_search_attributes.get(attributes.CLOSED)
    return (
        execution.status in _CLOSED
        and execution.typed_search_attributes.get(attributes.STATUS) == one.kept.view.status
        and closed is not None
        and abs(closed - one.at) < timedelta(milliseconds=1)
    )

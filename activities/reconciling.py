"""Keeping the ledger complete, every few minutes, by a schedule of Temporal's."""

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from clearance import ClearanceError, contract
from clearance.ended import Ended
from store import CannotStore
from store.ledger import sign_head
from store.ledger.breaker import Breaker
from store.ledger.reconciling import Reconciled, reconcile

log = logging.getLogger("clearance.ledger")

_PATIENCE = timedelta(seconds=5)


class ReconcilingActivities:
    """Brings what the ledger lacks, and signs how far it is."""

    def __init__(
        self,
        client: Client,
        queue: str,
        ledger: Breaker,
        *,
        key: Path | None = None,
        heads: Path | None = None,
    ) -> None:
        """For the requests of one queue.

        Args:
            client: reaches their namespace.
            queue: the approvals' queue.
            ledger: is written to.
            key: signs the ledger's head.
            heads: the file that signed heads are appended to; without both, none is signed.
        """
        self._ended = Ended(client, queue)
        self._ledger = ledger
        self._signing = (key, heads) if key and heads else None

    @property
    def activities(self) -> Sequence[Callable[..., Any]]:
        """What a worker registers."""
        return [self.reconcile]

    @activity.defn(name=contract.ACTIVITY_RECONCILE)
    async def reconcile(self) -> Reconciled:
        """Write what is missing. Again, or twice at once, it changes nothing.

        Raises:
            ApplicationError: type ``LedgerAway``, retried; or ``CannotSign``, which is not: the key or
                the file of heads can't be used, or the ledger isn't what was signed before.
        """
        try:
            ledger = await self._ledger.opened()
            done = await reconcile(ledger, self._ended, beat=activity.heartbeat)
            self._ledger.answers()
            for reason in done.reasons:
                log.warning("not in the ledger yet: %s", reason)
            for one in done.otherwise:
                log.error("one of the two was set back: %s", one)
            if self._signing:
                await sign_head(ledger, *self._signing)
        except CannotStore as error:
            log.warning("the ledger can't be reconciled: %s", error)
            raise ApplicationError("the ledger does not take it now", type="LedgerAway") from None
        except ClearanceError as error:
            log.error("the ledger's head is not signed: %s", error)
            raise ApplicationError(
                "the ledger's head is not signed: the worker's log says why",
                type="CannotSign",
                non_retryable=True,
            ) from None
        return done


async def schedule(client: Client, queue: str, every: timedelta | None) -> str | None:
    """Have a queue's requests reconciled this often, at once for the first time; None for never.

    Several workers may do so. Returns why it could not be done, for the log.
    """
    id = f"clearance-reconcile-{queue}"
    try:
        if every is None:
            await _end(client, id)
        else:
            await _begin(client, id, _schedule(queue, every))
    except RPCError as error:
        return (
            f"the ledger's schedule {id} could not be set ({error.message}): let `clearance audit "
            "reconcile` run now and then"
        )
    return None


def _schedule(queue: str, every: timedelta) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            contract.RECONCILE_WORKFLOW, id=f"reconcile.{queue}", task_queue=queue
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)], jitter=every / 10),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
    )


async def _begin(client: Client, id: str, wanted: Schedule) -> None:
    try:
        await client.create_schedule(id, wanted, trigger_immediately=True, rpc_timeout=_PATIENCE)
        return
    except ScheduleAlreadyRunningError:
        pass
    handle = client.get_schedule_handle(id)
    found = (await handle.describe(rpc_timeout=_PATIENCE)).schedule
    if found.spec.intervals != wanted.spec.intervals:

        async def changed(_: ScheduleUpdateInput) -> ScheduleUpdate:
            return ScheduleUpdate(schedule=wanted)

        await handle.update(changed, rpc_timeout=_PATIENCE)
    await handle.trigger(overlap=ScheduleOverlapPolicy.SKIP, rpc_timeout=_PATIENCE)


async def _end(client: Client, id: str) -> None:
    try:
        await client.get_schedule_handle(id).delete(rpc_timeout=_PATIENCE)
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise

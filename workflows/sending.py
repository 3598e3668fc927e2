"""Sending as a notifier does it: how often it is tried, and what the record hears when it fails."""

import asyncio
import hashlib
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio import exceptions, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, FailureError, RetryState

with workflow.unsafe.imports_passed_through():
    from clearance import contract
    from clearance.acts import Act
    from clearance.notices import MAX_REASON_CHARS, Delivery, Destination, Notice, Untold, Waiting
    from clearance.text import one_line
    from workflows.patches import REQUESTS_ARE_FOLLOWED

_ATTEMPT = timedelta(seconds=45)
"""Longer than a channel gets to answer, which is 30 s."""

_SAYING = 200
"""Records that hear of failures at the same time; more are only logged. Temporal fails every task of a
workflow that has 2,000 signals under way."""

_ONCE = ["TemporalTimeout:StartToClose", "TemporalTimeout:Heartbeat"]
"""Nobody knows whether a message went out whose worker was killed: it is not sent again."""

_PEOPLE = RetryPolicy(
    initial_interval=timedelta(seconds=2),
    maximum_interval=timedelta(seconds=30),
    maximum_attempts=6,  # about a minute
    non_retryable_error_types=_ONCE,
)
_PEOPLE_AGAIN = RetryPolicy(maximum_attempts=1, non_retryable_error_types=_ONCE)
_PEOPLE_FOR = timedelta(hours=24)
_FIRST_PAUSE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(hours=1)

# A machine knows a message that it has got by its key, so it may be sent as often as it takes.
_MACHINES = RetryPolicy(initial_interval=timedelta(seconds=5), maximum_attempts=5)
_MACHINES_AGAIN = RetryPolicy(
    initial_interval=timedelta(minutes=2), maximum_interval=timedelta(hours=6)
)
_MACHINES_FOR = timedelta(days=3)


@dataclass(frozen=True)
class Fault:
    """Why a message was not sent."""

    reason: str
    is_final: bool
    """Whether it is not to be tried again."""

    is_unknown: bool = False
    """Whether it may have been sent all the same."""


class Sending:
    """To one destination."""

    def __init__(self, to: Destination) -> None:
        """Nothing is under way."""
        self._to = to
        self._said: set[asyncio.Task[None]] = set()

    @property
    def speaks(self) -> bool:
        """Whether records are still being told of what failed."""
        return bool(self._said)

    @property
    def is_busy(self) -> bool:
        """Whether so many are that no other hears of anything."""
        return len(self._said) >= _SAYING

    async def to_people(self, delivery: Delivery, *, again: bool) -> Fault | None:
        """Send it once: for a minute, as long as it fails clearly; ``again`` a single time."""
        return await self._send(delivery, retry_policy=_PEOPLE_AGAIN if again else _PEOPLE)

    def pause(self, failures: int) -> timedelta:
        """How long people's messages wait after so many failures in a row: a minute, up to an hour."""
        doubled: timedelta = _FIRST_PAUSE * 2 ** min(failures - 1, 10)
        return min(doubled, _LONGEST_PAUSE)

    def left_over(self, batch: Sequence[Waiting], fault: Fault) -> list[Waiting]:
        """Of a message that failed, what is to be told again; the records hear why it wasn't."""
        now = workflow.now()
        late = [one for one in batch if fault.is_final or now - one.since >= _PEOPLE_FOR]
        again = [one for one in batch if one not in late]
        self._say([one.notice for one in late], fault, is_final=True)
        self._say([one.notice for one in again if not one.said], fault, is_final=False)
        return [one.model_copy(update={"said": True}) for one in again]

    async def to_machine(self, one: Waiting) -> None:
        """Send it by itself, for three days; the records hear when it takes longer than a minute."""
        delivery = Delivery.of(self._to, (one.notice,))
        fault = None if one.said else await self._send(delivery, retry_policy=_MACHINES)
        if fault is None and not one.said:
            return
        if fault is not None and not fault.is_final:
            self._say([one.notice], fault, is_final=False)
        if fault is None or not fault.is_final:
            left = max(one.since + _MACHINES_FOR - workflow.now(), _ATTEMPT)
            fault = await self._send(
                delivery, retry_policy=_MACHINES_AGAIN, schedule_to_close_timeout=left
            )
        if fault is not None:
            self._say([one.notice], fault, is_final=True)

    def give_up(self, lost: Sequence[Waiting], reason: str) -> None:
        """These are not told."""
        self._say([one.notice for one in lost], Fault(reason, is_final=True), is_final=True)

    async def _send(self, delivery: Delivery, **how: Any) -> Fault | None:
        try:
            await workflow.execute_activity(
                contract.ACTIVITY_SEND, delivery, start_to_close_timeout=_ATTEMPT, **how
            )
        except ActivityError as error:
            return _fault(error)
        return None

    def _say(self, notices: Sequence[Notice], fault: Fault, *, is_final: bool) -> None:
        """Leave word in each request's record, beside whatever else is to be done."""
        to = self._to
        failed = (
            f"{to.who} may not have been told" if fault.is_unknown else f"could not tell {to.who}"
        )
        going_on = "" if is_final else "; trying on"
        said = one_line(f"{failed} by {to.channel}: {fault.reason}{going_on}", MAX_REASON_CHARS)
        untold = 0
        for notice in {(one.approval_id, one.execution): one for one in notices}.values():
            if self.is_busy:
                untold += 1
            else:
                self._start(self._record(notice, said, is_final=is_final))
        if untold:
            workflow.logger.warning("%d more records are too many to be told: %s", untold, said)

    def _start(self, saying: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(saying)
        self._said.add(task)
        task.add_done_callback(self._said.discard)

    async def _record(self, notice: Notice, said: str, *, is_final: bool) -> None:
        act_id = hashlib.sha256(f"{notice.key}\n{said}".encode()).hexdigest()
        act = Act(kind="notified", who=self._to.who, text=said, act_id=act_id)
        try:
            if not notice.ends:
                await _signal(notice, act)
                return
        except FailureError:  # it has ended meanwhile
            pass
        if is_final:
            await self._after_its_end(notice, said)

    async def _after_its_end(self, notice: Notice, said: str) -> None:
        untold = Untold(
            approval_id=notice.approval_id,
            execution=notice.execution,
            requested_at=notice.requested_at,
            at=workflow.now(),
            to=self._to,
            reason=said,
        )
        try:
            await workflow.execute_activity(
                contract.ACTIVITY_UNTOLD,
                untold,
                start_to_close_timeout=timedelta(seconds=30),
                schedule_to_close_timeout=timedelta(days=1),
            )
        except ActivityError:
            workflow.logger.warning("the ledger has not taken that somebody was not told")


async def _signal(notice: Notice, act: Act) -> None:
    """Raises FailureError: it has ended.

    A request that went on in another execution is found by its id: the server lets no workflow name the
    first execution of those. Where another has been asked under the id since, that one hears of it.
    """
    id, first = notice.approval_id, notice.execution
    try:
        await workflow.get_external_workflow_handle(id, run_id=first).signal(
            contract.SIGNAL_ACT, act
        )
    except FailureError:
        if not workflow.patched(REQUESTS_ARE_FOLLOWED):
            raise
        await workflow.get_external_workflow_handle(id).signal(contract.SIGNAL_ACT, act)


def _fault(error: ActivityError) -> Fault:
    is_final = error.retry_state == RetryState.NON_RETRYABLE_FAILURE
    cause = error.cause
    if isinstance(cause, exceptions.TimeoutError):
        # Over the last attempt, or over all of them: then its own cause is how the last one failed.
        if is_final:
            return Fault("the worker stopped while sending", is_final=True, is_unknown=True)
        cause = cause.cause
    return Fault(getattr(cause, "message", "") or "no answer in time", is_final=is_final)

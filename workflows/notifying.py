"""``NotifierWorkflow``: what one channel of one person or group is told, each event once."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    import pydantic

    from clearance import contract
    from clearance.errors import explain
    from clearance.notices import (
        MAX_NOTICES,
        Delivery,
        Destination,
        Notifying,
        Telling,
        Waiting,
        notifier_id,
        seal,
        still_news,
    )
    from workflows.sending import Sending
    from workflows.turns import Turns

_KNOWN = 5_000
_KNOWN_FOR = timedelta(days=30)
"""How many events a notifier remembers that it was given, and how long. A signal that is sent again
comes within minutes; after a crash and a long stop, within days."""

_ROOM = 400
_BYTES = 1_200_000
"""Notices that wait, and how large they are: with what else is handed over they have to fit into 2 MB."""

_EVENTS = 2_000
"""In a history, before another execution goes on."""

_MOST_EVENTS = 10_000
_MOST_BYTES = 20_000_000
"""Then it goes on whatever is under way: Temporal ends what grows to five times that."""

_LONGEST = timedelta(hours=1)
"""After a failure, until it is tried again."""

_AT_ONCE = 50
"""Messages to a machine that are under way at the same time."""


@workflow.defn(name=contract.NOTIFIER_WORKFLOW)
class NotifierWorkflow:
    """Collects what people are told, and sends it together; machines are told each event by itself."""

    @workflow.init
    def __init__(self, begun: Any = None, *extra: Any) -> None:
        """Read what it is started with before any signal; untyped, as for an approval."""
        self._invalid = ""
        self._turns = Turns()
        self._waiting: list[Waiting] = []
        self._under_way: dict[asyncio.Task[None], Waiting] = {}
        try:
            self._was = Notifying.model_validate([begun, *extra] if extra else begun)
        except pydantic.ValidationError as error:
            self._invalid = explain(error)
            return
        was = self._was
        if not _is_of(was.to):
            self._invalid = "this is not the workflow of that destination"
            return
        # Whoever can start it may have made up the times.
        now = workflow.now()
        self._waiting += [
            one.model_copy(update={"since": min(one.since, now)}) for one in was.waiting
        ]
        self._known = dict(was.told)
        self._more = was.more
        self._failures = was.failures
        self._not_before = was.not_before and min(was.not_before, now + _LONGEST)
        self._window = was.window
        self._sending = Sending(was.to)

    @workflow.run
    async def run(self, begun: Any = None, *extra: Any) -> None:
        """Tell what comes in, until nothing has for 30 days.

        Args:
            begun: a ``Notifying``.
            extra: must be empty.

        Raises:
            ApplicationError: type ``InvalidRequest``, it is malformed, or of another destination.
        """
        if self._invalid:
            raise ApplicationError(
                self._invalid, type=contract.ERROR_INVALID_REQUEST, non_retryable=True
            )
        while await self._something():
            if self._is_long:
                await workflow.wait_condition(lambda: self._turns.is_free)
                self._go_on_anew()
            if self._was.to.digest:
                await self._tell_people()
            else:
                self._tell_machine()

    @workflow.signal(dynamic=True)
    async def stored(self, name: str, said: Sequence[RawValue]) -> None:
        """``tell``; what has another name changes nothing. Raw: it is read in its turn."""
        if name == contract.SIGNAL_TELL and not self._invalid:
            await self._turns.take(said, self._tell)

    async def _tell(self, telling: Any) -> None:
        """Take a ``Telling``: what is new in it. What is malformed changes nothing."""
        if self._is_full and self._sending.is_busy:  # a flood: reading it would take too long
            workflow.logger.warning("too many notices: a signal is not read")
            return
        try:
            told = Telling.model_validate(telling)
        except pydantic.ValidationError as error:
            workflow.logger.warning("a malformed signal changes nothing: %s", explain(error))
            return
        now = workflow.now()
        self._window = told.window
        for notice in told.notices:
            if (name := seal(notice)) not in self._known:
                self._known[name] = now.timestamp()
                self._waiting.append(Waiting(notice=notice, since=now))
        self._forget(now)
        self._make_room()

    def _forget(self, now: datetime) -> None:
        """What is too old to come again, and what would be too much to remember."""
        oldest = (now - _KNOWN_FOR).timestamp()
        for name in list(self._known)[: max(0, len(self._known) - _KNOWN)]:
            del self._known[name]
        while self._known and self._known[first := next(iter(self._known))] < oldest:
            del self._known[first]

    @property
    def _is_full(self) -> bool:
        """Whether there may be no room for one more, of which the largest has 40 KB."""
        held = (*self._under_way.values(), *self._waiting)
        return len(held) >= _ROOM or sum(one.size for one in held) > _BYTES - 40_000

    def _make_room(self) -> None:
        """Give up the newest of what waits, as far as there is no room for it; the records hear of it."""
        if not self._is_full:
            return
        self._keep(self._waiting)
        left, fits = _BYTES - sum(one.size for one in self._under_way.values()), 0
        for one in self._waiting[:_ROOM]:
            if (left := left - one.size) < 0:
                break
            fits += 1
        lost, self._waiting = self._waiting[fits:], self._waiting[:fits]
        for one in lost:
            self._known.pop(seal(one.notice), None)
        if self._was.to.digest:
            self._more += len(lost)
        self._sending.give_up(lost, "too many were waiting")

    def _keep(self, waiting: Iterable[Waiting]) -> None:
        """Let these wait, as far as they are still news."""
        found = list(waiting)
        news = {notice.key for notice in still_news(one.notice for one in found)}
        self._waiting = [one for one in found if one.notice.key in news]

    async def _something(self) -> bool:
        """Wait for something to do. False: nothing has come in for 30 days, and nothing is under way."""
        while True:
            try:
                await workflow.wait_condition(lambda: self._has_work(), timeout=_KNOWN_FOR)
            except TimeoutError:
                if not self._under_way and not self._sending.speaks:
                    return False
            else:
                return True

    def _has_work(self) -> bool:
        return self._is_long or (bool(self._waiting) and len(self._under_way) < _AT_ONCE)

    @property
    def _is_long(self) -> bool:
        """Whether another execution has to go on; if it can wait, not while words to a record are under
        way."""
        info = workflow.info()
        events = info.get_current_history_length()
        if events > _MOST_EVENTS or info.get_current_history_size() > _MOST_BYTES:
            return True
        long = events > _EVENTS or info.is_continue_as_new_suggested()
        return long and not self._sending.speaks

    def _go_on_anew(self) -> None:
        """Hand everything over. What is under way to a machine goes again, under its own key."""
        waiting = (*self._under_way.values(), *self._waiting)
        workflow.continue_as_new(
            self._was.model_copy(
                update={
                    "told": self._known,
                    "waiting": waiting,
                    "more": self._more,
                    "failures": self._failures,
                    "not_before": self._not_before,
                    "window": self._window,
                }
            )
        )

    def _due(self) -> datetime:
        """When what waits is told: after the window, or a tenth of the time that the most urgent has."""
        times = [self._waiting[0].since + self._window]
        times += [
            one.since + max((one.notice.deadline - one.since) / 10, timedelta())
            for one in self._waiting
            if one.notice.deadline is not None
        ]
        due = min(times)
        return max(due, self._not_before) if self._not_before else due

    async def _pause(self) -> None:
        """Until what waits is due; what comes in meanwhile may make it more urgent."""
        while not self._is_long:
            due = self._due()
            if (left := due - workflow.now()) <= timedelta():
                return
            moved = partial(self._moved, due)
            with suppress(TimeoutError):
                await workflow.wait_condition(moved, timeout=left)

    def _moved(self, due: datetime) -> bool:
        return self._is_long or self._due() != due

    async def _tell_people(self) -> None:
        """Everything that came in within the window, in one message."""
        await self._pause()
        if self._is_long or not self._waiting:
            return
        self._keep(self._waiting)
        batch, self._waiting = self._waiting, []
        more, self._more = self._more, 0
        message = Delivery.of(self._was.to, tuple(one.notice for one in batch))
        message = message.model_copy(update={"more": message.more + more})
        fault = await self._sending.to_people(message, again=self._failures > 0)
        self._failures, self._not_before = (self._failures + 1 if fault else 0), None
        if fault is None:
            self._sending.give_up(batch[MAX_NOTICES:], "too many at once: only counted")
            return
        self._waiting = self._sending.left_over(batch, fault) + self._waiting
        self._make_room()
        if not fault.is_final:
            self._not_before = workflow.now() + self._sending.pause(self._failures)
            self._more += more

    def _tell_machine(self) -> None:
        """Each event by itself, side by side."""
        while self._waiting and len(self._under_way) < _AT_ONCE:
            one = self._waiting.pop(0)
            task = asyncio.create_task(self._sending.to_machine(one))
            self._under_way[task] = one
            task.add_done_callback(self._under_way.pop)


def _is_of(to: Destination) -> bool:
    """Whether this workflow's id is the destination's, so that nobody's notices go to somebody else.

    Asked once, of the first task: what is replayed has passed, and a replay may be on another queue.
    """
    info = workflow.info()
    mine = notifier_id(info.task_queue, to)
    return workflow.unsafe.is_replaying() or info.workflow_id == mine

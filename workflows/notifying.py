"""``NotifierWorkflow``: what one channel of one person or group is told, each event once."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    import pydantic

    from clearance import contract
    from clearance.errors import explain
    from clearance.notices import Delivery, Notifying, Telling, Waiting, seal, still_news
    from workflows.sending import Sending

_KNOWN = 5_000
_KNOWN_FOR = timedelta(days=30)
"""How many events a notifier remembers that it was given, and how long. A signal that is sent again
comes within minutes; after a crash and a long stop, within days."""

_ROOM = 400
"""Notices that wait: they have to fit into 2 MB with what else is handed over."""

_EVENTS = 2_000
"""In a history, before another execution goes on."""

_AT_ONCE = 50
"""Messages to a machine that are under way at the same time."""


@workflow.defn(name=contract.NOTIFIER_WORKFLOW)
class NotifierWorkflow:
    """Collects what people are told, and sends it together; machines are told each event by itself."""

    @workflow.init
    def __init__(self, begun: Any = None, *extra: Any) -> None:
        """Read what it is started with before any signal; untyped, as for an approval."""
        self._invalid = ""
        self._waiting: list[Waiting] = []
        self._under_way: dict[asyncio.Task[None], Waiting] = {}
        try:
            self._was = Notifying.model_validate([begun, *extra] if extra else begun)
        except pydantic.ValidationError as error:
            self._invalid = explain(error)
            return
        was = self._was
        self._waiting += was.waiting
        self._known = dict(was.told)
        self._more = was.more
        self._failures = was.failures
        self._not_before = was.not_before
        self._window = was.window
        self._sending = Sending(was.to)

    @workflow.run
    async def run(self, begun: Any = None, *extra: Any) -> None:
        """Tell what comes in, until nothing has for 30 days.

        Args:
            begun: a ``Notifying``.
            extra: must be empty.

        Raises:
            ApplicationError: type ``InvalidRequest``, it is malformed.
        """
        if self._invalid:
            raise ApplicationError(
                self._invalid, type=contract.ERROR_INVALID_REQUEST, non_retryable=True
            )
        while await self._something():
            if self._is_long:
                self._go_on_anew()
            if self._was.to.digest:
                await self._tell_people()
            else:
                self._tell_machine()

    @workflow.signal(name=contract.SIGNAL_TELL)
    def tell(self, telling: Any = None, *extra: Any) -> None:
        """Take a ``Telling``: what is new in it. What is malformed changes nothing."""
        try:
            told = Telling.model_validate([telling, *extra] if extra else telling)
        except pydantic.ValidationError as error:
            workflow.logger.warning("a malformed signal changes nothing: %s", explain(error))
            return
        if self._invalid:
            return
        now = workflow.now()
        self._window = told.window
        for notice in told.notices:
            if (name := seal(notice)) not in self._known:
                self._known[name] = now.timestamp()
                self._waiting.append(Waiting(notice=notice, since=now))
        self._forget(now)

    def _forget(self, now: datetime) -> None:
        """What is too old to come again, and what there is no room for."""
        oldest = (now - _KNOWN_FOR).timestamp()
        for name in list(self._known)[: max(0, len(self._known) - _KNOWN)]:
            del self._known[name]
        while self._known and self._known[first := next(iter(self._known))] < oldest:
            del self._known[first]
        if len(self._waiting) > _ROOM:
            self._keep(self._waiting)
        over = max(0, len(self._waiting) - _ROOM)
        lost, self._waiting = self._waiting[:over], self._waiting[over:]
        if self._was.to.digest:
            self._more += len(lost)
        elif lost:
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
        """Whether another execution has to go on; not while the last words to a record are under way."""
        info = workflow.info()
        long = info.get_current_history_length() > _EVENTS or info.is_continue_as_new_suggested()
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
            return
        self._waiting = self._sending.left_over(batch, fault) + self._waiting
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

"""From a request's beginning to its end: what has to happen at its time happens then."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from clearance.record import Record


async def until_ended(
    record: Record,
    turn: Callable[[], AbstractAsyncContextManager[None]],
    *,
    leaves_timer: bool,
    is_left: Callable[[], bool],
) -> None:
    """Remind, escalate and expire on the way.

    Args:
        record: waits for its end.
        turn: what happens at its time takes turns with what people do.
        leaves_timer: the end leaves the timer to itself, which is one event less in the history.
        is_left: whether another execution has to go on: then this returns, too.
    """
    wait = _wait_leaving_timer if leaves_timer else _wait
    while record.status == "pending" and not is_left():
        if not await wait(record, record.next_time(), is_left):
            # After whatever came before this moment and is still being looked up; how long that takes,
            # a replay may see otherwise.
            at = workflow.now()
            async with turn():
                record.tick(at if record.request.version >= 4 else workflow.now())


async def handlers_finished() -> None:
    """Return when nothing is under way any more, and not before because of a cancellation."""
    try:
        await workflow.wait_condition(workflow.all_handlers_finished)
    except asyncio.CancelledError:  # comes once, and too late: it has ended
        await workflow.wait_condition(workflow.all_handlers_finished)


def _moved(record: Record, due: datetime | None, is_left: Callable[[], bool]) -> bool:
    """Whether it has ended, or something else is due next."""
    return record.status != "pending" or record.next_time() != due or is_left()


async def _wait(record: Record, due: datetime | None, is_left: Callable[[], bool]) -> bool:
    """Returns whether it has moved; False: it is time."""
    try:
        await workflow.wait_condition(lambda: _moved(record, due, is_left), timeout=_left(due))
    except TimeoutError:
        return False
    return True


async def _wait_leaving_timer(
    record: Record, due: datetime | None, is_left: Callable[[], bool]
) -> bool:
    """The same; but the timer that is running when the request ends is not cancelled."""
    if due is None:
        return await _wait(record, due, is_left)
    timer = asyncio.create_task(workflow.sleep(max(_left(due) or timedelta(), timedelta())))
    await workflow.wait_condition(lambda: timer.done() or _moved(record, due, is_left))
    moved = _moved(record, due, is_left)
    if record.status == "pending":
        timer.cancel()
    return moved


def _left(due: datetime | None) -> timedelta | None:
    return None if due is None else due - workflow.now()

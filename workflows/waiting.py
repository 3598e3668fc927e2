"""From a request's beginning to its end: what has to happen at its time happens then."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from clearance.record import Record


async def until_ended(
    record: Record, turn: Callable[[], AbstractAsyncContextManager[None]], *, leaves_timer: bool
) -> None:
    """Remind, escalate and expire on the way.

    Args:
        record: waits for its end.
        turn: what happens at its time takes turns with what people do.
        leaves_timer: the end leaves the timer to itself, which is one event less in the history.
    """
    wait = _wait_leaving_timer if leaves_timer else _wait
    while record.status == "pending":
        if not await wait(record, record.next_time()):
            # After whatever came before this moment and is still being looked up.
            async with turn():
                record.tick(workflow.now())


def _moved(record: Record, due: datetime | None) -> bool:
    """Whether it has ended, or something else is due next."""
    return record.status != "pending" or record.next_time() != due


async def _wait(record: Record, due: datetime | None) -> bool:
    """Returns whether it has moved; False: it is time."""
    try:
        await workflow.wait_condition(lambda: _moved(record, due), timeout=_left(due))
    except TimeoutError:
        return False
    return True


async def _wait_leaving_timer(record: Record, due: datetime | None) -> bool:
    """The same; but the timer that is running when the request ends is not cancelled."""
    if due is None:
        return await _wait(record, due)
    timer = asyncio.create_task(workflow.sleep(max(_left(due) or timedelta(), timedelta())))
    await workflow.wait_condition(lambda: timer.done() or _moved(record, due))
    moved = _moved(record, due)
    if record.status == "pending":
        timer.cancel()
    return moved


def _left(due: datetime | None) -> timedelta | None:
    return None if due is None else due - workflow.now()

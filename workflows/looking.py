"""Asking the directory from within a workflow, so that what follows is the same in a replay.

By local activities: one event in the history each, and nobody can complete them from outside. But
Temporal's SDK (1.35.0) answers queries while one runs. Where it ends in that moment, its answer stands in
this workflow task in the history, and the workflow hears of it in the next, with what has come meanwhile:
a timer, a cancellation. A replay hears it first, and does what follows from it before the rest.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy

_HOW: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=10),
    # Without end: while the directory can't be read, decisions wait, and nothing is lost. Rarely in
    # the end, because each attempt leaves events behind, and a history takes 50,000.
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(milliseconds=100), maximum_interval=timedelta(minutes=5)
    ),
    "local_retry_threshold": timedelta(seconds=1),
}

_PAUSES = tuple(timedelta(seconds=seconds) for seconds in (0.001, 0.1, 1))
"""After which it is looked whether there is an answer; then it is waited for."""


def look_up(activity: str, question: Any, result: type) -> asyncio.Task[Any]:
    """Begin to ask. Where the answer itself is awaited, a replay may hear it earlier than it was."""
    return workflow.start_local_activity(activity, question, result_type=result, **_HOW)


async def settled(asked: asyncio.Task[Any], is_over: Callable[[], bool]) -> None:
    """Return when there is an answer and a timer has fired since, or it ``is_over``.

    A timer has its place in the history, and the answer itself changes nothing. It is started with the
    question: so the workflow task of the question has a command, and a replay sees its time, too, as it
    was. To be called right after ``look_up``.
    """
    for pause in _PAUSES:
        await _pause(pause, is_over)
        if asked.done() or is_over():
            return
    await workflow.wait_condition(lambda: asked.done() or is_over())
    await _pause(_PAUSES[0], is_over)


async def _pause(length: timedelta, is_over: Callable[[], bool]) -> None:
    # Conditions are looked at when all else that came with the timer has been heard: the answer, too.
    timer = asyncio.create_task(workflow.sleep(length))
    await workflow.wait_condition(lambda: timer.done() or is_over())

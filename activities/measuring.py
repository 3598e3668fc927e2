"""What we count beside what Temporal's SDK counts of itself: the metrics' names, and their labels.

All of it goes through the SDK's meters, and so to the endpoint that the worker's metrics have. A label
is never a person, an id or a text; where it is somebody's word for something, the tool's name, there
are at most ``MOST`` of it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from temporalio import activity
from temporalio.client import Client
from temporalio.common import MetricMeter
from temporalio.service import RPCError

from clearance import attributes, filters

REQUESTS: Final = "clearance_requests"
"""Counter {status, tool, checkpoint}: ``asked`` once at its beginning, its final status at its end."""

TIME_TO_DECISION: Final = "clearance_time_to_decision"
"""Histogram in seconds {status, checkpoint}: from the beginning of a request to its end."""

REFUSALS: Final = "clearance_refusals"
"""Counter {reason, channel}: attempts that did not count."""

NOTIFICATIONS: Final = "clearance_notifications"
"""Counter {channel, outcome}: messages ``sent`` and ``failed``, by the kind of channel."""

LEDGER_ROWS: Final = "clearance_ledger_rows"
"""Counter: events written to the ledger."""

LEDGER_FAILURES: Final = "clearance_ledger_failures"
"""Counter: requests that the ledger didn't take soon after their end; the reconciliation brings them."""

WAITING: Final = "clearance_waiting"
"""Gauge: requests that wait for a person now."""

WAITING_DUE: Final = "clearance_waiting_due"
"""Gauge: those of them whose deadline is less than an hour away."""

MOST: Final = 100
"""Different values of one label; what comes after them is ``other``."""

_LABEL_CHARS = 100
EVERY = 15.0
"""Seconds between two counts of what waits: as often as Prometheus asks."""

_SOON = timedelta(hours=1)
_log = logging.getLogger("clearance.metrics")

_seen: dict[str, set[str]] = {}


def bounded(label: str, value: str | None) -> str:
    """The value of a label that callers choose: cut, and ``other`` once there are too many.

    For the life of the process; the same in a workflow and out of it, where this module is passed
    through. It decides nothing but what a metric is called.
    """
    if not value:
        return "none"
    value = " ".join(value.split())[:_LABEL_CHARS]
    seen = _seen.setdefault(label, set())
    if value in seen or len(seen) < MOST:
        seen.add(value)
        return value
    return "other"


def notified(channel: str, *, sent: bool) -> None:
    """Count a message that went out, or that didn't. Inside an activity.

    Args:
        channel: its kind (``mail``, ``slack``, ``webhook``): never an address or a URL.
        sent: whether the channel took it.
    """
    labels = {"channel": bounded("channel", channel), "outcome": "sent" if sent else "failed"}
    activity.metric_meter().create_counter(NOTIFICATIONS, "Notifications").add(1, labels)


def ledger_took(meter: MetricMeter, rows: int) -> None:
    """Count events that were written to the ledger."""
    meter.create_counter(LEDGER_ROWS, "Ledger rows written").add(rows)


def ledger_failed(meter: MetricMeter) -> None:
    """Count a request that the ledger did not take."""
    meter.create_counter(LEDGER_FAILURES, "Requests the ledger did not take at once").add(1)


@asynccontextmanager
async def counting(client: Client, queue: str) -> AsyncIterator[None]:
    """Keep the gauges of what waits on a queue, where this client's runtime offers metrics.

    Two counts by the server every 15 seconds, of all that its lists would show; several workers of
    one queue say the same. A count that fails leaves the gauge as it was.
    """
    runtime = client.service_client.config.runtime
    if runtime is None:
        yield
        return
    task = asyncio.create_task(_keep_counting(client, queue, runtime.metric_meter))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _keep_counting(client: Client, queue: str, meter: MetricMeter) -> None:
    labels = {"task_queue": queue}
    waiting = meter.create_gauge(WAITING, "Requests that wait for a person")
    due = meter.create_gauge(WAITING_DUE, "Of those, requests due within the hour")
    query = f"{filters.PENDING} AND TaskQueue = {filters.quoted(queue)}"
    failed = False
    while True:
        soon = (datetime.now(UTC) + _SOON).isoformat()
        try:
            waiting.set((await client.count_workflows(query)).count, labels)
            near = f"{query} AND {attributes.DEADLINE.name} < '{soon}'"
            due.set((await client.count_workflows(near)).count, labels)
            failed = False
        except RPCError as error:
            if not failed:
                _log.warning("what waits can't be counted: %s", error.status.name)
            failed = True
        await asyncio.sleep(EVERY)

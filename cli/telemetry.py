"""What a process tells of itself to those who run it: metrics to scrape, traces to a collector.

Both are off unless set. Neither adds an event to a history, and neither can hold a gate open or shut: a
collector that is away, a scrape that fails, change nothing.
"""

import asyncio
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

from clearance import ClearanceError

from . import logs
from .settings import Settings

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Of what machines do."""

_WAITS: Final = (1.0, 5, 15, 60, 300, 900, 3_600, 14_400, 86_400, 259_200, 604_800, 2_592_000)
"""Of what waits for a person: a second to a month."""

_BUCKETS: Final = {
    "clearance_time_to_decision": _WAITS,
    # Of a request it is the same wait, of a run the sum of its waits.
    "temporal_workflow_endtoend_latency": _WAITS,
    "temporal_workflow_task_schedule_to_start_latency": _SECONDS,
    "temporal_workflow_task_execution_latency": _SECONDS,
    "temporal_workflow_task_replay_latency": _SECONDS,
    "temporal_activity_schedule_to_start_latency": _SECONDS,
    "temporal_activity_execution_latency": _SECONDS,
    "temporal_activity_succeed_endtoend_latency": _SECONDS,
    "temporal_local_activity_execution_latency": _SECONDS,
    "temporal_request_latency": _SECONDS,
    "temporal_long_request_latency": _SECONDS,
}


class CannotMeasure(ClearanceError):
    """The metrics can't be offered where they are asked for; the text says what to do."""


@dataclass(frozen=True)
class Telemetry:
    """What was switched on."""

    options: dict[str, Any] = field(default_factory=dict)
    """Further arguments of ``Client.connect``."""

    lines: tuple[str, ...] = ()
    """What to tell whoever started the process."""

    finish: Callable[[], None] = lambda: None
    """Sends what has not been sent. Blocks, for some seconds at most."""

    async def end(self) -> None:
        """Send what has not been sent."""
        await asyncio.to_thread(self.finish)


def begin(settings: Settings, *, metrics: bool = True) -> Telemetry:
    """Switch on what is set; the process's clients are to be connected with its ``options``.

    Args:
        metrics: offer the metrics as well, as a worker does.

    Raises:
        CannotMeasure: another address than one of this machine, or it is taken.
    """
    options: dict[str, Any] = {}
    lines: tuple[str, ...] = ()
    if metrics and settings.metrics:
        options["runtime"] = _runtime(settings.metrics)
        lines += (f"metrics on http://{settings.metrics}/metrics",)
    if settings.otlp_endpoint is None:
        return Telemetry(options, lines)
    from . import tracing

    traces = tracing.begin(str(settings.otlp_endpoint))
    options["interceptors"] = [traces.interceptor]
    return Telemetry(options, (*lines, "traces by OTLP"), traces.finish)


def _runtime(address: str) -> Runtime:
    """The engine with a metrics endpoint. It has no authentication, so only this machine may read it."""
    host, _, port = address.rpartition(":")
    try:
        local = ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        local = False
    if not local or not port.isdecimal() or not 0 < int(port) < 65536:
        raise CannotMeasure(
            f"CLEARANCE_METRICS takes a port of this machine, 127.0.0.1:9464, not {address}: it has no "
            "authentication, so let Prometheus share the network of this process"
        )
    metrics = PrometheusConfig(
        bind_address=address,
        counters_total_suffix=True,
        unit_suffix=True,
        durations_as_seconds=True,
        histogram_bucket_overrides=_BUCKETS,
    )
    try:
        return Runtime(
            telemetry=TelemetryConfig(
                logging=logs.of_core(), metrics=metrics, attach_service_name=False
            )
        )
    except (RuntimeError, ValueError) as error:
        raise CannotMeasure(
            f"the metrics can't be offered on {address}: another process has it; set CLEARANCE_METRICS "
            "to a free port"
        ) from error

"""One trace for a run: its start, the agent's turns, each gate for as long as it waited, the tools.

Temporal's own interceptor makes the spans and carries the trace from one to the next, in the headers of
what is started: so it is still the same trace when another worker goes on, days later. What leaves the
process is stripped to names and ids first.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
from temporalio import workflow
from temporalio.contrib.opentelemetry import TracingInterceptor, TracingWorkflowInboundInterceptor
from temporalio.exceptions import FailureError
from temporalio.worker import ExecuteWorkflowInput, WorkflowInterceptorClassInput

_KEPT: Final = frozenset(
    {"temporalWorkflowID", "temporalRunID", "temporalActivityID", "temporalUpdateID", "outcome"}
)
_LEFT_OUT: Final = ("QueryWorkflow:", "HandleQuery:", "CompleteWorkflow:", "ValidateUpdate:")
"""Reading, which pages do all the time, and what the span of a whole workflow says already."""

_OUTCOMES: Final = frozenset({"approved", "rejected", "expired", "withdrawn"})

_NAME_CHARS = 100
_LAST_SECONDS = 2.0
"""How long a process that ends tries to send the rest. A collector that is away must not hold it."""

_WHOLE: Final = "__clearance_whole_workflow_span"


@dataclass(frozen=True)
class Traces:
    """Tracing, switched on."""

    interceptor: TracingInterceptor
    """For ``Client.connect``; workers of that client take it over."""

    finish: Callable[[], None]
    """Send what has not been sent, for two seconds at most."""


def begin(endpoint: str) -> Traces:
    """Send traces to a collector, in batches and beside everything else.

    Args:
        endpoint: of an OTLP collector that speaks HTTP, without ``/v1/traces``. The SDK reads headers,
            service name and sampling from the standard ``OTEL_*`` variables itself.
    """
    resource = Resource.create()
    if str(resource.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: "clearance"}))
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    processor = BatchSpanProcessor(_NamesAndIds(exporter))
    provider.add_span_processor(processor)

    def finish() -> None:
        ending = threading.Thread(target=provider.shutdown, daemon=True)
        ending.start()
        ending.join(_LAST_SECONDS)

    return Traces(_Tracing(provider, processor), finish)


class _NamesAndIds(SpanExporter):
    """Sends spans without what others may have written: texts of errors, events, other attributes."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        bare = [_bare(span) for span in spans if not span.name.startswith(_LEFT_OUT)]
        return self._inner.export(bare) if bare else SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


def _bare(span: ReadableSpan) -> ReadableSpan:
    return ReadableSpan(
        name=span.name[:_NAME_CHARS],
        context=span.get_span_context(),
        parent=span.parent,
        resource=span.resource,
        attributes={name: span.attributes[name] for name in _KEPT & set(span.attributes or ())}
        if span.attributes
        else None,
        links=[trace.Link(link.context) for link in span.links],
        kind=span.kind,
        instrumentation_scope=span.instrumentation_scope,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
    )


@dataclass(frozen=True)
class _Workflow:
    """A workflow that has ended, as its span needs it."""

    name: str
    above: SpanContext
    own: SpanContext
    began: int
    ended: int
    attributes: dict[str, str]
    failed: bool


class _Tracing(TracingInterceptor):
    """Temporal's interceptor, and a span for the whole of each workflow: of a gate, its wait."""

    def __init__(self, provider: TracerProvider, processor: BatchSpanProcessor) -> None:
        super().__init__(provider.get_tracer("clearance"))
        self._resource = provider.resource
        self._processor = processor

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[TracingWorkflowInboundInterceptor]:
        super().workflow_interceptor_class(input)
        input.unsafe_extern_functions[_WHOLE] = self._whole
        return _Workflows

    def _whole(self, of: _Workflow) -> None:
        # Made here, for its id has to be known from the workflow's beginning, in any process, and its
        # end only to the one that sees it.
        span = ReadableSpan(
            name=of.name,
            context=of.own,
            parent=of.above if of.above.is_valid else None,
            resource=self._resource,
            attributes=of.attributes,
            kind=SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR if of.failed else StatusCode.UNSET),
            start_time=of.began,
            end_time=of.ended,
        )
        self._processor.on_end(span)


class _Workflows(TracingWorkflowInboundInterceptor):
    """All that a workflow does stands under a span of its own, which is sent when it ends.

    A workflow that somebody terminates, as a withdrawn gate is, runs no more code and has none.
    """

    def _load_workflow_context_carrier(self) -> dict[str, Any]:
        if self._workflow_context_carrier is None:
            self._above = _span_in(self, super()._load_workflow_context_carrier() or {})
            self._own = _own(self._above, UUID(workflow.info().run_id))
            context = trace.set_span_in_context(trace.NonRecordingSpan(self._own))
            carrier: dict[str, Any] = {}
            self.text_map_propagator.inject(carrier, context)
            self._workflow_context_carrier = carrier
        return self._workflow_context_carrier

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        try:
            result = await super().execute_workflow(input)
        except FailureError:
            self._end(failed=True)
            raise
        except asyncio.CancelledError:
            # Asked for, or only taken out of this worker's memory to go on elsewhere?
            if workflow.cancellation_reason() is not None:
                self._end(failed=False)
            raise
        self._end(failed=False, outcome=getattr(result, "status", None))
        return result

    def _end(self, *, failed: bool, outcome: Any = None) -> None:
        if workflow.unsafe.is_replaying() or not self._own.trace_flags.sampled:
            return
        info = workflow.info()
        attributes = {"temporalWorkflowID": info.workflow_id, "temporalRunID": info.run_id}
        if outcome in _OUTCOMES:
            attributes["outcome"] = outcome
        workflow.extern_functions()[_WHOLE](
            _Workflow(
                name=info.workflow_type,
                above=self._above,
                own=self._own,
                began=int(info.workflow_start_time.timestamp() * 1e9),
                ended=workflow.time_ns(),
                attributes=attributes,
                failed=failed,
            )
        )


def _span_in(self: TracingWorkflowInboundInterceptor, carrier: dict[str, Any]) -> SpanContext:
    context = self.text_map_propagator.extract(carrier)
    return trace.get_current_span(context).get_span_context()


def _own(above: SpanContext, run: UUID) -> SpanContext:
    """The same at each replay. Where nobody began a trace, the run's own id is the trace's."""
    return SpanContext(
        trace_id=above.trace_id if above.is_valid else run.int,
        span_id=int.from_bytes(run.bytes[8:], "big"),
        is_remote=False,
        trace_flags=above.trace_flags if above.is_valid else TraceFlags(TraceFlags.SAMPLED),
    )

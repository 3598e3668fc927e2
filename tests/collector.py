"""A collector of OpenTelemetry traces: OTLP over real HTTP, its protobuf decoded."""

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Collector:
    """What was sent so far."""

    url: str = ""
    spans: list[Span] = field(default_factory=list)
    bodies: bytes = b""
    services: set[str] = field(default_factory=set)

    def named(self, name: str) -> list[Span]:
        """The spans of that name."""
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> Span:
        """The only span of that name."""
        [span] = self.named(name)
        return span

    def above(self, span: Span) -> str:
        """The name of its parent; empty where it has none, ``?`` where that was not sent."""
        if not span.parent_span_id:
            return ""
        found = [one.name for one in self.spans if one.span_id == span.parent_span_id]
        return found[0] if found else "?"

    async def take(self, request: web.Request) -> web.Response:
        """One batch."""
        body = await request.read()
        if request.headers.get("Content-Encoding") == "gzip":  # else aiohttp has unpacked it
            body = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        batch = ExportTraceServiceRequest.FromString(body)
        self.bodies += body
        for resource in batch.resource_spans:
            named = {one.key: one.value.string_value for one in resource.resource.attributes}
            self.services.add(named.get("service.name", ""))
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)
        return web.Response(
            body=ExportTraceServiceResponse().SerializeToString(),
            content_type="application/x-protobuf",
        )


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """Listen on a free port of this machine."""
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    collector.url = f"http://127.0.0.1:{port}"
    try:
        yield collector
    finally:
        await runner.cleanup()

"""What features cost in time: ``python -m benchmarks.cost``.

Decision to resumed through ``ApprovalClient.approve``, as ``benchmarks.resumed`` measures it, with one
thing switched on or off at a time. One embedded server on a file; for each row a worker process of its
own, with queues of its own; in turns, so that all of them meet the same machine. What a feature does
outside a decision's way (writing the ledger, sending mail) meets it only by taking a processor's time.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from clearance import ApprovalClient, connect
from cli.embedded import free_port

from .contenders import REQUEST, Contender, ours_by_client
from .engine import Engine, engine
from .features import ADA, REVIEWERS, TOLD, Keys, mail_sink
from .measuring import Size, about, percentile, size, table
from .resumed import Took, in_turns

ROUNDS = 100

OFF = "as it comes: ledger on, the others off"


@dataclass(frozen=True)
class Variant:
    """A worker that is configured so, and how its requests differ."""

    name: str
    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: Sequence[str] = ()
    terms: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the request."""
    reviewer: str = ADA


@asynccontextmanager
async def trace_sink() -> AsyncIterator[str]:
    """The URL of a collector of traces that keeps nothing."""

    async def take(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(content_type="application/x-protobuf")

    app = web.Application()
    app.router.add_post("/v1/traces", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def variants(folder: Path, keys: Keys, smtp: str, collector: str) -> list[Variant]:
    """The rows; the first one is what the others are compared with."""
    reviewers = folder / "reviewers.toml"
    reviewers.write_text(REVIEWERS)
    tells = {
        "CLEARANCE_REVIEWERS": str(reviewers),
        "CLEARANCE_SMTP_URL": smtp,
        "CLEARANCE_NOTIFY_DIGEST": "0s",
    }
    return [
        Variant(OFF),
        Variant("without the ledger", arguments=("--no-ledger",)),
        Variant("metrics", {"CLEARANCE_METRICS": f"127.0.0.1:{free_port(0)}"}),
        Variant("traces", {"OTEL_EXPORTER_OTLP_ENDPOINT": collector}),
        Variant("encryption", {"CLEARANCE_ENCRYPTION_KEYS": str(keys.encryption)}),
        Variant("signed decisions", terms={"decision_keys": keys.pinned}),
        Variant("an audience", terms={"audience": (ADA,)}),
        Variant("an audience, told by mail", tells, (), {"audience": (TOLD,)}, TOLD),
    ]


async def contender(server: Engine, keys: Keys, variant: Variant, number: int) -> Contender:
    """Whom such a worker serves, from when it does."""
    queue = f"cost-{number}"
    environment = {
        "CLEARANCE_APPROVALS_QUEUE": queue,
        "CLEARANCE_STATE": str(server.folder / queue),
        **variant.environment,
    }
    await server.serve("benchmarks.ours", *variant.arguments, environment=environment)
    encrypts = "CLEARANCE_ENCRYPTION_KEYS" in variant.environment
    temporal = await connect(
        {"target_host": server.address}, keys=keys.encryption if encrypts else None
    )
    signs = "decision_keys" in variant.terms
    approvals = (keys.client if signs else ApprovalClient)(temporal, task_queue=queue)
    request = REQUEST.model_copy(update=dict(variant.terms))
    return ours_by_client(
        approvals, queue, variant.name, request=request, reviewer=variant.reviewer
    )


def report(took: Took) -> None:
    """Print the table; a ratio is to the first row's median."""
    base = percentile(took[OFF], 50)
    rows = [
        (name, f"{percentile(values, 50):.1f}", f"{percentile(values, 99):.1f}", f"{ratio:.2f}")
        for name, values in took.items()
        for ratio in [percentile(values, 50) / base]
    ]
    table(("decision to resumed", "p50 ms", "p99 ms", "ratio"), rows)


async def measured(server: Engine, wanted: Size) -> Took:
    """Of everything; of a quick run, of the first two."""
    async with mail_sink() as smtp, trace_sink() as collector:
        keys = Keys(server.folder)
        rows = variants(server.folder, keys, smtp, collector)
        rows = rows[: wanted.of(len(rows), 2)]
        begun = (contender(server, keys, row, number) for number, row in enumerate(rows))
        contenders = await asyncio.gather(*begun)
        return await in_turns(contenders, wanted.of(ROUNDS, 1), prefix="cost")


async def main() -> None:
    """Measure and print."""
    wanted = size()
    async with engine() as server:
        took = await measured(server, wanted)
    report(took)
    about()


if __name__ == "__main__":
    asyncio.run(main())

"""What a worker logs of a Temporal that is away."""

import logging
import signal
from types import SimpleNamespace

import pytest

from cli.absence import Unreached
from cli.settings import EmbeddedServer
from tests.proxy import proxy

from .conftest import Shell


async def test_a_worker_says_once_that_temporal_is_away_and_once_that_it_is_back(
    cli: Shell, server: EmbeddedServer
) -> None:
    async with (
        proxy(int(server.address.rpartition(":")[2])) as way,
        cli.having(TEMPORAL_ADDRESS=way.address).start("worker") as worker,
    ):
        await worker.says("approvals on")
        way.cut()
        await worker.says(f"warning clearance Temporal at {way.address} does not answer: ")
        way.heal()
        await worker.says(r"info clearance Temporal answers again, \d+ s later")
        worker.signal(signal.SIGTERM)
        ended = await worker.ends()

    assert ended.code == 0
    began, *logged, stopping, stopped = ended.err.splitlines()
    assert len(logged) == 2, ended.err
    assert "approvals on" in began
    assert ("stopping" in stopping, "stopped" in stopped) == (True, True)


@pytest.mark.parametrize(
    ("message", "error", "passes"),
    [
        ("gRPC call poll_workflow_task_queue retried 6 times", "tonic::transport::Error(x)", False),
        ("gRPC call describe_task_queue retried 9 times", "Status { code: Unavailable }", False),
        ("gRPC call poll_workflow_task_queue retried 6 times", "code: PermissionDenied", True),
        ("gRPC call poll_workflow_task_queue retried 6 times", None, True),
        ("Task failed: gRPC call x retried 6 times", "tonic::transport::Error(x)", True),
    ],
)
def test_only_what_reached_nobody_is_kept_back(
    message: str, error: str | None, passes: bool
) -> None:
    noticed: list[None] = []
    record = logging.makeLogRecord({"msg": message})
    if error is not None:
        record.temporal_log = SimpleNamespace(fields={"error": error})

    assert Unreached(lambda: noticed.append(None)).filter(record) is passes
    assert bool(noticed) is not passes

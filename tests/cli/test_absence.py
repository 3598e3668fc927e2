"""What a worker keeps back of its log while Temporal is away."""

import logging
from types import SimpleNamespace

import pytest

from cli.absence import Unreached


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

"""What the worker offers to Prometheus, scraped from a real one."""

import re
import shutil
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.runtime import Runtime

import worker
from activities import measuring
from clearance import ApprovalClient, ApprovalRequest, Refused, contract, rules
from cli.embedded import free_port
from cli.settings import Settings
from cli.telemetry import CannotMeasure, begin
from workflows.measuring import reason_class

from .support import eventually, missing, run, unique

SECRET = "sentinel-7f3a"
MONITORING = Path(__file__).parents[1] / "deploy/monitoring"


@pytest.fixture
def measured(settings: Settings) -> Settings:
    return settings.model_copy(update={"metrics": f"127.0.0.1:{free_port(0)}"})


Scrape = dict[str, float]


async def scrape(settings: Settings) -> Scrape:
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"http://{settings.metrics}/metrics")
    assert answer.status_code == 200
    samples = (line.rpartition(" ") for line in answer.text.splitlines() if line[:1] != "#")
    return {name: float(value) for name, _, value in samples}


def total(samples: Scrape, name: str, **labels: str) -> float:
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return sum(
        value
        for key, value in samples.items()
        if key.partition("{")[0] == name and all(one in key for one in wanted)
    )


@pytest.fixture
async def running(
    measured: Settings, connection: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Settings]:
    monkeypatch.setattr(measuring, "EVERY", 0.2)
    async with worker.running(measured, connection):
        yield measured


REQUEST = ApprovalRequest(
    action=f"Refund {SECRET}",
    tool="issue_refund",
    arguments={"order": SECRET},
    checkpoint="refunds",
    requester=f"{SECRET}@example.com",
    audience=("ada", "bob"),
)


ROWS = 3 + 3 + 2 + 2
"""Events of the four that end: what was malformed is only counted."""


async def play(approvals: ApprovalClient) -> None:
    """Approved, rejected, expired, withdrawn, one left waiting; and three attempts that don't count."""
    one = await approvals.request(REQUEST)
    with pytest.raises(Refused):
        await approvals.approve(one.id, reviewer="mallory", reason=SECRET)
    await approvals.approve(one.id, reviewer="ada", reason=SECRET)
    two = await approvals.request(REQUEST)
    handle = approvals.temporal.get_workflow_handle(two.id)
    await handle.signal(contract.SIGNAL_APPROVE, True)
    with pytest.raises(WorkflowUpdateFailedError):
        await handle.execute_update(contract.UPDATE_DECIDE, {"approved": SECRET})
    await approvals.reject(two.id, reviewer="bob", reason=SECRET)
    soon = REQUEST.model_copy(update={"expires_in": timedelta(seconds=1)})
    three = await approvals.request(soon)
    assert (await approvals.wait(three.id)).status == "expired"
    four = await approvals.request(REQUEST)
    await approvals.withdraw(four.id, who=str(REQUEST.requester), reason=SECRET)
    await approvals.request(soon.model_copy(update={"expires_in": timedelta(minutes=5)}))


@pytest.fixture
async def played(running: Settings, approvals: ApprovalClient) -> Scrape:
    """What is offered after all that."""
    await play(approvals)

    async def counted() -> Scrape:
        samples = await scrape(running)
        asked = total(samples, "clearance_requests_total", status="asked")
        kept = total(samples, "clearance_ledger_rows_total") == ROWS
        return samples if asked == 5 and kept and total(samples, "clearance_waiting_due") else {}

    return await eventually(counted)


async def test_requests_and_refusals_are_counted_by_what_became_of_them(played: Scrape) -> None:
    def requests(status: str) -> float:
        labels = {"tool": "issue_refund", "checkpoint": "refunds"}
        return total(played, "clearance_requests_total", status=status, **labels)

    def refusals(reason: str) -> float:
        return total(played, "clearance_refusals_total", reason=reason)

    ends = {"approved": 1, "rejected": 1, "expired": 1, "withdrawn": 1}
    assert {status: requests(status) for status in ends} == ends
    assert requests("asked") == 5
    assert {one: refusals(one) for one in ("audience", "bare_signal", "malformed")} == {
        "audience": 1,
        "bare_signal": 1,
        "malformed": 1,
    }
    decided = "clearance_time_to_decision_seconds"
    assert total(played, f"{decided}_count") == 4
    assert 1 <= total(played, f"{decided}_sum", status="expired") < 30
    assert total(played, "clearance_waiting") == 1
    assert total(played, "clearance_waiting_due") == 1
    assert total(played, "clearance_ledger_rows_total") == ROWS


async def test_no_label_carries_what_somebody_wrote_or_who_they_are(played: Scrape) -> None:
    ours = [name for name in played if name.startswith("clearance_")]

    assert ours
    assert not [name for name in played if SECRET in name]
    labels = {label for name in ours for label in re.findall(r'(\w+)="', name)}
    assert labels <= {
        *("status", "tool", "checkpoint", "reason", "channel", "outcome", "le"),
        *("namespace", "task_queue", "workflow_type", "activity_type"),
    }


async def test_every_metric_that_the_dashboard_and_the_alerts_name_is_really_offered(
    played: Scrape,
) -> None:
    offered = {name.partition("{")[0] for name in played}
    # Offered once there was one: no ledger fails and no message is lost while this test runs.
    rare = {f"{name}_total" for name in (measuring.NOTIFICATIONS, measuring.LEDGER_FAILURES)} | {
        "temporal_workflow_task_execution_failed_total",
        "temporal_request_failure_total",
        "temporal_workflow_failed_total",
        "temporal_activity_execution_failed_total",
    }
    files = [*MONITORING.glob("grafana/dashboards/*.json"), *MONITORING.glob("*.yml")]
    named = {
        name
        for file in files
        for name in re.findall(r"\b(?:clearance|temporal)_[a-z_]+", file.read_text())
    }

    assert {"clearance_requests_total", "clearance_waiting"} <= named
    assert named - rare <= offered


def test_a_label_has_so_many_values_and_then_other() -> None:
    label = unique("label")

    for number in range(measuring.MOST):
        assert measuring.bounded(label, f"tool {number}") == f"tool {number}"
    assert measuring.bounded(label, "one more") == "other"
    assert measuring.bounded(label, "tool 7") == "tool 7"
    assert measuring.bounded(label, None) == "none"
    assert len(measuring.bounded(unique("label"), "x\n" * 500)) <= 100


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("malformed decision: approved: Field required", "malformed"),
        ("approve takes true or false, not a text", "malformed"),
        ("an audience is named, and a bare signal says nothing about who sent it", "bare_signal"),
        (rules.closed("expired", None), "closed"),
        ("already decided: approved by ada at 2026-01-01", "closed"),
        ("too late: the deadline was 2026-01-01", "late"),
        ("mallory is not in the audience (ada)", "audience"),
        ("ada asked for this: somebody else has to approve it", "self_approval"),
        ("ada has approved already", "repeated"),
        (rules.CHANGED, "changed"),
        ("this request has stages, so a decision says which: it is stage 2 now, x", "stage"),
        ("whatever else", "other"),
    ],
)
def test_a_refusal_is_counted_by_its_kind(reason: str, kind: str) -> None:
    assert reason_class(reason) == kind


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0:9464", "10.0.0.7:9464", "[::]:9464", "localhost:9464", "9464", "127.0.0.1:", "x:1"],
)
def test_metrics_are_offered_to_this_machine_alone(settings: Settings, address: str) -> None:
    with pytest.raises(CannotMeasure, match="has no authentication"):
        begin(settings.model_copy(update={"metrics": address}))


def test_a_taken_port_is_an_error_that_says_so(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        with pytest.raises(CannotMeasure, match="another process has it"):
            begin(settings.model_copy(update={"metrics": address}))


async def test_a_count_that_fails_leaves_the_worker_alone(
    running: Settings, approvals: ApprovalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scrape(running)
    monkeypatch.setattr(measuring, "EVERY", 0.01)
    broken = Client(approvals.temporal.service_client, namespace=unique("no-such-namespace"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(broken.service_client.config, "runtime", Runtime.default())
        async with measuring.counting(broken, "any"):
            one = await approvals.request("Still served")
            await approvals.approve(one.id, reviewer="ada")


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        missing("promtool", "apt-get install -y --no-install-recommends prometheus")
    return found


def test_prometheus_takes_its_configuration_and_the_rules(promtool: str) -> None:
    run(promtool, "check", "rules", str(MONITORING / "alerts.yml"), cwd=MONITORING)
    said = run(
        *(promtool, "check", "config", "--syntax-only", str(MONITORING / "prometheus.yml")),
        cwd=MONITORING,
    )

    assert "SUCCESS" in said

"""What the server stores while no worker is there: thousands of signals, or many MB, wedge nothing."""

import asyncio
import gzip
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from clearance import ApprovalClient, ApprovalRequest, contract
from cli.settings import Settings
from workflows import turns
from workflows.approval import ApprovalWorkflow
from workflows.patches import MANY_SIGNALS_TAKE_TURNS

from .conftest import Serve
from .office import ADA
from .raw import decision
from .stored_history import FILE, SIGNALS
from .support import eventually
from .test_notifying import Notifier
from .told import notice

WIRE = ApprovalRequest(action="Wire 42.00 to ACME", audience=(ADA, "grace@example.com"))
MUCH = 1_400_000
"""Bytes of one signal; Temporal takes 2 MB."""


@pytest.mark.parametrize("dismissed", [True, False], ids=["rejected before", "approved in the end"])
async def test_stored_signals_are_taken_in_shares_in_their_order_and_before_what_comes_later(
    approvals: ApprovalClient,
    temporal: Client,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    dismissed: bool,
) -> None:
    monkeypatch.setattr(turns, "_SIGNALS", 6)
    asked = await approvals.request(WIRE)
    handle = temporal.get_workflow_handle(asked.id)
    for number in range(15):
        if dismissed and number == 13:
            no = decision(WIRE, reviewer=ADA, approved=False, reason="No")
            await handle.signal(contract.SIGNAL_DECIDE, no)
        said = decision(WIRE, reviewer=f"mallory-{number}")
        await handle.signal(contract.SIGNAL_DECIDE, said)
    await handle.signal("no signal of ours", "x")

    async with serve():
        late = asyncio.ensure_future(approvals.approve(asked.id, reviewer="grace@example.com"))
        outcome = await approvals.wait(asked.id)
        await asyncio.gather(late, return_exceptions=True)
        view = await approvals.get(asked.id)

    assert outcome.approved is not dismissed
    refused = [one.who for one in view.events if one.kind == "refused"]
    expected = [f"mallory-{number}" for number in range(13 if dismissed else 15)]
    assert refused[: len(expected)] == expected


HOSTILE: dict[str, Any] = {
    "notices": {"notices": [{}] * (MUCH // 4)},
    "names": {"notices": [{"audience": [1] * (MUCH // 3)}]},
    "lists": [[]] * (MUCH // 4),
}


async def test_a_notifier_reads_a_burst_of_the_largest_signals_and_tells_what_comes_after(
    temporal: Client, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    people = Notifier(temporal, settings.approvals_queue)
    for number in range(9):
        await people.tell(signal=list(HOSTILE.values())[number % len(HOSTILE)])
    await people.tell(notice("a"))
    async with people.served():
        await eventually(people.recorder.has_told, within=60)

    assert people.recorder.told() == [["created a"]]
    assert "deadlock" not in caplog.text.lower()


async def test_groups_without_end_keep_nobody_from_deciding(
    approvals: ApprovalClient, temporal: Client, serve: Serve
) -> None:
    asked = await approvals.request(WIRE)
    handle = temporal.get_workflow_handle(asked.id)
    for _ in range(3):
        await handle.signal(contract.SIGNAL_DECIDE, {"groups": [1] * (MUCH // 3)})
    async with serve():
        await approvals.approve(asked.id, reviewer=ADA)
        assert (await approvals.wait(asked.id)).approved


async def test_a_recorded_request_with_more_signals_than_one_task_takes_replays() -> None:
    recorded = gzip.decompress(FILE.read_bytes()).decode()
    history = WorkflowHistory.from_json("approval-many-signals", recorded)
    details = [one.marker_recorded_event_attributes.details for one in history.events]
    patches = b"".join(one["patch-data"].payloads[0].data for one in details if "patch-data" in one)
    assert MANY_SIGNALS_TAKE_TURNS.encode() in patches
    assert len(history.events) > SIGNALS > turns._SIGNALS

    replayer = Replayer(workflows=[ApprovalWorkflow], data_converter=pydantic_data_converter)
    assert (await replayer.replay_workflow(history)).replay_failure is None

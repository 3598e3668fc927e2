"""One trace for a run: agent turns, gate, decision and tool, as a collector gets it."""

import asyncio
import dataclasses
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from pydantic import AnyHttpUrl
from temporalio.client import Client, WorkflowFailureError, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.openai_agents.testing import TestModelProvider
from temporalio.worker import Replayer

import worker
from clearance import ApprovalClient, ApprovalSummary, connect
from clearance.runs import AgentRun, start_run
from cli import tracing
from cli.embedded import free_port
from cli.settings import EmbeddedServer, Settings
from cli.telemetry import begin
from workflows.approval import ApprovalWorkflow

from .agent_runs import Play, Run
from .collector import Collector, collecting
from .conftest import Serve
from .office import ADA, policed
from .processes import kill, worker_process
from .raw import Handle
from .support import PlayedModel, call, eventually, says, unique
from .test_crashes import waiting_run

SECRET = "sentinel-41bc"

POLICY = """
    default = "allow"

    [[checkpoint]]
    checkpoint_id = "deletions"
    action_pattern = "delete_*"
    description_template = "Delete these customer records for good: {customers}"
    on_reject = "stop"
"""

DELETE = call("delete_records", json.dumps({"customers": [{"id": 2, "name": SECRET}]}))


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with collecting() as running:
        yield running


@pytest.fixture
def settings(settings: Settings, collector: Collector) -> Settings:
    endpoint = {"otlp_endpoint": AnyHttpUrl(collector.url)}
    return policed(settings, POLICY).model_copy(update=endpoint)


def trace_of(span: Any) -> str:
    return bytes(span.trace_id).hex()


async def deleting(play: Play) -> tuple[Run, ApprovalSummary]:
    """A run that waits for the answer about a deletion."""
    run = await play.start("cleanup", f"Delete {SECRET}", requester=SECRET)
    [waiting] = await run.waits_for()
    return run, waiting


def check_joined(collector: Collector) -> str:
    """That all there is, is one trace with the right parents; returns its id."""
    gate, agent = collector.one("ApprovalWorkflow"), collector.one("AgentWorkflow")
    traces = {
        trace_of(span)
        for span in collector.spans
        if not span.name.startswith(("StartWorkflowUpdate:", "SignalWorkflow:"))
    }
    assert len(traces) == 1
    above = collector.above
    turns = collector.named("RunActivity:invoke_model_activity")
    assert len(turns) == 2
    assert {above(span) for span in turns} == {"StartActivity:invoke_model_activity"}
    for name, parent in {
        "StartChildWorkflow:ApprovalWorkflow": "AgentWorkflow",
        "ApprovalWorkflow": "StartChildWorkflow:ApprovalWorkflow",
        "HandleUpdate:decide": "ApprovalWorkflow",
        "StartActivity:delete_records": "AgentWorkflow",
        "RunActivity:delete_records": "StartActivity:delete_records",
    }.items():
        assert above(collector.one(name)) == parent, name
    assert "?" not in {above(span) for span in collector.spans}
    tool, turn = collector.one("RunActivity:delete_records"), turns[0]
    assert turn.end_time_unix_nano <= gate.start_time_unix_nano < gate.end_time_unix_nano
    assert gate.end_time_unix_nano <= tool.start_time_unix_nano <= agent.end_time_unix_nano
    return traces.pop()


async def test_a_run_over_an_approval_is_one_trace_from_its_start_to_the_tool(
    settings: Settings, serve: Serve, connection: dict[str, Any], collector: Collector
) -> None:
    telemetry = begin(settings, metrics=False)
    client = await connect({**connection, **telemetry.options})
    approvals = ApprovalClient(client, task_queue=settings.approvals_queue)
    async with serve(PlayedModel([DELETE], [says(SECRET)])):
        run = AgentRun(
            agent="cleanup", prompt=SECRET, approvals_queue=settings.approvals_queue, requester="x"
        )
        handle = await start_run(client, run, task_queue=settings.agents_queue)

        async def asked() -> list[str]:
            return [one.id async for one in approvals.pending(run=handle.id)]

        [id] = await eventually(asked)
        waited = time.time_ns()
        await approvals.approve(id, reviewer=ADA, reason=SECRET)
        await handle.result()
    await telemetry.end()

    check_joined(collector)
    assert collector.above(collector.one("AgentWorkflow")) == "StartWorkflow:AgentWorkflow"
    gate = collector.one("ApprovalWorkflow")
    assert gate.start_time_unix_nano < waited < gate.end_time_unix_nano
    said = {one.key: one.value.string_value for one in gate.attributes}
    assert (said["temporalWorkflowID"], said["outcome"]) == (id, "approved")
    # Whoever decides may have a trace of their own: the decision links to it.
    [link] = collector.one("HandleUpdate:decide").links
    assert link.span_id == collector.one("StartWorkflowUpdate:decide").span_id
    assert collector.services == {"clearance"}
    assert SECRET.encode() not in collector.bodies


async def test_a_run_that_nobody_traced_at_its_start_is_the_trace_of_its_own_id(
    settings: Settings, serve: Serve, temporal: Client, collector: Collector
) -> None:
    async with serve(PlayedModel([DELETE], [says(SECRET)])) as serving:
        run, waiting = await deleting(Play(settings, dataclasses.replace(serving, client=temporal)))
        await run.approvals.approve(waiting.id, reviewer=ADA)
        await run.result()
        described = await run.handle.describe()

    assert check_joined(collector) == UUID(described.run_id).hex
    assert collector.above(collector.one("AgentWorkflow")) == ""


async def test_the_trace_goes_on_where_another_worker_does_after_a_kill(
    forgetting: EmbeddedServer,
    settings: Settings,
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    temporal = await connect({"target_host": forgetting.address})
    approvals = ApprovalClient(temporal, task_queue=settings.approvals_queue)
    async with worker_process(settings, forgetting.address) as first:
        handle: Handle = await waiting_run(temporal, settings)

        async def sent() -> list[Any]:
            return collector.named("RunActivity:invoke_model_activity")

        await eventually(sent)
        await kill(first)
    assert collector.named("ApprovalWorkflow") == []

    async with worker_process(settings, forgetting.address):
        await approvals.approve(f"{handle.id}.1", reviewer=ADA)
        await handle.result()

        async def ended() -> list[Any]:
            return collector.named("AgentWorkflow")

        await eventually(ended)

    others = {trace_of(span) for span in collector.spans if "econcil" in span.name}
    assert len({trace_of(span) for span in collector.spans} - others) == 1
    assert trace_of(collector.one("AgentWorkflow")) not in others
    assert collector.above(collector.one("HandleUpdate:decide")) == "ApprovalWorkflow"
    gates = collector.one("ApprovalWorkflow"), collector.one("StartChildWorkflow:ApprovalWorkflow")
    assert gates[0].parent_span_id == gates[1].span_id
    assert len(collector.named("RunActivity:invoke_model_activity")) == 2  # none is sent again


async def test_what_failed_and_why_somebody_said_no_stay_out_of_the_trace(
    settings: Settings, serve: Serve, collector: Collector
) -> None:
    model = PlayedModel([DELETE])
    async with serve(model) as serving:
        run, waiting = await deleting(Play(settings, serving))
        await run.approvals.reject(waiting.id, reviewer=ADA, reason=f"No {SECRET}")
        with pytest.raises(WorkflowFailureError, match="failed"):
            await run.handle.result()

    assert collector.one("AgentWorkflow").status.code == 2  # an error
    assert collector.one("ApprovalWorkflow").status.code == 0
    assert not [span for span in collector.spans if span.events or span.status.message]
    assert SECRET.encode() not in collector.bodies


async def gate_history(settings: Settings, connection: dict[str, Any]) -> WorkflowHistory:
    """Of a request that a run made and somebody approved."""
    provider = TestModelProvider(PlayedModel([DELETE], [says("Done.")]))
    async with worker.running(settings, connection, model_provider=provider) as serving:
        run, waiting = await deleting(Play(settings, serving))
        await run.approvals.approve(waiting.id, reviewer=ADA)
        await run.result()
        return await serving.client.get_workflow_handle(waiting.id).fetch_history()


async def test_tracing_adds_no_event_and_either_replays_as_the_other(
    settings: Settings, connection: dict[str, Any]
) -> None:
    untraced = settings.model_copy(update={"otlp_endpoint": None})
    traced, plain = [await gate_history(one, connection) for one in (settings, untraced)]

    def kinds(history: WorkflowHistory) -> set[int]:
        return {event.event_type for event in history.events}

    def headers(history: WorkflowHistory) -> bool:
        return any(b"_tracer-data" in event.SerializeToString() for event in history.events)

    assert kinds(traced) == kinds(plain)
    assert (headers(traced), headers(plain)) == (True, False)
    traces = begin(settings, metrics=False).options["interceptors"]
    for history, interceptors in ((traced, []), (plain, traces), (traced, traces)):
        replayer = Replayer(
            workflows=[ApprovalWorkflow],
            data_converter=pydantic_data_converter,
            interceptors=interceptors,
        )
        assert (await replayer.replay_workflow(history)).replay_failure is None


async def test_a_collector_that_is_away_costs_a_run_nothing_and_an_ending_worker_two_seconds(
    settings: Settings, connection: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tracing._LAST_SECONDS == 2
    monkeypatch.setattr(tracing, "_LAST_SECONDS", 0.2)
    nowhere = AnyHttpUrl(f"http://127.0.0.1:{free_port(0)}")
    away = settings.model_copy(update={"otlp_endpoint": nowhere})

    assert await gate_history(away, connection)

    telemetry = begin(away, metrics=False)
    client = await connect({**connection, **telemetry.options})
    approvals = ApprovalClient(client, task_queue=unique("nobody"))
    await approvals.request("Anything")
    async with asyncio.timeout(6):  # who sends tries for ten seconds
        await telemetry.end()

"""``kill -9`` at the worst moment: of the worker, of the server. What was promised still happens."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

from temporalio.client import Client

from clearance import ApprovalClient, Receipt
from clearance.contract import child_id
from clearance.runs import AgentResult, AgentRun, start_run
from cli import embedded
from cli.settings import EmbeddedServer, Settings

from .processes import ACTION, Process, answers, kill, server_process, worker_process
from .raw import Handle, ask, impatient
from .support import eventually, unique

ADA = "ada@example.com"


async def waiting_run(client: Client, settings: Settings) -> Handle:
    """A run of the assistant that has reached its request."""
    run = AgentRun(agent="assistant", prompt="Pay", approvals_queue=settings.approvals_queue)
    handle = await start_run(client, run, id=unique("run"), task_queue=settings.agents_queue)

    async def waits() -> bool:
        found = [one async for one in impatient(client, settings).pending(run=handle.id)]
        return [one.action for one in found] == [ACTION]

    async def idle() -> bool:
        """Killed in the middle of a workflow task, a worker costs ten seconds: that task's timeout."""
        both = (handle, client.get_workflow_handle(f"{handle.id}.1"))
        described = [(await one.describe()).raw_description for one in both]
        return not any(one.HasField("pending_workflow_task") for one in described)

    await eventually(waits)
    await eventually(idle)
    return handle


async def waiting_runs(client: Client, settings: Settings, count: int) -> list[Handle]:
    """Some at once."""
    return await asyncio.gather(*(waiting_run(client, settings) for _ in range(count)))


def request_of(run: Handle) -> str:
    return child_id(run.id, 1)


async def finished(handle: Handle) -> AgentResult:
    return AgentResult.model_validate(await handle.result())


async def decided_in_effect(client: Client, settings: Settings, run: Handle) -> Receipt:
    return await ApprovalClient(
        client, task_queue=settings.approvals_queue, answer_timeout=timedelta(seconds=20)
    ).approve(request_of(run), reviewer=ADA)


def counts(result: AgentResult, receipt: Receipt) -> bool:
    """Whether it is the one decision of the run."""
    [outcome] = result.approvals
    assert outcome.decision is not None
    return (outcome.decision.decision_id, outcome.decision.reviewer) == (receipt.decision_id, ADA)


async def test_what_is_decided_or_signalled_while_the_killed_worker_is_away_or_after_it_counts(
    server: EmbeddedServer, temporal: Client, settings: Settings
) -> None:
    """Of four runs, three of which are answered before another worker is there; all can be read."""
    away = impatient(temporal, settings)
    async with worker_process(settings, server.address) as worker:
        runs = await waiting_runs(temporal, settings, 4)
        await kill(worker)
    approved, rejected, signalled, later = map(request_of, runs)

    receipts = await asyncio.gather(
        away.approve(approved, reviewer=ADA),
        away.reject(rejected, reviewer=ADA, reason="Wrong account"),
    )
    for receipt in receipts:
        assert (receipt.in_effect, receipt.status) == (False, "pending")
        assert receipt.recorded_at is None
    await temporal.get_workflow_handle(signalled).signal("approve", True)
    view = await away.get(later)
    assert (view.status, view.request.action, view.complete) == ("pending", ACTION, False)

    async with worker_process(settings, server.address):
        receipt = await decided_in_effect(temporal, settings, runs[3])
        assert receipt.status == "approved"
        results = await asyncio.gather(*map(finished, runs))
    told = ["Approved", "Rejected: Wrong account", "Approved", "Approved"]
    assert [one.output for one in results] == told
    assert [counts(*one) for one in zip(results, receipts, strict=False)] == [True, True]


async def test_requests_and_what_was_acknowledged_as_recorded_outlive_the_killed_server(
    settings: Settings, tmp_path: Path
) -> None:
    """First the worker goes on with the new server, then both are killed; one was never served."""
    port, database = embedded.free_port(0), tmp_path / "temporal.db"
    async with AsyncExitStack() as workers:
        async with server_process(port, database) as server:
            client = await connected(server, port)
            serving = worker_process(settings, f"127.0.0.1:{port}")
            worker = await workers.enter_async_context(serving)
            outlives, recorded = await waiting_runs(client, settings, 2)
            await kill(server)

        async with server_process(port, database) as server:
            receipt = await decided_in_effect(client, settings, outlives)
            assert receipt.status == "approved"
            assert (await finished(outlives)).output == "Approved"
            await kill(worker)

            approvals = impatient(client, settings)
            receipt = await approvals.approve(request_of(recorded), reviewer=ADA)
            assert not receipt.in_effect
            unserved = await ask(approvals, "Deploy?")
            await unserved.signal("approve", False)
            await kill(server)

    async with server_process(port, database), worker_process(settings, f"127.0.0.1:{port}"):
        result = await finished(recorded)
        assert (await approvals.wait(unserved.id, timedelta(seconds=30))).status == "rejected"
    assert result.output == "Approved"
    assert counts(result, receipt)


async def connected(server: Process, port: int) -> Client:
    client = await answers(server, f"127.0.0.1:{port}")
    assert client is not None
    return client

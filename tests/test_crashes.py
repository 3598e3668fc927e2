"""``kill -9`` at the worst moment: of the worker, of the server. What was promised still happens."""

from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client

from clearance import ApprovalClient, Receipt
from clearance.runs import AgentResult, AgentRun, start_run
from cli import embedded
from cli.settings import EmbeddedServer, Settings

from .processes import ACTION, Process, answers, kill, server_process, worker_process
from .raw import Handle, ask, impatient
from .support import eventually, unique


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


async def finished(handle: Handle) -> AgentResult:
    return AgentResult.model_validate(await handle.result())


@pytest.mark.parametrize(
    ("approved", "told"), [(True, "Approved"), (False, "Rejected: Wrong account")]
)
async def test_a_decision_made_while_the_killed_worker_is_away_takes_effect_when_one_is_back(
    server: EmbeddedServer, temporal: Client, settings: Settings, approved: bool, told: str
) -> None:
    approvals = impatient(temporal, settings)
    async with worker_process(settings, server.address) as worker:
        run = await waiting_run(temporal, settings)
        await kill(worker)

    receipt = await approvals.decide(
        f"{run.id}.1", approved=approved, reviewer="ada@example.com", reason="Wrong account"
    )
    assert (receipt.in_effect, receipt.status, receipt.recorded_at) == (False, "pending", None)

    async with worker_process(settings, server.address):
        result = await finished(run)
    assert result.output == told
    [outcome] = result.approvals
    assert outcome.decision is not None
    assert outcome.decision.decision_id == receipt.decision_id
    assert outcome.decision.reviewer == "ada@example.com"


async def test_a_decision_made_after_the_killed_worker_was_replaced_counts_at_once(
    server: EmbeddedServer, temporal: Client, settings: Settings
) -> None:
    async with worker_process(settings, server.address) as worker:
        run = await waiting_run(temporal, settings)
        await kill(worker)

    async with worker_process(settings, server.address):
        receipt = await decided_in_effect(temporal, settings, run)
        assert receipt.status == "approved"
        assert (await finished(run)).output == "Approved"


async def test_a_bare_signal_sent_while_the_killed_worker_is_away_is_not_lost(
    server: EmbeddedServer, temporal: Client, settings: Settings
) -> None:
    async with worker_process(settings, server.address) as worker:
        run = await waiting_run(temporal, settings)
        await kill(worker)

    await temporal.get_workflow_handle(f"{run.id}.1").signal("approve", True)

    async with worker_process(settings, server.address):
        assert (await finished(run)).output == "Approved"


async def test_a_request_is_readable_while_the_killed_worker_is_away(
    server: EmbeddedServer, temporal: Client, settings: Settings
) -> None:
    async with worker_process(settings, server.address) as worker:
        run = await waiting_run(temporal, settings)
        await kill(worker)

    view = await impatient(temporal, settings).get(f"{run.id}.1")

    assert (view.status, view.request.action, view.complete) == ("pending", ACTION, False)


async def decided_in_effect(client: Client, settings: Settings, run: Handle) -> Receipt:
    return await ApprovalClient(
        client, task_queue=settings.approvals_queue, answer_timeout=timedelta(seconds=20)
    ).approve(f"{run.id}.1", reviewer="ada@example.com")


async def test_a_request_outlives_the_killed_server_and_the_worker_goes_on_with_the_new_one(
    settings: Settings, tmp_path: Path
) -> None:
    port, database = embedded.free_port(0), tmp_path / "temporal.db"
    async with server_process(port, database) as server:
        client = await connected(server, port)
        async with worker_process(settings, f"127.0.0.1:{port}"):
            run = await waiting_run(client, settings)
            await kill(server)

            async with server_process(port, database):
                receipt = await decided_in_effect(client, settings, run)
                assert receipt.status == "approved"
                assert (await finished(run)).output == "Approved"


async def test_a_decision_acknowledged_as_recorded_outlives_the_killed_server(
    settings: Settings, tmp_path: Path
) -> None:
    port, database = embedded.free_port(0), tmp_path / "temporal.db"
    async with server_process(port, database) as server:
        client = await connected(server, port)
        async with worker_process(settings, f"127.0.0.1:{port}") as worker:
            run = await waiting_run(client, settings)
            await kill(worker)
        receipt = await impatient(client, settings).approve(f"{run.id}.1", reviewer="ada")
        await kill(server)
        assert not receipt.in_effect

    async with server_process(port, database), worker_process(settings, f"127.0.0.1:{port}"):
        result = await finished(run)
    assert result.output == "Approved"
    assert result.approvals[0].decision is not None
    assert result.approvals[0].decision.decision_id == receipt.decision_id


async def test_a_request_nobody_had_served_outlives_the_killed_server(
    settings: Settings, tmp_path: Path
) -> None:
    port, database = embedded.free_port(0), tmp_path / "temporal.db"
    async with server_process(port, database) as server:
        approvals = impatient(await connected(server, port), settings)
        handle = await ask(approvals, "Deploy?")
        await handle.signal("approve", False)
        await kill(server)

    async with server_process(port, database), worker_process(settings, f"127.0.0.1:{port}"):
        assert (await approvals.wait(handle.id, timedelta(seconds=30))).status == "rejected"


async def connected(server: Process, port: int) -> Client:
    client = await answers(server, f"127.0.0.1:{port}")
    assert client is not None
    return client

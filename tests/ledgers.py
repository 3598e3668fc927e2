"""What tests of the ledger's keeping share."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

from clearance import ApprovalClient
from clearance.ended import Ended
from cli.settings import Settings
from store.ledger import Ledger
from store.ledger.reconciling import Reconciled, reconcile
from tests.support import eventually


@asynccontextmanager
async def ledger_of(settings: Settings) -> AsyncIterator[Ledger]:
    """The one that a worker with these settings writes to."""
    async with Ledger.open(settings.ledger_address()) as opened:
        yield opened


def ended(approvals: ApprovalClient, settings: Settings) -> Ended:
    """What has ended on this test's queue."""
    return Ended(approvals.temporal, settings.approvals_queue)


async def reconciled(
    ledger: Ledger, approvals: ApprovalClient, settings: Settings, **how: Any
) -> Reconciled:
    """What a reconciliation has done."""
    return await reconcile(ledger, ended(approvals, settings), **how)


async def forget(approvals: ApprovalClient, *ids: str) -> None:
    """Let Temporal forget them, as it does when their retention is over."""
    from temporalio.api.common.v1 import WorkflowExecution
    from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest

    client = approvals.temporal
    for id in ids:
        await client.workflow_service.delete_workflow_execution(
            DeleteWorkflowExecutionRequest(
                namespace=client.namespace, workflow_execution=WorkflowExecution(workflow_id=id)
            )
        )

    async def gone() -> bool:
        named = ", ".join(f"'{id}'" for id in ids)
        return (await client.count_workflows(f"WorkflowId IN ({named})")).count == 0

    await eventually(gone)


@contextmanager
def full_disk() -> Iterator[None]:
    """Every SQLite database that is opened meanwhile has no room for a further page."""

    def connected(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA max_page_count=1")  # which is raised to what it has
        cursor.close()

    event.listen(Engine, "connect", connected)
    try:
        yield
    finally:
        event.remove(Engine, "connect", connected)


@asynccontextmanager
async def silent() -> AsyncIterator[int]:
    """A port where somebody takes connections and never says anything."""
    writers: list[asyncio.StreamWriter] = []

    async def taken(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    server = await asyncio.start_server(taken, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()


def warnings_of(caplog: pytest.LogCaptureFixture, logger: str) -> list[str]:
    """What was logged there as a warning or worse."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == logger and record.levelno >= logging.WARNING
    ]

"""Approved once, done once: a worker killed between an effect and its acknowledgement repeats nothing.

``AGENTS`` and ``ACTIVITIES`` are those of the worker processes, which are real ones and really killed.
"""

import asyncio
import json
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from agents import Agent, function_tool
from aiosmtpd.smtp import SMTP, Envelope
from pydantic import BaseModel
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy

from activities.mail import Email, MailActivities
from activities.shop import Refund, ShopActivities
from clearance import ApprovalClient
from clearance.runs import AgentRun, start_run
from cli.settings import EmbeddedServer, Settings
from tools.gate import idempotency_key

from . import warm
from .agent_runs import MAIL, Run
from .model_server import MODEL, Call, ModelServer, Text, calls, model_server
from .office import ADA, decide, policed
from .processes import Process, kill
from .support import eventually
from .test_activities import Mailbox

POLICY = """
    [[checkpoint]]
    checkpoint_id = "all"
    action_pattern = ".*"
    editable = true
"""

SOON: Any = {
    "start_to_close_timeout": timedelta(seconds=3),
    "retry_policy": RetryPolicy(maximum_interval=timedelta(seconds=1)),
}
"""An attempt whose worker was killed is given up, and made again, after three seconds."""


class Slow(BaseModel):
    """A refund, and where the shop is."""

    refund: Refund
    folder: str


@activity.defn
def refund_slowly(slow: Slow) -> str:
    """Refund as the sample does, and say so late, as long as a file ``slow`` is there."""
    folder = Path(slow.folder)
    said = ShopActivities(folder / "shop.db").issue_refund(slow.refund)
    with (folder / "attempts").open("a") as attempts:
        attempts.write(f"{slow.refund.idempotency_key}\n")
    while (folder / "slow").exists():
        activity.wait_for_cancelled_sync(timedelta(milliseconds=50))
    return said


@function_tool
async def mail(to: str, subject: str, body: str) -> str:
    """Send a mail."""
    return await workflow.execute_activity_method(
        MailActivities.send_email,
        Email(to=to, subject=subject, body=body, idempotency_key=idempotency_key()),
        **SOON,
    )


@function_tool
async def give_back(folder: str, cents: int) -> str:
    """Refund an order."""
    refund = Refund(order_id="A-1001", cents=cents, idempotency_key=idempotency_key())
    return await workflow.execute_activity(
        refund_slowly, Slow(refund=refund, folder=folder), **SOON
    )


AGENTS = {"clerk": lambda: Agent(name="clerk", tools=[mail, give_back])}
ACTIVITIES = [refund_slowly]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return policed(settings, POLICY)


@asynccontextmanager
async def worker_process(
    settings: Settings, server: EmbeddedServer, model: ModelServer, **more: str
) -> AsyncIterator[Process]:
    """``python worker.py``, serving already; killed with the context if not before.

    What it says goes to ``worker.log`` beside the state folder.
    """
    root, log = Path(__file__).parents[1], settings.state.with_name("worker.log")
    before = len(log.read_text()) if log.exists() else 0
    output = log.open("ab")
    process = await warm.start(
        ("worker.py",),
        env={
            **os.environ,
            "TEMPORAL_ADDRESS": server.address,
            "CLEARANCE_APPROVALS_QUEUE": settings.approvals_queue,
            "CLEARANCE_AGENTS_QUEUE": settings.agents_queue,
            "CLEARANCE_STATE": str(settings.state),
            "CLEARANCE_POLICY": str(settings.policy),
            "CLEARANCE_AGENTS": __name__,
            "CLEARANCE_MODEL": MODEL,
            "OPENAI_BASE_URL": model.url,
            "OPENAI_API_KEY": model.key or "",
            **more,
        },
        cwd=root,
        files=(0, 1, output.fileno()),
    )
    output.close()

    async def serving() -> bool:
        said = log.read_text()
        assert process.returncode is None, said
        return settings.agents_queue in said[before:]

    try:
        await eventually(serving, within=60)
        yield process
    finally:
        await kill(process)


async def started(client: Client, settings: Settings) -> Run:
    run = AgentRun(agent="clerk", prompt="Do it", approvals_queue=settings.approvals_queue)
    handle = await start_run(client, run, task_queue=settings.agents_queue)
    return Run(handle, ApprovalClient(client, task_queue=settings.approvals_queue))


class KillingMailbox(Mailbox):
    """Takes a mail, and kills whoever sent it before it hears so."""

    victim: Process | None = None

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Envelope) -> str:  # noqa: N802
        answer = await super().handle_DATA(server, session, envelope)
        if self.victim is not None:
            victim, self.victim = self.victim, None
            await kill(victim)
        return answer


@asynccontextmanager
async def killing_mail_server() -> AsyncIterator[tuple[str, KillingMailbox]]:
    mailbox = KillingMailbox({})
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, hostname="mail"), "127.0.0.1", 0)
    try:
        yield f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}", mailbox
    finally:
        server.close()
        await server.wait_closed()


async def test_a_mail_whose_sender_was_killed_before_it_heard_that_it_went_is_the_same_mail_again(
    settings: Settings, server: EmbeddedServer, temporal: Client
) -> None:
    send = calls(Call("mail", json.dumps(MAIL)))
    async with (
        killing_mail_server() as (url, mailbox),
        model_server(send, Text("Sent.")) as model,
    ):
        async with worker_process(settings, server, model, CLEARANCE_SMTP_URL=url) as worker:
            run = await started(temporal, settings)
            [waiting] = await run.waits_for()
            mailbox.victim = worker
            await run.approvals.approve(waiting.id, reviewer=ADA)
            await worker.wait()
        assert len(mailbox.mails) == 1  # it went, and Temporal doesn't know

        async with worker_process(settings, server, model, CLEARANCE_SMTP_URL=url):
            result = await run.result()

    assert [one.approval_id for one in result.approvals] == [waiting.id]
    first, second = mailbox.mails  # which every mail store takes for one: same id, same content
    assert first["Message-ID"] == second["Message-ID"]
    assert first.get_content() == second.get_content()
    assert (first["To"], first["Subject"]) == (second["To"], second["Subject"])


async def test_a_mail_into_the_outbox_stays_one_file_when_its_worker_is_killed(
    settings: Settings, server: EmbeddedServer, temporal: Client
) -> None:
    """The file is there before anything is acknowledged, so whenever the kill comes it is one."""
    send = calls(Call("mail", json.dumps(MAIL)))
    outbox = settings.state / "outbox"
    async with model_server(send, Text("Sent.")) as model:
        async with worker_process(settings, server, model) as worker:
            run = await started(temporal, settings)
            [waiting] = await run.waits_for()
            await run.approvals.approve(waiting.id, reviewer=ADA)

            async def written() -> bool:
                return outbox.exists() and bool(list(outbox.glob("*.eml")))

            await eventually(written)
            await kill(worker)
        async with worker_process(settings, server, model):
            await run.result()
    assert len(list(outbox.iterdir())) == 1


def ledger(settings: Settings) -> list[tuple[str, int]]:
    """Key and cents of every refund."""
    with closing(sqlite3.connect(settings.state / "shop.db")) as db:
        return db.execute("SELECT idempotency_key, cents FROM refunds").fetchall()


async def refunding(settings: Settings, temporal: Client) -> tuple[Run, str, Path]:
    """A run that waits with a refund: itself, the approval's id, the file of attempts."""
    settings.state.mkdir(exist_ok=True)
    (settings.state / "slow").touch()
    run = await started(temporal, settings)
    [waiting] = await run.waits_for()
    return run, waiting.id, settings.state / "attempts"


def give(settings: Settings, cents: int) -> Call:
    return Call("give_back", json.dumps({"folder": str(settings.state), "cents": cents}))


async def test_a_refund_whose_worker_was_killed_before_it_said_so_is_one_row_under_the_approvals_id(
    settings: Settings, server: EmbeddedServer, temporal: Client
) -> None:
    async with model_server(calls(give(settings, 2_900)), Text("Refunded.")) as model:
        async with worker_process(settings, server, model) as worker:
            run, approval, attempts = await refunding(settings, temporal)
            await run.approvals.approve(approval, reviewer=ADA)

            async def effected() -> bool:
                return attempts.exists() and approval in attempts.read_text()

            await eventually(effected)
            await kill(worker)
        assert ledger(settings) == [(approval, 2_900)]
        (settings.state / "slow").unlink()

        async with worker_process(settings, server, model):
            await run.result()
        assert model.requests[-1].results == {"call_1": "refunded 29.00 for A-1001"}

    assert attempts.read_text().splitlines() == [approval] * 2
    assert ledger(settings) == [(approval, 2_900)]


async def test_an_edited_refund_is_repeated_as_it_was_edited(
    settings: Settings, server: EmbeddedServer, temporal: Client
) -> None:
    async with model_server(calls(give(settings, 2_900)), Text("Refunded.")) as model:
        async with worker_process(settings, server, model) as worker:
            run, approval, attempts = await refunding(settings, temporal)
            edited = {"folder": str(settings.state), "cents": 1_000}
            await decide(run.approvals, approval, arguments=edited)

            async def effected() -> bool:
                return attempts.exists() and approval in attempts.read_text()

            await eventually(effected)
            await kill(worker)
        (settings.state / "slow").unlink()

        async with worker_process(settings, server, model):
            await run.result()
        told = model.requests[-1].results["call_1"]

    assert told.endswith("refunded 10.00 for A-1001")
    assert "cents: 2900 became 1000" in told
    assert attempts.read_text().splitlines() == [approval] * 2
    assert ledger(settings) == [(approval, 1_000)]


async def test_two_calls_alike_are_two_approvals_and_two_effects(
    settings: Settings, server: EmbeddedServer, temporal: Client
) -> None:
    alike = give(settings, 100)
    both = calls(alike, Call(alike.name, alike.arguments, "call_2"))
    async with (
        model_server(both, Text("Refunded.")) as model,
        worker_process(settings, server, model),
    ):
        run = await started(temporal, settings)
        waiting = await run.waits_for(2)
        for one in waiting:
            await run.approvals.approve(one.id, reviewer=ADA)
        await run.result()
    assert sorted(ledger(settings)) == [(one.id, 100) for one in waiting]

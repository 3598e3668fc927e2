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
from .agent_runs import MAIL, Play, Run
from .conftest import Serve
from .model_server import MODEL, Call, ModelServer, Text, calls, model_server
from .office import ADA, decide, policed
from .processes import Process, kill
from .support import PlayedModel, call, eventually, says
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
    """What is done in a folder, as the samples do it, and said late: while a file ``slow`` is there."""

    folder: str
    key: str

    def done(self) -> None:
        """Note the attempt, and wait."""
        folder = Path(self.folder)
        with (folder / "attempts").open("a") as attempts:
            attempts.write(f"{self.key}\n")
        while (folder / "slow").exists():
            activity.wait_for_cancelled_sync(timedelta(milliseconds=50))


class SlowRefund(Slow):
    cents: int


class SlowMail(Slow):
    body: str


@activity.defn
def refund_slowly(slow: SlowRefund) -> str:
    refund = Refund(order_id="A-1001", cents=slow.cents, idempotency_key=slow.key)
    said = ShopActivities(Path(slow.folder) / "shop.db").issue_refund(refund)
    slow.done()
    return said


@activity.defn
def write_slowly(slow: SlowMail) -> str:
    email = Email(to=ADA, subject="Hello", body=slow.body, idempotency_key=slow.key)
    outbox = MailActivities(smtp_url=None, outbox=Path(slow.folder) / "outbox", sender=ADA)
    said = asyncio.run(outbox.send_email(email))
    slow.done()
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
async def write(folder: str, body: str) -> str:
    """Write a mail into the outbox."""
    slow = SlowMail(folder=folder, key=idempotency_key(), body=body)
    return await workflow.execute_activity(write_slowly, slow, **SOON)


@function_tool
async def give_back(folder: str, cents: int) -> str:
    """Refund an order."""
    slow = SlowRefund(folder=folder, key=idempotency_key(), cents=cents)
    return await workflow.execute_activity(refund_slowly, slow, **SOON)


AGENTS = {"clerk": lambda: Agent(name="clerk", tools=[mail, write, give_back])}
ACTIVITIES = [refund_slowly, write_slowly]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    settings = policed(settings, POLICY).model_copy(update={"agents": (__name__,)})
    settings.state.mkdir()
    return settings


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


def ledger(settings: Settings) -> dict[str, int]:
    """Cents of every refund by its key, of which there is one each."""
    with closing(sqlite3.connect(settings.state / "shop.db")) as db:
        rows = db.execute("SELECT idempotency_key, cents FROM refunds").fetchall()
    assert len(rows) == len(dict(rows))
    return dict(rows)


async def waiting(
    client: Client, settings: Settings, model: ModelServer, tool: str, **arguments: Any
) -> tuple[Run, str]:
    """A run that waits with this call, and the approval's id."""
    model.answers.append(calls(Call(tool, json.dumps(arguments))))
    run = AgentRun(agent="clerk", prompt="Do it", approvals_queue=settings.approvals_queue)
    handle = await start_run(client, run, task_queue=settings.agents_queue)
    begun = Run(handle, ApprovalClient(client, task_queue=settings.approvals_queue))
    [one] = await begun.waits_for()
    return begun, one.id


async def test_what_a_killed_worker_had_done_and_not_said_is_done_once_under_the_approvals_id(
    settings: Settings, server: EmbeddedServer, temporal: Client
) -> None:
    """A refund, one that was edited, a mail into the outbox, one over SMTP, which is the same again."""
    folder, outbox = str(settings.state), settings.state / "outbox"
    attempts, slow = settings.state / "attempts", settings.state / "slow"
    slow.touch()
    async with killing_mail_server() as (url, mailbox), model_server() as model:
        async with worker_process(settings, server, model, CLEARANCE_SMTP_URL=url) as worker:
            refund, refunded = await waiting(
                temporal, settings, model, "give_back", folder=folder, cents=2_900
            )
            edited, given = await waiting(
                temporal, settings, model, "give_back", folder=folder, cents=2_800
            )
            written, filed = await waiting(
                temporal, settings, model, "write", folder=folder, body="It ships."
            )
            sent, mailed = await waiting(temporal, settings, model, "mail", **MAIL)
            await decide(refund.approvals, refunded)
            await decide(edited.approvals, given, arguments={"folder": folder, "cents": 1_000})
            await decide(written.approvals, filed)

            async def effected() -> bool:
                return attempts.exists() and len(set(attempts.read_text().splitlines())) == 3

            await eventually(effected)
            mailbox.victim = worker
            await decide(sent.approvals, mailed)
            await worker.wait()

        # All of it is done, and Temporal doesn't know.
        assert ledger(settings) == {refunded: 2_900, given: 1_000}
        assert (len(list(outbox.iterdir())), len(mailbox.mails)) == (1, 1)
        before = attempts.read_text().splitlines()
        slow.unlink()
        model.answers.extend([Text("Done.")] * 4)
        async with worker_process(settings, server, model, CLEARANCE_SMTP_URL=url):
            results = await asyncio.gather(
                *(one.result() for one in (refund, edited, written, sent))
            )
        told = [text for one in model.requests for text in one.results.values()]

    assert [[one.approval_id for one in result.approvals] for result in results] == [
        *([refunded], [given], [filed], [mailed])
    ]
    again = attempts.read_text().splitlines()[len(before) :]
    assert set(again) == {refunded, given, filed}
    assert ledger(settings) == {refunded: 2_900, given: 1_000}
    assert "refunded 29.00 for A-1001" in told
    [of_edited] = [one for one in told if "cents: 2800 became 1000" in one]
    assert of_edited.endswith("refunded 10.00 for A-1001")
    assert len(list(outbox.iterdir())) == 1
    first, second = mailbox.mails  # which every mail store takes for one: same id, same content
    assert first["Message-ID"] == second["Message-ID"]
    assert first.get_content() == second.get_content()
    assert (first["To"], first["Subject"]) == (second["To"], second["Subject"])


async def test_two_calls_alike_are_two_approvals_and_two_effects(
    settings: Settings, serve: Serve, approvals: ApprovalClient
) -> None:
    alike = json.dumps({"folder": str(settings.state), "cents": 100})
    both = [call("give_back", alike, one) for one in ("call_1", "call_2")]
    async with serve(PlayedModel(both, [says("Refunded.")])) as serving:
        run = await Play(settings, serving).start("clerk")
        waiting = await run.waits_for(2)
        for one in waiting:
            await approvals.approve(one.id, reviewer=ADA)
        await run.result()
    assert ledger(settings) == {one.id: 100 for one in waiting}

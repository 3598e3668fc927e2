"""From a request to the mail that arrives: the worker as it is, and a real mail server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from temporalio.client import Client, WorkflowExecutionDescription

import worker
from clearance import ApprovalClient, ApprovalRequest, connect
from cli.settings import EmbeddedServer, Settings

from .ledgers import ledger_of
from .processes import kill, worker_process
from .raw import impatient
from .support import eventually
from .test_activities import Mailbox, mail_server

ADA, BOB = "ada@example.com", "bob@example.com"

REVIEWERS = f"""
[people."{ADA}"]
notify = ["mail"]
[people."{BOB}"]
notify = ["mail"]
"""

WIRE = ApprovalRequest(action="Wire 42.00 to ACME", tool="wire", audience=(ADA,))


@pytest.fixture
async def mail() -> AsyncIterator[tuple[str, Mailbox]]:
    async with mail_server() as running:
        yield running


@pytest.fixture
def reviewers(tmp_path: Path) -> Path:
    path = tmp_path / "reviewers.toml"
    path.write_text(REVIEWERS)
    return path


@asynccontextmanager
async def serving(
    settings: Settings, connection: dict[str, Any], reviewers: Path, url: str, digest: str
) -> AsyncIterator[None]:
    told = Settings.model_validate(
        {
            **dict(settings),
            "reviewers": reviewers,
            "smtp_url": SecretStr(url),
            "notify_digest": digest,
        }
    )
    async with worker.running(told, connection, only="approvals"):
        yield


def arrived(mailbox: Mailbox, *subjects: str) -> Callable[[], Awaitable[bool]]:
    """Whether these mails, and no others, are there."""

    async def all_of_them() -> bool:
        found = [str(one["Subject"]) for one in mailbox.mails]
        assert len(found) <= len(subjects), found
        return sorted(found) == sorted(subjects)

    return all_of_them


async def test_a_mail_asks_and_another_says_how_it_ended(
    settings: Settings,
    connection: dict[str, Any],
    approvals: ApprovalClient,
    reviewers: Path,
    mail: tuple[str, Mailbox],
) -> None:
    url, mailbox = mail
    async with serving(settings, connection, reviewers, url, "0s"):
        asked = await approvals.request(WIRE)
        await eventually(arrived(mailbox, "Approve? Wire 42.00 to ACME"))
        await approvals.approve(asked.id, reviewer=ADA, reason="Fine")
        subjects = ("Approve? Wire 42.00 to ACME", "Approved: Wire 42.00 to ACME")
        await eventually(arrived(mailbox, *subjects))
        assert [one.id async for one in approvals.pending()] == []
        assert [one.id async for one in approvals.history()] == [asked.id]

    assert mailbox.recipients == [[ADA], [ADA]]
    text = mailbox.mails[1].get_body(("plain",))
    assert text is not None
    assert "Fine" in text.get_content()


async def test_several_requests_are_one_mail(
    settings: Settings,
    connection: dict[str, Any],
    approvals: ApprovalClient,
    reviewers: Path,
    mail: tuple[str, Mailbox],
) -> None:
    url, mailbox = mail
    async with serving(settings, connection, reviewers, url, "2s"):
        wires = [WIRE.model_copy(update={"action": f"Wire no. {n}"}) for n in range(5)]
        await asyncio.gather(*map(approvals.request, wires))
        await eventually(arrived(mailbox, "Approvals: 5 to decide"))

    text = mailbox.mails[0].get_body(("plain",))
    assert text is not None
    assert all(f"Wire no. {n}" in text.get_content() for n in range(5))


async def test_a_mail_server_that_hangs_delays_no_decision(
    settings: Settings, connection: dict[str, Any], approvals: ApprovalClient, reviewers: Path
) -> None:
    called, ended = asyncio.Event(), asyncio.Event()

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        called.set()
        await ended.wait()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with serving(settings, connection, reviewers, url, "0s"):
        asked = await approvals.request(WIRE)
        await called.wait()
        async with asyncio.timeout(20):  # a channel has 30 s
            await approvals.approve(asked.id, reviewer=ADA)
            assert (await approvals.wait(asked.id)).approved
        ended.set()
        server.close()


async def test_who_could_not_be_told_of_the_end_is_in_the_ledger(
    settings: Settings,
    connection: dict[str, Any],
    approvals: ApprovalClient,
    reviewers: Path,
    mail: tuple[str, Mailbox],
) -> None:
    url, mailbox = mail
    async with serving(settings, connection, reviewers, url, "0s"):
        asked = await approvals.request(WIRE)
        await eventually(arrived(mailbox, "Approve? Wire 42.00 to ACME"))
        mailbox.answers["RCPT"] = "550 no such user"
        await approvals.reject(asked.id, reviewer=ADA)

        async def untold() -> list[str]:
            async with ledger_of(settings) as ledger:
                view = await ledger.view(asked.id)
            events = view.events if view else []
            return [f"{one.channel}: {one.reason}" for one in events if one.kind == "notified"]

        (said,) = await eventually(untold)

    assert said.startswith(f"engine: could not tell {ADA} by mail: ")
    assert "550 no such user" in said


async def test_workers_killed_in_between_tell_nobody_twice_and_forget_nobody(
    forgetting: EmbeddedServer,
    settings: Settings,
    reviewers: Path,
    mail: tuple[str, Mailbox],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, mailbox = mail
    monkeypatch.setenv("CLEARANCE_REVIEWERS", str(reviewers))
    monkeypatch.setenv("CLEARANCE_SMTP_URL", url)
    monkeypatch.setenv("CLEARANCE_NOTIFY_DIGEST", "1s")
    temporal = await connect({"target_host": forgetting.address})
    approvals = impatient(temporal, settings)
    async with worker_process(settings, forgetting.address, "approvals") as first:
        asked = await approvals.request(WIRE)
        both = WIRE.model_copy(update={"action": "Wire 7.00", "audience": (BOB,)})
        other = await approvals.request(both)

        async def waits() -> bool:
            """For the window, or for more. Killed in the middle of sending, nobody would know whether it
            was sent, and the next message would wait until that is clear."""
            found = [one.raw_description for one in await notifiers(temporal, settings)]
            busy = [
                one
                for one in found
                if one.pending_activities or one.HasField("pending_workflow_task")
            ]
            return len(found) == 2 and not busy

        await eventually(waits)
        await kill(first)  # within the window
    assert not mailbox.mails
    subjects = ["Approve? Wire 42.00 to ACME", "Approve? Wire 7.00"]
    async with worker_process(settings, forgetting.address, "approvals") as second:
        await eventually(arrived(mailbox, *subjects), within=30)
        await eventually(waits)
        await kill(second)
    await approvals.approve(asked.id, reviewer=ADA)
    await approvals.reject(other.id, reviewer=BOB)
    subjects += ["Approved: Wire 42.00 to ACME", "Rejected: Wire 7.00"]
    async with worker_process(settings, forgetting.address, "approvals"):
        await eventually(arrived(mailbox, *subjects), within=30)


async def notifiers(temporal: Client, settings: Settings) -> list[WorkflowExecutionDescription]:
    """Those on this test's queue."""
    query = f"WorkflowType = 'NotifierWorkflow' AND TaskQueue = '{settings.approvals_queue}'"
    ids = [one.id async for one in temporal.list_workflows(query)]
    return [await temporal.get_workflow_handle(id).describe() for id in ids]

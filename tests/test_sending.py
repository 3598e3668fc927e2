"""Sending: real mails, a real service behind Apprise, and what is said of what doesn't arrive."""

import asyncio
import json
import logging
import re
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import httpx
import psutil
import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities import chats
from activities.addresses import Addresses
from activities.chats import Chats
from activities.mails import Mails
from activities.messages import TEST_MESSAGE
from activities.sending import Sender, SendingActivities
from activities.smtp import Smtp
from activities.unsent import NotSent
from activities.webhooks import Webhooks
from clearance import ApprovalClient, ApprovalRequest
from clearance.notices import Delivery, Destination, Notice, NoticeKind
from policy.channels import Service
from policy.watched import WatchedDirectory
from store import Store
from web.config import WebConfig
from web.server import running

from .receiving import drip, hang, pour, receiver, status
from .support import eventually, unique
from .test_activities import mail_server

ADA, GRACE = "ada@example.com", "grace@example.com"
EXECUTION = "01999b3c-0000-7000-8000-000000000001"
AT = datetime(2026, 11, 21, 9, tzinfo=UTC)
TOKEN = "T0ken-of-ours-9f3a"
PROGRAM = Path(chats.__file__).with_name("apprising.py")


class Office:
    """A folder with a directory and a database, and who sends by them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = f"sqlite:///{folder / 'clearance.db'}"
        self.inbox: str | None = None
        self.environ: dict[str, str] = {}
        self.smtp: Smtp | None = None
        self.timeout = 10.0

    def reviewers(self, text: str) -> None:
        (self.folder / "reviewers.toml").write_text(text)

    @property
    def sender(self) -> Sender:
        return Sender(
            WatchedDirectory(self.folder / "reviewers.toml"),
            mails=Mails(self.smtp, "gate@example.com"),
            chats=Chats(self.environ, self.timeout),
            webhooks=Webhooks(self.environ),
            addresses=Addresses(lambda: self.database, lambda: self.inbox),
        )

    async def send(self, channel: str, *notices: Notice, who: str = ADA, more: int = 0) -> None:
        """As a worker does it."""
        delivery = Delivery.of(Destination(who=who, channel=channel), notices)
        delivery = delivery.model_copy(update={"more": more})
        await ActivityEnvironment().run(SendingActivities(self.sender).send, delivery)

    async def fails(self, channel: str, who: str = ADA) -> ApplicationError:
        with pytest.raises(ApplicationError) as failed:
            await self.send(channel, notice(), who=who)
        assert failed.value.non_retryable == (failed.value.type == "Unsendable")
        assert TOKEN not in str(failed.value)
        return failed.value


@pytest.fixture
def office(tmp_path: Path) -> Office:
    one = Office(tmp_path)
    one.reviewers(
        f'[people."{ADA}"]\nnotify = ["mail", "env:CHAT"]\n[people."{GRACE}"]\nnotify = ["mail"]\n'
        f'[groups]\nfinance = ["{ADA}"]\n[notify.groups.finance]\nchannels = ["env:CHAT"]\n'
    )
    return one


def notice(id: str = "refund-1", kind: Any = "created", **said: Any) -> Notice:
    facts = {"action": "Refund 29.00 for A-1001", "requested_at": AT, **said}
    return Notice(
        key=f"{id}/{EXECUTION}/{get_args(NoticeKind).index(kind)}",
        approval_id=id,
        kind=kind,
        at=AT,
        **facts,
    )


class TestMail:
    async def test_a_mail_says_what_is_asked_as_text_and_as_html(self, office: Office) -> None:
        async with mail_server() as (url, mailbox):
            office.smtp = Smtp(url)
            await office.send("mail", notice(action="Pay <b>42</b>\r\nBcc: eve@example.com"))
        [mail] = mailbox.mails
        assert mailbox.recipients == [[ADA]]
        assert (mail["From"], mail["To"]) == ("gate@example.com", ADA)
        assert mail["Subject"] == "Approve? Pay <b>42</b> Bcc: eve@example.com"
        assert mail["Bcc"] is None
        assert mail["Auto-Submitted"] == "auto-generated"
        text, html = (mail.get_body((kind,)) for kind in ("plain", "html"))
        assert text is not None
        assert html is not None
        assert "See and decide: clearance show refund-1" in text.get_content()
        assert "Pay &lt;b&gt;42&lt;/b&gt;" in html.get_content()

    async def test_many_requests_are_one_mail_and_a_repeat_is_the_same_message(
        self, office: Office
    ) -> None:
        every = [notice(f"refund-{n}") for n in range(20)]
        async with mail_server() as (url, mailbox):
            office.smtp = Smtp(url)
            await office.send("mail", *every, more=3)
            await office.send("mail", *every, more=3)
        first, again = mailbox.mails
        assert first["Subject"] == "Approvals: 20 to decide, 3 more"
        assert first["Message-ID"] == again["Message-ID"]

    @pytest.mark.parametrize(
        ("answers", "final"),
        [({"RCPT": "550 <ada@example.com>: unknown"}, True), ({"DATA": "451 later"}, False)],
    )
    async def test_a_refusal_is_told_and_a_final_one_is_not_tried_again(
        self, office: Office, answers: dict[str, str], final: bool
    ) -> None:
        async with mail_server(answers) as (url, _):
            office.smtp = Smtp(url)
            failed = await office.fails("mail")
        answer = answers.get("DATA", "550 (address) unknown")
        assert str(failed).endswith(f"the mail server refused it: {answer}")
        assert failed.non_retryable is final

    async def test_a_server_that_is_away_is_tried_again(self, office: Office) -> None:
        async with mail_server() as (url, _):
            office.smtp = Smtp(url.replace("//", f"//ada:{TOKEN}@"))
        failed = await office.fails("mail")
        assert "the mail server can't be reached" in str(failed)
        assert not failed.non_retryable

    async def test_a_server_that_stops_answering_while_it_takes_a_mail_gets_it_once(
        self, office: Office
    ) -> None:
        async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 mail\r\n")
            while (line := (await reader.readline()).upper()) and line != b".\r\n":
                if line.startswith((b"EHLO", b"MAIL", b"RCPT")):
                    writer.write(b"250 OK\r\n")
                elif line.startswith(b"DATA"):
                    writer.write(b"354 go on\r\n")
            writer.close()

        async with await asyncio.start_server(half, "127.0.0.1", 0) as server:
            office.smtp = Smtp(f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            failed = await office.fails("mail")
        assert "it may have arrived, so it is not sent again" in str(failed)
        assert failed.non_retryable

    async def test_a_worker_that_stops_while_it_sends_does_not_send_it_again(
        self, office: Office
    ) -> None:
        reached, over = asyncio.Event(), asyncio.Event()
        async with mail_server() as (url, mailbox):
            take = mailbox.handle_DATA

            async def slow(*mail: Any) -> str:
                reached.set()
                await over.wait()
                return await take(*mail)

            mailbox.handle_DATA = slow  # type: ignore[method-assign, assignment]
            office.smtp = Smtp(url)
            sending = asyncio.create_task(office.send("mail", notice()))
            await reached.wait()
            sending.cancel()
            with pytest.raises(ApplicationError, match="it may have arrived") as failed:
                await sending
            over.set()
        assert failed.value.non_retryable

    async def test_without_a_server_it_says_what_to_set(self, office: Office) -> None:
        failed = await office.fails("mail")
        assert "set CLEARANCE_SMTP_URL" in str(failed)
        assert failed.non_retryable


class TestApprise:
    async def test_a_service_is_told_in_plain_text_without_markup_of_the_models(
        self, office: Office
    ) -> None:
        async with receiver() as service:
            office.environ["CHAT"] = f"json://127.0.0.1:{service.port}/{TOKEN}"
            await office.send("env:CHAT", notice(action="Pay <!channel> **42**"))
        [(_, body)] = service.taken
        said = json.loads(body)
        assert said["title"] == "Approve? Pay \u2039!channel\u203a \u2217\u221742\u2217\u2217"
        assert said["message"].endswith("See and decide: clearance show refund-1")
        assert "<" not in said["message"]

    async def test_one_that_fails_is_tried_again_and_told_when_it_is_back(
        self, office: Office, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        async with receiver(status(500)) as service:
            office.environ["CHAT"] = f"json://ada:{TOKEN}@127.0.0.1:{service.port}/{TOKEN}"
            failed = await office.fails("env:CHAT")
            await office.send("env:CHAT", notice())
        assert "error=500" in str(failed)
        assert not failed.non_retryable
        assert len(service.taken) == 2
        assert TOKEN not in caplog.text

    async def test_one_that_drips_an_answer_for_ever_is_left_and_not_told_again(
        self, office: Office
    ) -> None:
        office.timeout = 1.0
        async with receiver(drip) as service:
            office.environ["CHAT"] = f"json://127.0.0.1:{service.port}/{TOKEN}"
            failed = await office.fails("env:CHAT")
        assert "no answer within 1 s: it may have arrived" in str(failed)
        assert failed.non_retryable
        assert not senders()

    async def test_an_answer_without_an_end_ends_only_the_process_that_reads_it(
        self, office: Office
    ) -> None:
        office.timeout = 60.0
        async with receiver(pour) as service:
            office.environ["CHAT"] = f"json://127.0.0.1:{service.port}/{TOKEN}"
            failed = await office.fails("env:CHAT")
        assert "sending broke off, its answer is too large or broken: it may have" in str(failed)
        assert failed.non_retryable

    async def test_who_is_stopped_while_sending_leaves_no_process_and_tells_nobody_twice(
        self, office: Office
    ) -> None:
        async with receiver(hang) as service:
            office.environ |= {
                "CHAT": f"json://127.0.0.1:{service.port}/{TOKEN}",
                "CLEARANCE_SMTP_URL": f"smtp://{TOKEN}@mail.example.com",
                "https_proxy": "http://127.0.0.1:9",
            }
            sending = asyncio.create_task(office.send("env:CHAT", notice()))
            await eventually(service.has_taken)
            [sender] = senders()
            assert sender.environ().keys() & office.environ.keys() == {"https_proxy"}
            assert TOKEN not in f"{sender.cmdline()}{sender.environ()}"
            sending.cancel()
            with pytest.raises(ApplicationError, match="it may have arrived") as failed:
                await sending
        assert failed.value.non_retryable
        assert not sender.is_running()

    async def test_a_process_that_sends_ends_with_whoever_started_it(self) -> None:
        async with receiver(hang) as service:
            where = {"url": f"json://127.0.0.1:{service.port}/", "wait": 30, "timeout": 60}
            sender = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", str(PROGRAM)), stdin=PIPE, stdout=PIPE
            )
            assert sender.stdin
            for line in (where, {"title": "Approve?", "text": "Refund 29.00"}):
                sender.stdin.write(json.dumps(line).encode() + b"\n")
            await eventually(service.has_taken)
            sender.stdin.close()
            async with asyncio.timeout(5):
                await sender.communicate()
            assert sender.returncode == 1

    async def test_one_that_finds_no_place_is_tried_again(self) -> None:
        crowded = Chats({}, at_once=0, wait=0.01)
        with pytest.raises(NotSent, match="too many other messages") as failed:
            await crowded.send(Service("json://127.0.0.1/"), lambda _: TEST_MESSAGE)
        assert not failed.value.final

    @pytest.mark.parametrize(
        ("environ", "reason"),
        [
            ({}, "the worker's environment has no CHAT"),
            ({"CHAT": TOKEN}, "Apprise can't read its URL (no://)"),
            ({"CHAT": f"teleport://{TOKEN}"}, "Apprise can't read its URL (teleport://)"),
        ],
    )
    async def test_a_url_that_is_none_is_told_without_it(
        self, office: Office, environ: dict[str, str], reason: str
    ) -> None:
        office.environ |= environ
        failed = await office.fails("env:CHAT")
        assert str(failed).endswith(reason)
        assert failed.non_retryable


async def test_a_channel_that_the_file_no_longer_names_is_told(office: Office) -> None:
    failed = await office.fails("slack")
    assert "reviewers.toml doesn't name it any more" in str(failed)


async def test_a_broken_file_is_waited_for(office: Office) -> None:
    office.reviewers("[people\n")
    failed = await office.fails("mail")
    assert failed.type == "BrokenDirectory"


@pytest.fixture
def web_config(office: Office, settings: Any) -> WebConfig:
    return WebConfig(port=0, database=office.database, approvals_queue=settings.approvals_queue)


@pytest.mark.usefixtures("worker_running")
async def test_a_person_gets_a_link_that_opens_the_request_and_a_group_gets_none(
    office: Office, approvals: ApprovalClient, web_config: WebConfig
) -> None:
    asked = ApprovalRequest(action="Wire the money", audience=(ADA,))
    id = (await approvals.request(asked, id=unique("wire"))).id
    summary = await approvals.summary(id)
    said = notice(id, requested_at=summary.requested_at, deadline=summary.deadline)
    async with running(web_config, approvals) as context, mail_server() as (url, mailbox):
        office.smtp, office.inbox = Smtp(url), context.url
        await office.send("mail", said)
        await office.send("mail", said.model_copy(update={"kind": "reminded"}))
        await office.send("mail", said.model_copy(update={"kind": "approved"}))
        mails = [_text(mail) for mail in mailbox.mails]
        signed = re.search(r"See and decide: (\S+/l/\S+)", mails[0])
        assert signed
        async with httpx.AsyncClient() as browser:
            page = await browser.get(signed[1])
        assert page.status_code == 200
        assert "Wire the money" in page.text
        assert ADA in page.text
        assert signed[1] in mails[1], "who is reminded gets the same link"
        assert mails[2].endswith(f"See it: {context.url}/requests/{id}")

        async with receiver() as service:
            office.environ["CHAT"] = f"json://127.0.0.1:{service.port}/"
            await office.send("env:CHAT", said, who="group:finance")
        assert json.loads(service.taken[0][1])["message"].endswith(f"{context.url}/requests/{id}")

        async with Store.open(office.database) as store:
            [link] = await store.links.of(id)
            assert link.who == ADA
            assert link.expires_at <= (summary.deadline or AT)
            await store.links.revoke(id)
        await office.send("mail", said.model_copy(update={"kind": "escalated"}))
        assert "/l/" not in _text(mailbox.mails[-1]), (
            "a message doesn't bring back what was revoked"
        )


@pytest.mark.parametrize(
    ("deadline", "lasts"),
    [
        (None, timedelta(days=7)),
        (lambda now: now + timedelta(hours=1), timedelta(hours=1)),
        (lambda now: now + timedelta(days=300), timedelta(days=30)),
        (lambda now: now - timedelta(hours=1), None),
    ],
)
async def test_a_link_lasts_until_the_deadline_at_most_30_days(
    office: Office, deadline: Callable[[datetime], datetime] | None, lasts: timedelta | None
) -> None:
    now = datetime.now(UTC)
    addresses = Addresses(lambda: office.database, lambda: "https://inbox.example.com")
    said = notice(deadline=deadline and deadline(now))
    [told] = await addresses.told_to(ADA, [said], now)
    async with Store.open(office.database) as store:
        links = await store.links.of("refund-1")
    assert bool(links) == (lasts is not None) == ("/l/" in told.where)
    if lasts is not None:
        assert abs(links[0].expires_at - now - lasts) < timedelta(seconds=20)


@pytest.mark.parametrize("database", ["sqlite:////proc/nowhere/x.db", None])
async def test_without_the_inboxs_database_people_sign_in_instead(database: str | None) -> None:
    addresses = Addresses(lambda: database, lambda: "https://inbox.example.com")
    [told] = await addresses.told_to(ADA, [notice("a/b c")], datetime.now(UTC))
    assert told.where == "https://inbox.example.com/requests/a%2Fb%20c"


def _text(mail: Any) -> str:
    return str(mail.get_body(("plain",)).get_content()).strip()


def senders() -> list[psutil.Process]:
    """The processes that are sending for this one."""
    every = psutil.Process().children(recursive=True)
    return [one for one in every if one.is_running() and str(PROGRAM) in one.cmdline()]

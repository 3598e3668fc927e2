"""The sample effects: mail over real SMTP, the shop in a real SQLite file."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest
from aiosmtpd.smtp import SMTP, Envelope
from temporalio.exceptions import ApplicationError

from activities.mail import Email, MailActivities
from activities.shop import Customer, Deletion, Refund, ShopActivities
from cli.embedded import free_port

MAIL = Email(
    to="ada@example.com", subject="Größe", body="Dear Ada,\n.\nmore\n", idempotency_key="run-1.1"
)


class Mailbox:
    """What a mail server took; ``answers`` says what it answers instead of 250, by command."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers = answers
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []

    async def handle_MAIL(self, *args: Any) -> str:  # noqa: N802 - aiosmtpd's own name
        envelope, address = args[2], args[3]
        if "MAIL" not in self.answers:
            envelope.mail_from = address
        return self.answers.get("MAIL", "250 OK")

    async def handle_RCPT(self, *args: Any) -> str:  # noqa: N802
        envelope, address = args[2], args[3]
        answer = self.answers.get(f"RCPT {address}") or self.answers.get("RCPT")
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Envelope) -> str:  # noqa: N802
        if "DATA" not in self.answers:
            assert isinstance(envelope.content, bytes)
            self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
            self.recipients.append(envelope.rcpt_tos)
        return self.answers.get("DATA", "250 OK")


@asynccontextmanager
async def mail_server(answers: dict[str, str] | None = None) -> AsyncIterator[tuple[str, Mailbox]]:
    """A mail server on a free port: its URL and its mailbox."""
    mailbox = Mailbox(answers or {})
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, hostname="mail"), "127.0.0.1", 0)
    try:
        yield f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}", mailbox
    finally:
        server.close()
        await server.wait_closed()


def activities(tmp_path: Path, url: str | None = None) -> MailActivities:
    return MailActivities(smtp_url=url, outbox=tmp_path / "outbox", sender="shop@example.com")


async def test_a_mail_is_delivered_once_as_it_was_written(tmp_path: Path) -> None:
    async with mail_server() as (url, mailbox):
        said = await activities(tmp_path, url).send_email(MAIL)

    assert said == "sent to ada@example.com by 127.0.0.1"
    [mail] = mailbox.mails
    assert mailbox.recipients == [["ada@example.com"]]
    assert (mail["From"], mail["To"], mail["Subject"]) == (
        "shop@example.com",
        "ada@example.com",
        "Größe",
    )
    assert mail["Date"].datetime is not None
    assert mail.get_content().replace("\r\n", "\n") == MAIL.body
    assert not (tmp_path / "outbox").exists()


async def test_the_message_id_is_made_of_the_key_so_a_repeat_is_the_same_message(
    tmp_path: Path,
) -> None:
    another = MAIL.model_copy(update={"idempotency_key": "run-1.2"})
    async with mail_server() as (url, mailbox):
        for mail in (MAIL, MAIL, another):
            await activities(tmp_path, url).send_email(mail)

    first, repeat, other = [mail["Message-ID"] for mail in mailbox.mails]
    assert first == repeat
    assert first != other
    assert first.endswith("@clearance.invalid>")
    assert "run-1.1" not in first


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(("answer", "final"), [("451 try later", False), ("550 no", True)])
async def test_a_4xx_answer_is_tried_again_and_a_5xx_is_final(
    tmp_path: Path, command: str, answer: str, final: bool
) -> None:
    async with mail_server({command: answer}) as (url, mailbox):
        with pytest.raises(ApplicationError, match=answer) as raised:
            await activities(tmp_path, url).send_email(MAIL)

    assert (raised.value.type, raised.value.non_retryable) == ("MailRefused", final)
    assert mailbox.mails == []


async def test_a_mail_server_that_is_down_is_tried_again(tmp_path: Path) -> None:
    with pytest.raises(aiosmtplib.SMTPConnectError):  # no ApplicationError: Temporal retries it
        await activities(tmp_path, f"smtp://127.0.0.1:{free_port(0)}").send_email(MAIL)


@pytest.mark.parametrize("field", ["to", "subject"])
@pytest.mark.parametrize("injected", ["\nBcc: eve@example.com", "\r\nBcc: eve@example.com", "\r"])
async def test_a_line_break_in_a_header_is_refused_and_nothing_is_sent(
    tmp_path: Path, field: str, injected: str
) -> None:
    mail = MAIL.model_copy(update={field: f"ada@example.com{injected}"})
    async with mail_server() as (url, mailbox):
        with pytest.raises(ApplicationError) as raised:
            await activities(tmp_path, url).send_email(mail)

    assert (raised.value.type, raised.value.non_retryable) == ("InvalidEmail", True)
    assert mailbox.mails == []


async def test_who_did_not_get_a_mail_of_several_recipients_is_said(tmp_path: Path) -> None:
    mail = MAIL.model_copy(update={"to": "ada@example.com, eve@example.com"})
    async with mail_server({"RCPT eve@example.com": "550 no such user"}) as (url, mailbox):
        said = await activities(tmp_path, url).send_email(mail)

    assert mailbox.recipients == [["ada@example.com"]]
    assert said.endswith("; eve@example.com was refused: 550 no such user")


@pytest.mark.parametrize(
    ("to", "kind"),
    [
        ("", "InvalidEmail"),
        ("  ", "InvalidEmail"),
        ("nobody:;", "InvalidEmail"),
        ("jörg@example.com", "MailRefused"),
    ],
)
async def test_an_address_that_no_mail_can_reach_is_final(
    tmp_path: Path, to: str, kind: str
) -> None:
    """Tried again it would fail for ever, and the run would hang without a word."""
    async with mail_server() as (url, mailbox):
        with pytest.raises(ApplicationError) as raised:
            await activities(tmp_path, url).send_email(MAIL.model_copy(update={"to": to}))

    assert (raised.value.type, raised.value.non_retryable) == (kind, True)
    assert mailbox.mails == []


async def test_without_a_mail_server_a_mail_is_one_file_of_the_outbox_however_often_it_is_sent(
    tmp_path: Path,
) -> None:
    mail = activities(tmp_path)
    said = {await mail.send_email(MAIL) for _ in range(2)}

    [path] = (tmp_path / "outbox").iterdir()
    assert said == {f"written to {path}"}
    assert path.suffix == ".eml"
    stored = message_from_bytes(path.read_bytes(), policy=policy.default)
    assert (stored["To"], stored["Subject"]) == ("ada@example.com", "Größe")
    assert stored.get_content() == MAIL.body

    await mail.send_email(MAIL.model_copy(update={"idempotency_key": "run-1.2"}))
    assert len(list((tmp_path / "outbox").iterdir())) == 2


@pytest.mark.parametrize("url", ["http://mail.example.com", "smtp://", "mail.example.com:25"])
def test_an_address_that_is_no_mail_server_is_refused_at_once(tmp_path: Path, url: str) -> None:
    with pytest.raises(ValueError, match="smtp://host:port"):
        activities(tmp_path, url)


@pytest.fixture
def shop(tmp_path: Path) -> ShopActivities:
    """A shop with its sample rows."""
    return ShopActivities(tmp_path / "state" / "shop.db")


def refund(cents: int, key: str = "run-1.1", order: str = "A-1001") -> Refund:
    return Refund(order_id=order, cents=cents, idempotency_key=key)


def failing(kind: str, act: Callable[[], object]) -> None:
    """``act`` fails for good, with this type."""
    with pytest.raises(ApplicationError) as raised:
        act()
    assert (raised.value.type, raised.value.non_retryable) == (kind, True)


def test_a_refund_is_written_once_however_often_it_is_run(shop: ShopActivities) -> None:
    assert {shop.issue_refund(refund(2_900)) for _ in range(3)} == {"refunded 29.00 for A-1001"}
    assert shop.look_up_order("A-1001").endswith("129.00 paid, 29.00 refunded")


@pytest.mark.parametrize("cents", [-1, 0, 12_901, 10**30])
def test_a_refund_of_nothing_or_of_more_than_was_paid_is_refused(
    shop: ShopActivities, cents: int
) -> None:
    failing("RefundTooHigh", lambda: shop.issue_refund(refund(cents)))
    assert shop.look_up_order("A-1001").endswith("0.00 refunded")


def test_refunds_of_one_order_add_up_to_what_was_paid_at_most(shop: ShopActivities) -> None:
    shop.issue_refund(refund(10_000, "run-1.1"))
    failing("RefundTooHigh", lambda: shop.issue_refund(refund(2_901, "run-1.2")))
    shop.issue_refund(refund(2_900, "run-1.2"))
    assert shop.look_up_order("A-1001").endswith("129.00 paid, 129.00 refunded")


def test_an_unknown_order_is_final(shop: ShopActivities) -> None:
    failing("UnknownOrder", lambda: shop.look_up_order("A-9"))
    failing("UnknownOrder", lambda: shop.issue_refund(refund(1, order="A-9")))


def test_refunds_at_the_same_moment_never_exceed_what_was_paid(shop: ShopActivities) -> None:
    start = threading.Barrier(8)

    def one(number: int) -> bool:
        start.wait()
        try:
            shop.issue_refund(refund(5_000, f"run-{number}.1"))
        except ApplicationError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        done = list(threads.map(one, range(8)))
    assert done.count(True) == 2
    assert shop.look_up_order("A-1001").endswith("129.00 paid, 100.00 refunded")


def test_a_deletion_is_done_once_however_often_it_is_run(shop: ShopActivities) -> None:
    assert len(shop.list_stale_customers("2020-01-01").splitlines()) == 3
    charles, mary = (
        Customer(id=2, name="Charles Babbage"),
        Customer(id=3, name="Mary Somerville"),
    )
    deletion = Deletion(customers=[charles, mary], idempotency_key="run-1.1")
    assert {shop.delete_records(deletion) for _ in range(2)} == {"deleted 2 records"}
    assert shop.list_stale_customers("2020-01-01") == "5: Alan Turing, last seen 2017-06-23"


def test_a_key_that_comes_again_with_another_refund_is_refused_and_nothing_is_paid(
    shop: ShopActivities,
) -> None:
    shop.issue_refund(refund(2_900))
    for other in (refund(2_901), refund(1), refund(99_999), refund(2_900, order="A-9")):
        failing("IdempotencyConflict", partial(shop.issue_refund, other))
    assert shop.look_up_order("A-1001").endswith("129.00 paid, 29.00 refunded")
    assert shop.issue_refund(refund(2_900)) == "refunded 29.00 for A-1001"


def test_a_refund_repeated_after_the_rest_was_refunded_too_is_still_the_same_success(
    shop: ShopActivities,
) -> None:
    shop.issue_refund(refund(2_900, "run-1.1"))
    shop.issue_refund(refund(10_000, "run-1.2"))
    assert shop.issue_refund(refund(2_900, "run-1.1")) == "refunded 29.00 for A-1001"
    assert shop.look_up_order("A-1001").endswith("129.00 paid, 129.00 refunded")


def test_a_key_that_comes_again_with_another_deletion_is_refused_and_nothing_is_deleted(
    shop: ShopActivities,
) -> None:
    charles, mary = Customer(id=2, name="Charles Babbage"), Customer(id=3, name="Mary Somerville")
    deletion = Deletion(customers=[charles], idempotency_key="run-1.1")
    assert shop.delete_records(deletion) == "deleted 1 records"
    for others in ([], [mary], [charles, mary], [mary, charles]):
        other = deletion.model_copy(update={"customers": others})
        failing("IdempotencyConflict", partial(shop.delete_records, other))
    assert len(shop.list_stale_customers("2100-01-01").splitlines()) == 4
    assert shop.delete_records(deletion) == "deleted 1 records"


def test_a_shop_from_before_deletions_kept_their_content_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, last_seen TEXT);"
            "CREATE TABLE deletions (idempotency_key TEXT PRIMARY KEY, deleted INTEGER NOT NULL);"
            "INSERT INTO customers VALUES (5, 'Alan Turing', '2017-06-23');"
            "INSERT INTO deletions VALUES ('run-1.1', 4);"
            "PRAGMA user_version = 1;"
        )
    alan = Deletion(customers=[Customer(id=5, name="Alan Turing")], idempotency_key="run-1.1")
    for _ in range(2):
        shop = ShopActivities(path)
        assert shop.delete_records(alan) == "deleted 4 records"  # what it was given is not known
        assert len(shop.list_stale_customers("2100-01-01").splitlines()) == 1

    again = alan.model_copy(update={"idempotency_key": "run-2.1"})
    assert {shop.delete_records(again) for _ in range(2)} == {"deleted 1 records"}
    nobody = again.model_copy(update={"customers": []})
    failing("IdempotencyConflict", lambda: shop.delete_records(nobody))


@pytest.mark.parametrize("ids", [[], [77], list(range(100, 40_000)), [10**30], [1, 2, 3, 4, 5]])
def test_a_deletion_of_what_is_not_there_deletes_nothing(
    shop: ShopActivities, ids: list[int]
) -> None:
    nobody = [Customer(id=id, name="Nobody") for id in ids]
    deletion = Deletion(customers=nobody, idempotency_key="run-1.1")
    assert shop.delete_records(deletion) == "deleted 0 records"
    assert len(shop.list_stale_customers("2030-01-01").splitlines()) == 5

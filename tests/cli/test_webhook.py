"""``clearance notify`` and ``clearance webhook``: trying the channels from a terminal."""

from pathlib import Path

import pytest
from standardwebhooks import Webhook as Verifier

from cli import embedded
from policy.channels import check_secret
from tests.receiving import receiver, status
from tests.test_activities import mail_server

from .conftest import Shell, only_line

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
ADA = "ada@example.com"


@pytest.fixture
def shell(alone: Shell, tmp_path: Path) -> Shell:
    """In a folder with people and a webhook, whose address and secret stand in the environment."""
    (alone.folder / "reviewers.toml").write_text(
        f'[people."{ADA}"]\nnotify = ["mail", "webhook:erp"]\n[people.bob]\n'
        '[webhooks.erp]\nurl = "env:ERP_URL"\nsecret = "env:ERP_SECRET"\nallow_private = true\n'
    )
    nowhere = f"http://127.0.0.1:{embedded.free_port(0)}/"
    return alone.having(ERP_SECRET=SECRET, ERP_URL=nowhere)


async def test_a_webhook_is_tried_with_a_signed_event(shell: Shell) -> None:
    async with receiver() as service:
        tried = await shell.having(ERP_URL=service.url)("webhook", "test", "erp")
    assert (tried.code, tried.out) == (0, "It answered 200.\n")
    [(headers, body)] = service.taken
    assert Verifier(SECRET).verify(body, headers)["type"] == "clearance.test"
    assert f"webhook-signature: {headers['webhook-signature']}" in tried.err
    assert SECRET not in tried.out + tried.err
    assert "secret-path" not in tried.out + tried.err


async def test_a_webhook_that_refuses_is_told_and_fails(shell: Shell) -> None:
    async with receiver(status(503)) as service:
        tried = await shell.having(ERP_URL=service.url)("webhook", "test", "erp")
    assert (tried.code, tried.out) == (1, "It answered 503.\n")
    unset = await shell.having(ERP_SECRET=None)("webhook", "test", "erp")
    assert "environment has no ERP_SECRET" in only_line(unset, 1)
    silent = await shell("webhook", "test", "erp")
    assert "nothing listens at the webhook's address" in only_line(silent, 1)
    unknown = await shell("webhook", "test", "epr")
    said = "clearance: there is no [webhooks.epr] in reviewers.toml; there are: erp\n"
    assert only_line(unknown, 2) == said


async def test_a_new_secret_is_one_and_never_the_same(shell: Shell) -> None:
    made = [(await shell("webhook", "secret")).out.strip() for _ in range(2)]
    assert made[0] != made[1]
    for one in made:
        check_secret(one)


async def test_each_channel_of_somebody_is_tried_and_told(shell: Shell) -> None:
    async with mail_server() as (url, mailbox), receiver() as service:
        reachable = shell.having(CLEARANCE_SMTP_URL=url, ERP_URL=service.url)
        tried = await reachable("notify", "test", "ADA@example.com", "--json")
    assert tried.code == 0
    assert [(one["who"], one["channel"], one["sent"]) for one in tried.json] == [
        (ADA, "mail", True),
        (ADA, "webhook:erp", True),
    ]
    assert mailbox.mails[0]["Subject"] == "Clearance: a test"
    assert len(service.taken) == 1

    failed = await shell("notify", "test", ADA)
    assert failed.code == 1
    assert "not sent: there is no mail server: set CLEARANCE_SMTP_URL" in failed.out
    stranger = await shell("notify", "test", "carl")
    assert f"carl is not among the people; there are: {ADA}, bob" in only_line(stranger, 2)
    stranger = await shell("notify", "test", "group:nope")
    assert "there is no group:nope; there are: none" in only_line(stranger, 2)
    nobody = await shell("notify", "test", "bob")
    assert "reviewers.toml names no channel for bob" in only_line(nobody, 2)

"""What docs/notifications.md shows works as it stands there."""

import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import WebhookVerificationError

from activities.webhooks import Webhooks, event
from clearance.notices import Notice
from policy.channels import FIELDS, Webhook
from policy.reviewers import parse

from .receiving import receiver

DOCS = (Path(__file__).parent.parent / "docs" / "notifications.md").read_text()
SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCS, re.DOTALL)


@pytest.mark.parametrize("block", blocks("toml"))
def test_every_file_it_shows_is_a_whole_one(block: str) -> None:
    assert tomllib.loads(block)
    parse(block, "reviewers.toml")


def test_it_names_every_field_of_a_template() -> None:
    for name in FIELDS:
        assert f"`{name}`" in DOCS, name


async def test_its_python_verifies_an_event_as_it_shows_one() -> None:
    at = datetime(2026, 11, 21, 9, tzinfo=UTC)
    notice = Notice(
        key="r/01999b3c-0000-7000-8000-000000000001/1",
        approval_id="r",
        requested_at=at,
        kind="created",
        at=at,
        action="Refund",
    )
    async with receiver() as service:
        hook = Webhook("erp", service.url, SECRET, allow_private=True)
        await Webhooks({}).send(hook, notice.key, event(notice, None))
    [(headers, body)] = service.taken
    shown: dict[str, Any] = {}
    [python] = blocks("python")
    exec(python, shown)  # noqa: S102 - that is what it is for
    sent = shown["verified"](body.encode(), headers, SECRET)
    [json] = blocks("json")
    assert re.findall(r'"(\w+)":', json) == [*sent, *sent["data"]]
    with pytest.raises(WebhookVerificationError):
        shown["verified"](body.encode() + b" ", headers, SECRET)

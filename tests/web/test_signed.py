"""The inbox signs what people decide in it: by page, by API and by signed link."""

from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from temporalio.client import Client

from clearance import ApprovalClient, ApprovalRequest
from clearance.signing import pinned_from
from cli.settings import Settings
from store.links import path_of
from tests.signed import SigningKeys
from tests.support import unique
from web.context import Context

from .asking import words
from .conftest import SignedIn, WithToken
from .pressing import path, press

pytestmark = pytest.mark.usefixtures("worker_running")

ADA, BOB = "ada@example.com", "bob@example.com"

PAY = ApprovalRequest(action="Pay 100", audience=(ADA, BOB), requester="mary@example.com")


@pytest.fixture
def keys(tmp_path: Path) -> SigningKeys:
    return SigningKeys.made(tmp_path)


@pytest.fixture
def approvals(temporal: Client, settings: Settings, keys: SigningKeys) -> ApprovalClient:
    """What the inbox is given: it signs, and asks for signed decisions."""
    return ApprovalClient(
        temporal,
        task_queue=settings.approvals_queue,
        signer=keys.signer,
        decision_keys=pinned_from(keys.public),
    )


async def test_a_page_says_that_only_signed_decisions_count_and_signs_what_is_pressed(
    approvals: ApprovalClient, signed_in: SignedIn, keys: SigningKeys
) -> None:
    asked = await approvals.request(PAY)
    client = await signed_in(ADA)
    page = await client.get(path(asked.id))
    assert f"only signed ones count, by {keys.pinned[0].id}" in words(page)

    page = await press(client, page, "comment", text="Is it due?")
    page = await press(client, page, "delegate", to="cleo@example.com")
    page = await press(client, page, "approve", reason="Agreed")

    view = await approvals.get(asked.id)
    assert (view.status, view.decision and view.decision.channel) == ("approved", "inbox")
    assert not [one for one in view.events if one.kind == "refused"]


async def test_services_ask_for_signed_decisions_and_their_decisions_are_signed(
    approvals: ApprovalClient, with_token: WithToken, keys: SigningKeys
) -> None:
    agent = await with_token("request", "read")
    boss = await with_token("decide", "read", as_=BOB)

    made = await agent.post("/api/v1/requests", json={"action": "Pay", "audience": [BOB]})
    assert made.status_code == 201, made.text
    id, digest = made.json()["id"], made.json()["digest"]
    said = {"approved": True, "digest": digest}
    done = await boss.post(f"/api/v1/requests/{id}/decision", json=said)

    assert done.json()["status"] == "approved"
    view = await approvals.get(id)
    assert view.request.decision_keys == keys.pinned
    assert view.decision is not None
    assert view.decision.channel == "api"


async def test_what_a_signed_link_decides_is_signed(
    approvals: ApprovalClient, inbox: Context, browser: httpx.AsyncClient
) -> None:
    asked = await approvals.request(PAY, id=unique("wire"))
    lasts = timedelta(days=1)
    link = await inbox.store.links.create(asked.id, ADA, lasts, asked_at=asked.requested_at)
    page = await browser.get(path_of(inbox.store.signing_key, link.id))

    await press(browser, page, "approve", reason="as agreed")

    view = await approvals.get(asked.id)
    assert (view.status, view.decision and view.decision.channel) == ("approved", "link")

"""What Temporal has forgotten stands in the inbox and in the API as long as the ledger has it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

import worker
from clearance import ApprovalClient, ApprovalRequest, connect
from cli.settings import EmbeddedServer, Settings
from tests.ledgers import ended, forget, ledger_of, reconciled
from tests.support import eventually, unique
from web.config import WebConfig
from web.server import running

from .asking import titles, words

ADA = "ada@example.com"


@dataclass
class Inbox:
    """Somebody signed in, and a service that may read."""

    page: httpx.AsyncClient
    api: httpx.AsyncClient


@asynccontextmanager
async def _inbox(config: WebConfig, approvals: ApprovalClient) -> AsyncIterator[Inbox]:
    async with running(config, approvals) as context:
        token, _ = await context.store.tokens.create(
            unique("audit"), ["read"], decides_as=None, lasts=None
        )
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            httpx.AsyncClient(base_url=context.url, timeout=60) as page,
            httpx.AsyncClient(base_url=context.url, headers=headers, timeout=60) as api,
        ):
            await page.get(f"/sign-in/{await context.store.sessions.invite(ADA)}")
            yield Inbox(page, api)


@pytest.fixture
async def approvals(forgetting: EmbeddedServer, settings: Settings) -> ApprovalClient:
    """On a Temporal that forgets at once."""
    client = await connect({"target_host": forgetting.address})
    return ApprovalClient(client, task_queue=settings.approvals_queue)


@pytest.fixture
def config(settings: Settings, web_config: WebConfig) -> WebConfig:
    """With the ledger that the worker writes."""
    return web_config.model_copy(update={"ledger": settings.ledger_address()})


async def _all_ended(approvals: ApprovalClient, settings: Settings, count: int) -> None:
    async def listed() -> bool:
        return len([one async for one in ended(approvals, settings).executions()]) == count

    await eventually(listed)


async def test_pages_and_api_go_on_telling_of_it(
    approvals: ApprovalClient, settings: Settings, config: WebConfig, forgetting: EmbeddedServer
) -> None:
    run = unique("run")
    ids = [f"{run}.{number}" for number in range(5)]
    async with (
        worker.running(settings, {"target_host": forgetting.address}),
        ledger_of(settings) as ledger,
        _inbox(config, approvals) as inbox,
    ):
        for id in ids[:4]:
            asked = ApprovalRequest(action=f"Pay {id}", tool="pay", run_id=run)
            await approvals.request(asked, id=id)
            await approvals.approve(id, reviewer=ADA, reason="as agreed")
        await _all_ended(approvals, settings, 4)
        temporals = (await inbox.api.get("/api/v1/history", params={"limit": 2})).json()
        await reconciled(ledger, approvals, settings)
        await approvals.request("Not written yet", id=ids[4])
        await approvals.temporal.get_workflow_handle(ids[4]).terminate(reason="it stopped")
        await _all_ended(approvals, settings, 5)
        with_new = (await inbox.api.get("/api/v1/history")).json()
        older = await inbox.api.get(
            "/api/v1/history", params={"limit": 2, "cursor": temporals["cursor"]}
        )
        before = (await inbox.api.get(f"/api/v1/requests/{ids[1]}")).json()
        outcome = (await inbox.api.get(f"/api/v1/requests/{ids[1]}/outcome")).json()
        await forget(approvals, *ids)

        lines, cursor = [], None
        for _ in range(5):
            query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
            answer = (await inbox.api.get("/api/v1/history", params=query)).json()
            lines += [one["id"] for one in answer["items"]]
            if (cursor := answer["cursor"]) is None:
                break
        whole = await inbox.api.get(f"/api/v1/requests/{ids[1]}")
        ended_so = await inbox.api.get(f"/api/v1/requests/{ids[1]}/outcome")
        never = await inbox.api.get("/api/v1/requests/nobody/outcome")
        listed = await inbox.page.get("/history")
        narrowed = await inbox.page.get("/history?status=rejected")
        shown = await inbox.page.get(f"/requests/{ids[1]}")
        nobody = await inbox.page.get("/requests/nobody")
        begun = await inbox.api.get(f"/api/v1/requests/{ids[1][:-1]}")

    assert [one["id"] for one in with_new["items"]] == ids[::-1]
    assert [one["id"] for one in older.json()["items"]] == ids[1::-1]  # a cursor of before
    assert lines == ids[3::-1]
    assert (whole.status_code, whole.json()) == (200, before)
    assert (ended_so.status_code, ended_so.json()) == (200, outcome)
    assert never.status_code == 404
    assert titles(listed) == [f"Pay {id}" for id in ids[3::-1]]
    assert titles(narrowed) == []
    assert shown.status_code == 200
    assert "as agreed" in words(shown)
    assert "in the ledger; Temporal no longer has it" in words(shown)
    assert "/live/requests" not in shown.text
    assert nobody.status_code == 404
    assert begun.status_code == 404  # ids are whole here


@pytest.mark.usefixtures("worker_running")
async def test_while_the_ledger_is_away_the_page_says_so_and_shows_temporals(
    temporal: object, settings: Settings, config: WebConfig, connection: dict[str, str]
) -> None:
    approvals = ApprovalClient(await connect(connection), task_queue=settings.approvals_queue)
    ids = [unique("pay") for _ in range(2)]
    for id in ids:
        await approvals.request("Pay", id=id)
        await approvals.approve(id, reviewer=ADA)
    await _all_ended(approvals, settings, 2)
    async with ledger_of(settings) as ledger:
        await reconciled(ledger, approvals, settings)
    async with _inbox(config, approvals) as there:
        first = (await there.api.get("/api/v1/history", params={"limit": 1})).json()
    address = "postgresql://clearance:hunter2@127.0.0.1:1/ledger"
    away = config.model_copy(update={"ledger": address})
    async with _inbox(away, approvals) as inbox:
        listed = await inbox.page.get("/history")
        shown = await inbox.page.get(f"/requests/{ids[0]}")
        page = {"limit": 1, "cursor": first["cursor"]}
        going_on = await inbox.api.get("/api/v1/history", params=page)
        unknown = await inbox.api.get("/api/v1/requests/nobody")

    assert "The ledger can't be read now" in words(listed)
    assert titles(listed) == ["Pay", "Pay"]
    assert shown.status_code == 200
    assert going_on.status_code == unknown.status_code == 503
    assert "hunter2" not in going_on.text + unknown.text
    assert "127.0.0.1:1" not in going_on.text + unknown.text


async def test_a_cursor_that_somebody_made_up_is_refused(
    approvals: ApprovalClient, settings: Settings, config: WebConfig, tmp_path: Path
) -> None:
    async with ledger_of(settings) as ledger:
        await reconciled(ledger, approvals, settings)
    async with _inbox(config, approvals) as inbox:
        for cursor in ("l.", "l.AAAA", "l." + "A" * 3_000, "l.' OR 1=1"):
            answer = await inbox.api.get("/api/v1/history", params={"cursor": cursor})
            assert answer.status_code == 422, cursor

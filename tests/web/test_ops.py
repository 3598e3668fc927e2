"""Whether an inbox lives and can serve, with Temporal really gone and back."""

import asyncio
import contextlib
import logging
import signal
import sqlite3
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from temporalio.client import Client, CountWorkflowsInput, Interceptor, OutboundInterceptor

from clearance import ApprovalClient
from tests.support import eventually
from web.config import WebConfig
from web.context import Context
from web.server import running

from .engines import Engine


class Counting(Interceptor):
    """Counts how often Temporal is asked how many there are."""

    def __init__(self) -> None:
        self.asked = 0

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        counting = self

        class Outbound(OutboundInterceptor):
            async def count_workflows(self, input: CountWorkflowsInput) -> Any:
                counting.asked += 1
                return await super().count_workflows(input)

        return Outbound(next)


@pytest.fixture
async def caller(there: Context) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who is signed in there, and patient."""
    async with httpx.AsyncClient(base_url=there.url, timeout=60) as client:
        await client.get(f"/sign-in/{await there.store.sessions.invite('ada@example.com')}")
        yield client


async def test_an_inbox_that_can_serve_says_so_to_anybody(browser: httpx.AsyncClient) -> None:
    lives, serves = await browser.get("/healthz"), await browser.get("/readyz")

    assert (lives.status_code, lives.json()) == (200, {"status": "ok"})
    assert (serves.status_code, serves.json()) == (200, {"status": "ready"})


async def test_without_temporal_it_lives_and_says_what_is_the_matter_until_temporal_is_back(
    there: Context,
    engine: Engine,
    caller: httpx.AsyncClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def ready(status: int) -> httpx.Response | None:
        answer = await caller.get("/readyz")
        return answer if answer.status_code == status else None

    async def works() -> bool:
        return (await caller.get("/runs")).status_code == 200

    await eventually(lambda: ready(200))
    form = (await caller.get("/runs")).text.partition('name="csrf" value="')[2].partition('"')[0]
    token, _ = await there.store.tokens.create("ci", ["read"], lasts=None)
    service = {"Authorization": f"Bearer {token}"}

    await engine.stop()
    with caplog.at_level(logging.WARNING, logger="clearance.web"):
        gone = await eventually(lambda: ready(503))
    assert gone is not None
    assert gone.headers["content-type"] == "application/problem+json"
    assert (gone.json()["status"], gone.json()["away"]) == (503, ["temporal"])
    assert gone.json()["detail"] == "no answer from: temporal"
    assert caplog.messages == ["no answer from temporal"]
    for path in ("/healthz", "/sign-in", "/static/base.css"):
        assert (await caller.get(path)).status_code == 200, path

    page, pressed, told = await asyncio.gather(
        caller.get("/runs"),
        caller.post("/requests/send-it", data={"csrf": form, "do": "approve"}),
        caller.get("/api/v1/requests", headers=service),
    )
    _is_away(page, engine)
    assert "Nothing was recorded" in pressed.text
    assert "Go back and send it again in a moment" in pressed.text
    assert told.headers["content-type"] == "application/problem+json"
    assert "Temporal" in told.json()["detail"]
    for answer in (gone, page, pressed, told):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert str(engine.port) not in answer.text

    await engine.start()
    await eventually(lambda: ready(200), within=60)
    await eventually(works, within=60)

    engine.process.send_signal(signal.SIGSTOP)
    _is_away(await caller.get("/runs"), engine)
    engine.process.send_signal(signal.SIGCONT)
    await eventually(works, within=60)


def _is_away(page: httpx.Response, engine: Engine) -> None:
    assert page.status_code == 503
    assert page.headers["retry-after"] == "5"
    assert page.headers["content-security-policy"]
    assert "Temporal, which keeps the requests, does not answer" in page.text
    assert str(engine.port) not in page.text


async def test_however_many_ask_at_once_temporal_is_asked_once(
    web_config: WebConfig, temporal: Client
) -> None:
    counting = Counting()
    config: dict[str, Any] = {**temporal.config(), "interceptors": [counting]}
    watched = Client(**config)
    async with (
        running(web_config, ApprovalClient(watched)) as inbox,
        httpx.AsyncClient(base_url=inbox.url) as client,
    ):
        answers = await asyncio.gather(*(client.get("/readyz") for _ in range(50)))

    assert {answer.status_code for answer in answers} == {200}
    assert counting.asked < 25  # one, and one more for every second that they took


async def test_a_database_that_is_gone_is_named_and_temporal_not_blamed(
    inbox: Context, web_config: WebConfig, browser: httpx.AsyncClient
) -> None:
    with contextlib.closing(
        sqlite3.connect(web_config.database.removeprefix("sqlite:///"))
    ) as file:
        file.execute("DROP TABLE sessions")

    answer = await browser.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["away"] == ["database"]
    assert answer.json()["detail"] == "no answer from: database"

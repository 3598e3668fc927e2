"""The pages of agent runs in a real browser: live, readable everywhere, deaf to what a model writes."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import expect

from clearance import ApprovalClient
from cli.settings import Settings
from tests.agent_runs import MAIL, Start, played_by_one
from tests.raw import RUNS_LEFT_OPEN
from tests.support import call, unique

from . import axe, shared
from .conftest import OpenPage

inbox, web_config = shared.inbox, shared.web_config
approvals, settings = shared.approvals, shared.settings

pytestmark = RUNS_LEFT_OPEN

HOSTILE = "</pre><img src=x onerror=alert(1)><script>alert(2)</script>\u202e{{ 7 * 7 }}"
SEND = call("send_email", json.dumps(MAIL))
LONG = call("send_email", json.dumps({**MAIL, "subject": HOSTILE, "body": HOSTILE * 20}))


@pytest.fixture(scope="module")
async def start(settings: Settings, connection: dict[str, Any]) -> AsyncIterator[Start]:
    """Starts runs on a model that plays some turns."""
    async with played_by_one(settings, connection) as start:
        yield start


async def test_a_run_goes_on_before_ones_eyes(
    open_page: OpenPage, approvals: ApprovalClient, start: Start
) -> None:
    async with start([SEND], agent="email") as (run, _):
        (waiting,) = await run.waits_for()
        page = await open_page(f"/runs/{run.handle.id}")
        await expect(page.locator(".now")).to_contain_text("Waits for a person")
        await page.evaluate("window.loadedOnce = true")

        await approvals.approve(waiting.id, reviewer="grace@example.com")

        await expect(page.locator(".now")).to_contain_text("Finished.")
        await expect(page.locator(".happened.result")).to_contain_text("has run")
        await expect(page.locator(".happened.gate")).to_contain_text("by grace@example.com")
        await expect(page.locator("[data-fresh]")).to_have_count(0)
        assert await page.evaluate("window.loadedOnce"), "it was not loaded anew"


async def test_the_list_goes_on_before_ones_eyes(
    open_page: OpenPage, approvals: ApprovalClient, start: Start
) -> None:
    prompt = unique("Tell Ada")
    async with start([SEND], agent="email", prompt=prompt) as (run, _):
        (waiting,) = await run.waits_for()
        page = await open_page("/runs?limit=1000")
        row = page.locator(".run", has_text=prompt)
        await expect(row).to_contain_text("Waits for a person", timeout=20_000)

        await approvals.approve(waiting.id, reviewer="grace@example.com")

        await expect(row).to_contain_text("Finished", timeout=20_000)


async def test_from_the_list_to_a_run_and_on_to_what_it_waits_for(
    open_page: OpenPage, start: Start
) -> None:
    prompt = unique("Tell Ada")
    async with start([SEND], agent="email", prompt=prompt) as (run, _):
        (waiting,) = await run.waits_for()
        page = await open_page("/runs?limit=1000", java_script_enabled=False)

        await page.get_by_role("link", name=prompt).click()
        await expect(page.get_by_role("heading", level=1)).to_have_text(prompt)
        await page.get_by_role("link", name="Look and decide").click()

        assert page.url.endswith(f"/requests/{waiting.id}")


async def test_what_a_model_writes_is_dead_text(
    open_page: OpenPage, approvals: ApprovalClient, start: Start
) -> None:
    async with start([LONG], agent="email", prompt=HOSTILE, requester="<b>shop</b>") as (run, _):
        (waiting,) = await run.waits_for()
        await approvals.approve(waiting.id, reviewer="<i>eve</i>", reason=HOSTILE)
        await run.result()
        page = await open_page(f"/runs/{run.handle.id}")

        for tag in ("img[src=x]", "main script", "main b", "main i"):
            assert await page.locator(tag).count() == 0
        said = await page.locator("main").inner_text()
        assert "<script>alert(2)</script>\\u202e{{ 7 * 7 }}" in said
        assert "<i>eve</i>" in said
        assert "<b>shop</b>" in said
        await page.goto("/runs?limit=1000")
        assert await page.locator("img[src=x], main script, main b").count() == 0


async def test_everybody_can_read_it_on_every_screen_by_day_and_by_night(
    open_page: OpenPage, approvals: ApprovalClient, start: Start
) -> None:
    unbroken = "Unbroken" + "n" * 150
    again = call("send_email", json.dumps(MAIL), "call_2")
    async with start([LONG], [again], agent="email", prompt=unbroken) as (run, _):
        (waiting,) = await run.waits_for()
        await approvals.reject(waiting.id, reviewer="grace@example.com", reason="Not so rude")
        page = await open_page("/runs")
        for path, shown in (("/runs", ".run"), (f"/runs/{run.handle.id}", ".now-card.wait")):
            await page.goto(path)
            for width in (360, 1100):
                await page.set_viewport_size({"width": width, "height": 740})
                await expect(page.locator(shown).first).to_be_visible()
                assert await page.evaluate("document.documentElement.scrollWidth") <= width
                await axe.check_both(page)

"""The inbox while Temporal is away, and when it is back."""

import signal
from datetime import timedelta

import pytest
from playwright.async_api import Browser, Page, expect

from tests.directory import ADA
from tests.processes import answers
from web.context import Context

from . import axe
from .asking import ask
from .engines import Engine

PATIENCE = 60_000  # a busy machine takes its time


async def says_that_it_may_be_old(page: Page) -> None:
    await expect(page.locator(".live-away")).to_be_visible(timeout=PATIENCE)
    await expect(page.locator(".live-on")).to_be_hidden()
    said = "Can't reach Temporal: what you see may be old"
    await expect(page.locator("#stream")).to_have_text(said, use_inner_text=True)
    await expect(page.locator("#said")).to_have_text(said)


async def is_new(page: Page, there: Context, action: str) -> None:
    await expect(page.locator(".live-on")).to_be_visible(timeout=PATIENCE)
    await ask(there.approvals, action, audience=(ADA,))
    await expect(page.locator(".row").first).to_contain_text(action, timeout=PATIENCE)


async def test_a_page_says_that_it_may_be_old_while_temporal_is_frozen_or_killed_and_is_new_then(
    there: Context, engine: Engine, chromium: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.live._PATIENCE", timedelta(seconds=1))
    await ask(there.approvals, "Before", audience=(ADA,))
    async with await chromium.new_context(base_url=there.url) as window:
        page = await window.new_page()
        await page.goto(f"/sign-in/{await there.store.sessions.invite(ADA)}")
        await expect(page.locator(".live-on")).to_be_visible(timeout=PATIENCE)

        engine.process.send_signal(signal.SIGSTOP)
        await says_that_it_may_be_old(page)
        await expect(page.locator(".row")).to_have_count(1)
        await axe.check(page)
        engine.process.send_signal(signal.SIGCONT)
        await is_new(page, there, "Afterwards")

        await engine.stop()
        await says_that_it_may_be_old(page)
        await expect(page.locator(".row")).to_have_count(2)
        # Who comes only now is told, too.
        changes = there.live.changes()
        assert [(await anext(changes)).kind for _ in range(2)] == ["resync", "away"]
        await changes.aclose()
        await engine.start()
        assert await answers(engine.process, engine.address) is not None
        await is_new(page, there, "In the end")

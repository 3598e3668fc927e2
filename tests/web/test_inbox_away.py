"""The inbox while Temporal is away, and when it is back."""

import signal
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, expect

from tests.directory import ADA
from tests.processes import answers
from web.context import Context

from . import axe
from .asking import ask
from .engines import Engine

expect.set_options(timeout=60_000)  # a busy machine takes its time


@pytest.fixture
async def page(there: Context, chromium: Browser) -> AsyncIterator[Page]:
    """Ada's inbox in a browser, connected."""
    await ask(there.approvals, "Before", audience=(ADA,))
    window = await chromium.new_context(base_url=there.url)
    page = await window.new_page()
    await page.goto(f"/sign-in/{await there.store.sessions.invite(ADA)}")
    await expect(page.locator(".live-on")).to_be_visible(timeout=60_000)
    yield page
    await window.close()


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
async def test_a_page_says_that_it_may_be_old_until_temporal_is_back_and_is_new_then(
    there: Context, engine: Engine, page: Page, way: signal.Signals
) -> None:
    engine.process.send_signal(way)

    await expect(page.locator(".live-away")).to_be_visible(timeout=60_000)
    await expect(page.locator(".live-on")).to_be_hidden()
    said = "Can't reach Temporal: what you see may be old"
    await expect(page.locator("#stream")).to_have_text(said, use_inner_text=True)
    await expect(page.locator("#said")).to_have_text(said)
    await expect(page.locator(".row")).to_have_count(1)
    await axe.check(page)

    if way == signal.SIGKILL:
        await engine.process.wait()
        await engine.start()
        assert await answers(engine.process, engine.address) is not None
    else:
        engine.process.send_signal(signal.SIGCONT)
    await expect(page.locator(".live-on")).to_be_visible(timeout=60_000)
    await ask(there.approvals, "Afterwards", audience=(ADA,))
    await expect(page.locator(".row").first).to_contain_text("Afterwards")


async def test_who_comes_while_temporal_is_away_is_told(
    there: Context, engine: Engine, page: Page
) -> None:
    await engine.stop()
    await expect(page.locator(".live-away")).to_be_visible(timeout=60_000)

    changes = there.live.changes()
    heard = [(await anext(changes)).kind for _ in range(2)]
    await changes.aclose()

    assert heard == ["resync", "away"]

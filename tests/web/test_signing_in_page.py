"""Signing in, in a real browser."""

from .conftest import OpenPage


async def test_who_is_not_signed_in_is_told_how(open_page: OpenPage) -> None:
    page = await open_page("/sign-in", who=None)

    assert await page.title() == "Sign in · Clearance"
    assert "clearance sign-in" in await page.locator("main").inner_text()

"""Whether a page can be used by everybody, as far as axe can tell."""

from typing import Any

from axe_playwright_python.base import AXE_SCRIPT  # type: ignore[import-untyped]
from playwright.async_api import Page

_OF_COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
_GRAVE = ("serious", "critical")


async def check(page: Page) -> None:
    """Fail where axe finds a serious or critical violation."""
    await _find(page, {})


async def check_both(page: Page) -> None:
    """The same in both colour schemes: in the dark one, what colours alone can spoil."""
    await check(page)
    await page.emulate_media(color_scheme="dark")
    await _find(page, {"runOnly": _OF_COLOURS})
    await page.emulate_media(color_scheme="light")


async def _find(page: Page, options: dict[str, Any]) -> None:
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE_SCRIPT)
    asked = {"resultTypes": ["violations"], **options}
    found = await page.evaluate("async (asked) => (await axe.run(asked)).violations", asked)
    grave = [one for one in found if one["impact"] in _GRAVE]
    assert not grave, "\n".join(
        f"{one['id']}: {one['help']}: {node['html'][:200]} {node.get('failureSummary', '')}"
        for one in grave
        for node in one["nodes"]
    )

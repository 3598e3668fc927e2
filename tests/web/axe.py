"""Whether a page can be used by everybody, as far as axe can tell."""

from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Page


async def check(page: Page) -> None:
    """Fail where axe finds a serious or critical violation."""
    found = (await Axe().run(page)).response["violations"]
    grave = [one for one in found if one["impact"] in ("serious", "critical")]
    assert not grave, "\n".join(
        f"{one['id']}: {one['help']}: {node['html'][:200]} {node.get('failureSummary', '')}"
        for one in grave
        for node in one["nodes"]
    )

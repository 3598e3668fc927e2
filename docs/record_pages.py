"""Make the README's pictures of the pages from the real program: ``uv run python docs/record_pages.py``.

Starts Temporal, a worker and an inbox, lets agents ask and people decide, and leaves what a browser
shows of it beside this file. Another folder may be named.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import quote

from playwright.async_api import Browser, ViewportSize, async_playwright

import worker
from clearance import ApprovalClient, ApprovalRequest
from clearance.runs import AgentRun, start_run
from clearance.stages import Stage
from cli import embedded
from cli.demo import SCENARIOS
from cli.settings import Settings
from policy.source import SAMPLE
from web.config import WebConfig
from web.context import Context
from web.server import running

ADA, CFO, GRACE, MARY = (f"{name}@example.com" for name in ("ada", "cfo", "grace", "mary"))

REVIEWERS = """\
[groups]
finance = ["cfo@example.com", "grace@example.com", "ada@example.com"]
support = ["ada@example.com", "mary@example.com"]
"""

WIDE: ViewportSize = {"width": 1180, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}

T = TypeVar("T")


async def eventually(probe: Callable[[], Awaitable[T]]) -> T:
    """The first truthy answer."""
    while not (answer := await probe()):
        await asyncio.sleep(0.05)
    return answer


@asynccontextmanager
async def program(folder: Path) -> AsyncIterator[tuple[Context, Settings]]:
    """All of it, on free ports."""
    reviewers = folder / "reviewers.toml"
    reviewers.write_text(REVIEWERS)
    settings = Settings(state=folder / "state", policy=SAMPLE, reviewers=reviewers)
    async with embedded.server(settings.state, in_memory=True, ports=(0, 0)) as server:
        connection = {"target_host": server.address}
        models = worker.scripted_models()
        async with worker.running(settings, connection, model_provider=models) as serving:
            config = WebConfig(
                port=0,
                database=f"sqlite:///{folder / 'clearance.db'}",
                reviewers=reviewers,
                temporal_ui=server.ui,
            )
            async with running(config, ApprovalClient(serving.client)) as context:
                yield context, settings


async def story(context: Context, settings: Settings) -> tuple[str, str]:
    """What happens before the pictures are taken: a request and a run to show."""
    approvals = context.approvals
    told: dict[str, str] = {}
    for name, requester in (("email", "mary@example.com"), ("refund", MARY), ("cleanup", GRACE)):
        run = AgentRun(agent=name, prompt=SCENARIOS[name].prompt, requester=requester)
        handle = await start_run(approvals.temporal, run, id=f"{name}-7f3k")
        told[name] = await _waiting(approvals, handle.id)
    await approvals.approve(told["refund"], reviewer=ADA, reason="Checked with the warehouse.")
    await _ended(approvals, told["refund"])
    trade = ApprovalRequest(
        action="Buy 1,200 shares of ACME at no more than 42.10 EUR",
        tool="place_order",
        arguments={"symbol": "ACME", "side": "buy", "quantity": 1200, "limit": 42.10},
        impact="The order is binding as soon as it is placed.",
        requester=GRACE,
        checkpoint="large-orders",
        risk="high",
        audience=("group:finance", MARY),
        quorum=2,
        expires_in=timedelta(minutes=42),
    )
    await approvals.request(trade, id="trading-c41d.3")
    await approvals.approve("trading-c41d.3", reviewer=CFO)
    contract = ApprovalRequest(
        action="Sign the lease of the Lyon warehouse for three years",
        tool="sign_contract",
        arguments={"contract": "lease-lyon-2027", "years": 3},
        requester=MARY,
        checkpoint="contracts",
        risk="high",
        stages=(
            Stage(name="support", audience=("group:support",), expires_in=timedelta(days=2)),
            Stage(name="director", audience=(CFO,), expires_in=timedelta(days=5)),
        ),
    )
    await approvals.request(contract, id="leases-90aa.1")
    for number, (who, cents) in enumerate((("Noor", 1900), ("Jules", 2450), ("Kim", 1200)), 1):
        small = ApprovalRequest(
            action=f"Refund {cents / 100:.2f} EUR to {who} for a late parcel",
            tool="issue_refund",
            arguments={"customer": who, "cents": cents},
            requester=MARY,
            checkpoint="small-refunds",
            risk="low",
            expires_in=timedelta(hours=20),
        )
        await approvals.request(small, id=f"parcels-3b77.{number}")
    press = ApprovalRequest(
        action="Publish the press release about the merger",
        tool="publish",
        requester=GRACE,
        checkpoint="press",
        audience=(CFO, ADA),
    )
    await approvals.request(press, id="press-11e0.1")
    await approvals.reject("press-11e0.1", reviewer=CFO, reason="Not before Thursday's call.")
    await _ended(approvals, "press-11e0.1")
    return told["email"], "refund-7f3k"


async def _waiting(approvals: ApprovalClient, run: str) -> str:
    async def probe() -> str:
        return next(iter([one.id async for one in approvals.pending(run=run)]), "")

    return await eventually(probe)


async def _ended(approvals: ApprovalClient, id: str) -> None:
    async def probe() -> bool:
        return id in {one.id async for one in approvals.history()}

    await eventually(probe)


async def pictures(context: Context, to: Path, request: str, run: str) -> None:
    """Every page, light and dark, as Ada sees it; the list and a request on a telephone."""
    pages = {"inbox": "/", "request": f"/requests/{quote(request)}", "run": f"/runs/{quote(run)}"}
    pages["history"] = "/history"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        for scheme in ("light", "dark"):
            for name, path in pages.items():
                await picture(browser, context, path, to / f"{name}-{scheme}.png", scheme)
        await picture(browser, context, "/", to / "phone.png", "light", PHONE)
        await browser.close()


async def picture(
    browser: Browser,
    context: Context,
    path: str,
    to: Path,
    scheme: Literal["light", "dark"],
    size: ViewportSize = WIDE,
    **options: Any,
) -> None:
    """One page."""
    window = await browser.new_context(
        base_url=context.url,
        viewport=size,
        color_scheme=scheme,
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="Europe/Paris",
        **options,
    )
    page = await window.new_page()
    await page.goto(f"/sign-in/{await context.store.sessions.invite(ADA)}")
    await page.goto(path)
    if path in ("/", "/history"):
        await page.locator("#rows").wait_for()
    if path == "/":
        await page.locator(".live.on").wait_for()
    await page.screenshot(path=to, animations="disabled")
    await window.close()


async def main(to: Path) -> None:
    """Write the pictures there."""
    with tempfile.TemporaryDirectory() as folder:
        async with program(Path(folder)) as (context, settings):
            request, run = await story(context, settings)
            await pictures(context, to, request, run)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent))
    sys.stdout.flush()
    os._exit(0)  # a Temporal client may abort the interpreter's own end

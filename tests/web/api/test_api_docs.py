"""What docs/api.md says is so, and its examples run."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import httpx

from clearance import ApprovalClient
from tests.support import eventually, unique
from web import errors
from web.context import Context

from .conftest import CFO, Asked

ROOT = Path(__file__).parents[3]
DOCS = (ROOT / "docs" / "api.md").read_text()
README = (ROOT / "README.md").read_text()


def example(name: str, text: str = DOCS) -> str:
    """The code block that follows ``<!-- example: name -->``."""
    found = re.search(rf"<!-- example: {name} -->\n```\w+\n(.*?)```", text, re.DOTALL)
    assert found, f"there is no example {name}"
    return found[1]


async def started(
    inbox: Context, *command: str, scopes: tuple[Any, ...], **environment: str
) -> asyncio.subprocess.Process:
    """An example with a token of its own."""
    token, _ = await inbox.store.tokens.create(
        unique("example"), scopes, decides_as=CFO if "decide" in scopes else None, lasts=None
    )
    return await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, "CLEARANCE_URL": inbox.url, "CLEARANCE_TOKEN": token, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def the_one_that_waits(approvals: ApprovalClient) -> str:
    async def listed() -> list[str]:
        return [one.id async for one in approvals.pending()]

    (id,) = await eventually(listed)
    return id


async def test_the_agent_acts_on_what_was_approved_and_says_so(
    inbox: Context, approvals: ApprovalClient, worker_running: object
) -> None:
    agent = await started(
        inbox, sys.executable, "-c", example("agent"), scopes=("request",), INVOICE=unique("no")
    )
    id = await the_one_that_waits(approvals)
    await approvals.approve(id, reviewer=CFO, changes={"euros": 70})

    said, failed = await agent.communicate()

    assert said.decode().strip() == "paid 70 euros to Ada", failed.decode()
    view = await approvals.get(id)
    assert [event.kind for event in view.events[-2:]] == ["consumed", "executed"]


async def test_the_agent_does_not_act_on_a_rejection(
    inbox: Context, approvals: ApprovalClient, worker_running: object
) -> None:
    agent = await started(
        inbox, sys.executable, "-c", example("agent"), scopes=("request",), INVOICE=unique("no")
    )
    await approvals.reject(await the_one_that_waits(approvals), reviewer=CFO)

    said, failed = await agent.communicate()

    assert (said, failed.decode().strip()) == (b"", "rejected: not paid")
    assert agent.returncode == 1


async def test_the_deciding_service_approves_what_is_within_its_limit(
    inbox: Context, asked: Asked, approvals: ApprovalClient
) -> None:
    small = (await asked(id=unique("a/b ?")))["id"]
    large = (await asked(arguments={"to": "Ada", "euros": 800}))["id"]

    async def both_listed() -> bool:
        return {one.id async for one in approvals.pending()} == {small, large}

    await eventually(both_listed)
    decider = await started(
        inbox, sys.executable, "-c", example("decider"), scopes=("read", "decide")
    )
    said, failed = await decider.communicate()

    assert said.decode().strip() == f"approved {small}", failed.decode()
    assert (await approvals.get(large)).status == "pending"


async def test_the_classic_recipe_asks_and_decides(
    inbox: Context, approvals: ApprovalClient, worker_running: object
) -> None:
    id = unique("classic")
    shell = await started(
        inbox, "sh", "-c", example("classic"), scopes=("request", "decide"), ID=id
    )
    said, failed = await shell.communicate()

    assert '"status":"pending"' in said.decode(), failed.decode()
    outcome = await approvals.wait(id)
    assert (outcome.status, outcome.reason) == ("approved", "backed up")


async def test_every_route_is_in_the_documentation(browser: httpx.AsyncClient) -> None:
    document = (await browser.get("/api/v1/openapi.json")).json()

    for path, methods in document["paths"].items():
        for method in methods:
            assert f"`{method.upper()} {path}`" in DOCS


ON_PAGES = {"sign-in-needed", "forged", "ambiguous", "still-waits", "no-worker"}


def test_every_kind_of_error_is_in_the_documentation() -> None:
    known = {(kind, status) for _, status, kind in errors._KINDS}
    known |= {(kind, status) for status, kind in errors._OF_HTTP.items()}
    for kind, status in known | {("changed", 409)}:
        assert kind in ON_PAGES or f"| `{kind}` | {status} |" in DOCS, kind


async def test_the_example_of_the_readme_asks(inbox: Context, approvals: ApprovalClient) -> None:
    asking = await started(inbox, "sh", "-c", example("http", README), scopes=("request",))

    said, failed = await asking.communicate()

    asked = json.loads(said or failed)
    assert (asked["status"], asked["risk"]) == ("pending", "critical")
    assert asked["id"] == await the_one_that_waits(approvals)

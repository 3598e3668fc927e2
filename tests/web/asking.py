"""What tests of the pages share: requests that wait, and what a list shows."""

import asyncio
import re
from html import unescape
from typing import Any

import httpx

from clearance import ApprovalClient, ApprovalRequest
from clearance.filters import quoted
from tests.support import eventually, unique


async def ask(approvals: ApprovalClient, action: str = "Send it", **fields: Any) -> str:
    """Ask, and wait until it is listed. Returns the id, which is made up unless ``id`` says it."""
    id = fields.pop("id", None) or unique("ask")
    await approvals.request(ApprovalRequest(action=action, **fields), id=id)
    await listed(approvals, id)
    return id


async def listed(approvals: ApprovalClient, *ids: str) -> None:
    """Wait until all of these are in the list of what waits."""

    async def probe() -> bool:
        return set(ids) <= {one.id async for one in approvals.pending()}

    await eventually(probe)


async def over(approvals: ApprovalClient, *ids: str) -> None:
    """Wait until all of these, whose ids have no quotation mark, are in the history."""
    named = ", ".join(map(quoted, ids))
    query = f"ExecutionStatus != 'Running' AND WorkflowId IN ({named})"

    async def probe() -> bool:
        return (await approvals.temporal.count_workflows(query)).count == len(ids)

    await eventually(probe)


async def ask_many(approvals: ApprovalClient, count: int, **fields: Any) -> list[str]:
    """Ask for so many, some at a time, and wait until they are listed."""
    mark = unique("many")
    slots = asyncio.Semaphore(50)

    async def one(number: int) -> str:
        async with slots:
            request = ApprovalRequest(action=f"Action {number}", **fields)
            return (await approvals.request(request, id=f"{mark}-{number}")).id

    ids = await asyncio.gather(*map(one, range(count)))

    async def probe() -> bool:
        return await approvals.count() >= count

    await eventually(probe, within=60)
    return list(ids)


def titles(page: httpx.Response) -> list[str]:
    """What the rows of a page say, in order."""
    assert page.status_code == 200, page.text
    return [unescape(one) for one in re.findall(r'<a class="title"[^>]*>(.*?)</a>', page.text)]


def link(page: httpx.Response, words: str) -> str:
    """Where the link with these words leads."""
    found = re.search(rf'<a [^>]*href="([^"]*)"[^>]*>{re.escape(words)}\b', page.text)
    assert found, page.text
    return unescape(found[1])


def words(page: httpx.Response) -> str:
    """The text of a page's main part, on one line."""
    main = page.text.partition("<main")[2].partition("</main>")[0]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", main)).split())

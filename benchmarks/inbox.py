"""The inbox beside the bare engine: ``uv run python -m benchmarks.inbox [WAITING ...]``.

With 1,000 and with 10,000 requests waiting (or as many as are named) on the embedded server, on a
file as ``clearance up`` runs it, with the inbox, the worker and the bare worker in processes of
their own:

- the inbox's first page of 50 over HTTP, beside Temporal's own list call with the same filter and
  page size, and what the client package makes of it;
- a decision through the API beside an update of a workflow that only waits for one
  (``benchmarks/bare.py``); and beside the update alone, sent to the same kind of request as the API
  decides, by whoever knows its id and how a decision is written.

One at a time, in turns, so that all of them meet the same machine.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from temporalio.client import Client

from clearance import ApprovalClient, ApprovalRequest, connect, contract
from clearance.away import persistently
from clearance.filters import Filters, pending_query
from clearance.models import Decision
from cli import embedded

from . import bare
from .bare import BareApproval
from .measuring import progress
from .running import COMMAND, process, token

WAITING = (1_000, 10_000)
PAGE = 50
PAGES = 60
"""Rounds of looking."""
DECISIONS = 60
"""Rounds of deciding."""
AT_ONCE = 50
"""Requests that are being started at the same time."""

WHO = "ada@example.com"
SERVED = "served"

Timed = Callable[[], Awaitable[object]]


def a_request(number: int) -> ApprovalRequest:
    """One of many, as a checkpoint would make it."""
    return ApprovalRequest(
        action=f"Send “Your order {number}” to customer-{number}@example.com",
        tool="send_email",
        arguments={
            "to": f"customer-{number}@example.com",
            "subject": f"Your order {number}",
            "body": "It ships today. " * 20,
        },
        requester="shop@example.com",
        checkpoint="email",
        risk=("low", "medium", "high")[number % 3],
    )


async def fill(approvals: ApprovalClient, first: int, last: int) -> None:
    """Ask for so many, and wait until all are listed."""
    free = asyncio.Semaphore(AT_ONCE)

    async def ask(number: int) -> None:
        async with free:
            one, id = a_request(number), f"waiting-{number}"
            await persistently(lambda: approvals.request(one, id=id))  # a disk may not keep up

    start = time.perf_counter()
    await asyncio.gather(*(ask(number) for number in range(first, last)))
    while await approvals.count() < last:
        await asyncio.sleep(0.1)
    seconds = time.perf_counter() - start
    print(f"{last:,} wait ({(last - first) / seconds:.0f} started and listed a second)")


async def timed(ways: dict[str, Timed], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each way, one after the other, round by round; the first rounds warm up."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    warm_up = 5
    for number in range(warm_up + rounds):
        for name, once in ways.items():
            start = time.perf_counter()
            await once()
            if number >= warm_up:
                took[name].append((time.perf_counter() - start) * 1_000)
    return took


def table(title: str, took: dict[str, list[float]]) -> None:
    """p50 and p95 of each, and how many times the first one's."""
    base = took[next(iter(took))]
    print(f"\n{title:44}{'p50 ms':>8}{'p95 ms':>8}{'ratio':>7}")
    for name, values in took.items():
        p95 = statistics.quantiles(values, n=20)[-1]
        ratio = statistics.median(values) / statistics.median(base)
        print(f"{name:44}{statistics.median(values):>8.1f}{p95:>8.1f}{ratio:>7.2f}")


async def look(temporal: Client, approvals: ApprovalClient, browser: httpx.AsyncClient) -> None:
    """Time the first page: of what is for somebody, and of everything."""
    mine: Filters = {"reviewer": WHO, "also": (WHO,)}
    for view, title, narrowed in (("mine", "For me", mine), ("all", "Everything", Filters())):
        ways = looks(temporal, approvals, browser, view, narrowed)
        table(f"the first page, {title}", await timed(ways, PAGES))


def looks(
    temporal: Client,
    approvals: ApprovalClient,
    browser: httpx.AsyncClient,
    view: str,
    narrowed: Filters,
) -> dict[str, Timed]:
    """The ways to get at the first page of a view."""
    query = pending_query(queue=contract.APPROVALS_QUEUE, **narrowed)

    async def bare_list() -> None:
        listed = temporal.list_workflows(query, page_size=PAGE)
        await listed.fetch_next_page()
        assert len(listed.current_page or ()) == PAGE

    async def bare_count() -> None:
        await temporal.count_workflows(query)

    async def listed() -> None:
        assert len((await approvals.page(size=PAGE, **narrowed)).items) == PAGE

    async def shown() -> None:
        answer = await browser.get("/", params={"view": view})
        assert answer.status_code == 200, answer.text
        assert answer.text.count("/requests/waiting-") >= PAGE

    return {
        "Temporal's list call": bare_list,
        "Temporal's count call": bare_count,
        "ApprovalClient.page()": listed,
        "the inbox's first page": shown,
    }


async def decide(
    temporal: Client, approvals: ApprovalClient, api: httpx.AsyncClient, run: str
) -> None:
    """Time decisions; each is another request's."""
    kinds = ("update", "package", "api")
    rounds = DECISIONS + 5
    requests: dict[str, list[Any]] = {kind: [] for kind in kinds}
    unadorned = []
    for number in range(rounds):
        for kind in kinds:
            one = await approvals.request(a_request(number), id=f"{run}-{kind}-{number}")
            await approvals.get(one.id)  # by now a worker has seen it
            requests[kind].append(one)
        handle = await temporal.start_workflow(
            BareApproval.run, "Send?", id=f"{run}-bare-{number}", task_queue=bare.QUEUE
        )
        assert await handle.query(BareApproval.waits)
        unadorned.append(handle)

    def body(one: Any) -> Decision:
        return Decision(
            approved=True,
            reviewer=WHO,
            channel="api",
            digest=one.digest,
            decision_id=f"{one.id}-once",
            decided_at=datetime.now(UTC),
        )

    async def by_bare_update() -> None:
        await unadorned.pop().execute_update(
            BareApproval.decide, {"approved": True, "reviewer": WHO}
        )

    async def by_update() -> None:
        one = requests["update"].pop()
        handle = temporal.get_workflow_handle(one.id)
        await handle.execute_update(contract.UPDATE_DECIDE, body(one))

    async def by_package() -> None:
        one = requests["package"].pop()
        receipt = await approvals.approve(one.id, reviewer=WHO, digest=one.digest)
        assert receipt.in_effect

    async def by_api() -> None:
        one = requests["api"].pop()
        answer = await api.post(
            f"/api/v1/requests/{one.id}/decision", json={"approved": True, "digest": one.digest}
        )
        assert answer.status_code == 200, answer.text

    ways: dict[str, Timed] = {
        "update of a bare workflow": by_bare_update,
        "the update alone, of a request": by_update,
        "ApprovalClient.approve()": by_package,
        "POST /api/v1/requests/{id}/decision": by_api,
    }
    table("a decision", await timed(ways, DECISIONS))


async def main() -> None:
    """Measure and print."""
    sizes = [int(argument) for argument in sys.argv[1:]] or list(WAITING)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = await stack.enter_async_context(embedded.server(folder, ports=(0, 0)))
        environment = {
            "CLEARANCE_STATE": str(folder),
            "CLEARANCE_WEB_PORT": "0",
            "CLEARANCE_REVIEWER": WHO,
            "TEMPORAL_ADDRESS": server.address,
        }
        temporal = await connect({"target_host": server.address})
        waiting = ApprovalClient(temporal)
        served = ApprovalClient(temporal, task_queue=SERVED)
        found = await stack.enter_async_context(
            process(COMMAND, "web", says=r"(http://\S+)/sign-in/(\S+)", environment=environment)
        )
        await stack.enter_async_context(
            process(
                *(COMMAND, "worker", "--only", "approvals"),
                says=SERVED,
                environment={**environment, "CLEARANCE_APPROVALS_QUEUE": SERVED},
            )
        )
        await stack.enter_async_context(
            process(
                *(sys.executable, "-m", "benchmarks.bare"),
                says="ready",
                environment=environment,
            )
        )
        browser = await stack.enter_async_context(httpx.AsyncClient(base_url=found[1], timeout=60))
        await browser.get(f"/sign-in/{found[2]}")
        headers = {"Authorization": f"Bearer {await token(WHO, environment)}"}
        api = await stack.enter_async_context(
            httpx.AsyncClient(base_url=found[1], headers=headers, timeout=60)
        )
        there = 0
        for size in sizes:
            progress(f"{size:,} wait soon")
            await fill(waiting, there, size)
            progress(f"{size:,} wait: measuring")
            there = size
            await look(temporal, waiting, browser)
            await decide(temporal, served, api, f"of-{size}")
            print(flush=True)


if __name__ == "__main__":
    asyncio.run(main())

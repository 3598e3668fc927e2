"""What has ended: listed, filtered, with who decided and why."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client

from clearance import ApprovalClient, ApprovalRequest, FinishedApproval, InvalidRequest
from cli.settings import Settings
from tests.conftest import Serve
from tests.support import eventually, unique

ADA, BOB = "ada@example.com", "bob@example.com"

with_a_worker = pytest.mark.usefixtures("worker_running")


async def listed(approvals: ApprovalClient, **how: Any) -> list[FinishedApproval]:
    return [one async for one in approvals.history(**how)]


async def ids(approvals: ApprovalClient, **how: Any) -> list[str]:
    return [one.id for one in await listed(approvals, **how)]


async def there(approvals: ApprovalClient, *expected: str) -> None:
    """Wait until the listing has all of these."""

    async def all_there() -> bool:
        return set(await ids(approvals)) == set(expected)

    await eventually(all_there)


async def closed(approvals: ApprovalClient, how: str, by: str = ADA, **fields: Any) -> str:
    """Ask and bring it to an end; its id."""
    asked = await approvals.request(ApprovalRequest(**{"action": "Deploy", **fields}))
    if how == "terminated":
        await approvals.temporal.get_workflow_handle(asked.id).terminate()
    elif how == "approve":
        await approvals.approve(asked.id, reviewer=by, reason="looks good")
    elif how == "reject":
        await approvals.reject(asked.id, reviewer=by, reason="too risky")
    elif how == "withdraw":
        await approvals.withdraw(asked.id, who=by, reason="not needed")
    elif how == "signal":
        await approvals.temporal.get_workflow_handle(asked.id).signal("approve", True)
    await approvals.wait(asked.id)
    return asked.id


@with_a_worker
async def test_each_end_has_its_line_the_latest_first(approvals: ApprovalClient) -> None:
    slow = await approvals.request("Deploy slowly")
    ends = {
        "expire": await closed(approvals, "expire", expires_in=timedelta(milliseconds=1)),
        "terminated": await closed(approvals, "terminated"),
        "withdraw": await closed(approvals, "withdraw"),
        "signal": await closed(approvals, "signal"),
        "reject": await closed(approvals, "reject", BOB),
    }
    await approvals.approve(slow.id, reviewer=ADA, reason="looks good")
    await there(approvals, *ends.values(), slow.id)

    lines = await listed(approvals)

    assert [one.id for one in lines] == [slow.id, *reversed(ends.values())]
    assert [one.closed_at for one in lines] == sorted((x.closed_at for x in lines), reverse=True)
    told = [(one.status, one.decision and one.decision.by, one.reason) for one in lines]
    assert told == [
        ("approved", ADA, "looks good"),
        ("rejected", BOB, "too risky"),
        ("approved", "an unnamed signal", ""),
        ("withdrawn", None, f"withdrawn by {ADA}: not needed"),
        ("withdrawn", None, "the request was withdrawn"),
        ("expired", None, "nobody decided in time"),
    ]
    assert lines[0].action == "Deploy slowly"
    assert lines[0].requested_at == slow.requested_at


@with_a_worker
async def test_what_waits_what_was_malformed_and_another_queues_are_not_in_it(
    approvals: ApprovalClient, settings: Settings
) -> None:
    await approvals.request("Deploy")
    temporal = approvals.temporal
    await temporal.start_workflow(
        *("ApprovalWorkflow", {"action": ""}),
        id=unique("malformed"),
        task_queue=settings.approvals_queue,
    )
    elsewhere = ApprovalClient(temporal, task_queue=unique("elsewhere"))
    other = await elsewhere.request("Deploy")
    await temporal.get_workflow_handle(other.id).terminate()
    mine = await closed(approvals, "reject")

    await there(approvals, mine)


FILTERS: list[tuple[dict[str, Any], Any]] = [
    ({"status": "approved"}, ["approve", "signal"]),
    ({"status": "rejected"}, ["reject"]),
    ({"status": "expired"}, ["expire"]),
    ({"status": "withdrawn"}, ["terminated", "withdraw"]),
    ({"reviewer": "Ada@Example.com"}, ["approve"]),
    ({"reviewer": BOB}, ["reject"]),
    ({"reviewer": "x' OR '1'='1"}, []),
    ({"reviewer": 'mallory"'}, []),
    ({"tool": "pay"}, ["reject"]),
    ({"requester": "grace"}, ["withdraw"]),
    ({"risk": "high"}, ["approve"]),
    ({"checkpoint": "mail"}, ["expire"]),
    ({"tool": "pay", "status": "approved"}, []),
    ({"status": None, "reviewer": None, "tool": "", "run": None, "since": None}, "all"),
    ({"run": "email-1"}, []),
]


@with_a_worker
async def test_a_filter_finds_what_it_names_and_nothing_else(approvals: ApprovalClient) -> None:
    soon = timedelta(milliseconds=1)
    ways: dict[str, Any] = {
        "approve": closed(approvals, "approve", "ADA@example.com", risk="high"),
        "reject": closed(approvals, "reject", BOB, tool="pay"),
        "signal": closed(approvals, "signal"),
        "expire": closed(approvals, "expire", checkpoint="mail", expires_in=soon),
        "withdraw": closed(approvals, "withdraw", "grace", requester="grace"),
        "terminated": closed(approvals, "terminated"),
    }
    ends = dict(zip(ways, await asyncio.gather(*ways.values()), strict=True))
    await there(approvals, *ends.values())

    for filters, found in FILTERS:
        expected = ends if found == "all" else found
        assert set(await ids(approvals, **filters)) == {ends[one] for one in expected}, filters


@with_a_worker
async def test_a_time_is_of_the_end_not_of_the_beginning(approvals: ApprovalClient) -> None:
    first, second = [await approvals.request(action) for action in ("One", "Two")]
    await approvals.approve(first.id, reviewer=ADA)
    await approvals.wait(first.id)
    between = datetime.now(UTC)
    await approvals.approve(second.id, reviewer=ADA)
    await there(approvals, first.id, second.id)

    assert await ids(approvals, since=between) == [second.id]
    assert await ids(approvals, until=between) == [first.id]
    zone = datetime.now().astimezone().tzinfo
    assert await ids(approvals, since=between.astimezone(zone), until=between) == []


@with_a_worker
async def test_a_runs_history_has_its_own_children_only(approvals: ApprovalClient) -> None:
    run = unique("run")
    every = [f"{run}.1", f"{run}.2", f"{run}.1.1", f"{run}.99"]
    for id in every:
        by = None if id == every[-1] else id.rpartition(".")[0]
        await approvals.request(ApprovalRequest(action="Deploy", run_id=by), id=id)
        await approvals.reject(id, reviewer=ADA)
    await there(approvals, *every)

    assert await ids(approvals, run=run) == [f"{run}.2", f"{run}.1"]


@with_a_worker
async def test_a_limit_is_of_what_fits(approvals: ApprovalClient) -> None:
    mine = [await closed(approvals, "reject", ADA) for _ in range(21)]
    theirs = [await closed(approvals, "reject", BOB) for _ in range(2)]
    await there(approvals, *mine, *theirs)

    for limit, count in ((None, 21), (0, 0), (-1, 0), (1, 1), (12, 12), (20, 20)):
        assert await ids(approvals, reviewer=ADA, limit=limit) == mine[::-1][:count], limit


async def test_it_is_read_without_a_worker(
    approvals: ApprovalClient, serve: Serve, temporal: Client
) -> None:
    async with serve():
        id = await closed(approvals, "reject")
    await there(approvals, id)

    [line] = await listed(approvals, reviewer=ADA)
    assert (line.status, line.reason) == ("rejected", "too risky")


@pytest.mark.parametrize(
    ("filters", "why"),
    [
        ({"status": "pending"}, "status: a request ends approved, rejected, expired or withdrawn"),
        ({"status": "'"}, "status: a request ends"),
        ({"since": datetime(2026, 11, 21)}, "since: say the time zone"),  # noqa: DTZ001
        ({"until": datetime(2026, 11, 21)}, "until: say the time zone"),  # noqa: DTZ001
    ],
)
async def test_a_filter_that_means_nothing_is_told(
    approvals: ApprovalClient, filters: dict[str, Any], why: str
) -> None:
    with pytest.raises(InvalidRequest, match=why):
        await listed(approvals, **filters)

"""What waits for a person: listed, and filtered by what the server's index knows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clearance import ApprovalClient, ApprovalRequest, ApprovalSummary, Stage, contract
from clearance.filters import fits
from clearance.views import Vote
from tests.conftest import Serve
from tests.support import eventually, unique

ADA = {"reviewer": "ada@example.com"}


async def listed(approvals: ApprovalClient, *asked: ApprovalRequest | str) -> list[str]:
    """Ask for these and wait until the listing has them; their ids, newest first."""
    ids = [(await approvals.request(one)).id for one in asked]

    async def all_there() -> bool:
        return {one.id async for one in approvals.pending()} >= set(ids)

    await eventually(all_there)
    return ids[::-1]


async def found(approvals: ApprovalClient, **filters: Any) -> list[str]:
    return [one.id async for one in approvals.pending(**filters)]


async def test_a_list_shows_what_was_asked_newest_first(approvals: ApprovalClient) -> None:
    request = ApprovalRequest(
        action="Send it",
        tool="send_email",
        arguments={"to": "ada"},
        run_id="email-1",
        requester="grace",
        checkpoint="mail",
        risk="high",
        audience=("ada",),
        expires_in=None,
    )
    ids = await listed(approvals, "Deploy", request)

    summaries = [one async for one in approvals.pending()]

    assert [one.id for one in summaries] == ids
    newest = summaries[0]
    assert newest == await approvals.request(request, id=ids[0])
    kept = {"action", "tool", "run_id", "requester", "checkpoint", "risk", "audience"}
    assert newest.model_dump(include=kept) == request.model_dump(include=kept)
    assert (newest.status, newest.digest, newest.deadline) == ("pending", request.digest, None)


@pytest.mark.parametrize("name", ["tool", "requester", "checkpoint", "risk", "audience"])
async def test_a_filter_finds_what_has_its_value_and_nothing_else(
    approvals: ApprovalClient, name: str
) -> None:
    values: list[Any] = ["low", "high"]
    fields = [{name: (value,) if name == "audience" else value} for value in values]
    high, low, _ = await listed(
        approvals, "Deploy", *(ApprovalRequest(action="Deploy", **one) for one in fields)
    )

    assert await found(approvals, **{name: "low"}) == [low]
    assert await found(approvals, **{name: "high"}) == [high]
    assert await found(approvals, **{name: "lo"}) == []
    assert await found(approvals, **{name: "none at all"}) == []


@pytest.mark.parametrize(
    "odd",
    ["O'Neil", 'say "hi"', "CORP\\wanda", "\\", "' OR '1'='1", "a b", "a,b", "a*", "%", "ü😀"],
)
async def test_odd_characters_in_a_value_are_only_characters(
    approvals: ApprovalClient, odd: str
) -> None:
    request = ApprovalRequest(
        action="Deploy", tool=odd, requester=odd, checkpoint=odd, audience=(odd, "y")
    )
    other = ApprovalRequest(
        action="Deploy", tool="x", requester="x", checkpoint="x", audience=("x", "y")
    )
    [_, id] = await listed(approvals, request, other)

    for name in ("tool", "requester", "checkpoint", "audience", "reviewer"):
        assert await found(approvals, **{name: odd}) == [id], name
    assert await found(approvals, reviewer="nobody", also=(odd, "group:none")) == [id]


async def test_filters_together_find_what_fits_all(approvals: ApprovalClient) -> None:
    requests = [
        ApprovalRequest(action="Deploy", tool=tool, risk=risk)
        for tool in ("a", "b")
        for risk in ("low", "high")
    ]
    ids = await listed(approvals, *requests)

    assert await found(approvals, tool="a", risk="high") == [ids[2]]
    assert await found(approvals, tool="a", risk="critical") == []


async def test_a_reviewers_list_has_what_names_them_and_what_names_nobody(
    approvals: ApprovalClient,
) -> None:
    nobodys, bobs, mine = await listed(
        approvals,
        ApprovalRequest(action="Deploy", audience=("Ada@Example.com", "bob")),
        ApprovalRequest(action="Deploy", audience=("bob",)),
        "Deploy",
    )

    assert await found(approvals, reviewer="Ada@Example.com") == [nobodys, mine]
    assert await found(approvals, reviewer="bob") == [nobodys, bobs, mine]
    assert await found(approvals, reviewer="mallory") == [nobodys]
    assert await found(approvals, audience="Ada@Example.com") == [mine]


async def test_a_reviewers_list_has_what_they_may_decide_under_another_name(
    approvals: ApprovalClient,
) -> None:
    audiences = [("group:Finance",), ("ada",), ("group:legal",), ("ADA2", "bob")]
    finances, adas, _, twos = await listed(
        approvals, *(ApprovalRequest(action="Deploy", audience=one) for one in audiences[::-1])
    )
    await listed(approvals, *(ApprovalRequest(action="Deploy", audience=("x",)) for _ in range(2)))

    also = ("group:finance", "Ada2")
    assert await found(approvals, reviewer="ada", also=also) == [finances, adas, twos]
    assert await found(approvals, also=also) == [finances, twos]
    assert await found(approvals, reviewer="ada", also=()) == [adas]
    assert await found(approvals, reviewer="ada", also=None) == [adas]
    many = [f"group:{number}" for number in range(150)]
    assert await found(approvals, reviewer="ada", also=[*many, *also]) == [finances, adas, twos]


async def test_of_a_request_with_stages_the_first_is_listed(approvals: ApprovalClient) -> None:
    stages = (
        Stage(name="manager", audience=("Ada", "bob"), expires_in=timedelta(hours=1)),
        Stage(name="cfo", audience=("eve",)),
    )
    request = ApprovalRequest(action="Deploy", stages=stages)

    [id] = await listed(approvals, request)
    assert await found(approvals, reviewer="bob") == [id]
    assert await found(approvals, reviewer="eve") == []
    [summary] = [one async for one in approvals.pending()]
    assert (summary.audience, summary.stage, summary.stages) == (
        ("Ada", "bob"),
        1,
        ("manager", "cfo"),
    )
    assert summary.deadline == summary.requested_at + timedelta(hours=1)


async def test_a_runs_list_has_its_own_children_only(approvals: ApprovalClient) -> None:
    run = unique("run'\"x")
    asked = [(run, f"{run}.1"), (run, f"{run}.2"), (f"{run}.1", f"{run}.1.1")]
    asked += [(f"{run}x", f"{run}x.1"), (f"x{run}", f"x{run}.1"), (f"{run}x", f"{run}.3")]
    for by, id in asked:
        await approvals.request(ApprovalRequest(action="Deploy", run_id=by), id=id)
    await listed(approvals, "Deploy")

    assert await found(approvals, run=run) == [f"{run}.2", f"{run}.1"]
    assert await found(approvals, run=f"{run}.1") == [f"{run}.1.1"]
    assert await found(approvals, run=run[:-1]) == []


async def test_what_nobody_asked_from_within_a_run_is_not_of_it_by_its_id(
    approvals: ApprovalClient,
) -> None:
    run = unique("agent-run")
    asked = await approvals.request("Pay the attacker", id=f"{run}.99")

    async def is_listed() -> bool:
        return asked.id in await found(approvals)

    await eventually(is_listed)
    assert await found(approvals, run=run) == []


@pytest.mark.parametrize(("limit", "count"), [(None, 3), (0, 0), (1, 1), (2, 2), (9, 3)])
async def test_a_limit_is_of_what_fits(
    approvals: ApprovalClient, limit: int | None, count: int
) -> None:
    odd = 'a"b'
    requests = [ApprovalRequest(action="Deploy", tool=tool) for tool in (odd, "x", odd, "x", odd)]
    ids = await listed(approvals, *requests)

    assert await found(approvals, tool=odd, limit=limit) == ids[::2][:count]


async def test_a_list_has_neither_another_queue_nor_what_has_ended(
    approvals: ApprovalClient, serve: Serve
) -> None:
    withdrawn, decided, waits = await listed(approvals, "Deploy", "Deploy", "Deploy")
    elsewhere = ApprovalClient(approvals.temporal, task_queue=unique("elsewhere"))
    await elsewhere.request("Deploy")
    await approvals.temporal.get_workflow_handle(withdrawn).terminate()
    async with serve():
        await approvals.approve(decided, **ADA)

        async def only_one() -> bool:
            return await found(approvals) == [waits]

        await eventually(only_one)


async def test_what_is_no_request_does_not_stop_the_list(approvals: ApprovalClient) -> None:
    """Started by a foreign program without attributes and memo, and not yet refused by a worker."""
    [asked] = await listed(approvals, "Deploy")
    description = await approvals.temporal.get_workflow_handle(asked).describe()
    for request in ("Roll back", {"action": ""}, None):
        await approvals.temporal.start_workflow(
            contract.APPROVAL_WORKFLOW,
            request,
            id=unique("foreign"),
            task_queue=description.task_queue,
        )

    async def actions() -> bool:
        return [one.action async for one in approvals.pending()] == ["Roll back", "Deploy"]

    await eventually(actions)


async def test_what_somebody_has_approved_already_is_not_left_to_them(
    approvals: ApprovalClient, worker_running: object
) -> None:
    pair = ApprovalRequest(action="Trade", audience=("ada", "bob"), quorum=2)
    asked = await approvals.request(pair)
    await approvals.approve(asked.id, reviewer="ada")

    async def votes() -> list[Vote]:
        [one] = [one async for one in approvals.pending()]
        return list(one.approvals)

    assert await eventually(votes)
    assert await found(approvals, reviewer="ada") == [asked.id]
    assert await found(approvals, reviewer="ada", left_to="ADA") == []
    assert await found(approvals, reviewer="bob", left_to="bob") == [asked.id]


def test_standing_in_for_somebody_is_deciding_too() -> None:
    voted = Vote(who="Ada for bob", at=datetime.now(UTC))
    listed = ApprovalSummary(
        id="one",
        status="pending",
        action="Trade",
        digest="0" * 64,
        requested_at=datetime.now(UTC),
        approvals=(voted,),
    )

    assert not fits(listed, left_to="ada")
    assert fits(listed, left_to="bob")
    assert fits(listed, left_to="a")

"""Standing approvals from outside: listing them, and ending one, with workers there and without."""

import asyncio
import contextlib
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from clearance import (
    Ambiguous,
    ApprovalClient,
    ApprovalRequest,
    Grant,
    GrantTerms,
    InvalidRequest,
    NotFound,
    NoWorker,
    Status,
    attributes,
)
from cli.settings import Settings
from tests.agent_runs import Run, Start
from tests.office import ADA, GRACE, policed
from tests.raw import RUNS_LEFT_OPEN, collect_open_runs, impatient
from tests.support import call, eventually, unique

pytestmark = RUNS_LEFT_OPEN

POLICY = """
    [[checkpoint]]
    checkpoint_id = "payments"
    action_pattern = "^pay$"
"""

TERMS = GrantTerms(condition="args.cents <= 500", max_uses=3, expires_in=timedelta(hours=2))


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return policed(settings, POLICY)


@pytest.fixture(autouse=True)
async def no_leftovers(temporal: Client) -> None:
    """Runs that other tests left open without a worker would answer for nothing here."""
    await terminate_granted(temporal)


async def terminate_granted(temporal: Client) -> None:
    """End every run that has been given a standing approval."""
    query = f"ExecutionStatus = 'Running' AND {attributes.GRANTS.name} > 0"

    async def none() -> bool:
        left = [one.id async for one in temporal.list_workflows(query)]
        for id in left:
            with contextlib.suppress(RPCError):  # it has ended already; the list is late
                await temporal.get_workflow_handle(id).terminate()
        return not left

    await attributes.register(temporal)
    await eventually(none)


def pays(cents: int, number: int) -> Any:
    return [call("pay", json.dumps({"to": "Ada", "cents": cents}), f"call_{number}")]


TURNS = [pays(100, 1), pays(200, 2), pays(900, 3)]
"""The first is asked about, the second is covered by what was granted, the third is not."""


async def granted(run: Run) -> str:
    """Grant what the run asks for first; return the grant's id once the run waits for its third."""
    [first] = await run.waits_for()
    await run.approvals.approve(first.id, reviewer=ADA, grant=TERMS)

    async def third() -> bool:
        return [f"{run.handle.id}.3"] == [
            one.id async for one in run.approvals.pending(run=run.handle.id)
        ]

    await eventually(third)
    return first.id


async def listed(approvals: ApprovalClient, *ids: str) -> dict[str, Grant]:
    """All standing approvals there are, once these are among them."""

    async def probe() -> dict[str, Grant] | None:
        found = {one.id: one async for one in approvals.grants()}
        return found if set(ids) <= set(found) else None

    found = await eventually(probe)
    assert found is not None
    return found


async def test_a_standing_approval_is_listed_with_its_terms_and_uses(play: Start) -> None:
    async with play(*TURNS, agent="payer") as (run, _):
        id = await granted(run)

        one = (await listed(run.approvals, id))[id]
        of_run = [grant async for grant in run.approvals.grants(run.handle.id[2:])]

        assert of_run == [one]
        assert (one.run_id, one.tool, one.granted_by) == (run.handle.id, "pay", ADA)
        assert (one.condition, one.max_uses) == ("args.cents <= 500", 3)
        assert one.used_by == [f"{run.handle.id}.2"]
        assert one.expires_at - one.granted_at == timedelta(hours=2)
        assert one.status(datetime.now(UTC)) == "standing"
        ended = await run.approvals.revoke(id[3:], reviewer=GRACE)
        assert (ended.grant_id, ended.in_effect) == (id, True)
        await run.handle.terminate()
    collect_open_runs()


async def test_what_belongs_to_another_run_or_to_one_that_ended_is_not_listed(
    play: Start, approvals: ApprovalClient
) -> None:
    async with play(*TURNS, agent="payer") as (run, _):
        id = await granted(run)
        await approvals.reject(f"{run.handle.id}.3", reviewer=ADA)
        await run.result()

        async def gone() -> bool:
            return id not in {one.id async for one in approvals.grants()}

        await eventually(gone)
        assert [one async for one in approvals.grants(run.handle.id)] == []
        with pytest.raises(NotFound):
            [one async for one in approvals.grants(unique("no-such-run"))]
        with pytest.raises(NotFound, match=r"`clearance grants` lists|nearest"):
            await approvals.revoke(id, reviewer=ADA)


async def test_a_revocation_is_in_effect_for_the_next_call_and_says_by_whom(play: Start) -> None:
    turns = [pays(100, 1), pays(900, 2), pays(200, 3)]
    async with play(*turns, agent="payer") as (run, _):
        [first] = await run.waits_for()
        await run.approvals.approve(first.id, reviewer=ADA, grant=TERMS)
        await listed(run.approvals, first.id)

        done = await run.approvals.revoke(f" {first.id[:-2]} ", reviewer=GRACE)
        again = await run.approvals.revoke(first.id, reviewer=ADA)

        assert (done.grant_id, done.run_id) == (first.id, run.handle.id)
        assert (done.revoked_by, done.in_effect) == (GRACE, True)
        assert again == done
        second = await eventually_waits(run, 2)
        await run.approvals.approve(second, reviewer=ADA)
        third = await eventually_waits(run, 3)
        assert (await run.approvals.get(third)).request.arguments["cents"] == 200
        await run.approvals.approve(third, reviewer=ADA)
        await run.result()


async def eventually_waits(run: Run, number: int) -> str:
    """The id of the run's request with that number, once a person has to decide it."""
    id = f"{run.handle.id}.{number}"

    async def probe() -> bool:
        return id in [one.id async for one in run.approvals.pending(run=run.handle.id)]

    await eventually(probe)
    return id


async def test_an_ambiguous_id_lists_what_it_fits_and_an_unknown_one_the_nearest(
    play: Start,
) -> None:
    async with play(*TURNS, agent="payer") as (run, _):
        id = await granted(run)
        await listed(run.approvals, id)

        with pytest.raises(NotFound) as unknown:
            await run.approvals.revoke(f"{id[:-1]}x", reviewer=ADA)
        with pytest.raises(NotFound):  # an approval, but nothing came with it
            await run.approvals.revoke(f"{run.handle.id}.2", reviewer=ADA)

        assert id in unknown.value.nearest
        await run.handle.terminate()
    collect_open_runs()


async def test_two_that_fit_are_ambiguous(play: Start) -> None:
    turns = [[*pays(100, 1), *pays(101, 2)], pays(900, 3)]
    async with play(*turns, agent="payer") as (run, _):
        both = [one.id for one in await run.waits_for(2)]
        for id in both:
            await run.approvals.approve(id, reviewer=ADA, grant=TERMS)
        await listed(run.approvals, *both)

        with pytest.raises(Ambiguous) as ambiguous:
            await run.approvals.revoke(run.handle.id, reviewer=ADA)

        assert set(ambiguous.value.candidates) == set(both)
        await run.handle.terminate()
    collect_open_runs()


@pytest.mark.parametrize("reviewer", ["", " ", "a" * 201, "a\nb"])
async def test_a_malformed_name_revokes_nothing(approvals: ApprovalClient, reviewer: str) -> None:
    with pytest.raises(InvalidRequest, match="reviewer: "):
        await approvals.revoke("any.1", reviewer=reviewer)


@pytest.mark.parametrize("typed", ["", "x" * 201, "\udcff"])
async def test_what_can_be_no_id_is_refused(approvals: ApprovalClient, typed: str) -> None:
    with pytest.raises(InvalidRequest, match="an id "):
        await approvals.revoke(typed, reviewer=ADA)


async def test_without_a_worker_a_whole_id_is_enough_and_the_server_keeps_the_revocation(
    play: Start, settings: Settings, temporal: Client
) -> None:
    alone = impatient(temporal, settings)
    async with play(*TURNS, agent="payer") as (run, _):
        id = await granted(run)
        await listed(run.approvals, id)
    collect_open_runs()

    done = await alone.revoke(id, reviewer=GRACE)

    assert (done.grant_id, done.in_effect, done.revoked_at) == (id, False, None)
    not_whole = (id[:-1], f"{run.handle.id}.2")
    unheard, *revoked = await asyncio.gather(
        listed(alone, id),
        *(alone.revoke(one, reviewer=GRACE) for one in not_whole),
        return_exceptions=True,
    )
    assert isinstance(unheard, NoWorker)
    assert re.match(f"no worker answers for .*{run.handle.id}", str(unheard))
    for said in revoked:
        assert isinstance(said, NoWorker)
        assert "whole id" in str(said)
    async with play(agent="payer") as (other, _):
        [kept] = [one async for one in other.approvals.grants(run.handle.id)]
        assert (kept.id, kept.revoked_by) == (id, GRACE)
        await other.result()
        await run.handle.terminate()
    collect_open_runs()


async def test_what_a_standing_approval_answers_is_not_listed_as_waiting(
    temporal: Client, settings: Settings, approvals: ApprovalClient
) -> None:
    answered, waiting = unique("answered"), unique("waiting")
    request = ApprovalRequest(action="Pay")
    started: tuple[tuple[str, Status], ...] = ((answered, "approved"), (waiting, "pending"))
    for id, status in started:
        await temporal.start_workflow(
            "ApprovalWorkflow",
            request.model_dump(mode="json"),
            id=id,
            task_queue=settings.approvals_queue,  # nobody serves it
            search_attributes=attributes.of(request, status=status, deadline=None),
            memo={"approval": request.memo()},
        )

    async def both_indexed() -> bool:
        query = f"TaskQueue = '{settings.approvals_queue}'"
        return (await temporal.count_workflows(query)).count == 2

    await eventually(both_indexed)
    assert [one.id async for one in approvals.pending()] == [waiting]

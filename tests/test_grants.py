"""Standing approvals: "approve this, and further calls like it", and what they cover."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from openai.types.responses import ResponseFunctionToolCall

from clearance import ApprovalClient
from clearance.grants import GrantUse
from cli.settings import Settings

from .agent_runs import Start, played_by_one, told
from .granting import FIRST, POLICY, grants, next_of, pays, standing, ungranted
from .office import ADA, GRACE, by, decide, done, grant, policed
from .support import eventually


@pytest.fixture(scope="module")
def settings(lasting: Settings) -> Settings:
    return policed(lasting, POLICY)


@pytest.fixture(scope="module")
async def play(settings: Settings, connection: dict[str, Any]) -> AsyncIterator[Start]:
    async with played_by_one(settings, connection) as start:
        yield start


async def test_further_calls_pass_without_a_person_and_each_leaves_an_approval_that_names_the_grant(
    play: Start, approvals: ApprovalClient
) -> None:
    turns = [[FIRST], [pays(200, "call_2")], [pays(300, "call_3")]]
    async with play(*turns, agent="payer") as (run, model):
        [waiting] = await run.waits_for()
        assert await standing(run) is None
        assert (await grant(approvals, waiting.id, max_uses=5))["status"] == "approved"
        outcomes = (await run.result()).approvals

        assert [one.status for one in outcomes] == ["approved"] * 3
        for use, outcome in enumerate(outcomes[1:], 1):
            view = await approvals.get(outcome.approval_id)
            assert await by(approvals, view.id) == ("grant", ADA)
            assert view.request.grant == GrantUse(
                grant_id=waiting.id, granted_by=ADA, condition="true", use=use, max_uses=5
            )
            assert view.decision is not None
            assert view.decision.reason == f"standing approval {waiting.id}, use {use} of 5"
            assert view.request.arguments["cents"] == 100 * (use + 1)
            assert view.request.checkpoint == "payments"
            assert (view.request.grantable, view.deadline) == (False, None)
            assert done(view.id) == [{"to": "Ada", "cents": 100 * (use + 1)}]
        [kept] = await grants(run)
        assert (kept.id, kept.tool, kept.checkpoint) == (waiting.id, "pay", "payments")
        assert (kept.run_id, kept.granted_by) == (run.handle.id, ADA)
        assert kept.used_by == [one.approval_id for one in outcomes[1:]]
        assert await standing(run) == 1
    assert told(model) == {f"call_{number}": "pay done" for number in (1, 2, 3)}


ASKED_AGAIN: dict[str, tuple[str, dict[str, Any], ResponseFunctionToolCall]] = {
    "a condition that is false": ("args.cents <= 100", {}, pays(101, "call_2")),
    "a condition that can't be evaluated": (
        "100 / (args.cents - 1) >= 0",
        {},
        pays(1, "call_2"),
    ),
    "another tool": ("true", {}, pays(100, "call_2", tool="refund")),
    "a stricter checkpoint": ("true", {}, pays(5_001, "call_2")),
    "a grant that has expired": (
        "true",
        {"expires_in": timedelta(milliseconds=1)},
        pays(100, "call_2"),
    ),
}


@pytest.mark.parametrize(("condition", "terms", "then"), ASKED_AGAIN.values(), ids=ASKED_AGAIN)
async def test_what_a_grant_does_not_cover_waits_for_a_person(
    play: Start,
    approvals: ApprovalClient,
    condition: str,
    terms: dict[str, Any],
    then: ResponseFunctionToolCall,
) -> None:
    async with play([FIRST], [then], agent="payer") as (run, _):
        [waiting] = await run.waits_for()
        await grant(approvals, waiting.id, condition, **terms)
        asked = await next_of(run, waiting.id)
        assert (await approvals.get(asked)).request.grant is None
        assert done(asked) == []
        await decide(approvals, asked, reviewer=GRACE)
        await run.result()
        assert await by(approvals, asked) == ("client", GRACE)
        assert [one.used_by for one in await grants(run)] == [[]]


async def test_a_person_is_asked_again_once_the_uses_are_up(
    play: Start, approvals: ApprovalClient
) -> None:
    turns = [[pays(100, f"call_{number}")] for number in range(4)]
    async with play(*turns, agent="payer") as (run, _):
        [waiting] = await run.waits_for()
        await grant(approvals, waiting.id, max_uses=2)
        asked = await next_of(run, waiting.id)
        assert asked == f"{run.handle.id}.4"
        assert len(done(run.handle.id)) == 3
        await approvals.reject(asked, reviewer=ADA)
        await run.result()
    assert len(done(run.handle.id)) == 3


async def test_calls_at_the_same_time_share_no_use(play: Start, approvals: ApprovalClient) -> None:
    together = [pays(cents, f"call_{cents}") for cents in (11, 12, 13, 14, 15)]
    async with play([FIRST], together, agent="payer") as (run, _):
        [waiting] = await run.waits_for()
        await grant(approvals, waiting.id, max_uses=2)

        async def three() -> list[str]:
            found = [id for id in await ungranted(run) if id != waiting.id]
            return found if len(found) == 3 else []

        for id in await eventually(three):
            await approvals.reject(id, reviewer=ADA)
        await run.result()
        [kept] = await grants(run)
    assert len(done(run.handle.id)) == 3
    assert len(set(kept.used_by)) == 2
    assert kept.revoked_by == ADA  # a rejection of the tool ended it


async def test_a_grant_of_one_run_is_none_of_another(
    play: Start, approvals: ApprovalClient
) -> None:
    async with play([FIRST], agent="payer") as (run, _):
        [waiting] = await run.waits_for()
        await grant(approvals, waiting.id, max_uses=1_000, expires_in=timedelta(days=30))
        await run.result()

    async with play([FIRST], agent="payer") as (other, _):
        [asked] = await other.waits_for()
        assert (await approvals.get(asked.id)).request.grant is None
        await approvals.reject(asked.id, reviewer=ADA)
        await other.result()
    assert done(other.handle.id) == []

"""Standing approvals end with a revocation or a rejection, for the very next call."""

from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.openai_agents.testing import TestModelProvider as Provider

import worker
from clearance import ApprovalClient
from cli.settings import Settings

from .agent_runs import Play, Run, Start
from .conftest import Serve
from .granting import FIRST, POLICY, REFUND, granted_and_waiting, grants, next_of, pays, standing
from .office import ADA, GRACE, done, grant, policed
from .support import PlayedModel, eventually, says


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return policed(settings, POLICY)


async def test_a_revocation_takes_effect_for_the_very_next_call(
    play: Start, approvals: ApprovalClient
) -> None:
    turns = [[FIRST], [pays(2, "call_2"), REFUND], [pays(3, "call_3")]]
    async with play(*turns, agent="payer") as (run, _):
        granted, refund = await granted_and_waiting(run)

        async def used() -> bool:
            return len(done(run.handle.id)) == 2

        await eventually(used)
        said = {"grant_id": granted, "reviewer": GRACE, "reason": "enough"}
        await run.handle.signal("revoke_grant", said)
        await approvals.approve(refund, reviewer=ADA)

        asked = await next_of(run, granted, refund)
        await approvals.reject(asked, reviewer=ADA)
        await run.result()
        [kept] = await grants(run)
        assert await standing(run) == 0
    assert kept.revoked_by == GRACE
    assert kept.revoked_at is not None
    assert [one["cents"] for one in done(run.handle.id)] == [100, 2, 1]


async def test_a_revocation_sent_while_no_worker_was_there_takes_effect_when_one_is_back(
    settings: Settings, serve: Serve, approvals: ApprovalClient
) -> None:
    model = PlayedModel([FIRST], [REFUND], [pays(3, "call_3")], [says("Finished.")])
    async with serve(model) as serving:
        run = await Play(settings, serving).start("payer")
        granted, refund = await granted_and_waiting(run)

    async with serve(only="approvals"):
        await approvals.approve(refund, reviewer=ADA)
        await approvals.wait(refund)
    # After the answer, and yet before the call that the answer leads to.
    await run.handle.signal("revoke_grant", {"grant_id": granted, "reviewer": GRACE})

    async with serve(model):
        asked = await next_of(run, granted, refund)
        assert (await approvals.get(asked)).request.arguments["cents"] == 3
        await approvals.reject(asked, reviewer=ADA)
        await run.result()
        assert [one.revoked_by for one in await grants(run)] == [GRACE]
    assert [one["cents"] for one in done(run.handle.id)] == [100, 1]


async def being_recorded(run: Run) -> list[str]:
    """Uses of a grant that no worker has taken yet."""
    waiting = await run.handle.query("pending_approvals")
    known = [one["id"] for one in waiting]
    return [id for id in known if id == f"{run.handle.id}.3"]


async def test_a_grant_revoked_while_its_use_is_being_recorded_is_not_used(
    settings: Settings, serve: Serve, connection: dict[str, Any], approvals: ApprovalClient
) -> None:
    model = PlayedModel([FIRST], [REFUND], [pays(3, "call_3")], [says("Finished.")])
    agents = worker.running(settings, connection, only="agents", model_provider=Provider(model))
    async with agents as serving:
        async with serve(only="approvals"):
            run = await Play(settings, serving).start("payer")
            granted, refund = await granted_and_waiting(run)
        # Nobody records anything now, so the use of the grant waits.
        await approvals.temporal.get_workflow_handle(refund).terminate(reason="test")
        [use] = await eventually(lambda: being_recorded(run))
        await run.handle.signal("revoke_grant", {"grant_id": granted, "reviewer": GRACE})
        assert (await grants(run))[0].revoked_by == GRACE

        async with serve(only="approvals"):
            asked = await next_of(run, granted, refund, use)
            assert (await approvals.get(asked)).request.grant is None
            assert done(use) == []
            await approvals.reject(asked, reviewer=ADA)
            await run.result()
    assert [one["cents"] for one in done(run.handle.id)] == [100]


async def test_a_later_rejection_of_the_tool_ends_its_grants_whatever_the_checkpoint(
    play: Start, approvals: ApprovalClient
) -> None:
    turns = [[FIRST], [pays(9_000, "call_2")], [pays(100, "call_3")]]
    async with play(*turns, agent="payer") as (run, _):
        [waiting] = await run.waits_for()
        await grant(approvals, waiting.id)
        large = await next_of(run, waiting.id)
        await approvals.reject(large, reviewer=GRACE, reason="too much")

        small = await next_of(run, waiting.id, large)
        await approvals.approve(small, reviewer=ADA)
        await run.result()
        [kept] = await grants(run)
    assert kept.revoked_by == GRACE
    assert [one["cents"] for one in done(run.handle.id)] == [100, 100]


async def test_a_rejection_of_another_tool_leaves_a_grant_in_force(
    play: Start, approvals: ApprovalClient
) -> None:
    async with play([FIRST], [REFUND], [pays(2, "call_2")], agent="payer") as (run, _):
        granted, refund = await granted_and_waiting(run)
        await approvals.reject(refund, reviewer=ADA)
        await run.result()
        [kept] = await grants(run)
        assert (kept.id, kept.revoked_by, len(kept.used_by)) == (granted, None, 1)
    assert [one["cents"] for one in done(run.handle.id)] == [100, 2]


MALFORMED: dict[str, list[Any]] = {
    "nothing": [],
    "null": [None],
    "a word": ["run.1"],
    "a list": [["run.1"]],
    "no reviewer": [{"grant_id": "GRANTED"}],
    "an empty reviewer": [{"grant_id": "GRANTED", "reviewer": " "}],
    "a reviewer that is no text": [{"grant_id": "GRANTED", "reviewer": {"is": "ada"}}],
    "a reviewer of 201 characters": [{"grant_id": "GRANTED", "reviewer": "x" * 201}],
    "no grant": [{"reviewer": ADA}],
    "an unknown grant": [{"grant_id": "somebody-else.1", "reviewer": ADA}],
    "a grant that is no text": [{"grant_id": ["GRANTED"], "reviewer": ADA}],
    "two arguments": [{"grant_id": "GRANTED", "reviewer": ADA}, True],
    "json that is none": [RawValue(Payload(metadata={"encoding": b"json/plain"}, data=b"{"))],
    "an encoding of their own": [RawValue(Payload(metadata={"encoding": b"binary/x"}, data=b"x"))],
}


async def test_malformed_revocations_change_nothing_and_break_nothing(
    play: Start, approvals: ApprovalClient
) -> None:
    async with play([FIRST], [REFUND], [pays(2, "call_2")], agent="payer") as (run, _):
        granted, refund = await granted_and_waiting(run)
        for arguments in MALFORMED.values():
            named = [
                {**one, "grant_id": granted}
                if isinstance(one, dict) and one.get("grant_id") == "GRANTED"
                else one
                for one in arguments
            ]
            await run.handle.signal("revoke_grant", args=named)
        await approvals.approve(refund, reviewer=ADA)
        await run.result()
        [kept] = await grants(run)
    assert (kept.revoked_by, len(kept.used_by)) == (None, 1)
    assert [one["cents"] for one in done(run.handle.id)] == [100, 1, 2]

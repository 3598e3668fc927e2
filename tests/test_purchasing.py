"""The example docs/examples/purchasing, from the agent's call to what the agent is told."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from openai.types.responses import ResponseFunctionToolCall

from clearance import ApprovalClient, Refused
from cli.settings import Settings

from .agent_runs import Run, Start, told
from .directory import replays
from .support import call, eventually

EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "purchasing"
MIA, DAN, DORA, CARL, CLEO, OTTO = (
    f"{name}@example.com" for name in ("mia", "dan", "dora", "carl", "cleo", "otto")
)
TIMES = "\u00d7"
TODAY = datetime.now(UTC).date()


@pytest.fixture
def settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """As somebody who works in the folder of the example has them; Dora is at work."""
    monkeypatch.syspath_prepend(EXAMPLE)
    settings = settings.model_copy(
        update={
            "agents": ("purchasing",),
            "policy": EXAMPLE / "checkpoints.toml",
            "reviewers": settings.state.with_name("reviewers.toml"),
        }
    )
    away(settings, timedelta(days=30), timedelta(days=40))
    return settings


def away(settings: Settings, since: timedelta, until: timedelta) -> None:
    """The example's directory, Dora's absence so far from today instead of around the year's end."""
    text = (EXAMPLE / "reviewers.toml").read_text()
    for key, length in (("since", since), ("until", until)):
        text, count = re.subn(rf"(?m)^{key} = [-\d]+", f"{key} = {TODAY + length}", text)
        assert count == 1
    assert settings.reviewers is not None
    new = settings.reviewers.with_suffix(".new")
    new.write_text(text)
    new.replace(settings.reviewers)


def orders(euros: float, quantity: int = 10, call_id: str = "call_1") -> ResponseFunctionToolCall:
    arguments = {"item": "chair", "quantity": quantity, "euros": euros}
    return call("order", json.dumps(arguments), call_id)


async def waits(run: Run, *known: str) -> str:
    """The id of what the run asks for, after these."""

    async def probe() -> str:
        found = [one.id async for one in run.approvals.pending(run=run.handle.id)]
        return next((id for id in found if id not in known), "")

    return await eventually(probe)


async def test_a_small_purchase_is_the_team_leads_matter(
    play: Start, approvals: ApprovalClient
) -> None:
    async with play([orders(900)], agent="purchasing", requester=OTTO) as (run, model):
        id = await waits(run)
        with pytest.raises(Refused, match=rf"{DORA} is not in the audience \(group:leads\)"):
            await approvals.approve(id, reviewer=DORA)
        receipt = await approvals.approve(id, reviewer="mia")
        await run.result()
        view = await approvals.get(id)

    assert (receipt.status, receipt.stage) == ("approved", "lead")
    assert told(model) == {"call_1": f"ordered 10 x chair for 900.00 EUR ({id})"}
    assert view.request.action == f"Order 10 {TIMES} chair for 900 EUR"
    assert [one.status for one in view.stages] == ["done", "skipped", "skipped"]
    assert view.events[-1].kind == "executed"


async def test_a_large_one_goes_through_all_stages_with_what_was_changed_on_the_way(
    settings: Settings, play: Start, approvals: ApprovalClient
) -> None:
    async with play([orders(900)], agent="purchasing", requester=OTTO) as (run, model):
        id = await waits(run)
        edited = await approvals.approve(
            id, reviewer=MIA, changes={"quantity": 200, "euros": 18_000}
        )
        assert (edited.status, edited.counted) == ("pending", False)
        with pytest.raises(Refused, match="mia changed the arguments"):
            await approvals.approve(id, reviewer="mia")
        lead = await approvals.approve(id, reviewer=DAN)
        assert lead.next_stage == "director"

        with pytest.raises(Refused, match=rf"{DAN} is not in the audience \(group:directors\)"):
            await approvals.approve(id, reviewer=DAN)
        away(settings, timedelta(days=-1), timedelta(days=1))
        director = await approvals.approve(id, reviewer=DAN)
        assert director.next_stage == "finance"
        assert (await approvals.get(id)).deadline is None

        first = await approvals.approve(id, reviewer=CARL)
        assert (first.status, first.approvals, first.quorum) == ("pending", 1, 2)
        with pytest.raises(Refused, match=f"{CARL} has approved already"):
            await approvals.approve(id, reviewer=CARL)
        await approvals.approve(id, reviewer=CLEO)
        result = await run.result()
        view = await approvals.get(id)
        await replays(approvals.temporal.get_workflow_handle(id))

    assert told(model)["call_1"] == (
        "A person changed the arguments before approving (quantity: 10 became 200; euros: 900 became"
        f" 18000). It ran with the changes.\nordered 200 x chair for 18000.00 EUR ({id})"
    )
    assert view.current.action == f"Order 200 {TIMES} chair for 18000 EUR"
    counted = [
        (one.stage, one.who, one.on_behalf_of) for one in view.events if one.kind == "approved"
    ]
    assert counted == [
        ("lead", DAN, None),
        ("director", DAN, DORA),
        ("finance", CARL, None),
        ("finance", CLEO, None),
    ]
    [outcome] = result.approvals
    assert (outcome.status, outcome.approval_id) == ("approved", id)


@pytest.mark.parametrize("asker", ["mia", MIA])
async def test_a_team_lead_does_not_approve_what_they_want_themselves(
    play: Start, approvals: ApprovalClient, asker: str
) -> None:
    async with play([orders(900)], agent="purchasing", requester=asker) as (run, _):
        id = await waits(run)
        for name in ("mia", MIA):
            with pytest.raises(Refused, match="asked for this: somebody else has to approve it"):
                await approvals.approve(id, reviewer=name)
        await approvals.approve(id, reviewer=DAN)
        await run.result()


async def test_a_rejection_by_the_director_reaches_the_agent_and_nothing_is_ordered(
    play: Start, approvals: ApprovalClient
) -> None:
    async with play([orders(2_000)], agent="purchasing") as (run, model):
        id = await waits(run)
        await approvals.approve(id, reviewer=DAN)
        await approvals.reject(id, reviewer=DORA, reason="Not this year")
        result = await run.result()

    assert told(model) == {"call_1": "Rejected: Not this year"}
    assert [one.status for one in result.approvals] == ["rejected"]


async def test_fewer_please_makes_it_a_second_attempt(
    play: Start, approvals: ApprovalClient
) -> None:
    turns: list[Any] = [[orders(2_000)], [orders(1_000, 5, "call_2")]]
    async with play(*turns, agent="purchasing") as (run, model):
        first = await waits(run)
        await approvals.request_changes(first, reviewer=MIA, feedback="Half as many, please.")
        second = await waits(run, first)
        request = (await approvals.get(second)).request
        assert (request.previous, request.attempt) == (first, 2)
        await approvals.approve(second, reviewer=MIA)
        await run.result()

    assert told(model) == {
        "call_1": "Changes requested: Half as many, please.\nNothing ran. Make these changes and "
        "call order again; a person then looks at it anew.",
        "call_2": f"ordered 5 x chair for 1000.00 EUR ({second})",
    }


async def test_the_desk_withdraws_it_and_the_agent_is_told_who_and_why(
    play: Start, approvals: ApprovalClient
) -> None:
    async with play([orders(900)], agent="purchasing", requester=MIA) as (run, model):
        id = await waits(run)
        with pytest.raises(Refused, match="neither asked for this nor is an operator"):
            await approvals.withdraw(id, who=DAN)
        await approvals.withdraw(id, who=OTTO, reason="there are chairs in the cellar")
        await run.result()

    assert told(model) == {
        "call_1": f"Withdrawn: withdrawn by {OTTO}: there are chairs in the cellar"
    }


async def test_what_the_policy_does_not_let_a_reviewer_change_stays_as_it_is(
    play: Start, approvals: ApprovalClient
) -> None:
    async with play([orders(900)], agent="purchasing") as (run, _):
        id = await waits(run)
        with pytest.raises(Refused, match="item can't be changed here, only quantity, euros"):
            await approvals.approve(id, reviewer=MIA, changes={"item": "sofa"})
        await approvals.reject(id, reviewer=MIA)
        await run.result()

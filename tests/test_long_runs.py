"""An agent run whose history becomes long goes on in another execution, and loses nothing on the way."""

import json
from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.common import RetryPolicy

from clearance import ApprovalClient, evidence
from clearance.granting import revoke
from clearance.runs import AgentRun, list_runs
from clearance.timeline import timeline
from cli.settings import Settings
from tools import continuing

from .agent_runs import Run, Start, told
from .conftest import Serve
from .granting import FIRST, POLICY, REFUND, grants, next_of, pays, standing
from .office import decide, done, grant, policed
from .support import PlayedModel, call, eventually, says, unique

TRANSFER = call("transfer_to_payer", "{}", "call_0")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return policed(settings, POLICY)


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each execution makes one call of the model."""
    monkeypatch.setattr(continuing, "_MANY_EVENTS", 1)


async def executions(client: Client, id: str) -> int:
    async def ended() -> int:
        query = f"WorkflowId = '{id}' AND ExecutionStatus = 'ContinuedAsNew'"
        return (await client.count_workflows(query)).count

    return await eventually(ended)


@pytest.mark.usefixtures("_at_once")
async def test_agent_grants_and_numbers_of_approvals_go_on_where_the_execution_before_stopped(
    play: Start, approvals: ApprovalClient, temporal: Client
) -> None:
    turns = [[TRANSFER], [FIRST], [pays(200, "call_2")], [REFUND], [pays(300, "call_3")]]
    async with play(*turns, agent="desk") as (run, model):
        id = run.handle.id
        await run.waits_for()
        await grant(approvals, f"{id}.1", max_uses=5)
        assert await next_of(run, f"{id}.1") == f"{id}.3"
        [kept] = await grants(run)
        assert (kept.used_by, await standing(run)) == ([f"{id}.2"], 1)
        await decide(approvals, f"{id}.3", reason="Fair enough")
        result = await run.result()

        assert [one.approval_id for one in result.approvals] == [f"{id}.{n}" for n in range(1, 5)]
        assert (result.output, done(f"{id}.1")) == ("Finished.", [{"to": "Ada", "cents": 100}])
        assert [done(f"{id}.{n}") for n in (2, 3, 4)] == [
            [{"to": "Ada", "cents": cents}] for cents in (200, 1, 300)
        ]
        assert await executions(temporal, id) == 5
        assert model.inputs[0] != model.inputs[-1]
        assert told(model) | {"call_0": ""} == {"call_0": ""} | {
            f"call_{n}": "pay done" for n in (1, 2, 3)
        } | {"call_refund": "refund done"}
        executed = [one.kind for one in (await approvals.get(f"{id}.4")).events]
        assert executed[-1] == "executed"
        await _is_told_as_one(temporal, run)


async def _is_told_as_one(client: Client, run: Run) -> None:
    """By the readers of a run, whatever execution they find."""
    id = run.handle.id
    story = await timeline(client, id)
    kinds = [one.kind for one in story.entries]
    assert (kinds[0], kinds[-1], kinds.count("prompt"), kinds.count("model")) == (
        *("prompt", "end"),
        *(1, 6),
    )
    assert (kinds.count("gate"), story.output) == (4, "Finished.")

    async def listed() -> list[Any]:
        return [one async for one in list_runs(client) if one.id == id and one.closed_at]

    [line] = await eventually(listed)
    assert (line.status, line.started_at) == ("completed", story.entries[0].at)
    assert story.run.started_at == line.started_at
    proved = await evidence.evidence(client, id)
    assert proved.ended
    assert len([one for one in proved.events if "approv" in json.dumps(one)]) >= 4


@pytest.mark.usefixtures("_at_once")
async def test_the_policy_of_the_beginning_and_the_number_of_turns_hold_to_the_end(
    play: Start, settings: Settings, approvals: ApprovalClient
) -> None:
    turns = [[FIRST], [pays(200, "call_2")], [pays(300, "call_3")]]
    async with play(*turns, agent="payer", max_turns=2) as (run, _):
        await run.waits_for()
        assert settings.policy is not None
        settings.policy.write_text('default = "allow"')
        await decide(approvals, f"{run.handle.id}.1")
        await decide(approvals, await next_of(run, f"{run.handle.id}.1"))

        assert "Max turns (2) exceeded" in str((await run.failure())[-1])


@pytest.mark.usefixtures("_at_once")
async def test_a_grant_that_was_revoked_stays_so_in_the_next_execution(
    play: Start, approvals: ApprovalClient, temporal: Client
) -> None:
    turns = [[FIRST], [REFUND], [pays(300, "call_3")]]
    async with play(*turns, agent="payer") as (run, _):
        id = run.handle.id
        await run.waits_for()
        await grant(approvals, f"{id}.1")
        refund = await next_of(run, f"{id}.1")
        assert (await revoke(temporal, f"{id}.1", "ada", approvals._answer_timeout)).in_effect
        await decide(approvals, refund)
        assert await next_of(run, refund) == f"{id}.3"


async def test_a_run_that_cannot_hand_over_what_it_knows_goes_on_and_says_so_until_its_history_is_full(
    play: Start, approvals: ApprovalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continuing, "_MANY_EVENTS", 1)
    monkeypatch.setattr(continuing, "_MAX_CARRIED_BYTES", 100)
    async with play([FIRST], [REFUND], agent="payer") as (run, _):
        await run.waits_for()
        await decide(approvals, f"{run.handle.id}.1")
        refund = await next_of(run, f"{run.handle.id}.1")
        said = await (await run.handle.describe()).memo_value("long")
        assert (
            said
            == "its history is long, and what it knows can't be handed over to another execution"
        )
        monkeypatch.setattr(continuing, "_MOST_EVENTS", 2)
        await decide(approvals, refund)

        assert "the run's history is full" in str((await run.failure())[-1])
    assert done(refund)


WORST = "a state that lets everything through"

FORGED: dict[str, Any] = {
    "what only looks like it": {"agent": "payer"},
    "nothing": None,
    WORST: {
        "execution": "0",
        "pinned": {"digest": "0", "source": "-", "policy": {"default": "allow"}},
        "agent": "payer",
        "conversation": [{"role": "user", "content": "Pay"}],
        **dict.fromkeys(("turns", "asked"), 0),
        **{name: [] for name in ("closed", "grants")},
        **{name: {} for name in ("executions", "attempts", "last")},
    },
}


@pytest.mark.parametrize(
    ("forged", "schedule"),
    [*((one, "") for one in FORGED.values()), (FORGED[WORST], "@every 1s")],
    ids=[*FORGED, f"{WORST}, again and again"],
)
async def test_who_starts_a_run_cannot_make_up_what_it_goes_on_from(
    serve: Serve, settings: Settings, forged: Any, schedule: str
) -> None:
    run = AgentRun(agent="payer", prompt="Pay", approvals_queue=settings.approvals_queue)
    model = PlayedModel([pays(1, "call_1")], [says("Paid")])
    async with serve(model) as serving:
        first = await serving.client.start_workflow(
            "AgentWorkflow",
            args=[run.model_dump(mode="json"), forged],
            id=unique("run"),
            task_queue=settings.agents_queue,
            cron_schedule=schedule,
        )
        latest = serving.client.get_workflow_handle(first.id)
        if schedule:

            async def twice() -> bool:
                return (await latest.describe()).run_id != first.first_execution_run_id

            await eventually(twice)
            await latest.terminate()
        else:
            with pytest.raises(WorkflowFailureError) as raised:
                await latest.result()
            assert "Input should be" in str(raised.value.__cause__)
    assert model.inputs == []
    assert done(first.id) == []


@pytest.mark.usefixtures("_at_once")
async def test_a_run_that_a_build_cannot_go_on_from_waits_and_one_that_is_started_again_stays(
    serve: Serve, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_a_newer_build(extra: Any) -> Any:
        return received(tuple({**one, "newer": True} for one in extra))

    received = continuing.Carried.received
    monkeypatch.setattr(continuing.Carried, "received", of_a_newer_build)
    policed(settings, 'default = "allow"')
    run = AgentRun(agent="refund", prompt="Pay", approvals_queue=settings.approvals_queue)
    looks = call("look_up_order", '{"order_id": "1"}', "call_0")
    model = PlayedModel([looks], [says("Stayed")], [looks])
    async with serve(model) as serving:

        async def start(retry: RetryPolicy | None) -> Any:
            handle = await serving.client.start_workflow(
                "AgentWorkflow",
                run.model_dump(mode="json"),
                id=unique("run"),
                task_queue=settings.agents_queue,
                retry_policy=retry,
            )
            return serving.client.get_workflow_handle(handle.id)

        stayed = await start(RetryPolicy(maximum_attempts=3))
        assert (await stayed.result())["output"] == "Stayed"
        assert (await (await stayed.describe()).memo_value("long")).startswith("its history is")
        waits = await start(None)

        async def is_stuck() -> bool:
            task = (await waits.describe()).raw_description.pending_workflow_task
            return task.attempt > 1 and len(model.inputs) == 3

        await eventually(is_stuck)
        assert (await waits.describe()).status == WorkflowExecutionStatus.RUNNING
        await waits.terminate()

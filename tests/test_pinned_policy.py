"""A run goes by the policy file as it was at its start; the file may change, break or vanish since."""

import hashlib
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.exceptions import CancelledError
from temporalio.openai_agents import OpenAIAgentsPlugin
from temporalio.openai_agents.testing import TestModelProvider as Provider
from temporalio.service import RPCError
from temporalio.worker import Replayer

import worker
from activities.model import CALL
from clearance import ApprovalClient
from clearance.contract import MAX_PROMPT_BYTES, MEMO_TROUBLE
from cli.settings import EmbeddedServer, Settings
from policy.source import MAX_POLICY_BYTES
from tools import runner
from workflows.agent import AgentWorkflow

from .agent_runs import Play, Run, Start, apart, played_by_one, told
from .office import ADA, done, policed, write
from .support import PlayedModel, call, eventually, says
from .test_acceptance import shell_of

BEFORE = """
    default = "allow"

    [[checkpoint]]
    checkpoint_id = "before"
    action_pattern = "^pay$"
    description_template = "Pay {cents} to {to}, as it was before"
    risk = "critical"
"""

AFTER = """
    default = "gate"

    [[checkpoint]]
    checkpoint_id = "after"
    action_pattern = "^pay$"
    allow = true
"""

BROKEN = "[[checkpoint]]\naction_pattern = '^pay$'\n"


def pays(cents: int, tool: str = "pay") -> Any:
    return call(tool, json.dumps({"to": "Ada", "cents": cents}), f"call_{tool}_{cents}")


@pytest.fixture(scope="module")
def settings(lasting: Settings) -> Settings:
    return policed(lasting, BEFORE)


@pytest.fixture(scope="module")
async def play(settings: Settings, connection: dict[str, Any]) -> AsyncIterator[Start]:
    async with played_by_one(settings, connection) as start:
        yield start


@pytest.fixture(autouse=True)
def _policy(settings: Settings) -> Iterator[None]:
    yield
    if file_of(settings).is_dir():
        file_of(settings).rmdir()
    write(settings, BEFORE)


def file_of(settings: Settings) -> Path:
    assert settings.policy is not None
    return settings.policy


CHANGES = {
    "rewritten": lambda file: file.write_text(AFTER),
    "broken": lambda file: file.write_text(BROKEN),
    "emptied": lambda file: file.write_text(""),
    "removed": lambda file: file.unlink(),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_what_becomes_of_the_file_changes_nothing_for_a_run_under_way_nor_for_its_replay(
    settings: Settings, play: Start, approvals: ApprovalClient, change: Any
) -> None:
    digest = hashlib.sha256(file_of(settings).read_bytes()).hexdigest()
    turns = [[pays(1)], [pays(2, "refund")], [pays(3)]]
    async with play(*turns, agent="payer") as (run, model):
        [first] = await run.waits_for()
        change(file_of(settings))
        await approvals.approve(first.id, reviewer=ADA)

        third = await eventually(lambda: other_than(run, first.id))
        request = (await approvals.get(third)).request
        assert request.action == "Pay 3 to Ada, as it was before"
        assert (request.checkpoint, request.risk) == ("before", "critical")
        assert request.policy_digest == digest
        await approvals.approve(third, reviewer=ADA)
        await run.result()
    assert list(told(model).values()) == ["pay done", "refund done", "pay done"]
    await replays(run)


async def other_than(run: Run, known: str) -> str:
    """Another request that waits than the known one; empty as long as none does."""
    found = [one.id async for one in run.approvals.pending(run=run.handle.id)]
    return next((id for id in found if id != known), "")


async def test_the_next_run_goes_by_the_new_file_and_says_so_in_its_requests(
    settings: Settings, play: Start, approvals: ApprovalClient
) -> None:
    async with play([pays(1)], agent="payer") as (first, _):
        [waiting] = await first.waits_for()
        before = (await approvals.get(waiting.id)).request
        await approvals.approve(waiting.id, reviewer=ADA)
        await first.result()

    write(settings, AFTER)
    async with play([pays(2)], [pays(3, "refund")], agent="payer") as (second, _):
        [waiting] = await second.waits_for()
        after = (await approvals.get(waiting.id)).request
        await approvals.approve(waiting.id, reviewer=ADA)
        await second.result()

    assert (before.tool, before.checkpoint) == ("pay", "before")
    assert (after.tool, after.checkpoint) == ("refund", None)  # pay went through, refund by default
    assert after.policy_digest == hashlib.sha256(file_of(settings).read_bytes()).hexdigest()
    assert before.policy_digest != after.policy_digest


async def replays(run: Run) -> None:
    """Its history agrees with the code, wherever the file is by now."""
    history = await run.handle.fetch_history()
    plugin = OpenAIAgentsPlugin(
        model_params=CALL, model_provider=Provider(PlayedModel()), add_temporal_spans=False
    )
    replayer = Replayer(workflows=[AgentWorkflow], plugins=[plugin, runner.plugin()])
    assert (await replayer.replay_workflow(history)).replay_failure is None


async def test_a_run_taken_up_by_another_worker_keeps_the_policy_it_began_with(
    settings: Settings, forgetting: EmbeddedServer
) -> None:
    there = {"target_host": forgetting.address}
    settings = apart(settings)
    model = PlayedModel([pays(1)], [pays(2)], [says("Finished.")])
    async with worker.running(settings, there, model_provider=Provider(model)) as serving:
        run = await Play(settings, serving).start("payer")
        [first] = await run.waits_for()
    write(settings, AFTER)
    # Another, which has nothing in memory: it replays the run.
    async with worker.running(settings, there, model_provider=Provider(model)):
        await run.approvals.approve(first.id, reviewer=ADA)
        second = await eventually(lambda: other_than(run, first.id))
        assert (await run.approvals.get(second)).request.checkpoint == "before"
        await run.approvals.approve(second, reviewer=ADA)
        await run.result()
    assert [one["cents"] for one in done(run.handle.id)] == [1, 2]


@pytest.mark.parametrize("broken", [BROKEN, 'default = "perhaps"', "\x00", None])
async def test_a_run_that_finds_the_file_broken_waits_says_so_and_goes_on_when_it_is_mended(
    settings: Settings, play: Start, approvals: ApprovalClient, broken: str | None
) -> None:
    file_of(settings).unlink()
    if broken is not None:
        file_of(settings).write_text(broken)
    async with play([pays(1)], agent="payer") as (run, model):
        assert (await eventually(lambda: trouble(run))).startswith(f"{file_of(settings)}:")
        assert model.inputs == []  # no agent runs without a policy

        write(settings, BEFORE)
        [waiting] = await run.waits_for()
        assert (await approvals.get(waiting.id)).request.checkpoint == "before"
        assert await trouble(run) is None
        await approvals.approve(waiting.id, reviewer=ADA)
        await run.result()
        await replays(run)


async def test_a_run_that_waits_for_its_policy_can_be_cancelled(
    settings: Settings, play: Start
) -> None:
    write(settings, BROKEN)
    async with play(agent="payer") as (run, _):
        await eventually(lambda: trouble(run))
        await run.handle.cancel()
        assert isinstance((await run.failure())[0], CancelledError)


async def test_who_may_write_to_the_namespace_completes_no_reading_of_the_policy(
    settings: Settings, play: Start, temporal: Client
) -> None:
    """As they could while it had a task on the server, with rules of theirs and before the worker."""
    write(settings, BROKEN)  # so that there is all the time in the world
    async with play([pays(1)], agent="payer") as (run, _):
        await eventually(lambda: trouble(run))
        forged = {"digest": "0" * 64, "source": "x", "policy": {"default": "allow"}}
        assert not (await run.handle.describe()).raw_description.pending_activities
        for id in ("1", "2"):
            activity = temporal.get_async_activity_handle(
                workflow_id=run.handle.id, run_id=None, activity_id=id
            )
            with pytest.raises(RPCError, match="cannot find pending activity"):
                await activity.complete(forged)

        write(settings, BEFORE)
        [waiting] = await run.waits_for()
        assert (await run.approvals.get(waiting.id)).request.checkpoint == "before"
        await run.approvals.approve(waiting.id, reviewer=ADA)
        await run.result()


async def test_a_policy_as_large_as_one_can_be_is_pinned(settings: Settings, play: Start) -> None:
    many = "".join(
        f'[[checkpoint]]\ncheckpoint_id = "{number}"\naction_pattern = "^{number}$"\n'
        f'description_template = "{"x" * 9_800}"\n'
        for number in range(150)
    )
    write(settings, many)
    async with play([pays(1)], agent="payer", prompt="x" * MAX_PROMPT_BYTES) as (run, _):
        [waiting] = await run.waits_for()
        assert len(await run.stored()) > 0.95 * MAX_POLICY_BYTES
        await run.approvals.approve(waiting.id, reviewer=ADA)
        await run.result()


async def test_on_the_command_line_a_run_that_finds_the_file_broken_says_where(
    settings: Settings, connection: dict[str, Any], server: EmbeddedServer
) -> None:
    settings = apart(settings)
    shell = shell_of(settings, server)
    provider = Provider(PlayedModel([says("Finished.")]))
    async with worker.running(settings, connection, model_provider=provider):
        write(settings, BROKEN)
        async with shell.start("run", "Pay", "--agent", "payer") as run:
            await run.says(rf"Retrying load_policy: {re.escape(str(file_of(settings)))}:1: ")
            write(settings, BEFORE)
            ended = await run.ends()
    assert (ended.code, ended.out) == (0, "Finished.\n")


async def trouble(run: Run) -> Any:
    """Why the run can't read its policy, as its description says."""
    return await (await run.handle.describe()).memo_value(MEMO_TROUBLE, None)


async def refusal(settings: Settings, connection: dict[str, Any]) -> list[str]:
    """The lines with which a worker refuses to start."""
    with pytest.raises(worker.CannotServe) as raised:
        async with worker.running(settings, connection, model_provider=Provider(PlayedModel())):
            pytest.fail("it serves")
    return str(raised.value).splitlines()


async def test_a_worker_refuses_a_broken_policy_with_file_and_line_of_every_fault(
    settings: Settings, connection: dict[str, Any]
) -> None:
    faults = 'default = "maybe"\n\n[[checkpoint]]\ncheckpoint_id = "a"\naction_pattern = "("\n'
    file_of(settings).write_text(faults)

    first, second = await refusal(settings, connection)

    assert first.startswith(f"{file_of(settings)}:1: default")
    assert second.startswith(f'{file_of(settings)}:5: checkpoint "a": action_pattern')


async def test_a_worker_refuses_a_named_policy_that_is_not_there(
    settings: Settings, connection: dict[str, Any]
) -> None:
    file_of(settings).unlink()

    [said] = await refusal(settings, connection)

    assert str(file_of(settings)) in said


async def test_without_any_file_every_tool_waits(
    settings: Settings,
    connection: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    empty = tmp_path / "nothing here"
    empty.mkdir()
    monkeypatch.chdir(empty)
    unset = apart(settings).model_copy(update={"policy": None})
    model = PlayedModel([pays(1), pays(2, "refund")], [says("Finished.")])
    async with worker.running(unset, connection, model_provider=Provider(model)) as serving:
        assert "no policy file, so every tool waits" in serving.line
        run = await Play(unset, serving).start("payer")
        waiting = await run.waits_for(2)
        assert sorted(one.tool or "" for one in waiting) == ["pay", "refund"]
        for one in waiting:
            request = (await run.approvals.get(one.id)).request
            assert request.checkpoint is None
            assert request.policy_digest == hashlib.sha256().hexdigest()
            assert (request.grantable, request.editable) == (False, False)
            await run.approvals.reject(one.id, reviewer=ADA)
        await run.result()
    assert done(run.handle.id) == []


async def test_nothing_that_a_run_is_started_with_chooses_its_policy(
    settings: Settings, connection: dict[str, Any]
) -> None:
    model = PlayedModel([pays(1)])
    settings = apart(settings)
    async with worker.running(settings, connection, model_provider=Provider(model)) as serving:
        client = serving.client
        for field in ("policy", "default", "checkpoints", "pinned", "allow"):
            handle: Any = await client.start_workflow(
                "AgentWorkflow",
                {"agent": "payer", "prompt": "Pay", field: "allow"},
                id=f"{settings.agents_queue}-{field}",
                task_queue=settings.agents_queue,
            )
            error, *_ = await Run(handle, Play(settings, serving).approvals).failure()
            assert getattr(error, "type", None) == "InvalidRequest"
    assert model.inputs == []

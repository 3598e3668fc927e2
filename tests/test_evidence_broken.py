"""Real histories, broken as a broken gate would have made them: each fails the check, none passes.

A sound gate can't be made to do any of this; so what a run really was is altered in Temporal's own
events, before the trace is made of them.
"""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clearance import ApprovalClient
from cli.settings import Settings

from .agent_runs import Start, played_on
from .office import ADA, policed
from .raw import RUNS_LEFT_OPEN
from .support import unique
from .test_evidence import POLICY, asking, pays, recorded
from .traced import (
    ANSWERED,
    ASKED,
    ENDED,
    STARTED,
    TOLD,
    Histories,
    Verdict,
    alter,
    check,
)

pytestmark = RUNS_LEFT_OPEN


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return policed(settings, POLICY)


def _input(broken: Histories) -> Any:
    return broken.effect().activity_task_scheduled_event_attributes.input


def other_arguments(broken: Histories) -> None:
    alter(_input(broken), lambda got: got["arguments"].update(cents=50_000))


def further_argument(broken: Histories) -> None:
    alter(_input(broken), lambda got: got["arguments"].update(bcc="eve@example.com"))


def no_approval(broken: Histories) -> None:
    """As if the gate had let the call through, under a key of its own."""
    alter(_input(broken), lambda got: got.update(key="0b7c6a52-0000-4000-8000-000000000000"))
    broken.approvals.clear()
    child = ("start_child_workflow", "child_workflow")
    broken.run = [
        one for one in broken.run if not (one.WhichOneof("attributes") or "").startswith(child)
    ]


def replayed(broken: Histories) -> None:
    again = copy.deepcopy(broken.effect())
    again.event_id += 1
    broken.run.append(again)


def before_the_answer(broken: Histories) -> None:
    broken.effect().event_id = broken.of(ASKED).event_id + 1


def before_it_was_asked(broken: Histories) -> None:
    broken.effect().event_id = broken.of(ASKED).event_id - 1


def shown_otherwise(broken: Histories) -> None:
    started = broken.of(STARTED, approval=True).workflow_execution_started_event_attributes
    alter(started.input, lambda request: request["arguments"].update(cents=5))


def under_another_approval(broken: Histories) -> None:
    """The approval of one call used for another that the model made, too."""
    model = next(
        one.activity_task_completed_event_attributes
        for one in broken.run
        if b"function_call" in one.activity_task_completed_event_attributes.SerializeToString()
    )

    def two(said: Any) -> None:
        said["output"].append({**said["output"][0], "call_id": "call_9", "name": "pay"})
        said["output"][1]["arguments"] = '{"to": "eve", "cents": 700}'

    alter(model.result, two)
    alter(_input(broken), lambda got: got["arguments"].update(to="eve", cents=700))


@pytest.mark.parametrize(
    ("breaks", "rule"),
    [
        (other_arguments, "ACK003"),
        (further_argument, "ACK003"),
        (shown_otherwise, "ACK003"),
        (under_another_approval, "ACK003"),
        (no_approval, "ACK001"),
        (replayed, "ACK004"),
        (before_the_answer, "ACK006"),
        (before_it_was_asked, "ACK006"),
    ],
    ids=lambda one: getattr(one, "__name__", one),
)
async def test_what_ran_otherwise_than_approved_fails(
    approved: Histories, tmp_path: Path, breaks: Callable[[Histories], None], rule: str
) -> None:
    assert check(await approved.evidence(), tmp_path) == Verdict("PASS", ())
    broken = approved.broken()
    breaks(broken)
    verdict = check(await broken.evidence(), tmp_path)
    assert (verdict.status, rule in verdict.rules) == ("FAIL", True), verdict


@pytest.fixture(scope="module")
async def approved(
    connection: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Histories:
    """Recorded once; each test breaks a copy."""
    settings = Settings(
        approvals_queue=unique("approvals"),
        agents_queue=unique("agents"),
        state=tmp_path_factory.mktemp("approved") / "state",
        reconcile_every=None,
    )
    play = played_on(policed(settings, POLICY), connection)
    async with asking(play, [pays(500)]) as (run, id):
        await run.approvals.approve(id, reviewer=ADA)
    return await recorded(run)


def nobody_answered(broken: Histories) -> None:
    [events] = broken.approvals.values()
    events.remove(broken.of(ANSWERED, approval=True))


def told_otherwise(broken: Histories) -> None:
    def rejected(outcome: Any) -> None:
        outcome["status"], outcome["decision"]["approved"] = "rejected", False

    alter(broken.of(TOLD).child_workflow_execution_completed_event_attributes.result, rejected)


def of_something_else(broken: Histories) -> None:
    for event in (broken.of(TOLD), broken.of(ENDED, approval=True)):
        attributes: Any = getattr(event, str(event.WhichOneof("attributes")))
        alter(attributes.result, lambda outcome: outcome.update(digest="0" * 64))


def malformed(broken: Histories) -> None:
    ended = broken.of(ENDED, approval=True).workflow_execution_completed_event_attributes
    alter(ended.result, lambda outcome: outcome.update(status="yes"))


def forgotten(broken: Histories) -> None:
    broken.approvals.clear()


def by_position(broken: Histories) -> None:
    payloads = _input(broken).payloads
    payloads[0].data = b'["bob", 500, "%s"]' % next(iter(broken.approvals)).encode()


@pytest.mark.parametrize(
    "breaks",
    [nobody_answered, told_otherwise, of_something_else, malformed, forgotten, by_position],
    ids=lambda one: getattr(one, "__name__", one),
)
async def test_an_approval_that_can_not_be_believed_is_left_out_and_noted(
    approved: Histories, tmp_path: Path, breaks: Callable[[Histories], None]
) -> None:
    broken = approved.broken()
    breaks(broken)
    found = await broken.evidence()
    assert check(found, tmp_path).status == "INCOMPLETE"
    assert found.notes


async def test_what_ran_after_a_rejection_fails(
    play: Start, approvals: ApprovalClient, approved: Histories, tmp_path: Path
) -> None:
    async with asking(play, [pays(500)]) as (run, id):
        await approvals.reject(id, reviewer=ADA)
    rejected = await recorded(run)
    effect = copy.deepcopy(approved.effect())
    told = rejected.of(TOLD)
    alter(effect.activity_task_scheduled_event_attributes.input, lambda got: got.update(key=id))
    effect.event_id = told.event_id + 1
    rejected.run.append(effect)
    verdict = check(await rejected.evidence(), tmp_path)
    assert verdict.status == "FAIL"
    assert {"ACK002", "ACK006"} <= set(verdict.rules)


async def test_an_edited_run_whose_tool_got_what_was_asked_fails(
    play: Start, approvals: ApprovalClient, tmp_path: Path
) -> None:
    async with asking(play, [pays(500)]) as (run, id):
        await approvals.approve(id, reviewer=ADA, changes={"cents": 450})
    edited = await recorded(run)
    alter(_input(edited), lambda got: got["arguments"].update(cents=500))
    assert check(await edited.evidence(), tmp_path) == Verdict("FAIL", ("ACK003", "ACK007"))

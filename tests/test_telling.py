"""Whom a request tells, and when: real workflows, the channels played by a recorder."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType

from clearance import ApprovalClient, ApprovalRequest, Event, Stage
from clearance.notices import Delivery
from cli.settings import Settings
from workflows import resuming

from .raw import Handle, history, only
from .support import eventually, unique
from .told import Recorder, refuses, telling

ADA, BOB, EVE = "ada@example.com", "bob@example.com", "eve@example.com"

REVIEWERS = f"""
[people."{ADA}"]
notify = ["mail"]
[people."{BOB}"]
notify = ["mail"]
[people."{EVE}"]
notify = ["mail"]
[groups]
finance = ["{ADA}", "{BOB}"]
"""

WIRE = ApprovalRequest(
    action="Wire 42.00", tool="wire", audience=("group:finance",), requester=EVE, risk="high"
)


@pytest.fixture
def reviewers(tmp_path: Path) -> Path:
    path = tmp_path / "reviewers.toml"
    path.write_text(REVIEWERS)
    return path


@pytest.fixture
async def recorder(
    approvals: ApprovalClient, settings: Settings, reviewers: Path
) -> AsyncIterator[Recorder]:
    played = Recorder()
    async with telling(approvals.temporal, settings.approvals_queue, played, reviewers):
        yield played


async def asked(approvals: ApprovalClient, request: ApprovalRequest) -> Handle:
    return approvals.temporal.get_workflow_handle((await approvals.request(request)).id)


def told(recorder: Recorder, *expected: tuple[str, str]) -> Callable[[], Awaitable[bool]]:
    """Whether these, and nobody else, were told: who, and what kind of notice; in any order."""

    async def all_of_them() -> bool:
        said = [(d.to.who, one.kind) for d in recorder.sent for one in d.notices]
        assert len(said) <= len(expected), said
        return sorted(said) == sorted(expected)

    return all_of_them


async def test_the_audience_is_recorded_as_told_of_the_request_and_all_of_its_end(
    approvals: ApprovalClient, recorder: Recorder
) -> None:
    handle = await asked(approvals, WIRE)
    await eventually(told(recorder, (ADA, "created"), (BOB, "created")))
    created = recorder.sent[0].notices[0]
    await approvals.approve(handle.id, reviewer=ADA, reason="Fine\nby me")
    ended = [(ADA, "approved"), (BOB, "approved"), (EVE, "approved")]
    await eventually(told(recorder, (ADA, "created"), (BOB, "created"), *ended))

    last = recorder.sent[-1].notices[0]
    description = await handle.describe()
    assert created.key == f"{handle.id}/{description.run_id}/1"
    assert (created.tool, created.requester, created.risk) == ("wire", EVE, "high")
    assert (created.deadline, created.by) == ((await approvals.get(handle.id)).deadline, None)
    assert created.audience == ()
    assert (last.by, last.reason, last.deadline) == (ADA, "Fine by me", None)


async def test_whom_nobody_could_tell_in_that_moment_the_next_worker_tells(
    approvals: ApprovalClient, settings: Settings, reviewers: Path
) -> None:
    """However long it takes until there is one."""
    queue, client, played = settings.approvals_queue, approvals.temporal, Recorder()
    async with telling(client, queue, played, reviewers, no_remote_activities=True):
        handle = await asked(approvals, WIRE)

        async def waits() -> bool:
            return bool(only(await history(handle), EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED))

        await eventually(waits)
    [event] = only(await history(handle), EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)
    until = event.activity_task_scheduled_event_attributes.schedule_to_close_timeout.ToTimedelta()
    assert not until or until > timedelta(days=1)
    async with telling(client, queue, played, reviewers):
        await eventually(told(played, (ADA, "created"), (BOB, "created")))


async def test_each_stage_is_recorded_as_told_in_its_turn(
    approvals: ApprovalClient, recorder: Recorder
) -> None:
    stages = (Stage(name="clerk", audience=(ADA,)), Stage(name="director", audience=(BOB,)))
    handle = await asked(approvals, ApprovalRequest(action="Buy", stages=stages))
    await eventually(told(recorder, (ADA, "created")))
    await approvals.approve(handle.id, reviewer=ADA)
    await eventually(told(recorder, (ADA, "created"), (BOB, "stage")))
    await approvals.reject(handle.id, reviewer=BOB)
    ended = [(ADA, "rejected"), (BOB, "rejected")]
    await eventually(told(recorder, (ADA, "created"), (BOB, "stage"), *ended))

    assert [one.notices[0].stage for one in recorder.sent[:2]] == [
        "1 of 2: clerk",
        "2 of 2: director",
    ]


async def test_who_has_voted_is_not_recorded_as_reminded_and_those_it_escalates_to_are_told(
    approvals: ApprovalClient, recorder: Recorder
) -> None:
    request = WIRE.model_copy(
        update={
            "quorum": 2,
            "requester": None,
            "remind_after": (timedelta(seconds=1),),
            "escalate_to": (EVE,),
            "escalate_after": timedelta(seconds=2),
            "expires_in": timedelta(seconds=3),
        }
    )
    handle = await asked(approvals, request)
    await approvals.approve(handle.id, reviewer=ADA)

    asked_of = [(ADA, "created"), (BOB, "created"), (BOB, "reminded"), (EVE, "escalated")]
    ended = [(ADA, "expired"), (BOB, "expired"), (EVE, "expired")]
    await eventually(told(recorder, *asked_of, *ended))
    assert recorder.sent[-1].notices[0].by is None


async def test_a_deputy_is_recorded_as_told_and_a_withdrawal_by_cancellation_too(
    approvals: ApprovalClient, recorder: Recorder
) -> None:
    handle = await asked(approvals, WIRE.model_copy(update={"audience": (ADA,), "requester": None}))
    await eventually(told(recorder, (ADA, "created")))
    await approvals.delegate(handle.id, who=ADA, to=BOB, reason="I am away")
    await eventually(told(recorder, (ADA, "created"), (BOB, "delegated")))
    await handle.cancel()

    ended = [(ADA, "withdrawn"), (BOB, "withdrawn")]
    await eventually(told(recorder, (ADA, "created"), (BOB, "delegated"), *ended))
    delegated = recorder.sent[1].notices[0]
    assert (delegated.by, delegated.reason) == (ADA, "I am away")


@pytest.mark.parametrize("request_", [ApprovalRequest(action="Anyone"), "bare"])
async def test_a_request_that_names_nobody_tells_nobody_and_costs_no_event_as_recorded(
    approvals: ApprovalClient, recorder: Recorder, request_: Any
) -> None:
    handle = await asked(approvals, request_)
    await approvals.approve(handle.id, reviewer=ADA)
    await approvals.wait(handle.id)

    assert "clearance_tell" not in (await handle.fetch_history()).to_json()
    assert not recorder.tried


async def test_where_the_file_names_no_channel_nothing_is_added_to_the_history_as_recorded(
    approvals: ApprovalClient, settings: Settings, reviewers: Path
) -> None:
    reviewers.write_text(f'[people."{ADA}"]\n')
    recorder = Recorder()
    async with telling(approvals.temporal, settings.approvals_queue, recorder, reviewers):
        handle = await asked(approvals, ApprovalRequest(action="Plain", audience=(ADA,)))
        await approvals.approve(handle.id, reviewer=ADA)
        await approvals.wait(handle.id)

    assert "clearance_tell" not in (await handle.fetch_history()).to_json()


async def test_a_decision_does_not_wait_for_a_recorded_channel_that_hangs(
    approvals: ApprovalClient, recorder: Recorder
) -> None:
    answer = asyncio.Event()

    async def hang(_: Delivery) -> None:
        await answer.wait()

    recorder.faults["mail"].extend([hang] * 10)
    handle = await asked(approvals, WIRE)

    async def hangs() -> bool:
        return len(recorder.tried) == 2

    await eventually(hangs)
    async with asyncio.timeout(20):  # an attempt may take 45 s
        await approvals.approve(handle.id, reviewer=ADA)
        assert (await approvals.wait(handle.id)).approved
    assert not recorder.sent
    answer.set()
    ended = [(ADA, "approved"), (BOB, "approved"), (EVE, "approved")]
    await eventually(told(recorder, (ADA, "created"), (BOB, "created"), *ended))


async def test_several_requests_within_the_window_are_one_recorded_message(
    approvals: ApprovalClient, settings: Settings, reviewers: Path
) -> None:
    recorder = Recorder()
    queue = settings.approvals_queue
    async with telling(approvals.temporal, queue, recorder, reviewers, window=2):
        wires = [WIRE.model_copy(update={"action": f"Wire {n}"}) for n in range(5)]
        first, *_ = await asyncio.gather(*map(approvals.request, wires))
        await approvals.approve(first.id, reviewer=ADA)
        await eventually(lambda: recorder.has_told(3))

    by_who = {one.to.who: one for one in recorder.sent}
    assert set(by_who) == {ADA, BOB, EVE}
    for who in (ADA, BOB):
        kinds = [(one.kind, one.action) for one in by_who[who].notices]
        assert sorted(kinds) == sorted(
            [("approved", "Wire 0"), *(("created", f"Wire {n}") for n in range(1, 5))]
        )


async def test_a_recorded_channel_that_refuses_for_good_is_in_the_request_record(
    approvals: ApprovalClient, recorder: Recorder
) -> None:
    recorder.faults["mail"].append(refuses("no such mailbox", final=True))
    handle = await asked(approvals, WIRE.model_copy(update={"audience": (ADA,)}))

    async def said() -> list[str]:
        events = (await approvals.get(handle.id)).events
        return [f"{one.who}: {one.reason}" for one in events if one.kind == "notified"]

    assert await eventually(said) == [f"{ADA}: could not tell {ADA} by mail: no such mailbox"]
    assert len(recorder.tried) == 1


async def test_what_cannot_be_told_after_the_end_goes_to_be_kept_as_recorded(
    approvals: ApprovalClient, recorder: Recorder
) -> None:
    handle = await asked(approvals, WIRE.model_copy(update={"audience": (ADA,), "requester": None}))
    await eventually(recorder.has_told)
    recorder.faults["mail"].append(refuses("no such mailbox", final=True))
    await approvals.reject(handle.id, reviewer=ADA)

    async def kept() -> bool:
        return bool(recorder.untold)

    await eventually(kept)
    (untold,) = recorder.untold
    assert untold.approval_id == handle.id
    assert untold.reason == f"could not tell {ADA} by mail: no such mailbox"


async def test_who_cannot_be_found_out_is_in_the_record_and_the_gate_goes_on_as_recorded(
    approvals: ApprovalClient, settings: Settings, reviewers: Path, tmp_path: Path
) -> None:
    """The two readers of the file see it at different moments: one of them while it is broken."""
    broken = tmp_path / "broken.toml"
    broken.write_text("[people")
    recorder = Recorder()
    queue = settings.approvals_queue
    async with telling(approvals.temporal, queue, recorder, reviewers, told_by=broken):
        handle = await asked(approvals, WIRE)

        async def noted() -> list[Event]:
            events = (await approvals.get(handle.id)).events
            return [one for one in events if one.kind == "notified"]

        (untold,) = await eventually(noted)
        await approvals.approve(handle.id, reviewer=ADA)
        assert (await approvals.wait(handle.id)).approved

    assert untold.who == "clearance"
    assert untold.reason.startswith(f"could not tell group:finance: {broken}")
    assert not recorder.tried


async def test_of_a_very_large_group_the_first_are_recorded_as_told_and_the_record_says_so(
    approvals: ApprovalClient, settings: Settings, reviewers: Path
) -> None:
    names = [f"p{n}@example.com" for n in range(53)]
    reviewers.write_text(f'[notify]\nmail = "everyone"\n[groups]\nall = {names}\n')
    recorder = Recorder()
    queue = settings.approvals_queue
    async with telling(approvals.temporal, queue, recorder, reviewers):
        handle = await asked(approvals, ApprovalRequest(action="Wire", audience=("group:all",)))
        await eventually(lambda: recorder.has_told(50))
        (event,) = [
            one for one in (await approvals.get(handle.id)).events if one.kind == "notified"
        ]
        await handle.terminate()

    assert event.reason.startswith(
        "could not tell group:all: beyond 50 channels 3 more are too many"
    )
    assert len(recorder.sent) == 50


async def test_the_same_word_left_twice_tells_nobody_twice_as_recorded(
    approvals: ApprovalClient, settings: Settings, reviewers: Path
) -> None:
    from activities.telling import TellingActivities
    from policy.watched import WatchedDirectory

    from .told import notice

    recorder = Recorder()
    queue = settings.approvals_queue
    again = TellingActivities(
        approvals.temporal, WatchedDirectory(reviewers), queue=queue, window=timedelta()
    )
    name = unique("a")
    first = notice(name, audience=(ADA, "group:finance"))
    async with telling(approvals.temporal, queue, recorder, reviewers):
        await again.tell([first])
        await eventually(lambda: recorder.has_told(2))
        await again.tell([first, notice(name, "approved", sequence=2, audience=(ADA,))])
        await eventually(lambda: recorder.has_told(3))

    assert recorder.told(ADA) == [[f"created {name}"], [f"approved {name}"]]
    assert recorder.told(BOB) == [[f"created {name}"]]


async def test_what_fails_after_the_request_went_on_is_in_its_record_as_recorded(
    approvals: ApprovalClient, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resuming, "_MANY_EVENTS", 12)
    went_on = asyncio.Event()

    async def refuse(delivery: Delivery) -> None:
        await went_on.wait()
        await refuses("no such mailbox", final=True)(delivery)

    recorder.faults["mail"].append(refuse)
    handle = await asked(approvals, WIRE.model_copy(update={"audience": (ADA,)}))
    first = (await handle.describe()).run_id
    for _ in range(15):
        await handle.signal("approve", "perhaps")

    async def goes_on() -> bool:
        return (await handle.describe()).run_id != first

    async def said() -> list[str]:
        events = (await approvals.get(handle.id)).events
        return [one.reason for one in events if one.kind == "notified"]

    await eventually(goes_on)
    went_on.set()
    assert await eventually(said) == [f"could not tell {ADA} by mail: no such mailbox"]
    await approvals.reject(handle.id, reviewer=ADA)
    await eventually(lambda: recorder.has_told(1))
    assert {one.execution for one in recorder.sent[0].notices} == {first}

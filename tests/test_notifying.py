"""One channel of one person, told each event once: a real workflow, the channel played by a recorder."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.worker import UnsandboxedWorkflowRunner

from clearance import ApprovalClient, ApprovalRequest, contract
from clearance.notices import (
    Delivery,
    Destination,
    Notice,
    Notifying,
    Telling,
    Waiting,
    notifier_id,
)
from cli.settings import Settings
from workflows import notifying, sending

from .raw import Handle
from .support import eventually, unique
from .told import Recorder, dies, notice, refuses, telling

ADA = "ada@example.com"


class Notifier:
    """A destination's notifier, as an activity leaves word with it."""

    def __init__(self, client: Client, queue: str, *, digest: bool = True, **settings: Any) -> None:
        self.recorder = Recorder()
        self.client = client
        self.queue = queue
        self.to = Destination(who=ADA, channel="mail" if digest else "webhook:erp", digest=digest)
        self.handle: Handle = client.get_workflow_handle(notifier_id(queue, self.to))

    async def tell(self, *notices: Notice, window: float = 0.0, signal: Any = None) -> None:
        word = Telling(notices=notices, window=timedelta(seconds=window))
        await self.client.start_workflow(
            contract.NOTIFIER_WORKFLOW,
            Notifying(to=self.to),
            id=self.handle.id,
            task_queue=self.queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            start_signal=contract.SIGNAL_TELL,
            start_signal_args=[word if signal is None else signal],
        )

    @asynccontextmanager
    async def served(self, **how: Any) -> AsyncIterator[None]:
        async with telling(self.client, self.queue, self.recorder, **how):
            yield
            await self.handle.terminate()

    async def has_tried(self, count: int) -> None:
        async def tried() -> bool:
            return len(self.recorder.tried) >= count

        await eventually(tried)


@pytest.fixture
def people(temporal: Client, settings: Settings) -> Notifier:
    return Notifier(temporal, settings.approvals_queue)


@pytest.fixture
def machine(temporal: Client, settings: Settings) -> Notifier:
    return Notifier(temporal, settings.approvals_queue, digest=False)


async def test_what_comes_in_within_the_window_is_recorded_as_one_message_without_what_is_over(
    people: Notifier,
) -> None:
    async with people.served():
        await people.tell(notice("a"), notice("b"), window=1)
        await people.tell(notice("b", "approved", sequence=2), window=1)
        await people.tell(notice("c"), notice("a"), window=1)
        await eventually(people.recorder.has_told)

    assert people.recorder.told() == [["created a", "approved b", "created c"]]


async def test_a_deadline_makes_the_recorded_message_urgent(people: Notifier) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=10)
    async with people.served():
        await people.tell(notice("a"), window=3600)
        await people.tell(notice("b", deadline=soon), window=3600)
        await eventually(people.recorder.has_told, within=5)

    assert people.recorder.told() == [["created a", "created b"]]


async def test_beyond_50_they_are_counted_in_the_recorded_message(people: Notifier) -> None:
    async def untold() -> bool:
        return len(people.recorder.untold) == 70

    every = [notice(f"n{n}", "approved") for n in range(120)]
    async with people.served():
        for first in (0, 50, 100):
            await people.tell(*every[first : first + 50], window=1)
        await eventually(untold)

    (message,) = people.recorder.sent
    assert (len(message.notices), message.more) == (50, 70)
    assert {one.approval_id for one in people.recorder.untold} == {f"n{n}" for n in range(50, 120)}


@pytest.mark.parametrize(("limit", "room"), [("_ROOM", 60), ("_BYTES", 30_000)])
async def test_a_flood_leaves_out_the_newest_and_their_records_say_so(
    approvals: ApprovalClient,
    people: Notifier,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    room: int,
) -> None:
    monkeypatch.setattr(notifying, limit, room)
    flood = [notice(f"n{n}") for n in range(100)]
    async with people.served(workflow_runner=UnsandboxedWorkflowRunner()):
        late = await waiting_request(approvals)
        await people.tell(notice("early"), window=2)
        await people.tell(*flood[:50], window=2)
        await people.tell(*flood[50:99], late, window=2)
        said = await eventually(lambda: reasons(approvals, late.approval_id))
        await eventually(people.recorder.has_told)

    (message,) = people.recorder.sent
    assert said == [f"could not tell {ADA} by mail: too many were waiting"]
    assert message.notices[0].action == "early"
    assert len(message.notices) + message.more == 101


async def test_a_machine_is_recorded_as_told_each_event_by_itself_while_one_hangs(
    machine: Notifier,
) -> None:
    answer = asyncio.Event()

    async def hang(_: Delivery) -> None:
        await answer.wait()

    machine.recorder.faults["webhook:erp"].append(hang)
    async with machine.served():
        await machine.tell(notice("a"))
        await machine.has_tried(1)
        await machine.tell(notice("b"), notice("a", "approved", sequence=2))
        await eventually(lambda: machine.recorder.has_told(2))
        answer.set()
        await eventually(lambda: machine.recorder.has_told(3))

    assert sorted(machine.recorder.told()) == [["approved a"], ["created a"], ["created b"]]
    assert len({one.key for one in machine.recorder.sent}) == 3


OVERSIZED = [
    {"approval_id": "é" * 501},
    {"key": "x" * 1_020 + "/01999b3c-0000-7000-8000-000000000001/1"},
    *({name: "x" * 501} for name in ("action", "tool", "requester", "run_id", "stage", "by")),
    {"audience": ["x"] * 2_001},
]
"""What makes a notice too large for what a workflow may signal, or hand over."""


async def test_malformed_words_change_nothing_as_recorded(people: Notifier) -> None:
    async with people.served():
        good = json.loads(notice("b").model_dump_json())
        junks: list[Any] = [{}, {"notices": [{"key": "x"}]}, [], 7, "x"]
        junks += [{"notices": [good | more]} for more in OVERSIZED]
        junks += [{"notices": [good] * 4_000}] * 2
        junks += [{"notices": [good], "window": window} for window in ("PT1H1S", "-PT1S")]
        for junk in junks:
            await people.tell(signal=junk)
        await people.tell(notice("a"))
        await eventually(people.recorder.has_told)

    assert people.recorder.told() == [["created a"]]


async def test_a_malformed_beginning_ends_at_once_as_recorded(people: Notifier) -> None:
    people_ = people
    async with telling(people_.client, people_.queue, people_.recorder):
        started = await people_.client.start_workflow(
            contract.NOTIFIER_WORKFLOW, {"to": 7}, id=unique("junk"), task_queue=people_.queue
        )
        with pytest.raises(WorkflowFailureError):
            await started.result()


async def test_who_begins_it_can_neither_redirect_nor_delay_it_as_recorded(
    people: Notifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifying, "_LONGEST", timedelta(seconds=0.5))
    never = datetime.max.replace(tzinfo=UTC)
    waits = Waiting(notice=notice("a"), since=never)
    forged = [
        Notifying(to=Destination(who="eve@example.com", channel="mail"), waiting=(waits,)),
        Notifying(to=people.to, waiting=(waits,), not_before=never, window=timedelta()),
    ]
    async with people.served(workflow_runner=UnsandboxedWorkflowRunner()):
        for one in forged:
            begun = await people.client.start_workflow(
                contract.NOTIFIER_WORKFLOW, one, id=people.handle.id, task_queue=people.queue
            )
            if one.to != people.to:
                with pytest.raises(WorkflowFailureError):
                    await begun.result()
        await people.tell(notice("b"))
        await eventually(people.recorder.has_told)

    assert people.recorder.told() == [["created a", "created b"]]
    assert people.recorder.sent[0].to == people.to


async def test_nothing_is_lost_or_recorded_twice_when_it_goes_on_in_another_execution(
    people: Notifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifying, "_EVENTS", 25)
    notices = [notice(f"n{n}") for n in range(12)]
    async with people.served(workflow_runner=UnsandboxedWorkflowRunner()):
        for one in notices:
            await people.tell(one)
            await people.tell(one)

        async def told() -> bool:
            return sum(map(len, people.recorder.told())) >= len(notices)

        await eventually(told)
        await people.tell(*notices, notice("last"))

        async def last() -> bool:
            return ["created last"] in people.recorder.told()

        await eventually(last)
        events = (await people.handle.fetch_history()).events
        begun = events[0].workflow_execution_started_event_attributes

    said = [line for message in people.recorder.told() for line in message]
    assert sorted(said) == sorted(["created last", *(f"created n{n}" for n in range(12))])
    assert begun.continued_execution_run_id


async def test_a_machine_that_is_away_is_recorded_again_by_the_execution_that_goes_on(
    machine: Notifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifying, "_EVENTS", 30)
    machine.recorder.faults["webhook:erp"].append(refuses("503"))
    async with machine.served(workflow_runner=UnsandboxedWorkflowRunner()):
        await machine.tell(notice("a"))
        await machine.has_tried(1)
        for n in range(10):
            await machine.tell(notice(f"n{n}"))

        async def all_told() -> bool:
            said = {one for message in machine.recorder.told() for one in message}
            return said == {"created a", *(f"created n{n}" for n in range(10))}

        await eventually(all_told)


async def waiting_request(approvals: ApprovalClient) -> Notice:
    handle = approvals.temporal.get_workflow_handle(
        (await approvals.request(ApprovalRequest(action="Wire", audience=(ADA,)))).id
    )
    execution = (await handle.describe()).run_id
    one = notice(handle.id)
    return one.model_copy(update={"key": f"{handle.id}/{execution}/1"})


async def reasons(approvals: ApprovalClient, id: str, count: int = 1) -> list[str]:
    """What the record says of those who could not be told, once it says that much."""
    events = (await approvals.get(id)).events
    said = [one.reason for one in events if one.kind == "notified"]
    return said if len(said) >= count else []


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Seconds for minutes and days, in a worker that runs with what this returns."""
    short = timedelta(milliseconds=50)
    for name, policy in (("_PEOPLE", 2), ("_MACHINES", 2), ("_MACHINES_AGAIN", 0)):
        faster = replace(
            getattr(sending, name),
            initial_interval=short,
            maximum_interval=short,
            maximum_attempts=policy,
        )
        monkeypatch.setattr(sending, name, faster)
    monkeypatch.setattr(sending, "_ATTEMPT", timedelta(seconds=1))
    monkeypatch.setattr(sending, "_MACHINES_FOR", timedelta(seconds=3))
    monkeypatch.setattr(sending, "_FIRST_PAUSE", timedelta(seconds=0.2))
    monkeypatch.setattr(sending, "_LONGEST_PAUSE", timedelta(seconds=0.2))
    return {"workflow_runner": UnsandboxedWorkflowRunner()}


async def test_a_channel_that_recovers_is_recorded_once_with_what_came_in_meanwhile(
    approvals: ApprovalClient, people: Notifier, soon: dict[str, Any]
) -> None:
    recorder = people.recorder
    recorder.faults["mail"].extend([refuses("mailbox full")] * 3)
    async with people.served(**soon):
        one = await waiting_request(approvals)
        await people.tell(one, notice("b"))
        said = await eventually(lambda: reasons(approvals, one.approval_id))
        await people.tell(notice("b", "expired", sequence=2), notice("c"))
        await eventually(recorder.has_told)
        assert await reasons(approvals, one.approval_id) == said

    assert said == [f"could not tell {ADA} by mail: mailbox full; trying on"]
    assert recorder.told() == [[f"created {one.action}", "expired b", "created c"]]
    assert len(recorder.tried) == 4


async def test_a_channel_that_stays_away_is_given_up_as_recorded(
    approvals: ApprovalClient,
    people: Notifier,
    soon: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sending, "_PEOPLE_FOR", timedelta(seconds=3))
    recorder = people.recorder
    recorder.faults["mail"].extend([refuses("away")] * 500)
    async with people.served(**soon):
        one = await waiting_request(approvals)
        await people.tell(one)
        said = await eventually(lambda: reasons(approvals, one.approval_id, 2))
        recorder.faults.clear()
        await people.tell(notice("b"))
        await eventually(recorder.has_told)

    assert said[-1] == f"could not tell {ADA} by mail: away"
    assert recorder.told() == [["created b"]]


async def test_a_message_whose_worker_was_killed_is_not_recorded_again_and_may_not_have_been_told(
    approvals: ApprovalClient, people: Notifier, soon: dict[str, Any]
) -> None:
    recorder = people.recorder
    recorder.faults["mail"].append(dies)
    async with people.served(**soon):
        one = await waiting_request(approvals)
        await people.tell(one)
        said = await eventually(lambda: reasons(approvals, one.approval_id))
        await people.tell(notice("b"))
        await eventually(recorder.has_told)

    assert said == [f"{ADA} may not have been told by mail: the worker stopped while sending"]
    assert recorder.told() == [["created b"]]
    assert len(recorder.tried) == 2


async def test_a_machine_is_recorded_as_tried_again_and_again_also_when_its_worker_was_killed(
    approvals: ApprovalClient, machine: Notifier, soon: dict[str, Any]
) -> None:
    recorder = machine.recorder
    recorder.faults["webhook:erp"].append(dies)
    recorder.faults["webhook:erp"].extend([refuses("status 503")] * 500)
    async with machine.served(**soon):
        one = await waiting_request(approvals)
        await machine.tell(one)
        said = await eventually(lambda: reasons(approvals, one.approval_id, 2))

    assert said == [
        f"could not tell {ADA} by webhook:erp: status 503; trying on",
        f"could not tell {ADA} by webhook:erp: status 503",
    ]
    assert len(recorder.tried) > 3
    assert len({one.key for one in recorder.tried}) == 1


async def test_it_ends_after_a_long_silence_and_begins_anew_as_recorded(
    people: Notifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifying, "_KNOWN_FOR", timedelta(seconds=0.3))
    unsandboxed = UnsandboxedWorkflowRunner()
    async with people.served(workflow_runner=unsandboxed):
        await people.tell(notice("a"))
        await people.handle.result()
        await people.tell(notice("b"))
        await eventually(lambda: people.recorder.has_told(2))

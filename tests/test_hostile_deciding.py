"""What somebody hostile tries with a request: to open it, or to wedge it so that nobody can."""

import unicodedata
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client

import worker
from clearance import ApprovalClient, ApprovalRequest, ClearanceError, Stage
from clearance.acts import Act
from clearance.models import Decision
from clearance.record import Record
from cli.settings import Settings
from tools.conditions import applies

from .directory import reviewed
from .raw import ask, decision, impatient
from .support import eventually

NOW = datetime(2026, 11, 21, tzinfo=UTC)

PAY = ApprovalRequest(
    action="Pay",
    tool="pay",
    arguments={"amount": 20_000, "vendor": "old"},
    editable=True,
    requester="olga",
)

MAX_PAYLOAD_BYTES = 2 * 1024 * 1024
"""More than that the server doesn't carry."""

with_a_worker = pytest.mark.usefixtures("worker_running")


def recorded(request: ApprovalRequest) -> Record:
    return Record(request, approval_id="approval-1", requested_at=NOW, applies=applies)


def approves(record: Record, reviewer: str, **changed: Any) -> str | None:
    """Approve the request as it is now, some arguments changed; why that is refused, if it is."""
    view = record.view()
    return record.decide(
        Decision(
            approved=True,
            reviewer=reviewer,
            digest=view.digest,
            stage=view.stage if record.request.stages else None,
            arguments={**view.current.arguments, **changed} if changed else None,
            decision_id=uuid.uuid4().hex,
            decided_at=NOW,
        ),
        NOW,
    )


def test_what_an_earlier_stage_changed_is_not_changed_back_by_one_person_alone() -> None:
    manager = Stage(name="manager", audience=("mia", "max"))
    director = Stage(name="director", audience=("dan", "dora"))
    record = recorded(PAY.model_copy(update={"stages": (manager, director)}))
    assert approves(record, "mia", amount=100) is None
    assert approves(record, "max") is None
    assert record.ballot.stage == director

    approves(record, "dan", amount=20_000)  # no manager has approved that

    assert record.status == "pending"


def test_a_stage_sees_what_is_changed_in_an_earlier_one_that_was_asked_after_it() -> None:
    stages = (
        Stage(name="manager", audience=("mia", "max")),
        Stage(name="buyer", audience=("ben", "bea"), when="args.vendor != 'old'"),
        Stage(name="cfo", audience=("carl", "cora"), when="args.amount > 10000"),
    )
    record = recorded(PAY.model_copy(update={"stages": stages}))
    approves(record, "mia")
    approves(record, "carl", vendor="new")
    approves(record, "cora")
    assert record.ballot.stage.name == "buyer"

    approves(record, "ben", amount=9_000_000)
    approves(record, "bea")

    assert (record.status, record.ballot.stage.name) == ("pending", "cfo")


@pytest.mark.parametrize("requester", [None, unicodedata.normalize("NFD", "josé")])
def test_a_name_that_is_spelt_in_other_characters_is_the_same_name(requester: str | None) -> None:
    composed, decomposed = (unicodedata.normalize(form, "josé") for form in ("NFC", "NFD"))
    people = (composed, "bob") if requester else (composed, decomposed, "bob")
    quorum = 1 if requester else 2
    record = recorded(
        ApprovalRequest(action="Pay", audience=people, quorum=quorum, requester=requester)
    )

    approves(record, composed)
    if requester is None:
        approves(record, decomposed)

    assert record.status == "pending"


def test_a_record_stays_readable_whatever_characters_it_is_filled_with() -> None:
    request = ApprovalRequest(
        action="Pay",
        details="\1" * 20_000,
        tool="pay",
        arguments={"text": "x" * 255 * 1024},
        editable=True,
        audience=("ada", "bob"),
    )
    record = recorded(request)
    assert approves(record, "ada", text="y" * 255 * 1024) is None

    for number in range(100):
        act = Act(kind="commented", who="bob", act_id=str(number), text="\1" * 4_000)
        record.act(act, NOW)
    for number in range(1_000):
        approves(record, f"stranger-{number}")

    assert len(record.view().model_dump_json().encode()) < MAX_PAYLOAD_BYTES


def test_it_is_escalated_before_what_was_stored_after_that_is_judged() -> None:
    hour = timedelta(hours=1)
    request = ApprovalRequest(
        action="Pay", audience=("ada",), escalate_to=("eve",), escalate_after=hour
    )
    record = recorded(request)
    stored = decision(request, reviewer="eve", decided_at=(NOW + 2 * hour).isoformat())

    assert record.decide_stored(stored, NOW + 3 * hour) is None  # the workers came back only now


@with_a_worker
@pytest.mark.parametrize("wide", ["\N{GRINNING FACE}" * 199, '"' * 199], ids=["emoji", "quotes"])
async def test_whoever_it_is_handed_to_has_a_name_that_the_index_takes(
    approvals: ApprovalClient, wide: str
) -> None:
    asked = await approvals.request(ApprovalRequest(action="Pay", audience=("ada",)))

    for letter in "abcdef":
        await approvals.delegate(asked.id, to=letter + wide, who="ada")

    receipt = await approvals.approve(asked.id, reviewer="ada")
    assert receipt.status == "approved"


@with_a_worker
async def test_an_answer_is_not_so_deep_that_nobody_can_read_it(approvals: ApprovalClient) -> None:
    request = ApprovalRequest(action="Choose", response_schema={"type": "array"})
    handle = await ask(approvals, request)
    answer: Any = []
    for _ in range(198):
        answer = [answer]

    await handle.signal("record_decision", decision(request, response=answer))

    view = await approvals.get(handle.id)
    assert [event.kind for event in view.events] == ["created", "refused"]


async def test_a_worker_that_has_lost_the_directory_does_not_forget_who_asked(
    settings: Settings, connection: dict[str, Any], temporal: Client, approvals: ApprovalClient
) -> None:
    request = ApprovalRequest(
        action="Pay", audience=("ada@example.com", "bob@example.com"), requester="ada"
    )
    async with worker.running(reviewed(settings), connection):
        asked = await approvals.request(request)
        assert (await approvals.get(asked.id)).complete

    async with worker.running(settings, connection):
        try:
            client = impatient(temporal, settings)
            receipt = await client.approve(asked.id, reviewer="ada@example.com")
            assert not receipt.in_effect
        except ClearanceError:
            pass  # refused, or it waits for the directory
        assert (await approvals.get(asked.id)).status == "pending"


async def test_many_large_changes_that_were_stored_do_not_take_a_workflow_task_too_long(
    settings: Settings, connection: dict[str, Any], approvals: ApprovalClient
) -> None:
    people = {"audience": ("ada", "bob")}
    never = [
        Stage(name=f"stage {number}", when=f"args.amount > {1_000 + number}", **people)
        for number in range(9)
    ]
    request = ApprovalRequest(
        action="Pay",
        tool="pay",
        arguments={"amount": 0, "numbers": [1] * 100_000, "password": "of somebody"},
        editable=True,
        stages=(*never, Stage(name="last", **people)),
    ).concealed()
    handle = await ask(approvals, request)
    before = request
    for amount in range(1, 7):
        changed = {**request.arguments, "amount": amount}
        sent = decision(before, arguments=changed, reviewer="ada", stage=10)
        await handle.signal("record_decision", sent)
        before = request.with_arguments(changed)

    async with worker.running(settings, connection):
        try:
            await eventually(lambda: _edited(approvals, handle.id, 6), within=60)
        finally:
            await handle.terminate()  # a worker doesn't stop while it tries again and again


async def _edited(approvals: ApprovalClient, id: str, times: int) -> bool:
    events = [event.kind for event in (await approvals.get(id)).events]
    return events == ["created", *["edited"] * times]


def test_no_secret_comes_in_by_a_change() -> None:
    record = recorded(PAY.model_copy(update={"audience": ("ada", "bob")}))

    assert approves(record, "ada", api_key="sk-live-1") == (
        "/api_key would be there for everybody to read: leave secrets out"
    )
    assert record.view().edit is None


def test_a_condition_that_goes_through_all_arguments_does_not_pass_over_masked_ones() -> None:
    request = PAY.model_copy(update={"arguments": {"amount": 1, "password": "root"}}).concealed()

    for when in ("args.exists(k, args[k] == 'root')", "args['amount'] > 5 && size(args) > 2"):
        assert applies(request, Stage(name="cfo", audience=("carl",), when=when))
    assert not applies(request, Stage(name="cfo", audience=("carl",), when="args['amount'] > 5"))

"""One stage after the other: conditions, edits that add or remove one, and what ends the chain."""

from typing import Any

import pytest

from clearance import ApprovalRequest
from clearance.record import Record
from clearance.stages import Stage

from . import records
from .records import DAY, START, approvals, decision, edit, kinds, stand_in, vote

MANAGER: dict[str, Any] = {"name": "manager", "audience": ("ada", "amy")}
DIRECTOR: dict[str, Any] = {"name": "director", "audience": ("bob", "ben"), "when": "large"}
CFO: dict[str, Any] = {"name": "cfo", "audience": ("eve", "eli")}
BOTH = ("requester", "editor")


def applies(request: ApprovalRequest, stage: Stage) -> bool:
    """``large``: over 1,000; ``small``: not. The words stand for conditions."""
    amount = request.arguments["amount"]
    assert isinstance(amount, int)
    return stage.when is None or (amount > 1_000) is (stage.when == "large")


def staged(*stages: dict[str, Any], amount: int = 100, **fields: Any) -> Record:
    return records.record_of(
        stages=stages or (MANAGER, DIRECTOR, CFO),
        arguments={"amount": amount, "to": "Ada"},
        how={"applies": applies},
        **fields,
    )


def states(record: Record) -> dict[str, str]:
    return {stage.name: stage.status for stage in record.view().stages}


def test_the_people_of_one_stage_decide_before_those_of_the_next_are_asked() -> None:
    record = staged(amount=5_000)
    assert states(record) == {"manager": "open", "director": "waiting", "cfo": "waiting"}

    for number, (who, name) in enumerate([("ada", "director"), ("bob", "cfo"), ("eve", None)], 1):
        sent = decision(record, who)
        assert sent.stage == number
        assert record.decide(sent, START) is None
        receipt = record.receipt(sent)
        assert (receipt.stage, receipt.next_stage) == (record.request.stages[number - 1].name, name)
        assert (receipt.approvals, receipt.quorum) == (1, 1)

    assert states(record) == {"manager": "done", "director": "done", "cfo": "done"}
    assert kinds(record) == ["created", *(["approved", "advanced"] * 2), "approved"]
    assert [event.stage for event in record.view().events] == [
        "manager",
        *("manager", "director"),
        *("director", "cfo"),
        "cfo",
    ]
    decided = record.outcome().decision
    assert decided is not None
    assert (decided.by, decided.stage) == ("eve", "cfo")
    assert [one.approvals[0].who for one in record.view().stages] == ["ada", "bob", "eve"]


def test_a_stage_whose_condition_does_not_hold_is_passed_over() -> None:
    record = staged(amount=100)

    assert vote(record, "ada") is None
    assert states(record) == {"manager": "done", "director": "skipped", "cfo": "open"}
    assert record.view().asked.audience == ("eve", "eli")
    assert vote(record, "bob") == "bob is not in the audience (eve, eli)"
    assert vote(record, "eve") is None
    assert record.status == "approved"
    assert states(record) == {"manager": "done", "director": "skipped", "cfo": "done"}


def test_a_last_stage_whose_condition_does_not_hold_is_told_as_passed_over() -> None:
    record = staged(MANAGER, DIRECTOR)
    assert states(record) == {"manager": "open", "director": "waiting"}

    assert vote(record, "ada") is None
    assert record.outcome().approved
    assert states(record) == {"manager": "done", "director": "skipped"}


def test_the_first_stage_may_be_passed_over_too() -> None:
    record = staged(DIRECTOR, CFO)

    assert (record.ballot.number, record.view().stage) == (2, 2)
    assert states(record) == {"director": "skipped", "cfo": "open"}
    assert record.view().events[0].stage == "cfo"


def test_where_no_condition_holds_the_last_stage_is_asked() -> None:
    record = records.record_of(
        stages=(MANAGER, CFO), how={"applies": lambda request, stage: stage.when is not None}
    )

    assert record.ballot.stage.name == "cfo"
    assert vote(record, "eve") is None
    assert record.status == "approved"


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ({"stage": None}, "this request has stages, so a decision says which: it is stage 2 now"),
        ({"stage": 1}, "stage 1 is not asked: it is stage 2 now, director"),
        ({"stage": 3}, "stage 3 is not asked: it is stage 2 now, director"),
        ({"stage": 1, "approved": False}, "stage 1 is not asked: it is stage 2 now, director"),
    ],
)
def test_a_decision_says_which_stage_its_reviewer_saw(said: dict[str, Any], refused: str) -> None:
    record = staged(amount=5_000)
    assert vote(record, "ada") is None

    assert (vote(record, "bob", **said) or "").startswith(refused)
    assert (record.status, states(record)["director"]) == ("pending", "open")


def test_somebody_in_two_stages_decides_each_of_them_by_itself() -> None:
    record = staged(MANAGER, {**CFO, "audience": ("ada", "eve")})
    first = decision(record, "ada")
    assert record.decide(first, START) is None

    assert record.decide(first, START) is None  # once more, and no vote for the next stage
    assert (states(record)["cfo"], approvals(record)) == ("open", [])
    second = decision(record, "ada")
    assert record.decide(second, START + DAY) is None
    assert record.status == "approved"
    assert (first.decision_id, first.stage) == (second.decision_id, 1)
    assert [record.receipt(one).stage for one in (first, second)] == ["manager", "cfo"]
    assert [record.receipt(one).recorded_at for one in (first, second)] == [START, START + DAY]


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_a_rejection_in_any_stage_ends_the_chain(stage: int) -> None:
    record = staged(amount=5_000)
    for who in ("ada", "bob")[: stage - 1]:
        assert vote(record, who) is None

    assert vote(record, ("ada", "bob", "eve")[stage - 1], approved=False, decision_id="no") is None

    assert record.outcome().status == "rejected"
    names = ["manager", "director", "cfo"]
    expected = [*["done"] * (stage - 1), "ended", *["waiting"] * (3 - stage)]
    assert states(record) == dict(zip(names, expected, strict=True))
    assert vote(record, "eve", decision_id="late") == (
        f"already decided: rejected by {('ada', 'bob', 'eve')[stage - 1]} at "
        "2026-11-21 10:00:00 UTC"
    )


def test_an_edit_may_add_a_later_stage() -> None:
    record = staged(self_approval=BOTH)

    assert vote(record, "ada", **edit(amount=5_000)) is None
    assert states(record) == {"manager": "done", "director": "open", "cfo": "waiting"}


def test_an_edit_may_remove_a_later_stage() -> None:
    record = staged(amount=5_000, self_approval=BOTH)

    assert vote(record, "ada", **edit(amount=80)) is None
    assert states(record) == {"manager": "done", "director": "skipped", "cfo": "open"}


def test_an_edit_may_add_an_earlier_stage_that_was_passed_over() -> None:
    record = staged(DIRECTOR, MANAGER, CFO, self_approval=BOTH)
    assert vote(record, "ada", **edit(amount=5_000)) is None

    assert states(record) == {"director": "open", "manager": "done", "cfo": "waiting"}
    assert vote(record, "bob") is None
    assert states(record) == {"director": "done", "manager": "done", "cfo": "open"}
    assert vote(record, "eve") is None
    assert record.status == "approved"


def test_in_the_last_stage_too_an_edit_may_add_an_earlier_one() -> None:
    record = staged(DIRECTOR, CFO, self_approval=BOTH)

    assert vote(record, "eve", **edit(amount=5_000)) is None
    assert (record.status, states(record)) == ("pending", {"director": "open", "cfo": "done"})
    assert vote(record, "bob") is None
    assert record.outcome().approved


def test_what_one_stage_changed_is_what_the_next_one_sees() -> None:
    record = staged(self_approval=BOTH)
    old = record.request.digest
    assert vote(record, "ada", **edit(amount=80)) is None

    assert vote(record, "eve", digest=old) == records.CHANGED
    assert vote(record, "eve") is None
    outcome = record.outcome()
    assert outcome.edit is not None
    assert outcome.decision is not None
    assert outcome.edit.digest == outcome.decision.digest != old


def test_an_edit_leaves_what_earlier_stages_decided() -> None:
    record = staged()
    assert vote(record, "ada") is None
    assert vote(record, "eve", **edit(amount=80)) is None

    view = record.view()
    assert [one.who for one in view.stages[0].approvals] == ["ada"]
    assert states(record) == {"manager": "done", "director": "skipped", "cfo": "open"}
    assert vote(record, "eli") is None
    assert record.status == "approved"


@pytest.mark.parametrize(
    ("stages", "where"),
    [
        ((MANAGER, {**CFO, "audience": ("ada",)}), "cfo"),
        (({**MANAGER, "audience": ("ada",)}, CFO), "manager"),
        ((MANAGER, CFO, {**DIRECTOR, "audience": ("ada",)}), "director"),
        ((MANAGER, {**CFO, "audience": ("ada", "eve"), "quorum": 2}), "cfo"),
    ],
)
def test_a_change_after_which_a_later_stage_could_never_approve_is_refused(
    stages: tuple[dict[str, Any], ...], where: str
) -> None:
    record = staged(*stages)

    refused = vote(record, "ada", **edit(amount=5_000))

    assert refused == (
        "who changes the arguments may not approve them, and without you too few people are left "
        f"in stage {where}: approve it as it is, or reject it and say what to change"
    )
    assert (record.view().edit, record.status) == (None, "pending")


def test_a_stage_that_is_done_or_passed_over_needs_nobody_any_more() -> None:
    later = {**DIRECTOR, "audience": ("eve",)}
    record = staged({**MANAGER, "audience": ("eve",)}, later, CFO)
    assert vote(record, "eve") is None

    assert vote(record, "eve", **edit(amount=80), decision_id="2") is None
    assert record.view().current.arguments["amount"] == 80


def test_each_stage_has_its_own_deadline_from_its_own_beginning() -> None:
    record = staged({**MANAGER, "expires_in": 2 * DAY}, {**CFO, "expires_in": DAY})
    assert record.deadline == START + 2 * DAY

    assert vote(record, "ada", now=START + DAY) is None
    assert record.deadline == START + 2 * DAY
    assert [one.deadline for one in record.view().stages] == [START + 2 * DAY, START + 2 * DAY]
    assert record.listing()["due"] is None
    late = "too late: the deadline was 2026-11-23 10:00:00 UTC"
    assert vote(record, "eve", now=START + 2 * DAY) == late
    record.tick(START + 2 * DAY)
    assert (record.status, record.outcome().reason) == (
        "expired",
        "nobody decided in time in stage cfo",
    )


def test_a_stage_without_a_deadline_waits_for_ever() -> None:
    record = staged(MANAGER, {**CFO, "expires_in": None})
    assert vote(record, "ada") is None

    assert (record.deadline, record.next_time()) == (None, None)
    record.tick(START + 10_000 * DAY)
    assert vote(record, "eve", now=START + 10_000 * DAY) is None
    assert record.status == "approved"


def test_each_stage_has_its_own_quorum_of_both_kinds() -> None:
    three = ("eve", "eli", "eva")
    record = staged(MANAGER, {**CFO, "audience": three, "quorum": 2, "reject_quorum": 2})
    assert vote(record, "ada") is None

    assert vote(record, "eve") is None
    sent = decision(record, "eli", approved=False)
    assert record.decide(sent, START) is None
    receipt = record.receipt(sent)
    assert (receipt.approvals, receipt.quorum) == (1, 2)
    assert (receipt.rejections, receipt.reject_quorum, receipt.next_stage) == (1, 2, None)
    view = record.view().stages[1]
    assert ([one.who for one in view.approvals], view.quorum) == (["eve"], 2)
    assert ([one.who for one in view.rejections], view.reject_quorum) == (["eli"], 2)
    assert vote(record, stand_in("zoe", "eva")) is None
    assert record.outcome().approved
    assert [one.who for one in record.view().stages[1].approvals] == ["eve", "zoe for eva"]

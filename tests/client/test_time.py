"""What is due when: reminders, escalation, expiry. Time alone never approves."""

from datetime import timedelta
from typing import Any

import pytest

from clearance.record import Record

from .records import DAY, START, decision, edit, kinds, record_of, somebody, vote

AUDIENCE = ("ada", "bob")
LATE = "too late: the deadline was"


def ticked(record: Record, *days: float) -> list[tuple[float, str, str | None]]:
    """What each tick adds to the record: day, kind, to whom."""
    found: list[tuple[float, str, str | None]] = []
    for day in days:
        before = len(record.view().events)
        record.tick(START + timedelta(days=day))
        for event in record.view().events[before:]:
            assert (event.channel, event.who) == ("timer", None)
            found.append(((event.at - START) / DAY, event.kind, event.to))
    return found


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({}, [(7, "expired", None)]),
        ({"expires_in": None}, []),
        ({"expires_in": DAY}, [(1, "expired", None)]),
        (
            {"remind_after": (DAY, 3 * DAY)},
            [(1, "reminded", None), (3, "reminded", None), (7, "expired", None)],
        ),
        (
            {"remind_before": (DAY, 3 * DAY), "remind_after": (4 * DAY,)},
            [(4, "reminded", None), (6, "reminded", None), (7, "expired", None)],
        ),
        ({"expires_in": None, "remind_after": (DAY,)}, [(1, "reminded", None)]),
        (
            {"audience": AUDIENCE, "remind_after": (DAY,)},
            [(1, "reminded", "ada, bob"), (7, "expired", None)],
        ),
        (
            {"audience": AUDIENCE, "escalate_to": ("eve",), "escalate_after": DAY},
            [(1, "escalated", "eve"), (7, "expired", None)],
        ),
        (
            {"audience": AUDIENCE, "escalate_to": ("BOB", "eve"), "expires_in": None}
            | {"escalate_after": DAY},
            [(1, "escalated", "eve")],
        ),
        (
            {"audience": AUDIENCE, "escalate_to": ("eve",)},
            [(7, "escalated", "eve"), (14, "expired", None)],
        ),
        (
            {"audience": ("ada",), "escalate_to": ("eve",), "remind_before": (DAY,)}
            | {"remind_after": (2 * DAY,)},
            [
                (2, "reminded", "ada"),
                (6, "reminded", "ada"),
                (7, "escalated", "eve"),
                (13, "reminded", "ada, eve"),
                (14, "expired", None),
            ],
        ),
        (
            {"audience": ("ada",), "escalate_to": ("eve",), "escalate_after": 2 * DAY}
            | {"remind_after": (2 * DAY, 3 * DAY), "remind_before": (DAY,)},
            [
                (2, "escalated", "eve"),  # which is a reminder too
                (3, "reminded", "ada, eve"),
                (6, "reminded", "ada, eve"),
                (7, "expired", None),
            ],
        ),
    ],
)
def test_what_is_due_happens_in_its_order_and_once(
    terms: dict[str, Any], expected: list[tuple[float, str, str | None]]
) -> None:
    record = record_of(**terms)

    found = []
    while (due := record.next_time()) is not None:
        ahead = record.view()
        record.tick(due - timedelta(microseconds=1))
        assert record.view() == ahead
        found += ticked(record, (due - START) / DAY)

    assert found == expected
    assert record.status == (
        "expired" if expected[-1:] and expected[-1][1] == "expired" else "pending"
    )
    assert ticked(record, 10_000) == []


def test_reminders_that_are_overdue_together_are_one() -> None:
    record = record_of(remind_after=(DAY, 2 * DAY, 3 * DAY), remind_before=(5 * DAY,))

    assert ticked(record, 2.5) == [(2.5, "reminded", None)]
    assert record.next_time() == START + 3 * DAY


def test_after_the_deadline_nobody_is_reminded_any_more() -> None:
    record = record_of(remind_after=(DAY, 2 * DAY))

    assert ticked(record, 8, 9) == [(8, "expired", None)]
    assert (record.next_time(), record.outcome().reason) == (None, "nobody decided in time")


def test_whoever_it_is_escalated_to_at_the_deadline_has_time_even_if_everything_was_overdue() -> (
    None
):
    record = record_of(audience=("ada",), escalate_to=("eve",), remind_after=(DAY,))

    assert ticked(record, 10, 10) == [(10, "escalated", "eve")]
    assert record.deadline == START + 17 * DAY
    assert ticked(record, 17) == [(17, "expired", None)]


def test_an_escalation_that_comes_late_does_not_move_the_deadline() -> None:
    record = record_of(audience=("ada",), escalate_to=("eve",), escalate_after=DAY)

    assert ticked(record, 10, 10) == [(10, "escalated", "eve"), (10, "expired", None)]


def test_a_decision_made_after_the_escalation_counts_though_the_timer_comes_later() -> None:
    own_time: dict[str, Any] = {"escalate_after": DAY}
    for when, made in ((own_time, START + 2 * DAY), ({}, START + 8 * DAY)):
        record = record_of(audience=("ada",), escalate_to=("eve",), **when)
        now = START + 9 * DAY

        assert record.decide(decision(record, "eve"), now, made_at=made) is None
        assert [one.kind for one in record.view().events][1:] == ["escalated", "approved"]
        before = record_of(audience=("ada",), escalate_to=("eve",), **when)
        assert "not in the audience" in (
            before.decide(decision(before, "eve"), now, made_at=START + DAY / 2) or ""
        )


def test_a_deadline_in_the_future_stays_when_it_is_escalated_before() -> None:
    record = record_of(audience=("ada",), escalate_to=("eve",), escalate_after=DAY)

    assert ticked(record, 1) == [(1, "escalated", "eve")]
    assert record.deadline == START + 7 * DAY
    assert record.listing()["due"] is None


def test_an_escalation_only_adds_people() -> None:
    record = record_of(audience=("ada", "bob"), escalate_to=("eve",), escalate_after=DAY, quorum=2)
    assert vote(record, "ada") is None
    assert vote(record, "eve") == "eve is not in the audience (ada, bob)"

    assert ticked(record, 1) == [(1, "escalated", "eve")]

    view = record.view()
    assert view.stages[0].audience == ("ada", "bob", "eve")
    assert record.listing()["audience"] == ["ada", "bob", "eve"]
    assert [one.by for one in view.approvals] == ["ada"]
    assert view.status == "pending"
    assert vote(record, "eve", decision_id="now", now=START + DAY) is None
    assert record.status == "approved"


def test_who_may_decide_after_an_escalation_is_enough_for_a_change() -> None:
    record = record_of(audience=("ada",), escalate_to=("group:heads",), escalate_after=DAY)
    record.members = record.members.model_copy(
        update={"directory": True, "groups": {"group:heads": ("eve",)}}
    )
    assert vote(record, "ada", **edit(amount=80)) is None
    assert kinds(record) == ["created", "edited"]
    head = somebody("eve", groups=("group:heads",))
    assert vote(record, head) == "eve is not in the audience (ada)"

    record.tick(START + DAY)

    assert vote(record, head, decision_id="now", now=START + DAY) is None
    assert record.status == "approved"


def test_the_new_deadline_after_an_escalation_is_as_long_and_as_firm_as_the_first() -> None:
    record = record_of(audience=("ada",), escalate_to=("eve",), expires_in=DAY)

    assert ticked(record, 1) == [(1, "escalated", "eve")]
    assert (record.deadline, record.listing()["due"]) == (
        START + 2 * DAY,
        "2026-11-23T10:00:00+00:00",
    )
    assert (vote(record, "eve", now=START + 2 * DAY) or "").startswith(LATE)
    assert vote(record, "ada", now=START + 2 * DAY - timedelta(microseconds=1)) is None


@pytest.mark.parametrize("how", ["expired", "withdrawn", "approved", "rejected"])
def test_what_has_ended_is_left_alone_by_time(how: str) -> None:
    record = record_of(audience=("ada",), remind_after=(DAY,))
    if how == "expired":
        record.expire(START)
    elif how == "withdrawn":
        record.cancel(START)
    else:
        assert vote(record, "ada", approved=how == "approved") is None
    before = record.view()

    for end in (record.tick, record.expire, record.cancel):
        end(START + 30 * DAY)

    assert (record.view(), record.next_time()) == (before, None)
    assert record.status == how


def test_an_approval_that_was_not_enough_is_told_that_the_time_is_over() -> None:
    record = record_of(audience=("ada", "bob"), quorum=2)
    sent = decision(record, "ada")
    assert record.decide(sent, START) is None
    record.expire(START + 7 * DAY)

    assert record.decide(sent, START + 8 * DAY) == "already expired: nobody can decide it any more"
    assert kinds(record) == ["created", "approved", "expired", "refused"]
    with pytest.raises(ValueError, match="decision unknown was not taken"):
        record.receipt(decision(record, "bob", decision_id="unknown"))


@pytest.mark.parametrize("seconds", [-3_600, 0, 3_600])
def test_a_stored_decision_counts_by_the_earlier_of_both_clocks(seconds: int) -> None:
    record = record_of(expires_in=DAY)
    made = START + DAY + timedelta(seconds=seconds)
    sent = decision(record, "ada", decided_at=made)

    refused = record.decide_stored(sent.model_dump(mode="json"), START + 2 * DAY)

    assert (refused is None) is (seconds < 0)
    assert record.decide(decision(record, "ada", decision_id="2"), START + 2 * DAY) is not None


def test_an_escalation_leaves_the_reminders_that_are_still_ahead() -> None:
    record = record_of(
        audience=("ada",),
        escalate_to=("eve",),
        remind_after=(5 * DAY, 6 * DAY),
        remind_before=(DAY, 2 * DAY),
    )

    assert ticked(record, 7, 8, 12, 13, 14) == [
        (7, "escalated", "eve"),
        (12, "reminded", "ada, eve"),
        (13, "reminded", "ada, eve"),
        (14, "expired", None),
    ]

"""How much a record takes: whatever is sent, a view stays below 2 MB, or nobody could read it."""

from typing import Any

import pytest

from clearance import contract
from clearance.record import Record

from .records import START, act, decision, kinds, record_of, request_of, stand_in, vote

MEGABYTE = 1_000_000
FULL = "there is no room for more comments: decide it, or comment elsewhere"


def size(record: Record) -> int:
    return len(record.view().model_dump_json())


def test_comments_end_where_their_room_does_and_a_withdrawal_always_fits() -> None:
    record = record_of(requester="zoe")
    refused = [
        record.act(act("commented", "zoe", text="é" * 4_000, act_id=str(n)), START)
        for n in range(14)
    ]

    assert refused == [None] * 12 + [FULL] * 2
    assert record.act(act("asked", "zoe", text="short"), START) is None
    assert record.act(act("withdrawn", "zoe", text="é" * 4_000), START) is None
    assert record.status == "withdrawn"


@pytest.mark.parametrize(
    ("words", "fits"),
    [(contract.MAX_COMMENTS_BYTES - 209, True), (contract.MAX_COMMENTS_BYTES - 208, False)],
)
def test_comments_have_100_kilobytes_to_the_byte(words: int, fits: bool) -> None:
    record = record_of()
    whole, rest = divmod(words, 4_000 + 209)
    for n in range(whole):
        assert record.act(act("asked", "ada", text="x" * 4_000, act_id=str(n)), START) is None

    said = record.act(act("asked", "ada", text="x" * rest), START)

    assert (said is None) is fits


def test_it_is_handed_over_fifty_times_at_most() -> None:
    record = record_of(audience=("ada",))
    refused = [
        record.act(act("delegated", "ada", to=f"to {n}", act_id=str(n)), START) for n in range(51)
    ]

    assert refused == [*[None] * 50, "it has been handed over 50 times: decide it"]
    assert len(record.view().delegations) == contract.MAX_DELEGATIONS


def test_whom_it_is_handed_to_takes_room_too() -> None:
    record = record_of(requester="zoe", audience=("ada",))
    for n in range(24):
        assert record.act(act("asked", "ada", text="x" * 4_000, act_id=str(n)), START) is None

    long = act("delegated", "ada", text="x" * 1_150, to="y" * 200)
    assert record.act(long, START) == FULL
    assert record.act(long.model_copy(update={"to": "y"}), START) is None


def test_who_has_seen_it_is_kept_once_each_and_200_at_most() -> None:
    record = record_of()
    for n in range(250):
        for who in (f"p{n}", f"P{n}"):
            sent = act("viewed", who, text="é" * 4_000, act_id=f"{who}-{n}")
            assert record.act(sent, START) is None
    assert record.act(act("viewed", "p1", channel="cli"), START) is None

    *events, note = record.view().events[1:]
    assert (note.who, note.channel) == ("clearance", "engine")
    assert note.reason == "of viewed no more than 200 are kept"
    assert len(events) == contract.MAX_SEEN
    assert {event.kind for event in events} == {"viewed"}
    assert [event.who for event in events] == [f"p{n}" for n in range(200)]
    assert len(events[0].reason) == 200


def test_views_of_strangers_hide_neither_who_was_not_told_nor_what_the_gate_says() -> None:
    record = record_of()
    for n in range(contract.MAX_SEEN + 1):
        record.act(act("viewed", f"p{n}", act_id=f"v{n}"), START)
    record.act(act("notified", "ada", text="could not tell ada by mail"), START)
    for n in range(contract.MAX_SEEN):
        record.act(act("notified", f"p{n}", act_id=f"n{n}"), START)
    record.note("could not tell group:finance: no answer in time", START)

    said = [event.reason for event in record.view().events if event.reason]
    assert said == [
        "of viewed no more than 200 are kept",
        "could not tell ada by mail",
        "of notified no more than 200 are kept",
        "could not tell group:finance: no answer in time",
    ]


def test_being_told_and_having_read_it_are_two_things_through_each_channel() -> None:
    record = record_of()
    for kind in ("notified", "viewed"):
        for channel in ("cli", "inbox"):
            for n in range(2):
                sent = act(kind, "ada", channel=channel, act_id=f"{kind}{channel}{n}")
                assert record.act(sent, START) is None

    assert kinds(record) == ["created", *["notified"] * 2, *["viewed"] * 2]


@pytest.mark.parametrize(("chars", "shown"), [(499, 499), (500, 500), (501, 500), (4_000, 500)])
def test_a_long_reason_is_whole_in_the_events_and_cut_where_it_is_repeated(
    chars: int, shown: int
) -> None:
    record = record_of(audience=("ada", "bob"), quorum=2)
    reason = "r" * chars

    assert vote(record, "ada", reason=reason) is None

    view = record.view()
    assert view.events[-1].reason == reason
    assert len(view.approvals[0].reason) == shown
    assert view.approvals[0].reason == (reason if chars <= 500 else "r" * 499 + "…")
    assert vote(record, "bob", reason=reason) is None
    assert record.outcome().reason == reason


def test_the_largest_record_of_a_large_request_can_still_be_read() -> None:
    people = tuple(f"{n:x<200}" for n in range(9))
    request = request_of(
        arguments={"text": "a" * 262_000},
        details="d" * 65_536,
        arguments_schema={"x": "y" * 65_000},
        audience=people,
        quorum=5,
        self_approval=("editor",),
    )
    record = Record(request, approval_id="large", requested_at=START)

    changed: dict[str, Any] = {"arguments": {"text": "b" * 262_000}, "reason": "r" * 4_000}
    assert vote(record, people[0], decision_id="first", **changed) is None
    for n in range(3):
        assert vote(record, people[n + 1], reason="r" * 4_000, decision_id=str(n)) is None
    read = decision(record, "nobody")
    for n in range(contract.MAX_RECORDED_REFUSALS):
        who = f"{n:y<200}"
        sent = read.model_copy(update={"reviewer": who, "decision_id": str(n)})
        assert record.decide(sent, START, stand_in(who)) is not None
    for n in range(300):
        record.act(act("commented", people[0], text="c" * (n + 1), act_id=f"c{n}"), START)
        record.act(act("viewed", f"{n:z<200}", text="v" * 4_000, act_id=f"v{n}"), START)
        record.act(act("notified", f"{n:z<200}", text="v" * 4_000, act_id=f"n{n}"), START)

    view = record.view()
    assert 1 * MEGABYTE < size(record) < 2 * MEGABYTE
    refused = kinds(record).count("refused")
    assert refused + view.refusals_uncounted >= contract.MAX_RECORDED_REFUSALS
    assert view.refusals_uncounted > 0
    assert vote(record, people[8], decision_id="last") is None
    assert record.status == "approved"

"""What the record of one request says and keeps."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pydantic
import pytest

from clearance import ApprovalRequest, Decision, contract
from clearance.record import Record

START = datetime(2026, 11, 21, 10, tzinfo=UTC)
WEEK = timedelta(days=7)


def record_of(**fields: Any) -> Record:
    request = ApprovalRequest(**{"action": "Deploy", "expires_in": WEEK, **fields})
    return Record(request, approval_id="deploy.1", requested_at=START)


def decision_on(record: Record, **fields: Any) -> Decision:
    whole = {
        "approved": True,
        "reviewer": "Ada",
        "digest": record.request.digest,
        "decision_id": "one",
        "decided_at": START,
    }
    return Decision.model_validate(whole | fields)


def ended(record: Record, status: Literal["expired", "withdrawn"], now: datetime) -> None:
    """Without a decision, by the timer or by the engine."""
    if status == "expired":
        record.expire(now)
    else:
        record.cancel(now)


def decided_by(reviewer: str, **fields: Any) -> Record:
    record = record_of(**fields)
    assert record.decide(decision_on(record, reviewer=reviewer), START) is None
    return record


def test_a_second_decision_is_told_who_decided_first_and_when() -> None:
    record = decided_by("Ada")
    another = decision_on(record, reviewer="Bob", decision_id="two")

    reason = record.decide(another, START + WEEK)

    assert reason == "already decided: approved by Ada at 2026-11-21 10:00:00 UTC"


def test_a_rejection_by_a_bare_signal_is_told_as_such() -> None:
    record = record_of()

    assert record.signal(False, START) is None
    assert record.signal(True, START) == (
        "already decided: rejected by an unnamed signal at 2026-11-21 10:00:00 UTC"
    )


@pytest.mark.parametrize("status", ["expired", "withdrawn"])
def test_a_request_that_ended_without_a_decision_says_how(
    status: Literal["expired", "withdrawn"],
) -> None:
    record = record_of()
    ended(record, status, START)

    said = f"already {status}: nobody can decide it any more"
    assert record.signal(True, START) == said
    assert record.decide(decision_on(record), START) == said


@pytest.mark.parametrize(("late", "refused"), [(-1, False), (0, True), (1, True)])
def test_a_deadline_is_the_first_moment_that_is_too_late(late: int, refused: bool) -> None:
    now = START + WEEK + timedelta(microseconds=late)
    by_signal, at_once, stored = record_of(), record_of(), record_of()

    reasons = {
        by_signal.signal(True, now),
        at_once.decide(decision_on(at_once), now),
        stored.decide_stored(decision_on(stored, decided_at=now), now + WEEK),
    }

    assert reasons == {"too late: the deadline was 2026-11-28 10:00:00 UTC" if refused else None}


def test_a_decision_made_in_time_counts_though_the_worker_came_back_too_late() -> None:
    record = record_of()
    made = START + WEEK - timedelta(seconds=1)

    assert record.decide_stored(decision_on(record, decided_at=made), START + 2 * WEEK) is None
    assert record.outcome().approved


def test_a_sender_whose_clock_runs_ahead_is_not_too_late() -> None:
    record = record_of()

    assert record.decide_stored(decision_on(record, decided_at=START + 2 * WEEK), START) is None
    assert record.outcome().approved


def test_a_decision_on_another_digest_is_asked_to_read_again() -> None:
    record = record_of()

    reason = record.decide(decision_on(record, digest="0" * 64), START)

    assert reason == "the request changed since you read it: read it again, then decide"
    assert record.view().events[-1].digest == "0" * 64


def test_an_outsider_is_told_who_may_decide() -> None:
    few = record_of(audience=("Ada", "Bob"))
    many = record_of(audience=tuple("ABCDEFG"))

    outsider = decision_on(few, reviewer="Mallory", digest=few.request.digest)
    assert few.decide(outsider, START) == "Mallory is not in the audience (Ada, Bob)"
    assert many.decide(outsider, START) == (
        "Mallory is not in the audience (A, B, C, D, E and 2 more)"
    )


def test_an_audience_is_met_in_any_case_of_letters() -> None:
    assert decided_by("ADA@Example.com", audience=("ada@example.COM",)).status == "approved"


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "null"),
        ("true", "a string"),
        (1, "a number"),
        (0.5, "a number"),
        ({"ok": True}, "an object"),
        ([True], "a list of values"),
    ],
)
def test_a_bare_signal_that_is_no_boolean_is_told_what_it_was(value: object, kind: str) -> None:
    record = record_of()

    assert record.signal(value, START) == f"approve takes true or false, not {kind}"
    assert record.status == "pending"


def test_a_bare_signal_decides_nothing_where_an_audience_is_named() -> None:
    assert record_of(audience=("Ada",)).signal(True, START) == (
        "an audience is named, and a bare signal says nothing about who sent it"
    )


def test_a_malformed_stored_decision_is_told_what_is_wrong() -> None:
    record = record_of()
    plain = decision_on(record).model_dump(mode="json")

    assert record.decide_stored({**plain, "approved": "yes"}, START) == (
        "malformed decision: approved: Input should be a valid boolean"
    )
    assert record.decide_stored(True, START) == (
        "malformed decision: Input should be a valid dictionary or instance of Decision"
    )


def test_a_stranger_cannot_swell_the_record() -> None:
    """A view over 2 MB could no longer be read by anybody."""
    record = record_of(audience=["x" * 200] * 9)
    junk = {f"{number}{'k' * 100_000}": 1 for number in range(10)}

    for _ in range(contract.MAX_RECORDED_REFUSALS):
        record.decide_stored(junk, START)
        record.decide(decision_on(record, reviewer="y" * 200), START)

    assert len(record.view().model_dump_json()) < 2_000_000


def test_beyond_a_thousand_refusals_are_only_counted_and_the_decision_still_kept() -> None:
    record = record_of()
    for _ in range(contract.MAX_RECORDED_REFUSALS + 5):
        record.signal("junk", START)

    assert record.decide(decision_on(record), START) is None

    view = record.view()
    assert [event.kind for event in view.events] == ["created", *["refused"] * 1_000, "approved"]
    assert view.refusals_uncounted == 5
    assert view.events[-1].who == "Ada"


def test_a_pending_request_has_no_outcome() -> None:
    with pytest.raises(pydantic.ValidationError):
        record_of().outcome()

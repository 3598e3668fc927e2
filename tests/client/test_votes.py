"""Several people: the record of a request that takes more than one decision."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clearance.record import Record

from . import records
from .records import START, decision, edit, kinds, vote


def record_of(**fields: Any) -> Record:
    """Two have to approve; who changed the arguments may be one of them."""
    return records.record_of(**{"quorum": 2, "self_approval": ("requester", "editor"), **fields})


def test_it_takes_as_many_people_as_the_quorum_says() -> None:
    record = record_of(quorum=3)

    for number, name in enumerate(("ada", "bob", "eve"), 1):
        assert record.status == "pending"
        sent = decision(record, name, reason=f"word {number}")
        assert record.decide(sent, START) is None
        receipt = record.receipt(sent)
        assert (receipt.approvals, receipt.quorum) == (number, 3)

    assert record.status == "approved"
    assert [one.reviewer for one in record.view().approvals] == ["ada", "bob", "eve"]
    assert record.outcome().decision == record.view().approvals[-1]
    assert kinds(record) == ["created", "approved", "approved", "approved"]


@pytest.mark.parametrize(
    ("again", "through"), [("ada", ""), ("ADA", ", through ada"), (" ada ", "")]
)
def test_one_person_approves_once_under_whatever_id(again: str, through: str) -> None:
    record = record_of()
    assert vote(record, "ada") is None

    refused = vote(record, again, decision_id="another")

    assert refused == f"{again.strip()} has approved already{through}"
    assert (record.status, kinds(record)) == ("pending", ["created", "approved", "refused"])


def test_the_same_approval_delivered_twice_is_one() -> None:
    record = record_of()
    sent = decision(record, "ada")

    assert record.decide(sent, START) is None
    assert record.decide(sent, START + timedelta(hours=1)) is None
    assert record.decide_stored(sent.model_dump(mode="json"), START) is None

    assert len(record.view().approvals) == 1
    assert record.receipt(sent).recorded_at == START


def test_an_approval_that_was_not_the_last_is_still_a_repeat_after_the_end() -> None:
    record = record_of()
    first = decision(record, "ada")
    assert record.decide(first, START) is None
    assert vote(record, "bob") is None

    assert record.decide(first, START) is None
    assert record.receipt(first).status == "approved"
    assert vote(record, "eve") == "already decided: approved by bob at 2026-11-21 10:00:00 UTC"


@pytest.mark.parametrize("who", ["bob", "ada"])
def test_one_rejection_ends_it_also_by_somebody_who_had_approved(who: str) -> None:
    record = record_of()
    assert vote(record, "ada") is None

    assert vote(record, who, approved=False, decision_id="no", reason="wrong person") is None

    outcome = record.outcome()
    assert (outcome.status, outcome.reason) == ("rejected", "wrong person")


def test_approvals_that_were_not_enough_in_time_open_nothing() -> None:
    record = record_of()
    assert vote(record, "ada") is None

    record.expire(START)

    assert (record.outcome().status, record.outcome().decision) == ("expired", None)
    assert vote(record, "bob") == "already expired: nobody can decide it any more"


@pytest.mark.parametrize("value", [True, False])
def test_a_bare_signal_is_no_vote(value: bool) -> None:
    record = record_of()

    assert "a bare signal says nothing about who" in (record.signal(value, START) or "")
    assert record.view().approvals == []


PEOPLE = st.sampled_from(["ada", "ADA", "bob", "eve", "mallory"])
VOTES = st.lists(
    st.tuples(PEOPLE, st.booleans(), st.none() | st.integers(0, 2), st.booleans()), max_size=12
)


@settings(deadline=None)
@given(quorum=st.integers(1, 3), votes=VOTES)
def test_it_opens_when_so_many_people_approved_exactly_what_it_is_then_and_never_before(
    quorum: int, votes: list[tuple[str, bool, int | None, bool]]
) -> None:
    record = record_of(quorum=quorum, audience=("ada", "bob", "eve"))
    amount, approved_by, ended = 100, set[str](), ""
    for number, (who, approves, changed, read_again) in enumerate(votes):
        person = who.casefold()
        stale = not read_again and amount != 100
        edits = approves and changed is not None
        counts = not (
            ended
            or stale
            or person == "mallory"
            or (approves and not edits and person in approved_by)
            or (edits and changed == amount)
        )
        said: dict[str, Any] = {"approved": approves, "decision_id": str(number)}
        said |= edit(amount=changed) if edits else {}
        said |= {} if read_again else {"digest": record.request.digest}
        assert (vote(record, who, **said) is None) is counts
        if not counts:
            continue
        if not approves:
            ended = "rejected"
            approved_by.discard(person)
            continue
        if edits and changed is not None:
            amount, approved_by = changed, set()
        approved_by.add(person)
        ended = "approved" if len(approved_by) == quorum else ""

    view = record.view()
    assert view.status == (ended or "pending")
    assert view.current.arguments["amount"] == amount
    assert {str(one.reviewer).casefold() for one in view.approvals} == approved_by
    assert {one.digest for one in view.approvals} <= {view.digest}
    if ended == "approved":
        assert (record.outcome().edit is not None) is (amount != 100)

"""Several people, and changed arguments: the record of a request that takes more than one decision."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clearance import ApprovalRequest, Decision
from clearance.record import Record

START = datetime(2026, 11, 21, 10, tzinfo=UTC)
CHANGED = "the request changed since you read it: read it again, then decide"


def record_of(**fields: Any) -> Record:
    asked = {
        "action": "Pay 100",
        "tool": "pay",
        "arguments": {"amount": 100, "to": "Ada"},
        "editable": True,
        "quorum": 2,
        **fields,
    }
    return Record(ApprovalRequest(**asked), approval_id="pay.1", requested_at=START)


def decision(record: Record, reviewer: str, **said: Any) -> Decision:
    """By somebody who read the request as it is now."""
    whole = {
        "approved": True,
        "reviewer": reviewer,
        "digest": record.view().digest,
        "decision_id": f"by-{reviewer}",
        "decided_at": START,
    }
    return Decision.model_validate(whole | said)


def vote(record: Record, reviewer: str, **said: Any) -> str | None:
    return record.decide(decision(record, reviewer, **said), START)


def kinds(record: Record) -> list[str]:
    return [event.kind for event in record.view().events]


def edit(**changes: Any) -> dict[str, Any]:
    return {"arguments": {"amount": 100, "to": "Ada", **changes}}


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


@pytest.mark.parametrize("again", ["ada", "ADA", " ada "])
def test_one_person_approves_once_under_whatever_id(again: str) -> None:
    record = record_of()
    assert vote(record, "ada") is None

    refused = vote(record, again, decision_id="another")

    assert refused == f"{again.strip()} has approved already: 1 of 2"
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

    record.end("expired", "timer", START)

    assert (record.outcome().status, record.outcome().decision) == ("expired", None)
    assert vote(record, "bob") == "already expired: nobody can decide it any more"


@pytest.mark.parametrize("value", [True, False])
def test_a_bare_signal_is_no_vote(value: bool) -> None:
    record = record_of()

    assert "a bare signal says nothing about who" in (record.signal(value, START) or "")
    assert record.view().approvals == []


def test_what_one_person_changed_is_what_runs_and_both_versions_are_kept() -> None:
    record = record_of(quorum=1)

    assert vote(record, "ada", **edit(amount=80)) is None

    outcome, view = record.outcome(), record.view()
    assert outcome.edit is not None
    assert outcome.edit.arguments == {"amount": 80, "to": "Ada"}
    assert outcome.digest == record.request.digest
    assert outcome.edit.digest == view.digest == view.current.digest != outcome.digest
    assert outcome.decision is not None
    assert outcome.decision.digest == view.digest
    [change] = outcome.edit.changes
    assert (change.name, change.before, change.after) == ("amount", 100, 80)
    assert (view.request.arguments["amount"], view.current.arguments["amount"]) == (100, 80)
    assert kinds(record) == ["created", "edited", "approved"]
    assert view.events[1].changes == outcome.edit.changes
    assert view.events[1].who == "ada"


def test_an_edit_voids_the_approvals_of_what_was_there_before() -> None:
    record = record_of()
    assert vote(record, "ada") is None

    assert vote(record, "bob", **edit(amount=80)) is None

    assert record.status == "pending"
    assert [one.reviewer for one in record.view().approvals] == ["bob"]
    assert vote(record, "ada", decision_id="after") is None
    assert record.outcome().approved
    assert record.outcome().edit is not None


def test_whoever_read_it_before_the_edit_has_to_read_it_again() -> None:
    record = record_of()
    before = decision(record, "ada")
    assert vote(record, "bob", **edit(amount=80)) is None

    assert record.decide(before, START) == CHANGED
    assert record.decide_stored(before.model_dump(mode="json"), START) == CHANGED
    assert vote(record, "ada", approved=False, digest=before.digest) == CHANGED
    assert vote(record, "ada") is None


def test_two_edits_at_once_do_not_undo_one_another() -> None:
    record = record_of()
    ada, bob = decision(record, "ada", **edit(amount=80)), decision(record, "bob", **edit(to="Bo"))

    assert record.decide(ada, START) is None
    assert record.decide(bob, START) == CHANGED

    assert record.view().current.arguments == {"amount": 80, "to": "Ada"}


def test_the_same_edit_delivered_twice_is_one() -> None:
    record = record_of()
    sent = decision(record, "ada", **edit(amount=80))

    assert record.decide(sent, START) is None
    assert record.decide(sent, START) is None

    assert kinds(record) == ["created", "edited", "approved"]
    another = sent.model_copy(update={"arguments": {"amount": 1, "to": "Ada"}})
    assert record.decide(another, START) == CHANGED


def test_an_edit_of_an_edit_is_told_against_what_was_asked_and_against_what_was_read() -> None:
    record = record_of(quorum=3)
    assert vote(record, "ada", **edit(amount=80)) is None

    assert vote(record, "bob", **edit(amount=80, to="Bo")) is None

    view = record.view()
    assert view.edit is not None
    assert [change.name for change in view.edit.changes] == ["amount", "to"]
    assert [change.name for change in view.events[-2].changes] == ["to"]


@pytest.mark.parametrize("secret", [False, True])
def test_an_edit_back_to_what_was_asked_is_none(secret: bool) -> None:
    asked = {"amount": 100, "to": "Ada", **({"pin": "0000"} if secret else {})}
    request = ApprovalRequest(
        action="Pay", tool="pay", arguments=asked, editable=True, quorum=2
    ).concealed()
    record = Record(request, approval_id="pay.1", requested_at=START)
    assert vote(record, "ada", arguments={**request.arguments, "amount": 80}) is None

    assert vote(record, "bob", arguments=request.arguments) is None
    assert vote(record, "ada", decision_id="again") is None

    outcome = record.outcome()
    assert (outcome.status, outcome.edit) == ("approved", None)
    assert record.view().digest == outcome.digest == request.digest


def test_an_edit_that_was_rejected_in_the_end_runs_nothing() -> None:
    record = record_of()
    assert vote(record, "ada", **edit(amount=80)) is None

    assert vote(record, "bob", approved=False) is None

    assert record.outcome().edit is None


def test_the_phrase_to_type_is_that_of_the_changed_arguments() -> None:
    record = record_of(quorum=1, confirm_phrase="{to}")

    assert vote(record, "ada", confirmation="Ada", **edit(to="Bo")) == "type 'Bo' to confirm"
    assert vote(record, "ada", confirmation="Bo", **edit(to="Bo")) is None


def test_what_the_examiner_refuses_changes_nothing() -> None:
    seen: list[dict[str, Any]] = []

    def examine(request: ApprovalRequest, decision: Decision) -> str | None:
        seen.append(request.arguments)
        return "no" if decision.arguments is not None else None

    record = Record(record_of().request, approval_id="a", requested_at=START, examine=examine)

    assert vote(record, "ada", **edit(amount=80)) == "no"

    assert seen == [{"amount": 80, "to": "Ada"}]
    assert record.view().edit is None
    assert record.view().digest == record.request.digest
    assert kinds(record) == ["created", "refused"]


def test_a_grant_is_on_record_with_its_terms_and_in_the_outcome() -> None:
    record = record_of(quorum=1, grantable=True)
    terms = {"condition": "args.amount <= 100", "max_uses": 3, "expires_in": timedelta(hours=2)}

    assert vote(record, "ada", grant=terms) is None

    assert kinds(record) == ["created", "approved", "granted"]
    assert record.view().events[-1].reason == (
        "up to 3 further calls until 2026-11-21 12:00:00 UTC, if args.amount <= 100"
    )
    granted = record.outcome().grant
    assert granted is not None
    assert granted.max_uses == 3


def test_a_call_that_was_granted_is_approved_at_once_by_who_granted_it() -> None:
    use = {"grant_id": "run.1", "granted_by": "ada", "condition": "true", "use": 1, "max_uses": 3}
    record = record_of(quorum=1, grant=use)

    decided = record.outcome().decision
    assert decided is not None
    assert (decided.by, decided.channel) == ("ada", "grant")
    assert kinds(record) == ["created", "approved"]


def test_edits_cannot_swell_the_record_beyond_what_can_be_read() -> None:
    """A view over 2 MB could no longer be read by anybody."""
    record = record_of(quorum=2, arguments={"text": ""}, details="x" * 65_000)
    refused: list[str | None] = []
    for number in range(50):
        who = ("ada", "bob")[number % 2]
        text = chr(97 + number % 26) * 260_000
        said = {"arguments": {"text": text}, "decision_id": str(number)}
        refused.append(vote(record, who, **said))

    assert refused == [None] * 50
    assert vote(record, "eve", arguments={"text": "short"}) == (
        "it has been changed 50 times: approve it as it is, or reject it"
    )
    view = record.view()
    assert len(view.model_dump_json()) < 2_000_000
    assert view.edit is not None
    assert view.current.arguments == {"text": "x" * 260_000}
    assert view.events[1].changes == ()
    assert view.events[1].reason == "changed text; too long to be repeated here"
    assert vote(record, "ada", decision_id="in-the-end") is None
    assert record.status == "approved"


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
            or (approves and person in approved_by)
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

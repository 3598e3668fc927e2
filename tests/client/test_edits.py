"""What a reviewer changes: what may be changed, what becomes of it, and what it undoes."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clearance import ApprovalRequest, Decision
from clearance.edits import differences, refuse_edit
from clearance.record import Record

from . import records
from .records import CHANGED, START, decision, edit, kinds, request_of, vote

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.text(max_size=3), JSON, max_size=4)


def record_of(**fields: Any) -> Record:
    """Two have to approve; who changed the arguments may be one of them."""
    return records.record_of(**{"quorum": 2, "self_approval": ("requester", "editor"), **fields})


ARGUMENTS: dict[str, Any] = {"to": "Ada", "amount": 100, "order": {"id": 1}}
OTHERS: dict[str, Any] = {**ARGUMENTS, "amount": 80}
ONE = "this request takes no changes: approve or reject it as it is"
SAME = "the changed arguments are those of the request: approve it as it is"


@pytest.mark.parametrize(
    ("editable", "arguments", "refused"),
    [
        (True, OTHERS, None),
        (True, {}, None),
        (True, {**ARGUMENTS, "more": None}, None),
        (("amount",), OTHERS, None),
        (("amount", "to"), {**OTHERS, "to": "Bob"}, None),
        (("order",), {**ARGUMENTS, "order": {"id": 2}}, None),
        (("note",), {**ARGUMENTS, "note": "new"}, None),
        (False, OTHERS, ONE),
        (False, ARGUMENTS, ONE),
        (True, ARGUMENTS, SAME),
        (True, {"amount": 100, "order": {"id": 1}, "to": "Ada"}, SAME),
        (("amount",), ARGUMENTS, SAME),
        ((), OTHERS, "amount can't be changed here, only "),
        (("amount",), {**OTHERS, "to": "Bob"}, "to can't be changed here, only amount"),
        (("amount",), {"amount": 80}, "to can't be changed here, only amount"),
        (("amount",), {**OTHERS, "more": 1}, "more can't be changed here, only amount"),
        (
            ("order.id",),
            {**ARGUMENTS, "order": {"id": 2}},
            "order can't be changed here, only order.id",
        ),
        (("Amount",), OTHERS, "amount can't be changed here, only Amount"),
        (tuple("bcdefgh"), OTHERS, "amount can't be changed here, only b, c, d, e, f and 2 more"),
        (
            True,
            {"text": "x" * 300_000},
            "these changes can't be taken: arguments are 300,011 bytes",
        ),
    ],
)
def test_an_edit_changes_what_may_be_changed_and_nothing_else(
    editable: bool | tuple[str, ...], arguments: dict[str, Any], refused: str | None
) -> None:
    request = request_of(arguments=ARGUMENTS, editable=editable)

    said = refuse_edit(request, arguments)

    assert said == refused if refused is None else (said or "").startswith(refused)


def test_a_masked_argument_is_not_for_editing() -> None:
    request = request_of(arguments={"pin": "0000", "amount": 1}, editable=True).concealed()

    assert refuse_edit(request, {"pin": "[masked]", "amount": 2}) is None
    touching: list[dict[str, Any]] = [{"pin": "1111", "amount": 2}, {"amount": 2}, {"pin": None}]
    for arguments in touching:
        assert refuse_edit(request, arguments) == (
            "these changes can't be taken: the masked argument /pin can't be changed"
        )


@pytest.mark.parametrize(
    ("before", "after", "kinds"),
    [
        ({}, {}, {}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 2, "x": 1}}, {}),
        ({"a": 1}, {"a": 1.0}, {"a": "changed"}),
        ({"a": 1}, {"a": True}, {"a": "changed"}),
        ({"a": 0}, {"a": False}, {"a": "changed"}),
        ({"a": -0.0}, {"a": 0.0}, {"a": "changed"}),
        ({"a": "é"}, {"a": "e\u0301"}, {"a": "changed"}),
        ({"a": [1, 2]}, {"a": [2, 1]}, {"a": "changed"}),
        ({"a": None}, {}, {"a": "removed"}),
        ({}, {"a": None}, {"a": "added"}),
        ({"a": 1, "b": 2}, {"c": 3, "b": 4}, {"a": "removed", "b": "changed", "c": "added"}),
    ],
)
def test_differences_are_told_argument_by_argument(
    before: Mapping[str, Any], after: Mapping[str, Any], kinds: dict[str, str]
) -> None:
    assert {change.name: change.kind for change in differences(before, after)} == kinds


@settings(deadline=None)
@given(OBJECTS, OBJECTS)
def test_the_differences_lead_from_one_to_the_other(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    changes = differences(before, after)

    rebuilt = {**before, **{one.name: one.after for one in changes}}
    for one in changes:
        assert one.before == before.get(one.name)
        if one.kind == "removed":
            del rebuilt[one.name]
    assert rebuilt == after
    assert differences(rebuilt, after) == ()


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


def test_edits_cannot_swell_the_record_beyond_what_can_be_read() -> None:
    """A view over 2 MB could no longer be read by anybody."""
    record = record_of(quorum=2, arguments={"text": ""}, details="x" * 65_000)
    refused: list[str | None] = []
    for number in range(50):
        who = ("ada", "bob")[number % 2]
        text = chr(97 + number % 26) * 260_000
        said: dict[str, Any] = {"arguments": {"text": text}, "decision_id": str(number)}
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

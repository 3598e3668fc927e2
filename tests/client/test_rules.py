"""Which decision counts: every rule, in a table."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clearance import ApprovalRequest, Decision, Recorded, contract
from clearance.rules import (
    differences,
    is_repeat,
    refuse_bare_signal,
    refuse_confirmation,
    refuse_decision,
    refuse_edit,
    refuse_grant,
)

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
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


def request_of(**fields: Any) -> ApprovalRequest:
    return ApprovalRequest(**{"action": "Pay", "tool": "pay", **fields})


def decision_of(request: ApprovalRequest, **said: Any) -> Decision:
    whole = {
        "approved": True,
        "reviewer": "ada",
        "digest": request.digest,
        "decision_id": "one",
        "decided_at": NOW,
    }
    return Decision.model_validate(whole | said)


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
    ("template", "typed", "refused"),
    [
        (None, None, None),
        (None, "whatever", None),
        ("{symbol}", "AAPL", None),
        ("{symbol}", " AAPL \n", None),
        ("sell {symbol}", "sell  AAPL", None),
        ("{symbol}", None, "type 'AAPL' to confirm"),
        ("{symbol}", "", "type 'AAPL' to confirm"),
        ("{symbol}", "aapl", "type 'AAPL' to confirm"),
        ("{symbol}", "AAPL.", "type 'AAPL' to confirm"),
        ("{symbol}", "{symbol}", "type 'AAPL' to confirm"),
        ("{symbol}", "A\u200bAPL", "type 'AAPL' to confirm"),
        ("{nothing}", "(missing: nothing)", None),
        ("{empty}", "pay", None),  # nobody can type nothing, so the tool's name is asked for
        ("{empty}", "", "type 'pay' to confirm"),
        ("{odd}", "a\\u202eb", None),
        ("{odd}", "ab", "type 'a\\\\u202eb' to confirm"),
    ],
)
def test_what_was_typed_has_to_be_the_phrase(
    template: str | None, typed: str | None, refused: str | None
) -> None:
    arguments = {"symbol": "AAPL", "empty": " ", "odd": "a\u202eb"}
    request = request_of(arguments=arguments, confirm_phrase=template)

    assert refuse_confirmation(request, decision_of(request, confirmation=typed)) == refused
    assert refuse_confirmation(request, decision_of(request, approved=False)) is None


NO_GRANT = "this request can be approved for itself only, not for further calls"
ONE_PERSON = "a standing approval can't stand for a second person, or for a phrase to be typed"


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"grantable": True}, None),
        ({"grantable": True, "audience": ("ada",)}, None),
        ({"grantable": False}, NO_GRANT),
        ({}, NO_GRANT),
        ({"grantable": True, "quorum": 2}, ONE_PERSON),
        ({"grantable": True, "confirm_phrase": "go"}, ONE_PERSON),
    ],
)
def test_further_calls_are_granted_only_where_the_request_says_so(
    fields: dict[str, Any], refused: str | None
) -> None:
    request = request_of(**fields)
    granting = decision_of(request, grant={"condition": "true"})

    assert refuse_grant(request, granting) == refused
    assert refuse_grant(request, decision_of(request)) is None


UNNAMED = "a bare signal says nothing about who"


@pytest.mark.parametrize(
    ("fields", "approving", "rejecting"),
    [
        ({}, None, None),
        ({"editable": True, "grantable": True}, None, None),
        ({"audience": ("ada",)}, f"an audience is named, and {UNNAMED} sent it", "the same"),
        ({"quorum": 2}, f"2 people have to approve, and {UNNAMED}", "the same"),
        (
            {"confirm_phrase": "go"},
            "a phrase has to be typed to approve, and a bare signal carries none",
            None,
        ),
        (
            {"confirm_phrase": "go", "audience": ("ada",), "quorum": 1},
            f"an audience is named, and {UNNAMED} sent it",
            "the same",
        ),
    ],
)
def test_a_bare_signal_counts_only_where_nothing_depends_on_who_sent_it(
    fields: dict[str, Any], approving: str | None, rejecting: str | None
) -> None:
    request = request_of(**fields)

    said = [refuse_bare_signal(request, value, now=NOW, deadline=None) for value in (True, False)]

    assert said == [approving, approving if rejecting == "the same" else rejecting]


def vote(request: ApprovalRequest, reviewer: str, **said: Any) -> Recorded:
    whole = {"approved": True, "reviewer": reviewer, "channel": "cli", "at": NOW}
    return Recorded.model_validate(
        {**whole, "digest": request.digest, "decision_id": "one", **said}
    )


@pytest.mark.parametrize(
    ("reviewer", "approved", "refused"),
    [
        ("bob", True, None),
        ("ada", True, "ada has approved already: 1 of 3"),
        (" ADA ", True, "ADA has approved already: 1 of 3"),
        ("ada", False, None),
        ("mallory", True, "mallory is not in the audience (ada, bob, eve)"),
        ("mallory", False, "mallory is not in the audience (ada, bob, eve)"),
    ],
)
def test_of_several_approvals_each_is_another_persons(
    reviewer: str, approved: bool, refused: str | None
) -> None:
    request = request_of(quorum=3, audience=("ada", "bob", "eve"))

    assert refused == refuse_decision(
        request,
        decision_of(request, reviewer=reviewer, approved=approved),
        made_at=NOW,
        deadline=NOW + timedelta(seconds=1),
        approvals=[vote(request, "Ada")],
    )


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({}, True),
        ({"reason": "other words"}, True),
        ({"channel": "inbox"}, True),
        ({"decided_at": NOW + timedelta(days=1)}, True),
        ({"decision_id": "two"}, False),
        ({"approved": False}, False),
        ({"reviewer": "Ada"}, False),
        ({"digest": "0" * 64}, False),
        ({"arguments": OTHERS}, False),
        ({"arguments": {"text": "x" * 300}}, False),
    ],
)
def test_a_repeated_decision_says_the_same_under_the_same_id(
    changed: dict[str, Any], same: bool
) -> None:
    request = request_of(arguments=ARGUMENTS, editable=True)

    assert is_repeat(request, vote(request, "ada"), decision_of(request, **changed)) is same
    assert not is_repeat(request, None, decision_of(request, **changed))


@pytest.mark.parametrize(
    ("arguments", "same"),
    [(OTHERS, True), ({**ARGUMENTS, "amount": 81}, False), (None, False), ({}, False)],
)
def test_a_repeated_edit_has_the_same_changes(arguments: dict[str, Any] | None, same: bool) -> None:
    request = request_of(arguments=ARGUMENTS, editable=True)
    counted = vote(request.with_arguments(OTHERS), "ada")

    assert is_repeat(request, counted, decision_of(request, arguments=arguments)) is same


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


def test_a_rejection_brings_no_changes_and_no_grant() -> None:
    request = request_of(arguments=ARGUMENTS, editable=True)

    for said in ({"arguments": OTHERS}, {"grant": {"condition": "true"}}):
        with pytest.raises(ValueError, match="a rejection neither changes arguments nor grants"):
            decision_of(request, approved=False, **said)


@pytest.mark.parametrize(
    ("terms", "fits"),
    [
        ({"condition": "true"}, True),
        ({"condition": "x" * contract.MAX_CONDITION_CHARS}, True),
        ({"condition": "true", "max_uses": 1}, True),
        ({"condition": "true", "max_uses": contract.MAX_GRANT_USES}, True),
        ({"condition": "true", "expires_in": contract.MAX_GRANT_EXPIRY}, True),
        ({}, False),
        ({"condition": "  "}, False),
        ({"condition": "x" * 501}, False),
        ({"condition": "true", "max_uses": 0}, False),
        ({"condition": "true", "max_uses": 1_001}, False),
        ({"condition": "true", "expires_in": timedelta(0)}, False),
        ({"condition": "true", "expires_in": None}, False),
        ({"condition": "true", "expires_in": timedelta(days=30, microseconds=1)}, False),
        ({"condition": "true", "for_ever": True}, False),
    ],
)
def test_what_is_granted_has_limits(terms: dict[str, Any], fits: bool) -> None:
    request = request_of()
    if fits:
        assert decision_of(request, grant=terms).grant is not None
    else:
        with pytest.raises(ValueError, match="grant"):
            decision_of(request, grant=terms)

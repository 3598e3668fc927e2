"""What an approval carries: the phrase that was typed, the answer, an approval in advance."""

from datetime import timedelta
from typing import Any

import pytest

from clearance import contract
from clearance.carried import refuse_confirmation, refuse_grant, refuse_response

from .records import decision_of, edit, kinds, record_of, request_of, vote


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
NOT_COUNTED = (
    "somebody else has to approve your changes, and further calls with them: leave those out"
)
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
        ({"grantable": True, "stages": ({"name": "one"},)}, ONE_PERSON),
    ],
)
def test_further_calls_are_granted_only_where_the_request_says_so(
    fields: dict[str, Any], refused: str | None
) -> None:
    request = request_of(**fields)
    granting = decision_of(request, grant={"condition": "true"})

    assert refuse_grant(request, granting) == refused
    assert refuse_grant(request, decision_of(request)) is None
    assert refuse_grant(request, granting, counted=False) == NOT_COUNTED
    assert refuse_grant(request, decision_of(request), counted=False) is None


def test_who_changes_the_arguments_does_not_grant_further_calls_with_them() -> None:
    record = record_of(audience=("ada", "bob"), grantable=True)
    grant = {"condition": "true"}

    assert vote(record, "ada", grant=grant, **edit(amount=80)) == NOT_COUNTED
    assert vote(record, "ada", **edit(amount=80)) is None
    assert vote(record, "bob") is None
    assert record.outcome().grant is None


NO_ANSWER = "this request asks for no answer: approve it without"
AN_ANSWER = "this request asks for an answer: approve it with one"
LAST_ONE = "the last stage gives the answer: approve this one without"


@pytest.mark.parametrize(
    ("asks", "response", "last", "refused"),
    [
        (False, None, True, None),
        (False, None, False, None),
        (False, "yes", True, NO_ANSWER),
        (False, 0, True, NO_ANSWER),
        (False, "yes", False, NO_ANSWER),
        (True, None, True, AN_ANSWER),
        (True, None, False, None),
        (True, "yes", True, None),
        (True, "", True, None),
        (True, False, True, None),
        (True, "yes", False, LAST_ONE),
        (True, False, False, LAST_ONE),
    ],
)
def test_an_approval_answers_where_an_answer_is_asked_for(
    asks: bool, response: Any, last: bool, refused: str | None
) -> None:
    request = request_of(response_schema={"type": ["string", "boolean"]} if asks else None)

    assert refuse_response(request, decision_of(request, response=response), last=last) == refused
    no = decision_of(request, approved=False)
    assert refuse_response(request, no, last=last) is None


def test_the_answer_is_given_in_the_last_stage() -> None:
    stages = ({"name": "manager", "audience": ("ada",)}, {"name": "cfo", "audience": ("eve",)})
    record = record_of(stages=stages, response_schema={"type": "string"})

    assert vote(record, "ada", response="yes") == LAST_ONE
    assert vote(record, "ada") is None
    assert vote(record, "eve") == AN_ANSWER
    assert vote(record, "eve", response="blue") is None
    assert record.outcome().response == "blue"


def test_a_change_that_somebody_else_has_to_approve_needs_no_answer_yet() -> None:
    record = record_of(audience=("ada", "bob"), response_schema={"type": "string"})

    assert vote(record, "ada", **edit(amount=80)) is None
    assert vote(record, "bob") == AN_ANSWER
    assert vote(record, "bob", response="green") is None
    assert record.outcome().response == "green"


def test_the_phrase_to_type_is_that_of_the_changed_arguments() -> None:
    record = record_of(quorum=1, confirm_phrase="{to}")

    assert vote(record, "ada", confirmation="Ada", **edit(to="Bo")) == "type 'Bo' to confirm"
    assert vote(record, "ada", confirmation="Bo", **edit(to="Bo")) is None


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

"""Terms that can't be met are refused when a request is made, not found out at its deadline."""

from datetime import timedelta
from typing import Any

import pydantic
import pytest

from clearance import ApprovalRequest, contract
from clearance.directory import Members
from clearance.errors import explain
from clearance.rules import refuse_request
from clearance.stages import GROUP, folded, is_group

from .records import DAY, START, request_of

FIVE_YEARS = contract.MAX_EXPIRY
MICRO = timedelta(microseconds=1)


@pytest.mark.parametrize(
    "fields",
    [
        {"expires_in": MICRO},
        {"expires_in": FIVE_YEARS},
        {"expires_in": None},
        {"expires_in": None, "remind_after": (DAY, FIVE_YEARS - MICRO)},
        {"expires_in": 2 * DAY, "remind_after": (2 * DAY - MICRO,), "remind_before": (MICRO,)},
        {"remind_after": tuple(n * DAY / 2 for n in range(1, 11))},
        {"audience": ("ada",), "escalate_to": ("eve",)},
        {"audience": ("ada",), "escalate_to": ("ADA", "eve"), "escalate_after": DAY},
        {"audience": ("ada",), "escalate_to": ("eve",), "expires_in": None, "escalate_after": DAY},
        {"audience": ("ada",), "escalate_to": ("eve",), "quorum": 2},
        {"audience": ("ada", "bob"), "quorum": 2},
        {"audience": ("ada", "bob", "eve"), "quorum": 2, "reject_quorum": 2},
        {"audience": ("ada", "bob", "eve"), "quorum": 3, "reject_quorum": 1},
        {"audience": ("group:finance",), "quorum": 50, "reject_quorum": 50},
        {"stages": [{"name": str(n)} for n in range(10)]},
        {"stages": [{"name": "one"}, {"name": "two", "when": "args.amount > 10"}]},
        {"stages": [{"name": "one", "when": "false"}, {"name": "two"}]},
        {"response_schema": {"type": "string"}, "reject_quorum": 2, "audience": ("ada", "bob")},
        {"self_approval": ()},
        {"attempt": 1_000, "previous": "a.1"},
    ],
)
def test_terms_that_can_be_met_are_taken(fields: dict[str, Any]) -> None:
    assert request_of(**fields).chain


LONGER = "must be longer than nothing and shorter than expires_in"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"expires_in": timedelta(0)}, "expires_in must be longer than nothing and at most 5 y"),
        ({"expires_in": FIVE_YEARS + MICRO}, "expires_in must be longer than nothing and at most"),
        ({"remind_after": (timedelta(0),)}, f"remind_after {LONGER}"),
        ({"remind_after": (7 * DAY,)}, f"remind_after {LONGER}"),
        ({"remind_before": (DAY, 7 * DAY)}, f"remind_before {LONGER}"),
        ({"remind_before": (-DAY,)}, f"remind_before {LONGER}"),
        ({"remind_before": (DAY,), "expires_in": None}, "remind_before needs a deadline, and"),
        ({"remind_after": (FIVE_YEARS,), "expires_in": None}, f"remind_after {LONGER}"),
        ({"remind_after": (DAY,) * 11}, "remind_after: Tuple should have at most 10 items"),
        ({"escalate_after": DAY}, "escalate_after needs escalate_to: whom?"),
        ({"escalate_to": ("eve",)}, "escalate_to needs an audience: anyone may decide already"),
        (
            {"audience": ("ada", "eve"), "escalate_to": ("EVE",)},
            "escalate_to names only people who may decide already",
        ),
        (
            {"audience": ("ada",), "escalate_to": ("eve",), "escalate_after": 7 * DAY},
            f"escalate_after {LONGER}",
        ),
        (
            {"audience": ("ada",), "escalate_to": ("eve",), "expires_in": None},
            "it never expires, so it never escalates: say escalate_after",
        ),
        ({"escalate_to": [str(n) for n in range(51)], "audience": ("a",)}, "escalate_to has 51"),
        (
            {"audience": ("ada",), "escalate_to": ("eve",), "quorum": 3},
            "quorum is 3, but only 2 may decide",
        ),
        (
            {"audience": ("ada", "Ada", "bob"), "reject_quorum": 3},
            "reject_quorum is 3, but only 2 may decide",
        ),
        (
            {"audience": ("ada", "bob", "eve"), "quorum": 2, "reject_quorum": 3},
            "3 people who each decide once could leave it undecided: with a quorum of 2, "
            "reject_quorum is at most 2",
        ),
        ({"quorum": 0, "audience": ("ada",)}, "quorum: Input should be greater than or equal to"),
        ({"reject_quorum": 51}, "reject_quorum: Input should be less than or equal to 50"),
        ({"stages": [{"name": str(n)} for n in range(11)]}, "stages: Tuple should have at most"),
        ({"stages": [{"name": "one"}, {"name": "ONE"}]}, "two stages have the same name"),
        (
            {"stages": [{"name": "one", "when": "true"}]},
            "every stage has a condition: nobody might be asked at all",
        ),
        (
            {"stages": [{"name": "one"}], "quorum": 2},
            "quorum belongs to each stage where there are stages",
        ),
        (
            {"stages": [{"name": "one"}], "audience": ("ada",)},
            "audience belongs to each stage where there are stages",
        ),
        ({"stages": [{"name": "one", "when": " "}]}, "stages.0.when: String should have at least"),
        (
            {"stages": [{"name": "one", "quorum": 2, "audience": ("ada",)}]},
            "stages.0: quorum is 2, but only 1 may decide",
        ),
        (
            {"response_schema": {}, "quorum": 2, "audience": ("ada", "bob")},
            "response_schema: one person answers, so the quorum is 1",
        ),
        ({"audience": ("x" * 10_240,)}, "audience.0: String should have at most 200 characters"),
        ({"audience": ("a\x1b[2Jb",)}, r"audience.0: contains the control character '\x1b'"),
        ({"self_approval": ("anyone",)}, "self_approval.0: Input should be 'requester' or"),
        ({"attempt": 1_001}, "attempt: Input should be less than or equal to 1000"),
    ],
)
def test_terms_that_make_no_sense_are_refused_with_what_is_wrong(
    fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(pydantic.ValidationError) as raised:
        request_of(**fields)

    assert said in explain(raised.value)


def test_a_group_is_told_by_its_prefix_in_any_capitals() -> None:
    assert GROUP == "group:"
    assert all(map(is_group, ("group:a", "GROUP:a", "group:")))
    assert not any(map(is_group, ("groups", "a@group:b", "group")))
    assert folded(["Ada", "bob", "ADA"]) == ("ada", "bob")


def directory(**fields: Any) -> Members:
    groups = {"group:finance": ("ada", "bob"), "group:empty": ()}
    return Members(directory=True, groups=groups, **fields)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, None),
        ({"self_approval": ()}, None),
        ({"quorum": 2}, "a quorum of 2 needs an audience: name who may decide"),
        ({"reject_quorum": 3}, "a quorum of 3 needs an audience: name who may decide"),
        ({"audience": ("group:finance",), "quorum": 2}, None),
        ({"audience": ("GROUP:Finance",), "quorum": 2}, None),
        ({"audience": ("group:finance", "eve"), "quorum": 3}, None),
        ({"audience": ("group:empty",)}, "there is nobody in group:empty"),
        ({"audience": ("group:empty", "eve")}, None),
        ({"audience": ("group:finance",), "quorum": 3}, "quorum is 3, but only 2 may decide"),
        (
            {"audience": ("group:finance", "ADA"), "quorum": 3},
            "quorum is 3, but only 2 may decide",
        ),
        (
            {"audience": ("group:finance", "countess"), "quorum": 3},
            "quorum is 3, but only 2 may decide",
        ),
        ({"audience": ("group:finance",), "escalate_to": ("eve",), "quorum": 3}, None),
        (
            {"audience": ("group:finance",), "reject_quorum": 3},
            "reject_quorum is 3, but only 2 may decide",
        ),
        (
            {"audience": ("group:finance",), "quorum": 2, "reject_quorum": 2},
            "2 people who each decide once could leave it undecided: with a quorum of 2, "
            "reject_quorum is at most 1",
        ),
        (
            {"audience": ("ada",), "requester": "Ada"},
            "Ada asked for it and may not approve it: without them, 0 may decide, and 1 have to "
            "approve",
        ),
        (
            {"audience": ("group:finance",), "requester": "countess", "quorum": 2},
            "countess asked for it and may not approve it: without them, 1 may decide, and 2 have "
            "to approve",
        ),
        ({"audience": ("group:finance",), "requester": "ada"}, None),
        ({"audience": ("ada",), "requester": "ada", "self_approval": ("requester",)}, None),
        (
            {"audience": ("ada",), "requester": "ada", "self_approval": ("editor",)},
            "ada asked for it and may not approve it",
        ),
        ({"audience": ("ada",), "escalate_to": ("eve",), "requester": "ada"}, None),
        (
            {"stages": [{"name": "one"}, {"name": "two", "audience": ("group:empty",)}]},
            "stage two: there is nobody in group:empty",
        ),
        (
            {"stages": [{"name": "one", "audience": ("ada",)}, {"name": "two", "quorum": 2}]},
            "stage two: a quorum of 2 needs an audience: name who may decide",
        ),
        (
            {
                "stages": [{"name": "one"}, {"name": "cfo", "audience": ("ada",), "when": "true"}],
                "requester": "ada",
            },
            "stage cfo: ada asked for it and may not approve it",
        ),
    ],
)
def test_a_request_that_nobody_could_ever_approve_is_refused_when_it_is_made(
    fields: dict[str, Any], said: str | None
) -> None:
    refused = refuse_request(request_of(**fields), directory(aliases={"countess": "ada"}))

    assert refused is None if said is None else (refused or "").startswith(said)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        (
            Members(directory=True, unknown=("group:a", "group:b")),
            "group:a, group:b: reviewers.toml has no such group",
        ),
        (
            Members(directory=False, unknown=("group:a", "group:b")),
            "group:a: there are no groups without a reviewers.toml: name people",
        ),
        (Members(), "there is nobody in group:a, group:b"),
        (None, None),
    ],
)
def test_a_group_that_nobody_knows_is_refused(members: Members | None, said: str | None) -> None:
    assert refuse_request(request_of(audience=("group:a", "group:b")), members) == said


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"audience": ("ada",), "requester": "ADA"}, "ADA asked for it and may not approve it"),
        ({"audience": ("ada", "bob"), "requester": "ada"}, None),
        ({"quorum": 2}, "a quorum of 2 needs an audience"),
        ({"audience": ("ada", "group:a"), "quorum": 9}, None),
    ],
)
def test_before_the_directory_is_asked_only_the_names_are_judged(
    fields: dict[str, Any], said: str | None
) -> None:
    refused = refuse_request(request_of(**fields))

    assert refused is None if said is None else (refused or "").startswith(said)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"audience": ("group:empty",), "quorum": 9}, None),
        ({"audience": ("ada", "Group:EMPTY"), "requester": "ada"}, None),
        ({"audience": ("ada",), "escalate_to": ("group:empty",), "requester": "ada"}, None),
        ({"audience": ("group:finance",), "quorum": 3}, "quorum is 3, but only 2 may decide"),
        ({"quorum": 2}, "a quorum of 2 needs an audience"),
    ],
)
def test_of_a_group_that_nobody_can_list_no_quorum_is_too_many(
    fields: dict[str, Any], said: str | None
) -> None:
    refused = refuse_request(request_of(**fields), directory(open_groups=("group:empty",)))

    assert refused is None if said is None else (refused or "").startswith(said)


def test_a_request_without_stages_is_a_chain_of_one() -> None:
    terms: dict[str, Any] = {"audience": ("ada", "bob"), "quorum": 2, "expires_in": DAY}
    plain = request_of(**terms)
    staged = ApprovalRequest(action="Pay", stages=({"name": "one", **terms}, {"name": "two"}))

    [only] = plain.chain
    assert (only.audience, only.quorum, only.expires_in) == (("ada", "bob"), 2, DAY)
    assert [stage.name for stage in staged.chain] == ["one", "two"]
    assert plain.deadline(START) == staged.deadline(START) == START + DAY
    assert request_of(expires_in=None).deadline(START) is None

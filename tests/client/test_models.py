"""What may be asked and answered, to the byte, and the digest that ties the two together."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pydantic_core
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue, ValidationError

from clearance import ApprovalRequest, Decision, Outcome
from clearance.contract import MAX_ARGUMENTS_BYTES, MAX_DETAILS_BYTES
from clearance.errors import explain
from clearance.fields import canonical_json
from clearance.runs import AgentRun

DIGEST = "e6ef95eb2713ac10015ea033de4ef1f436b9b079bd1afcbfb0488e9aa308c894"
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # The alphabet: any character but half of a pair, which UTF-8 has no way to write.
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def asking(**fields: Any) -> ApprovalRequest:
    return ApprovalRequest(**{"action": "x", **fields})


def deciding(**fields: Any) -> Decision:
    whole = {
        "approved": True,
        "reviewer": "ada",
        "digest": DIGEST,
        "decision_id": "one",
        "decided_at": datetime(2026, 11, 21, tzinfo=UTC),
    }
    return Decision.model_validate(whole | fields)


def nested(levels: int) -> JsonValue:
    value: JsonValue = 1
    for _ in range(levels):
        value = [value]
    return value


def arguments_of(size: int) -> dict[str, JsonValue]:
    """Arguments that are exactly ``size`` bytes as JSON."""
    return {"text": "x" * (size - len('{"text":""}'))}


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "x"},
        {"action": "é" * 500},
        {"action": f"  {'x' * 500}  "},
        {"details": "x" * MAX_DETAILS_BYTES},
        {"details": "é" * (MAX_DETAILS_BYTES // 2)},
        {"arguments": arguments_of(MAX_ARGUMENTS_BYTES)},
        {"arguments": {"deep": nested(99)}},
        {"tool": "x" * 200},
        {"audience": tuple(f"p{number}@example.com" for number in range(50))},
        {"audience": (["x" * 200] * 10)},
        {"expires_in": timedelta(microseconds=1)},
        {"expires_in": timedelta(days=5 * 365)},
        {"expires_in": None},
    ],
)
def test_a_request_at_its_limits_is_accepted(fields: dict[str, Any]) -> None:
    assert asking(**fields).digest


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"action": ""}, "action: String should have at least 1 character"),
        ({"action": " \n"}, "action: String should have at least 1 character"),
        ({"action": "x" * 501}, "action: String should have at most 500 characters"),
        ({"action": None}, "action: Input should be a valid string"),
        (
            {"details": "x" * (MAX_DETAILS_BYTES + 1)},
            "details are 65,537 bytes, at most 65,536: shorten them, or link to the document",
        ),
        (
            {"details": "é" * (MAX_DETAILS_BYTES // 2 + 1)},
            "details are 65,538 bytes, at most 65,536: shorten them, or link to the document",
        ),
        (
            {"arguments": arguments_of(MAX_ARGUMENTS_BYTES + 1)},
            "arguments are 262,145 bytes of JSON, at most 262,144: "
            "pass a reference to the data instead",
        ),
        ({"arguments": {"deep": nested(100)}}, "arguments are nested 101 deep, at most 100"),
        ({"arguments": {"deep": nested(5000)}}, "arguments.deep.list.0"),
        ({"arguments": {"n": math.nan}}, "arguments are not JSON: Out of range float values"),
        ({"arguments": {"n": [math.inf]}}, "arguments are not JSON: Out of range float values"),
        ({"arguments": {"s": "\ud800"}}, "arguments are not JSON: 'utf-8' codec can't encode"),
        ({"arguments": {"s": {1}}}, "arguments.s: input was not a valid JSON value"),
        ({"arguments": {1: 2}}, "arguments.1.[key]: Input should be a valid string"),
        ({"arguments": ["a"]}, "arguments: Input should be a valid dictionary"),
        ({"tool": "x" * 201}, "tool: String should have at most 200 characters"),
        ({"tool": " "}, "tool: String should have at least 1 character"),
        ({"requester": "a\x1b[1m"}, r"requester: contains the control character '\x1b': remove"),
        ({"risk": "huge"}, "risk: Input should be 'low', 'medium', 'high' or 'critical'"),
        ({"audience": ("",)}, "audience.0: String should have at least 1 character"),
        ({"audience": [str(n) for n in range(51)]}, "audience has 51 names, at most 50"),
        ({"audience": ("ada", " Group: ")}, "audience: 'Group:' names no group: write group:fi"),
        (
            {"audience": [f"{n:x<200}" for n in range(11)]},
            "audience takes 2,234 bytes of Temporal's index, at most",
        ),
        ({"tool": "😀" * 200}, "tool takes 2,402 bytes of Temporal's index, at most 2,048"),
        ({"expires_in": 0}, "expires_in must be longer than nothing and at most 5 years"),
        ({"expires_in": -1}, "expires_in must be longer than nothing and at most 5 years"),
        ({"expires_in": "P1825DT1S"}, "expires_in must be longer than nothing and at most 5"),
        ({"expires_in": 1e300}, "expires_in: Input should be a valid timedelta"),
        ({"until_approved_by": 2}, "until_approved_by: Extra inputs are not permitted"),
    ],
)
def test_a_request_beyond_a_limit_is_refused_in_one_line(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        asking(**fields)

    line = explain(caught.value)
    assert line.startswith(said)
    assert "\n" not in line


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"approved": 1}, "approved: Input should be a valid boolean"),
        ({"approved": "true"}, "approved: Input should be a valid boolean"),
        ({"approved": "yes"}, "approved: Input should be a valid boolean"),
        ({"approved": None}, "approved: Input should be a valid boolean"),
        ({"reviewer": ""}, "reviewer: String should have at least 1 character"),
        ({"reviewer": "a\u202eb"}, r"reviewer: contains the control character '\u202e'"),
        ({"digest": DIGEST.upper()}, "digest: String should match pattern"),
        ({"digest": DIGEST + "\n"}, "digest: String should match pattern"),
        ({"digest": DIGEST[1:]}, "digest: String should match pattern"),
        ({"reason": "x" * 4001}, "reason: String should have at most 4000 characters"),
        ({"channel": "fax"}, "channel: Input should be 'client', 'cli'"),
        ({"decision_id": ""}, "decision_id: String should match pattern"),
        ({"decision_id": "x" * 65}, "decision_id: String should match pattern"),
        ({"decision_id": "a b"}, "decision_id: String should match pattern"),
        ({"decided_at": "2026-11-21T10:00:00"}, "decided_at: Input should have timezone info"),
        ({"amount": 5}, "amount: Extra inputs are not permitted"),
    ],
)
def test_a_malformed_decision_is_refused_in_one_line(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        deciding(**fields)

    assert explain(caught.value).startswith(said)


@pytest.mark.parametrize("field", ["approved", "reviewer", "digest", "decision_id", "decided_at"])
def test_a_decision_without_one_of_its_fields_is_refused(field: str) -> None:
    whole = deciding().model_dump()
    del whole[field]

    with pytest.raises(ValidationError) as caught:
        Decision.model_validate(whole)

    assert explain(caught.value) == f"{field}: Field required"


def test_one_line_stays_short_whatever_a_stranger_sends() -> None:
    with pytest.raises(ValidationError) as caught:
        deciding(**{f"{number}\x1b[2J{'k' * 100_000}": 1 for number in range(20)})

    line = explain(caught.value)
    assert len(line) < 1_000
    assert line.endswith("and 15 more")
    assert "\x1b" not in line


PINNED = [
    ({}, DIGEST),
    ({"details": "d"}, "1189ed767781c3fc8459749b232237f6d6fb1a1da7b42a4740a199f934b1c7cc"),
    ({"tool": "t"}, "8fd627452e8a504048e4617df4e2cda85034bf48d3e7df4c3e2eb4a4acb0133e"),
    (
        {
            "tool": "send_email",
            "arguments": {
                "to": "ada@example.com",
                "n": 1,
                "big": 2**64,
                "pi": 1.0,
                "é": ["ü😀", None, True, {"b": 1, "a": 2}],
            },
        },
        "6297aa3182c866b17605b5fb256dbf1b1036fb5b842064f0e19de340b3815630",
    ),
]


@pytest.mark.parametrize(("fields", "digest"), PINNED)
def test_a_digest_is_what_it_always_was(fields: dict[str, Any], digest: str) -> None:
    """A decision in flight carries the digest that an older version computed."""
    assert asking(**fields).digest == digest


@pytest.mark.parametrize(
    "other",
    [
        {"tool": "u", "arguments": {"n": 1}},
        {"tool": None, "arguments": {"n": 1}},
        {"tool": "t", "arguments": {}},
        {"tool": "t", "arguments": {"n": 1.0}},
        {"tool": "t", "arguments": {"n": True}},
        {"tool": "t", "arguments": {"n": "1"}},
        {"tool": "t", "arguments": {"N": 1}},
        {"tool": "t", "arguments": {"n": 1, "m": None}},
    ],
)
def test_another_tool_or_other_arguments_have_another_digest(other: dict[str, Any]) -> None:
    assert asking(**other).digest != asking(tool="t", arguments={"n": 1}).digest


def test_the_words_count_only_where_there_is_no_tool() -> None:
    plain = asking(action="Deploy", details="to production")

    assert plain.digest != asking(action="Deploy", details="to staging").digest
    assert plain.digest != asking(action="Roll back", details="to production").digest
    assert asking(action="One", tool="t").digest == asking(action="Two", tool="t").digest


def test_integers_that_a_float_cannot_hold_stay_apart() -> None:
    digests = {asking(tool="t", arguments={"n": 2**53 + n}).digest for n in range(4)}

    assert len(digests) == 4


def test_letters_that_look_alike_are_not_the_same() -> None:
    composed, decomposed = "\u00e9", "e\u0301"

    assert asking(action=composed).digest != asking(action=decomposed).digest


@settings(deadline=None)
@given(st.dictionaries(st.text(), JSON))
def test_a_digest_survives_the_wire_and_any_order_of_keys(arguments: dict[str, Any]) -> None:
    request = asking(tool="t", arguments=arguments)
    wire = pydantic_core.from_json(pydantic_core.to_json(request.model_dump(mode="json")))
    backwards = dict(reversed(arguments.items()))

    assert ApprovalRequest.model_validate(wire).digest == request.digest
    assert asking(tool="t", arguments=backwards).digest == request.digest
    assert canonical_json(arguments) == canonical_json(backwards)


@pytest.mark.parametrize(
    ("status", "approved"),
    [
        ("approved", None),
        ("approved", False),
        ("rejected", None),
        ("rejected", True),
        ("expired", True),
        ("withdrawn", False),
        ("pending", True),
    ],
)
def test_an_outcome_that_contradicts_its_decision_is_refused(
    status: Any, approved: bool | None
) -> None:
    decision = approved is not None and {
        "approved": approved,
        "reviewer": "ada",
        "channel": "cli",
        "digest": DIGEST,
        "at": "2026-11-21T10:00:00Z",
    }

    with pytest.raises(ValidationError):
        Outcome.model_validate(
            {"approval_id": "a", "status": status, "digest": DIGEST, "decision": decision or None}
        )


def test_a_prompt_has_at_most_100_kilobytes() -> None:
    assert AgentRun(agent="email", prompt="é" * 51_200)

    with pytest.raises(ValidationError) as caught:
        AgentRun(agent="email", prompt="é" * 51_200 + "x")

    assert explain(caught.value) == "the prompt is 102,401 bytes, at most 102,400: shorten it"

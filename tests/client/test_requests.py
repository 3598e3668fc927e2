"""What a person is asked, with other arguments, with secrets, and as a forger would write it."""

from datetime import timedelta
from typing import Any

import pydantic
import pytest

from clearance import ApprovalRequest, Outcome, approved_arguments, contract
from clearance.errors import explain
from clearance.fields import depth
from clearance.mask import MASK
from clearance.models import Change, Edit, Recorded
from clearance.wording import described

ASKED: dict[str, Any] = {
    "action": "Pay 100 to Ada",
    "details": "As agreed: 100",
    "tool": "pay",
    "arguments": {"to": "Ada", "amount": 100, "pin": "0000-1111"},
    "description_template": "Pay {amount} to {to}\n\nAs agreed: {amount}",
    "editable": True,
}


def request(**fields: Any) -> ApprovalRequest:
    return ApprovalRequest(**{**ASKED, **fields})


def refusal(fields: dict[str, Any]) -> str:
    with pytest.raises(pydantic.ValidationError) as raised:
        request(**fields)
    return explain(raised.value)


def test_with_other_arguments_the_words_and_the_digest_are_others() -> None:
    asked = request()

    changed = asked.with_arguments({**asked.arguments, "amount": 80})

    assert (changed.action, changed.details) == ("Pay 80 to Ada", "As agreed: 80")
    assert changed.digest == request(arguments=changed.arguments).digest != asked.digest
    assert asked.arguments["amount"] == 100


def test_without_a_template_the_words_stay() -> None:
    asked = request(description_template=None)

    assert asked.with_arguments({"amount": 80}).action == "Pay 100 to Ada"


def test_with_the_same_arguments_it_is_the_same_request() -> None:
    for asked in (request(), request().concealed()):
        assert asked.with_arguments(dict(reversed(asked.arguments.items()))) is asked


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), [{"deep": float("inf")}]])
def test_arguments_that_are_no_json_are_refused_as_such(value: Any) -> None:
    with pytest.raises(pydantic.ValidationError):
        request().with_arguments({"amount": value})


def test_a_changed_request_with_secrets_has_a_digest_that_covers_them() -> None:
    one, two = (
        request().concealed(),
        request(arguments={**ASKED["arguments"], "pin": "9999-1111"}).concealed(),
    )
    assert one.arguments == two.arguments

    digests = {
        asked.with_arguments({**asked.arguments, "amount": amount}).digest
        for asked in (one, two)
        for amount in (80, 81)
    }

    assert len(digests | {one.digest, two.digest}) == 6


@pytest.mark.parametrize(
    "arguments",
    [
        {"to": "Ada", "amount": 80},
        {"to": "Ada", "amount": 80, "pin": "0000-1111"},
        {"to": "Ada", "amount": 80, "pin": None},
        {"to": MASK, "amount": 80},
    ],
)
def test_a_masked_argument_stays_whatever_changes(arguments: dict[str, Any]) -> None:
    with pytest.raises(pydantic.ValidationError, match="the masked argument /pin can't be changed"):
        request().concealed().with_arguments(arguments)


def test_a_mask_that_moves_brings_no_secret_along() -> None:
    asked = request()
    edit: dict[str, Any] = {"to": MASK, "amount": 1, "pin": MASK}
    shown = asked.concealed().with_arguments(edit)

    outcome = approved(asked, Edit(arguments=edit, digest=shown.digest, changes=()))

    assert approved_arguments(asked, outcome) == {"to": MASK, "amount": 1, "pin": "0000-1111"}


def approved(asked: ApprovalRequest, edit: Edit | None) -> Outcome:
    digest = edit.digest if edit else asked.digest
    decision = {"approved": True, "reviewer": "ada", "channel": "cli", "at": "2026-11-21T10:00:00Z"}
    return Outcome(
        approval_id="a.1",
        status="approved",
        digest=asked.digest,
        decision=Recorded.model_validate({**decision, "digest": digest}),
        edit=edit,
    )


def test_the_tool_gets_the_changes_and_the_real_secret() -> None:
    asked = request()
    shown = asked.concealed()
    arguments: dict[str, Any] = {**shown.arguments, "amount": 80}
    digest = shown.with_arguments(arguments).digest
    change = Change(name="amount", kind="changed", before=100, after=80)

    outcome = approved(asked, Edit(arguments=arguments, digest=digest, changes=(change,)))

    assert approved_arguments(asked, outcome) == {"to": "Ada", "amount": 80, "pin": "0000-1111"}
    assert approved_arguments(asked, approved(asked, None)) == asked.arguments


@pytest.mark.parametrize(
    ("arguments", "digest", "editable"),
    [
        ({"to": "Ada", "amount": 80, "pin": MASK}, "0" * 64, True),
        ({"to": "Ada", "amount": 81, "pin": MASK}, None, True),
        ({"to": "Ada", "amount": 80, "pin": "mine"}, None, True),
        ({"amount": float("nan")}, None, True),
        ({"to": "Ada", "amount": 80, "pin": MASK}, None, False),
    ],
    ids=["another digest", "other changes", "another secret", "no JSON", "not editable"],
)
def test_an_outcome_whose_edit_is_not_of_this_request_runs_nothing(
    arguments: dict[str, Any], digest: str | None, editable: bool
) -> None:
    asked = request(editable=editable)
    right: dict[str, Any] = {"to": "Ada", "amount": 80, "pin": MASK}
    digest = digest or asked.concealed().with_arguments(right).digest

    outcome = approved(asked, Edit(arguments=arguments, digest=digest, changes=()))

    with pytest.raises(Exception, match="is not of what was asked; nothing ran"):
        approved_arguments(asked, outcome)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"masked": ("/pin",)}, "masked and sealed_digest come together: leave both to the gate"),
        ({"sealed_digest": "0" * 64}, "masked and sealed_digest come together"),
        (
            {"masked": ("/pin",), "sealed_digest": "0" * 64},
            "the masked argument /pin can't be changed",
        ),
        ({"masked": ("/no",), "sealed_digest": "0" * 64}, "the masked argument /no can't"),
        ({"masked": ("",), "sealed_digest": "0" * 64}, ""),
        ({"masked": ("pin",), "sealed_digest": "0" * 64}, ""),
        (
            {"masked": tuple(f"/{n}" for n in range(501)), "sealed_digest": "0" * 64},
            "too many secrets among the arguments: at most 500 values can be masked",
        ),
        ({"masked": ("/" * 65_537,), "sealed_digest": "0" * 64}, "too many secrets among"),
        ({"masked": "/pin", "sealed_digest": "0" * 64}, "masked: "),
        ({"masked": (1,), "sealed_digest": "0" * 64}, "masked.0: "),
        ({"sealed_digest": "xyz"}, "sealed_digest: String should match pattern"),
    ],
)
def test_a_forged_mask_is_refused(fields: dict[str, Any], said: str) -> None:
    assert said in refusal(fields)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"impact": "x" * 2_001}, "impact: String should have at most 2000 characters"),
        ({"user_prompt": "x" * 2_001}, "user_prompt: "),
        ({"agent_message": "x" * 2_001}, "agent_message: "),
        ({"quorum": 0}, "quorum: "),
        ({"quorum": 51}, "quorum: "),
        ({"quorum": 2, "audience": ("ada",)}, "quorum is 2, but only 1 may decide"),
        ({"quorum": 2, "audience": ("ada", "ADA")}, "quorum is 2, but only 1 may decide"),
        ({"audience": ("group:",)}, "audience: 'group:' names no group: write group:finance"),
        ({"audience": ("ada",), "escalate_to": ("GROUP:",)}, "escalate_to: 'GROUP:' names no"),
        ({"policy_digest": "short"}, "policy_digest: "),
        ({"description_template": "x" * 10_001}, "description_template: "),
        ({"arguments_schema": {"x": "y" * 65_536}}, "arguments_schema is 65,545 bytes, at most"),
        ({"editable": 1.5}, "editable"),
        ({"editable": ("",)}, "editable"),
        ({"grant": {"grant_id": "a"}}, "grant.granted_by: Field required"),
        ({"expires_in": timedelta(0)}, "expires_in"),
    ],
)
def test_a_request_beyond_a_limit_says_which(fields: dict[str, Any], said: str) -> None:
    assert said in refusal(fields)


def test_a_template_gives_the_sentence_and_the_text() -> None:
    words = described("\n  Send “{subject}”\n\n{body}\n", {"subject": "a\nb\u202e", "body": " x\n"})

    assert words == {"action": "Send “a b\\u202e”", "details": " x\n"}


def test_what_a_template_makes_too_long_is_cut_where_it_can_be_seen() -> None:
    words = described("{a}\n{b}", {"a": "x" * 600, "b": "é" * 40_000})

    assert (len(words["action"]), words["action"][-1]) == (500, "…")
    assert len(words["details"].encode()) <= contract.MAX_DETAILS_BYTES
    assert words["details"].endswith("é\n(cut here: the arguments have the rest)")
    assert described("{a}", {"a": " "})["action"] == "(no description)"


def test_a_template_that_names_a_long_value_often_is_cut_before_it_is_written() -> None:
    long = {"a": "x" * 200_000}

    words = described("{a}" * 1_000 + "\n" + "{a}" * 2_000, long)

    assert len(words["action"]) == 500
    assert words["details"].endswith("x\n(cut here: the arguments have the rest)")
    assert request(arguments=long, confirm_phrase="{a}" * 600).phrase == "x" * 200


@pytest.mark.parametrize(
    ("arguments", "levels"),
    [({}, 1), ({"a": 1}, 1), ({"a": [[]]}, 3), ({"a": {"b": [{}]}, "c": None}, 4)],
)
def test_depth_counts_lists_and_objects(arguments: dict[str, Any], levels: int) -> None:
    assert depth(arguments) == levels
    assert depth(1) == depth(None) == depth("[[]]") == 0


@pytest.mark.parametrize(("levels", "fits"), [(99, True), (100, False)])
def test_arguments_may_be_large_and_deep_up_to_the_limit(levels: int, fits: bool) -> None:
    value: Any = [0] * 100_000
    for _ in range(levels - 1):
        value = [value]

    if fits:
        assert request(arguments={"a": value}).arguments == {"a": value}
    else:
        assert "arguments are nested 101 deep, at most 100" in refusal({"arguments": {"a": value}})

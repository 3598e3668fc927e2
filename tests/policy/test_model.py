"""What a checkpoint may say."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from clearance import contract
from policy.model import Checkpoint, Policy, duration

WHOLE: dict[str, Any] = {
    "checkpoint_id": "deletions",
    "action_pattern": "delete_*",
    "when": "args.amount > 100",
    "allow": False,
    "description_template": "Delete {name}\n\nAll of it.",
    "risk": "critical",
    "impact": "Gone for good.",
    "audience": ["ada@example.com", "bob@example.com"],
    "quorum": 2,
    "reject_quorum": 1,
    "deadline": "2h",
    "remind_after": ["30m"],
    "remind_before": ["15m", "5m"],
    "escalate_to": ["group:leads"],
    "escalate_after": "1h",
    "stage": [{"name": "cfo", "when": "args.amount > 9", "audience": ["eve"], "quorum": 1}],
    "self_approval": ["editor"],
    "response_schema": {"type": "object", "properties": {"colour": {"enum": ["red", None]}}},
    "on_reject": "stop",
    "on_expiry": "stop",
    "editable": ["name"],
    "confirm_phrase": "{name}",
    "grants": False,
}


def checkpoint(**fields: Any) -> Checkpoint:
    return Checkpoint.model_validate({"checkpoint_id": "a", "action_pattern": "a", **fields})


def test_a_checkpoint_needs_a_name_and_a_pattern_alone() -> None:
    least = checkpoint()
    assert (least.when, least.allow, least.description_template) == (None, False, None)
    assert (least.risk, least.impact, least.audience, least.quorum) == ("medium", "", (), 1)
    assert (least.on_reject, least.on_expiry, least.editable) == ("tell", "tell", False)
    assert (least.confirm_phrase, least.grants) == (None, True)
    assert (least.reject_quorum, least.remind_after, least.remind_before) == (1, (), ())
    assert (least.escalate_to, least.escalate_after, least.stage) == ((), None, ())
    assert (least.self_approval, least.response_schema) == (None, None)
    assert least.expires_in(timedelta(days=7)) == timedelta(days=7)
    assert least.expires_in(None) is None


def test_everything_said_is_kept_on_its_way_through_json() -> None:
    policy = Policy.model_validate({"secrets": ["iban"], "checkpoint": [WHOLE]})
    assert policy.checkpoint[0].audience == ("ada@example.com", "bob@example.com")
    assert policy.checkpoint[0].editable == ("name",)
    for left_out in (False, True):
        plain = policy.model_dump_json(exclude_defaults=left_out)
        assert Policy.model_validate_json(plain) == policy


def test_what_a_policy_could_say_before_there_were_stages_is_still_one() -> None:
    """Runs bring along the policy that they were started with, and read it whenever they replay."""
    old = {"quorum": 50, "editable": True, "deadline": "never", "grants": False}
    assert checkpoint(**old).terms(timedelta(days=7))["quorum"] == 50


def test_nothing_can_be_changed_afterwards() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        checkpoint().allow = True  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        Policy().default = "allow"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("2h", timedelta(hours=2)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(days=14)),
        ("1825d", timedelta(days=1825)),
        ("never", None),
    ],
)
def test_a_deadline_is_a_duration_or_never(text: str, length: timedelta | None) -> None:
    assert duration(text) == length
    assert checkpoint(deadline=text).expires_in(timedelta(1)) == length


BAD = [
    ("checkpoint_id", "", "at least 1 character"),
    ("checkpoint_id", "  ", "at least 1 character"),
    ("checkpoint_id", "x" * 201, "at most 200 characters"),
    ("checkpoint_id", "a\nb", "control character"),
    ("checkpoint_id", "😀" * 200, "bytes of Temporal's index"),
    ("checkpoint_id", 5, "valid string"),
    ("action_pattern", "", "match every tool"),
    ("action_pattern", "(?=x)", "no lookaround"),
    ("action_pattern", ["a"], "valid string"),
    ("when", "", "it is empty"),
    ("when", "arg > 1", "undeclared reference to 'arg'"),
    ("when", "1 + 1", "true or false"),
    ("when", True, "valid string"),
    ("allow", "true", "valid boolean"),
    ("allow", 1, "valid boolean"),
    ("description_template", "", "it is empty"),
    ("description_template", " \n ", "it is empty"),
    ("description_template", "{a", "expected '}'"),
    ("description_template", "{a.b!r}", "format"),
    ("description_template", "{}", "no field"),
    ("description_template", "x" * 10_001, "at most 10000"),
    ("risk", "huge", "'low', 'medium', 'high' or 'critical'"),
    ("risk", None, "'low', 'medium', 'high' or 'critical'"),
    ("impact", "x" * 1_001, "at most 1000"),
    ("audience", "ada@example.com", "valid tuple"),
    ("audience", ["Group: "], "names no group: write group:finance"),
    ("audience", ["ada", "ADA"], "ada is named twice"),
    ("audience", [""], "at least 1 character"),
    ("audience", [f"{n}@example.com" for n in range(51)], "at most 50"),
    ("audience", ["x" * 201], "at most 200"),
    ("audience", [f"{'x' * 190}{n}" for n in range(12)], "bytes of Temporal's index"),
    ("quorum", 0, "greater than or equal to 1"),
    ("quorum", 51, "less than or equal to 50"),
    ("quorum", "2", "valid integer"),
    ("quorum", True, "valid integer"),
    ("reject_quorum", 0, "greater than or equal to 1"),
    ("reject_quorum", "2", "valid integer"),
    ("remind_after", "1d", "valid tuple"),
    ("remind_after", ["tomorrow"], "no duration"),
    ("remind_before", ["never"], "never is no time: leave it out"),
    ("remind_before", [2], "valid string"),
    ("escalate_to", ["ada", "Ada"], "ada is named twice"),
    ("escalate_to", [""], "at least 1 character"),
    ("escalate_after", "never", "never is no time: leave it out"),
    ("escalate_after", "1y", "no duration"),
    ("self_approval", ["requester", "boss"], "'requester' or 'editor'"),
    ("self_approval", True, "valid tuple"),
    ("stage", {"name": "cfo"}, "valid tuple"),
    ("stage", [{}], "Field required"),
    ("stage", [{"name": ""}], "at least 1 character"),
    ("stage", [{"name": "cfo", "when": "arg > 1"}], "undeclared reference to 'arg'"),
    ("stage", [{"name": "cfo", "quorum": 0}], "greater than or equal to 1"),
    ("stage", [{"name": "cfo", "risk": "high"}], "Extra inputs"),
    ("response_schema", "object", "valid dictionary"),
    ("quorum", 1.5, "valid integer"),
    ("deadline", "2y", "'2y' is no duration: write 90s, 15m, 2h, 7d, 2w or never"),
    ("deadline", "", "no duration"),
    ("deadline", "h", "no duration"),
    ("deadline", "-2h", "no duration"),
    ("deadline", "1.5h", "no duration"),
    ("deadline", "٢h", "no duration"),
    ("deadline", "9999999999s", "no duration"),
    ("deadline", "0s", "longer than nothing"),
    ("deadline", "1826d", "at most 5 years"),
    ("deadline", "999999999w", "at most 5 years"),
    ("deadline", 90, "valid string"),
    ("on_reject", "panic", "'tell' or 'stop'"),
    ("on_expiry", True, "'tell' or 'stop'"),
    ("editable", "yes", "true, false or a list of argument names"),
    ("editable", 1, "true, false or a list"),
    ("editable", None, "true, false or a list"),
    ("editable", [1], "valid string"),
    ("editable", [""], "at least 1 character"),
    ("confirm_phrase", "", "it is empty"),
    ("confirm_phrase", "a\nb", "one line of at most 200 characters"),
    ("confirm_phrase", "x" * 201, "one line of at most 200 characters"),
    ("confirm_phrase", "{", "Single '{'"),
    ("grants", "no", "valid boolean"),
    ("grant", True, "Extra inputs"),
]


@pytest.mark.parametrize(("key", "value", "said"), BAD)
def test_a_value_that_can_not_be_meant_is_refused(key: str, value: object, said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        checkpoint(**{key: value})
    (error,) = refused.value.errors()
    assert error["loc"][0] == key
    assert said in error["msg"]


def test_the_longest_deadline_is_one_that_a_request_takes() -> None:
    assert duration("1825d") == contract.MAX_EXPIRY


def test_a_policy_left_empty_makes_everything_wait() -> None:
    assert Policy() == Policy(default="gate", secrets=(), checkpoint=())


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"default": "deny"}, "'gate' or 'allow'"),
        ({"default": True}, "'gate' or 'allow'"),
        ({"secrets": ["_-_"]}, "no letters or digits"),
        ({"secrets": "iban"}, "valid tuple"),
        ({"secrets": [1]}, "valid string"),
        ({"checkpoint": {}}, "valid tuple"),
        ({"checkpoints": []}, "Extra inputs"),
        ({"checkpoint": [WHOLE, WHOLE]}, "checkpoint 'deletions' is there twice"),
    ],
)
def test_a_policy_that_can_not_be_meant_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Policy.model_validate(fields)

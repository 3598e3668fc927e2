"""Who decides and by when, as a policy says it; and what of it doesn't go together."""

from datetime import timedelta
from typing import Any

import pytest

from clearance import ApprovalRequest, contract
from policy.model import Checkpoint
from policy.schemas import schema_problem
from policy.source import BrokenPolicy, Pinned, parse

LEAST = '[[checkpoint]]\ncheckpoint_id = "a"\naction_pattern = "a"\n'

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def checkpoint(**fields: Any) -> Checkpoint:
    return Checkpoint.model_validate({"checkpoint_id": "a", "action_pattern": "a", **fields})


def asked(default: timedelta | None = 7 * DAY, **fields: Any) -> ApprovalRequest:
    """The request that such a checkpoint makes."""
    return ApprovalRequest(action="-", **checkpoint(**fields).terms(default))


def problems(keys: str) -> list[str]:
    """What is told of a checkpoint with these lines, the first of which is line 4 of the file."""
    with pytest.raises(BrokenPolicy) as broken:
        parse(LEAST + keys, "p.toml")
    return [line.removeprefix("p.toml:") for line in broken.value.problems]


def test_terms_left_out_are_those_of_a_request() -> None:
    assert asked() == ApprovalRequest(action="-")
    assert asked(None).expires_in is None


def test_terms_said_are_those_of_the_request() -> None:
    request = asked(
        audience=["ada", "group:finance"],
        quorum=2,
        reject_quorum=2,
        deadline="2d",
        remind_after=["1h", "1d"],
        remind_before=["2h"],
        escalate_to=["group:leads"],
        escalate_after="1d",
        self_approval=["editor"],
    )
    assert request == ApprovalRequest(
        action="-",
        audience=("ada", "group:finance"),
        quorum=2,
        reject_quorum=2,
        expires_in=2 * DAY,
        remind_after=(HOUR, DAY),
        remind_before=(2 * HOUR,),
        escalate_to=("group:leads",),
        escalate_after=DAY,
        self_approval=("editor",),
    )


def test_a_list_of_nobody_is_not_the_same_as_nothing_said() -> None:
    assert asked(self_approval=[]).self_approval == ()
    assert not asked(self_approval=[]).open_to_anyone
    assert asked().open_to_anyone


def test_a_stage_takes_the_deadline_of_its_own_then_the_checkpoints_then_the_runs() -> None:
    stages = [{"name": "one", "deadline": "1h"}, {"name": "two", "audience": ["ada"]}]
    assert [one.expires_in for one in asked(DAY, stage=stages, deadline="2d").stages] == [
        HOUR,
        2 * DAY,
    ]
    assert [one.expires_in for one in asked(DAY, stage=stages).stages] == [HOUR, DAY]
    assert [one.expires_in for one in asked(None, stage=stages).stages] == [HOUR, None]
    assert asked(stage=stages, deadline="never").stages[1].expires_in is None
    assert asked(stage=stages).stages[1].audience == ("ada",)


def test_what_would_come_after_the_runs_own_deadline_does_not_come() -> None:
    keys: dict[str, Any] = {
        "audience": ["ada"],
        "remind_after": ["1h", "1d"],
        "remind_before": ["1h", "1d"],
        "escalate_to": ["bob"],
        "escalate_after": "1d",
    }
    short = asked(DAY, **keys)
    assert (short.remind_after, short.remind_before) == ((HOUR,), (HOUR,))
    assert (short.escalate_to, short.escalate_after) == ((), None)
    endless = asked(None, **keys)
    assert (endless.remind_after, endless.remind_before) == ((HOUR, DAY), ())
    assert (endless.escalate_to, endless.escalate_after) == (("bob",), DAY)
    del keys["escalate_after"]
    assert asked(DAY, **keys).escalate_to == ("bob",), "once the deadline has passed"
    assert asked(None, **keys).escalate_to == (), "there is no deadline to pass"


STAGE = '[[checkpoint.stage]]\nname = "one"\n'


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("quorum = 2", '4: checkpoint "a": quorum: a quorum of 2 needs an audience: name who may'),
        ("reject_quorum = 2", '1: checkpoint "a": a quorum of 2 needs an audience'),
        ('risk = "low"\nquorum = 3\naudience = ["a", "b"]', '5: checkpoint "a": quorum is 3, but'),
        (
            'audience = ["a", "b"]\nquorum = 2\nreject_quorum = 2',
            '5: checkpoint "a": quorum: 2 people who each decide once could leave it undecided',
        ),
        (
            'deadline = "1h"\nremind_after = ["2h"]',
            '5: checkpoint "a": remind_after must be longer than nothing and shorter than deadline',
        ),
        ('remind_after = ["7d"]', '4: checkpoint "a": remind_after must be longer than nothing'),
        (
            'deadline = "never"\nremind_before = ["2h"]',
            '5: checkpoint "a": remind_before needs a deadline',
        ),
        ('escalate_after = "1d"', '4: checkpoint "a": escalate_after needs escalate_to'),
        ('escalate_to = ["bob"]', '4: checkpoint "a": escalate_to needs an audience'),
        (
            'audience = ["bob"]\nescalate_to = ["BOB"]',
            '5: checkpoint "a": escalate_to names only people who may decide already',
        ),
        (
            f"remind_after = {['1h'] * 11}",
            '4: checkpoint "a": remind_after: Tuple should have at most 10 items',
        ),
        (
            'response_schema = { type = "objekt" }',
            '4: checkpoint "a": response_schema: no answer could be checked against it: '
            "there is no type 'objekt'",
        ),
        (
            'response_schema = { pattern = "(?=a)" }',
            '4: checkpoint "a": response_schema: no answer could be checked against it: its pattern',
        ),
        (
            'audience = ["a", "b"]\nquorum = 2\nresponse_schema = {}',
            '6: checkpoint "a": response_schema: one person answers, so the quorum is 1',
        ),
        (
            'audience = ["a"]\n' + STAGE,
            '4: checkpoint "a": audience: it belongs under each [[check',
        ),
        (STAGE + 'when = "args.a"\n', '4: checkpoint "a": stage: every stage has a condition'),
        (STAGE + STAGE, '1: checkpoint "a": two stages have the same name'),
        (STAGE + "quorum = 2", '6: checkpoint "a": stage "one": quorum: a quorum of 2 needs an'),
        (
            STAGE + STAGE.replace("one", "two") + 'audience = ["b"]\nquorum = 2',
            '9: checkpoint "a": stage "two": quorum is 2, but only 1 may decide',
        ),
        (STAGE + 'when = "args."', '6: checkpoint "a": stage "one": when: syntax error'),
        (
            STAGE + f'[[checkpoint.stage]]\nname = "b"\nwhen = "{"true || " * 70}true"',
            '8: checkpoint "a": stage "b": when: String should have at most 500 characters',
        ),
        ("[[checkpoint.stage]]\nquorum = 1", '4: checkpoint "a": stage 1: name is missing'),
        (
            STAGE + 'risk = "low"',
            '6: checkpoint "a": stage "one": unknown key "risk": it belongs above the first '
            "[[checkpoint.stage]]",
        ),
        (STAGE + 'qorum = "low"', '6: checkpoint "a": stage "one": unknown key "qorum": did you m'),
        ('name = "x"', '4: checkpoint "a": unknown key "name": it belongs under a [[checkpoint.st'),
        ('[checkpoint.stage]\nname = "x"', '4: checkpoint "a": stage: write [[checkpoint.stage]]'),
        (
            "".join(STAGE.replace("one", f"s{n}") for n in range(11)),
            '4: checkpoint "a": stage: Tuple should have at most 10 items',
        ),
        (STAGE + 'name_x = "\\u001b"', '6: checkpoint "a": stage "one": unknown key'),
    ],
)
def test_what_no_request_could_be_made_by_is_told_with_its_line(keys: str, told: str) -> None:
    [said] = problems(keys)
    assert said.startswith(told)


def test_contradictions_are_told_beside_the_faults_of_other_checkpoints() -> None:
    with pytest.raises(BrokenPolicy) as broken:
        parse(LEAST + "quorum = 2\n" + LEAST.replace('"a"', '"b"') + 'risk = "no"', "p.toml")
    assert [line.split(":")[1] for line in broken.value.problems] == ["4", "8"]


def test_what_a_policy_could_say_once_is_refused_in_files_only() -> None:
    old = {"checkpoint_id": "a", "action_pattern": "a", "quorum": 2}
    plain = {"digest": "0" * 64, "source": "x", "policy": {"checkpoint": [old]}}
    assert Pinned.model_validate(plain).policy.checkpoint[0].quorum == 2


def test_groups_may_decide_and_are_not_counted_when_a_file_is_read() -> None:
    policy = parse(LEAST + 'audience = ["group:finance"]\nquorum = 9', "p.toml").policy
    assert policy.checkpoint[0].audience == ("group:finance",)


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({}, None),
        ({"type": "integer"}, None),
        ({"properties": {"pattern": {"enum": [{"pattern": "("}]}}}, None),
        ({"properties": {"a": {"$ref": "#"}}}, None),
        ({"properties": {"a": {"type": "x"}}}, "there is no type 'x'"),
        ({"properties": 5}, "it is no JSON Schema"),
        ({"anyOf": [{"minimum": "a"}]}, "it is no JSON Schema"),
        ({"$ref": "#"}, "it is nested too deep"),
        ({"items": {"$ref": "#/$defs/none"}}, "it refers to '/$defs/none', which is not in it"),
        ({"$ref": "https://example.com/schema"}, "which is not in it"),
        ({"patternProperties": {"(?=x)": {}}}, "no RE2 expression"),
        ({"then": {"pattern": "("}}, "no RE2 expression"),
        ({"properties": {f"a{n}": {} for n in range(4_000)}}, "too much to check"),
    ],
)
def test_a_schema_that_no_answer_can_be_checked_by_is_told(
    schema: dict[str, Any], problem: str | None
) -> None:
    said = schema_problem(schema)
    assert said is None if problem is None else said is not None and problem in said


def test_the_default_deadline_of_a_file_is_that_of_a_run() -> None:
    assert contract.DEFAULT_EXPIRY == 7 * DAY
    longest = parse(LEAST + 'remind_after = ["167h"]', "p.toml").policy.checkpoint[0]
    assert longest.terms(contract.DEFAULT_EXPIRY)["remind_after"] == (167 * HOUR,)

"""When a stage is asked: only a condition that clearly doesn't hold passes it over."""

from typing import Any

import pytest

from clearance import ApprovalRequest
from clearance.stages import Stage
from tools.conditions import applies

ARGUMENTS: dict[str, Any] = {
    "amount": 100,
    "to": "ada",
    "password": "1234",
    "logins": [{"api_key": "sk-1", "user": "ada"}],
    "a/b": {"pin": "7"},
}

SHOWN = ApprovalRequest(action="Pay", tool="pay", arguments=ARGUMENTS, requester="bob").concealed()

OPEN = ApprovalRequest(action="Pay", tool="pay", arguments={"amount": 100}, requester="bob")


def asked(condition: str | None, request: ApprovalRequest = SHOWN) -> bool:
    return applies(request, Stage(name="director", when=condition))


@pytest.mark.parametrize("request_", [SHOWN, OPEN], ids=["masked", "open"])
@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (None, True),
        ("args.amount > 99", True),
        ("args.amount > 100", False),
        ("tool == 'pay' && requester == 'bob'", True),
        ("tool == 'refund'", False),
        ("agent == ''", True),
        ("args.nothing > 1", True),
        ("args.amount > 'a'", True),
        ("args.amount.startsWith('1')", True),
        ("args.", True),
        ("1 + 1", True),
        ("nobody", True),
    ],
)
def test_a_stage_is_asked_unless_its_condition_does_not_hold(
    request_: ApprovalRequest, condition: str | None, expected: bool
) -> None:
    assert asked(condition, request_) is expected


def test_it_is_the_arguments_as_they_are_now_that_count() -> None:
    changed = OPEN.with_arguments({"amount": 1})
    assert asked("args.amount > 99", OPEN)
    assert not asked("args.amount > 99", changed)


@pytest.mark.parametrize(
    "condition",
    [
        "args.password == 'guess'",
        "args.password == '[masked]' && false",
        "has(args.password) && false",
        "'password' in args && false",
        "args.logins.size() > 9",
        'args["a/b"].pin == "8"',
    ],
)
def test_a_condition_that_names_a_masked_argument_tells_nothing_of_it(condition: str) -> None:
    assert asked(condition)


@pytest.mark.parametrize(
    "condition",
    ['args["pass" + "word"] == "guess"', "args.size() == 5", "args.size() == 4"],
)
def test_nor_does_one_that_reaches_it_without_its_name(condition: str) -> None:
    assert asked(condition)
    assert not asked("args.amount > 1000000")


def test_a_mask_of_somebody_elses_making_breaks_nothing() -> None:
    foreign = ApprovalRequest(
        action="-",
        arguments={"n": 1, "list": ["[masked]"], "key": "[masked]"},
        masked=("/list/0", "/key", "/key"),
        sealed_digest="0" * 64,
    )
    assert asked("args.n == 1", foreign)
    assert not asked("args.n == 2", foreign)
    assert asked("size(args) == 2", foreign)

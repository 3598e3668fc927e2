"""Which checkpoint decides about a call, and that the gate closes where that can't be told."""

import copy
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.match import Rules, Verdict, rules_of
from policy.model import Policy
from policy.source import parse

from .test_condition import JSON, nested, unhurried


def rules(*checkpoints: dict[str, Any], default: str = "allow") -> Rules:
    named = [{"checkpoint_id": f"c{n}", **one} for n, one in enumerate(checkpoints)]
    return Rules(Policy.model_validate({"default": default, "checkpoint": named}))


def decides(verdict: Verdict) -> str | None:
    return verdict.checkpoint.checkpoint_id if verdict.checkpoint else None


LARGE = {"action_pattern": "^pay$", "when": "args.amount > 100"}
SMALL = {"action_pattern": "^pay$", "when": "args.amount <= 100", "allow": True}


@pytest.mark.parametrize(("default", "gated"), [("gate", True), ("allow", False)])
def test_a_tool_that_nothing_matches_goes_by_the_default(default: str, gated: bool) -> None:
    verdict = rules({"action_pattern": "^delete"}, default=default).judge("pay", {})
    assert verdict == Verdict(gated, None, f'no checkpoint matches; the default is "{default}"')


def test_the_first_checkpoint_that_matches_decides() -> None:
    both = rules({"action_pattern": "pay", "allow": True}, {"action_pattern": "pay"})
    assert both.judge("pay", {}).gated is False
    other_way = rules({"action_pattern": "pay"}, {"action_pattern": "pay", "allow": True})
    assert other_way.judge("pay", {}).gated is True
    assert decides(other_way.judge("pay", {})) == "c0"


def test_the_verdict_says_why() -> None:
    two = rules({**LARGE, "checkpoint_id": "large"}, {"action_pattern": "p", "allow": True})
    assert two.judge("pay", {"amount": 101}).why == (
        'checkpoint "large" matches: pattern "^pay$", condition args.amount > 100'
    )
    assert two.judge("pay", {"amount": 1}).why == 'checkpoint "c1" lets it through: pattern "p"'
    unclear = two.judge("pay", {})
    assert unclear.unclear
    assert unclear.why == (
        'checkpoint "large" matches: pattern "^pay$", and its condition can\'t be evaluated, so the '
        'gate closes: no such key: "amount"'
    )


@pytest.mark.parametrize(
    ("args", "by", "gated"),
    [
        ({"amount": 101}, "c1", True),
        ({"amount": 100}, "c0", False),
        ({"amount": 100.0}, "c0", False),
        ({"amount": "1"}, "c0", True),
        ({"amount": None}, "c0", True),
        ({"amount": True}, "c0", True),
        ({"amount": float("nan")}, "c0", True),
        ({"amount": 2**64}, "c0", True),
        ({"amount": -(2**63) - 1}, "c0", True),
        ({"amount": []}, "c0", True),
        ({}, "c0", True),
        ({"amount": 1, "memo": "\0"}, "c0", True),
        ({"amount": 1, "memo": "\ud800"}, "c0", True),
        ({"amount": 1, "\ud800": ""}, "c0", True),
        ({"amount": 1, "memo": nested(30_000, lists=False)}, "c0", True),
        ({"amount": 1, "memo": nested(30_000, lists=True)}, "c0", True),
    ],
)
def test_a_condition_that_can_not_be_evaluated_gates_even_where_it_allows(
    args: dict[str, Any], by: str, gated: bool
) -> None:
    verdict = rules(SMALL, LARGE).judge("pay", args)
    assert (decides(verdict), verdict.gated) == (by, gated)
    assert verdict.unclear is (by == "c0" and gated)


@pytest.mark.parametrize("value", [1, "true", None, [True], {"ok": True}, 1.0])
def test_only_true_itself_matches_and_only_false_passes_on(value: Any) -> None:
    both = rules({"action_pattern": "pay", "when": "args.ok", "allow": True})
    assert both.judge("pay", {"ok": True}).gated is False
    assert decides(both.judge("pay", {"ok": False})) is None
    verdict = both.judge("pay", {"ok": value})
    assert (verdict.gated, verdict.unclear) == (True, True)


def test_a_condition_that_takes_too_many_steps_gates() -> None:
    when = "args.a.all(x, args.a.all(y, args.a.all(z, x + y + z > 0)))"
    allowing = rules({"action_pattern": "pay", "when": when, "allow": True})
    assert allowing.judge("pay", {"a": [1] * 3}).gated is False
    verdict = allowing.judge("pay", {"a": [1] * 100})
    assert verdict.gated
    assert verdict.why.endswith("it takes too many steps")


def test_a_condition_knows_who_calls_what() -> None:
    when = "agent == 'bookkeeper' && requester == 'ada' && tool == 'pay_all'"
    one = rules({"action_pattern": "pay", "when": when})
    assert one.judge("pay_all", {}, agent="bookkeeper", requester="ada").gated
    assert not one.judge("pay_all", {}, agent="bookkeeper").gated
    assert not one.judge("pay", {}, agent="bookkeeper", requester="ada").gated
    assert one.judge("pay_all", {}, requester="\0").unclear


def test_a_condition_of_a_tool_that_is_not_called_is_not_asked() -> None:
    assert not rules(LARGE).judge("look_up", {}).gated


def test_a_name_that_is_no_text_is_gated() -> None:
    allowing = rules({"action_pattern": ".*", "allow": True})
    verdict = allowing.judge("pay\ud800", {})
    assert (verdict.gated, verdict.checkpoint, verdict.unclear) == (True, None, True)
    assert allowing.may_gate("pay\ud800")
    assert allowing.covering("pay\ud800") == []


def test_many_broad_patterns_do_not_let_a_call_slip_through() -> None:
    """RE2's set of patterns, which looks made for this, can't be built from these."""
    many = rules(*({"action_pattern": f"^\\pL+_{n}$"} for n in range(500)))
    assert decides(many.judge("löschen_499", {})) == "c499"
    assert decides(many.judge("löschen_500", {})) is None


def test_covering_lists_every_checkpoint_for_the_name_in_order() -> None:
    found = rules(LARGE, {"action_pattern": "x"}, SMALL, {"action_pattern": "p"}).covering("pay")
    assert [one.checkpoint_id for one in found] == ["c0", "c2", "c3"]
    found.clear()
    assert rules(LARGE).covering("nothing") == []


def test_what_covering_returned_is_the_caller_s_own() -> None:
    one = rules(LARGE)
    one.covering("pay").clear()
    assert one.judge("pay", {"amount": 101}).gated


@pytest.mark.parametrize(
    ("checkpoints", "default", "may"),
    [
        ([], "gate", True),
        ([], "allow", False),
        ([{"action_pattern": "x"}], "allow", False),
        ([{"action_pattern": "pay"}], "allow", True),
        ([{"action_pattern": "pay", "allow": True}], "gate", False),
        ([{"action_pattern": "pay", "allow": True}, {"action_pattern": "pay"}], "gate", False),
        ([LARGE], "allow", True),
        ([SMALL], "allow", True),
        ([SMALL, {"action_pattern": "pay", "allow": True}], "allow", True),
    ],
)
def test_whether_any_call_could_be_gated(
    checkpoints: list[dict[str, Any]], default: str, may: bool
) -> None:
    assert rules(*checkpoints, default=default).may_gate("pay") is may


@unhurried
@given(
    args=st.dictionaries(st.text(st.characters()), JSON, max_size=5),
    tool=st.text(st.characters(), max_size=20),
    who=st.text(st.characters(), max_size=5),
)
def test_judging_never_raises_and_never_changes_what_it_judges(
    args: dict[str, Any], tool: str, who: str
) -> None:
    three = rules(SMALL, LARGE, {"action_pattern": "a", "when": "args.x == args.y"})
    before = copy.deepcopy(args)
    for name in (tool, "pay"):
        verdict = three.judge(name, args, agent=who, requester=who)
        assert verdict.why
        assert "\n" not in verdict.why
        assert repr(three.judge(name, args, agent=who, requester=who)) == repr(verdict)
        assert three.may_gate(name) or not verdict.gated
    assert repr(args) == repr(before)


@unhurried
@given(args=st.dictionaries(st.text(), JSON, max_size=5))
def test_what_goes_through_by_a_condition_is_exactly_what_it_says(args: dict[str, Any]) -> None:
    amount = args.get("amount")
    verdict = rules(SMALL, default="gate").judge("pay", args)
    if not verdict.gated:
        assert isinstance(amount, int | float)
        assert not isinstance(amount, bool)
        assert amount <= 100


def test_more_names_than_are_remembered_are_still_judged() -> None:
    one = rules({"action_pattern": "^delete"})
    for n in range(2_500):
        assert one.judge(f"delete_{n}", {}).gated
        assert not one.judge(f"keep_{n}", {}).gated


TEXT = '[[checkpoint]]\ncheckpoint_id = "a"\naction_pattern = "pay"\n'


def test_a_pinned_policy_is_compiled_once_for_all_its_runs() -> None:
    pinned = parse(TEXT, "p.toml")
    again = type(pinned).model_validate_json(pinned.model_dump_json())
    assert rules_of(pinned) is rules_of(again)
    assert rules_of(pinned).policy == pinned.policy
    assert rules_of(pinned.policy).judge("pay", {}).gated


def test_a_digest_that_lies_gets_the_rules_of_its_own_policy() -> None:
    honest = parse(TEXT, "p.toml")
    forged = honest.model_copy(update={"policy": Policy(default="allow")})
    assert rules_of(honest).judge("pay", {}).gated
    assert not rules_of(forged).judge("pay", {}).gated
    assert rules_of(honest).judge("pay", {}).gated


def test_more_policies_than_are_kept_are_still_judged_each_by_its_own() -> None:
    for _ in range(2):
        for n in range(40):
            pinned = parse(TEXT.replace("pay", f"pay_{n}$"), "p.toml")
            assert rules_of(pinned).judge(f"pay_{n}", {}).gated
            assert decides(rules_of(pinned).judge("pay_x", {})) is None


def test_threads_share_the_rules() -> None:
    pinned = parse(TEXT + 'when = "args.amount > 1"\n', "p.toml")
    wrong: list[Verdict] = []

    def work() -> None:
        for n in range(500):
            verdict = rules_of(pinned).judge(f"pay_{n % 7}", {"amount": n % 4})
            if (decides(verdict) == "a") is not (n % 4 > 1):
                wrong.append(verdict)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong

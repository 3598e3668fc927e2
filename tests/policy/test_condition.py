"""Conditions in CEL: true, false, or not to be evaluated, and then for a reason one can read."""

import contextlib
import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policy.condition import MAX_CONDITION_CHARS, arguments_in
from policy.match import condition_error, holds

_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(
    _LEAVES | st.text(st.characters()),  # half surrogates, too
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)

# A machine's first drawing of any character takes a second, which says nothing about our code.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def about(args: Any, **others: Any) -> dict[str, Any]:
    return {"args": args, "tool": "pay", "agent": "bookkeeper", "requester": "ada", **others}


def nested(depth: int, *, lists: bool) -> dict[str, Any]:
    """An object that many deep, itself counted."""
    value: Any = 1
    for _ in range(depth - 1):
        value = [value] if lists else {"x": value}
    return {"x": value}


@pytest.mark.parametrize(
    ("expression", "args", "answer"),
    [
        ("true", {}, True),
        ("args.amount > 100", {"amount": 101}, True),
        ("args.amount > 100", {"amount": 100}, False),
        ("args.amount > 100", {"amount": 100.5}, True),
        ("args.amount > 100", {"amount": 2**64 - 1}, True),
        ("args.amount < 0", {"amount": -(2**63)}, True),
        ("args.urgent", {"urgent": True}, True),
        ("args.urgent", {"urgent": False}, False),
        ("args.x == 1", {"x": True}, False),
        ("args.x == 1", {"x": "1"}, False),
        ("args.x == null", {"x": None}, True),
        ("has(args.x) && args.x > 1", {}, False),
        ("'x' in args", {"x": None}, True),
        ("args[''] == 1", {"": 1}, True),
        ("args['a b'].c[1] == 'd'", {"a b": {"c": ["", "d"]}}, True),
        ("args.to.endsWith('@example.com')", {"to": "ada@example.com"}, True),
        ("args.to.exists(one, !one.endsWith('@example.com'))", {"to": ["a@b.c"]}, True),
        ("size(args.name) == 1", {"name": "😀"}, True),
        ("args.name == 'Žižka'", {"name": "Žižka"}, True),
        ("tool == 'pay' && agent == 'bookkeeper' && requester == 'ada'", {}, True),
        ("args.missing > 1 || tool == 'pay'", {}, True),
        ("args.n == 1 // as a whole", {"n": 1.0}, True),
        ("args.text.matches('^(a+)+$')", {"text": "a" * 10_000 + "b"}, False),
    ],
)
def test_a_condition_is_true_or_false(expression: str, args: dict[str, Any], answer: bool) -> None:
    assert condition_error(expression) is None
    assert holds(expression, about(args)) is answer


@pytest.mark.parametrize(
    ("expression", "args", "why"),
    [
        ("args.amount > 100", {}, 'no such key: "amount"'),
        ("args.amount > 100", {"amount": "200"}, r"no such operation: _>_\(string, int64\)"),
        ("args.amount > 100", {"amount": None}, "no such operation"),
        ("args.amount > 100", {"amount": True}, "no such operation"),
        ("args.amount > 100", {"amount": {"value": 200}}, "no such operation"),
        ("args.a.b.c == 1", {"a": {}}, 'no such key: "b"'),
        ("args.list[0] == 1", {"list": []}, "index=0 size=0"),
        ("args.a / args.b > 1", {"a": 1, "b": 0}, "divide by zero"),
        ("args.a + args.b > 1", {"a": 2**63 - 1, "b": 1}, "integer overflow"),
        ("timestamp(args.at) > timestamp(0)", {"at": "soon"}, "Timestamp conversion failed"),
        ("args.text.matches(args.pattern)", {"text": "x", "pattern": "("}, "regular expression"),
        ("args.list.exists(x, x > 0)", {"list": [0] * 20_000}, "it takes too many steps"),
        ("args.urgent", {"urgent": "true"}, "it gives a text, neither true nor false"),
        ("args.urgent", {"urgent": 1}, "it gives a number, neither"),
        ("args.urgent", {"urgent": None}, "it gives null, neither"),
        ("args.urgent", {"urgent": []}, "it gives a list, neither"),
        ("args.urgent", {"urgent": {}}, "it gives a map, neither"),
        ("args", {"urgent": True}, "it gives a map"),
        ("true", [1], "the arguments are not an object"),
        ("true", None, "the arguments are not an object"),
    ],
)
def test_what_can_not_be_evaluated_says_why_in_a_line(expression: str, args: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        holds(expression, about(args))
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) <= 200


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({"x": "ada@example.com\0"}, "NUL"),
        ({"x": ["a", {"b": "\0"}]}, "NUL"),
        ({"\0": 1}, "NUL"),
        ({"x": "\ud800"}, "half of a surrogate pair"),
        ({"\udfff": 1}, "half of a surrogate pair"),
        ({"x": 2**64}, "beyond 64 bits"),
        ({"x": -(2**63) - 1}, "beyond 64 bits"),
        ({"x": 10**400}, "beyond 64 bits"),
        ({"x": float("nan")}, "not finite"),
        ({"x": [float("-inf")]}, "not finite"),
        ({1: 2}, "a name in the arguments is no text"),
        ({"x": (1,)}, "not JSON: tuple"),
        ({"x": b"1"}, "not JSON: bytes"),
        (nested(101, lists=False), "nested more than 100 deep"),
        (nested(101, lists=True), "nested more than 100 deep"),
        (nested(50_000, lists=False), "nested more than 100 deep"),
        (nested(50_000, lists=True), "nested more than 100 deep"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_arguments_that_cel_would_misread_are_not_given_to_it(args: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        holds("tool == 'pay'", about(args))


def test_a_text_is_compared_to_its_end() -> None:
    """CEL's binding stops at a NUL: this one would be equal."""
    with pytest.raises(ValueError, match="NUL"):
        holds("args.to == 'ada@example.com'", about({"to": "ada@example.com\0, eve@example.com"}))


@pytest.mark.parametrize("lists", [True, False])
def test_arguments_as_deep_as_a_request_may_be_are_evaluated(lists: bool) -> None:
    assert holds("args == args", about(nested(100, lists=lists))) is True


@pytest.mark.parametrize("name", ["tool", "agent", "requester"])
@pytest.mark.parametrize("value", [None, 1, "\0", "\ud800"])
def test_who_calls_what_has_to_be_a_plain_text(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        holds(f"{name} != 'eve'", about({}, **{name: value}))


def test_a_variable_that_is_left_out_is_not_an_empty_one() -> None:
    with pytest.raises(ValueError, match='"agent"'):
        holds("agent == ''", {"args": {}, "tool": "pay", "requester": ""})


@pytest.mark.parametrize(
    ("expression", "error"),
    [
        ("arg.amount > 100", "undeclared reference to 'arg.amount'"),
        ("args.amount = 100", "write == to compare (column 13)"),
        ("args.", "syntax error: no viable alternative"),
        ("args.amount >", "it ends too early (column 14)"),
        ("args.a > 1 and args.b", "syntax error: mismatched input 'and' (column 12)"),
        ("true\n&& args.x ==", "it ends too early (line 2, column 13)"),
        ("tool > 1", "found no matching overload for '_>_' applied to '(string, int)'"),
        ("now() > timestamp(0)", "undeclared reference to 'now'"),
        ("a && b && c", "undeclared reference to 'a'; undeclared reference to 'b'"),
        ("1 + 1", "it gives a number, and a condition is true or false"),
        ("tool", "it gives a text, and"),
        ("null", "it gives null, and"),
        ("[true]", "it gives a list, and"),
        ("{'a': true}", "it gives a map, and"),
        ("timestamp(0)", "it gives a timestamp, and"),
        ("", "it is empty"),
        (" \n", "it is empty"),
        ("(" * 100 + "true" + ")" * 100, "recursion limit exceeded"),
        ("true" + " || true" * 600, f"at most {MAX_CONDITION_CHARS:,}"),
        ("args.x == '\ud800'", "half of a surrogate pair"),
        ("args.x > 99999999999999999999", "invalid int literal"),
    ],
)
def test_what_is_no_condition_is_told_in_a_line(expression: str, error: str) -> None:
    said = condition_error(expression)
    assert said is not None
    assert error in said
    assert "\n" not in said
    assert "INVALID_ARGUMENT" not in said
    with pytest.raises(ValueError, match=r"\w"):
        holds(expression, about({}))


@unhurried
@given(expression=st.text(st.characters(), max_size=40))
def test_any_text_either_is_a_condition_or_says_why_not(expression: str) -> None:
    said = condition_error(expression)
    assert said is None or (said and "\n" not in said)


@unhurried
@given(args=st.dictionaries(st.text(st.characters()), JSON, max_size=5))
def test_whatever_the_arguments_a_condition_answers_or_raises_valueerror(
    args: dict[str, Any],
) -> None:
    for expression in ("args.amount > 1", "args.exists(name, args[name] == 'x')", "args == args"):
        with contextlib.suppress(ValueError):
            assert isinstance(holds(expression, about(args)), bool)


def test_threads_share_compiled_conditions() -> None:
    answers: list[bool] = []

    def work(limit: int) -> None:
        answers.extend(holds(f"args.n > {limit % 3}", about({"n": 2})) for _ in range(500))

    threads = [threading.Thread(target=work, args=(limit,)) for limit in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (answers.count(True), answers.count(False)) == (2_000, 1_000)


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("args.amount > 5 && args['cc'] == ''", {"amount", "cc"}),
        ("has(args.to) || args [ \"b c\" ] == 1 || args[''] == 2", {"to", "b c", ""}),
        ("tool == 'pay'", set()),
        ("args.lines.size() > 2", {"lines"}),
        ("args.size() == 2", None),
        ("size(args) == 2", None),
        ("'a' in args", None),
        ("args[args.key] == 1", None),
        ("args[tool] == 1", None),
        ("args.exists(name, name == 'a')", None),
        ("[1].all(args, args.a == 1)", None),
        (r"args['\x61'] == 1", None),
    ],
)
def test_the_arguments_that_a_condition_names_are_known(
    expression: str, names: set[str] | None
) -> None:
    found = arguments_in(expression)

    assert (found is None) if names is None else (set(found or ()) == names)

"""How arguments are read: an email as an email, long text as text, JSON as a tree; secrets as masks."""

from typing import Any

import pytest

from clearance import ApprovalRequest
from clearance.edits import differences
from web.pages.request_values import Part, answered, compared, read

MAIL: dict[str, Any] = {"to": ["a@x", "b@x"], "subject": "Hi", "body": "Dear Ada,\n\nyes.\n"}


def _parts(**arguments: Any) -> list[Part]:
    request = ApprovalRequest(action="Do", tool="do", arguments=arguments).concealed()
    return read(request)[1]


def _email(**arguments: Any) -> Any:
    request = ApprovalRequest(action="Do", tool="do", arguments=arguments).concealed()
    return read(request)[0]


def test_an_email_is_one_and_what_is_left_stands_below() -> None:
    request = ApprovalRequest(action="Do", tool="send", arguments={**MAIL, "cc": "c@x", "n": 1})

    email, rest = read(request)

    assert email is not None
    assert email.headers == (("To", "a@x, b@x"), ("Cc", "c@x"), ("Subject", "Hi"))
    assert email.body == MAIL["body"]
    assert [one.label for one in rest] == ["n"]


@pytest.mark.parametrize(
    "change",
    [
        {"to": 1},
        {"to": [1]},
        {"to": ""},
        {"subject": None},
        {"body": {"a": 1}},
        {"text": "a second body"},
        {"cc": {"a": 1}},
        {"bcc": None},
        {"password": "hunter2!"},
    ],
    ids=str,
)
def test_what_is_not_quite_an_email_is_shown_argument_by_argument(change: dict[str, Any]) -> None:
    assert _email(**{**MAIL, **change}) is None


def test_a_number_and_the_text_of_it_look_different() -> None:
    assert [one.text for one in _parts(a=1, b="1", c=True, d="true", e=None)] == [
        *("1", '"1"', "true", '"true"', "null")
    ]


def test_a_secret_is_a_mask_and_its_name_in_quotes_is_not() -> None:
    [first, second, tree] = _parts(password="x", note="[masked]", deep={"api_key": "k", "b": 1})

    assert (first.kind, first.text) == ("masked", "[masked]")
    assert (second.kind, second.text) == ("value", '"[masked]"')
    assert tree.kind == "tree"
    assert [one.kind for one in tree.inside] == ["masked", "value"]


def test_what_is_long_stands_as_text_and_what_is_large_as_a_tree() -> None:
    text, tree = _parts(a="x" * 100, b={"c": ["y" * 50, "z" * 50]})

    assert (text.kind, text.text) == ("text", "x" * 100)
    assert (tree.kind, tree.text) == ("tree", "1 entry")
    assert (tree.inside[0].kind, tree.inside[0].text) == ("tree", "2 items")
    assert [one.label for one in tree.inside[0].inside] == ["1", "2"]


def test_what_is_too_much_for_a_tree_is_shown_as_json_whole() -> None:
    deep: Any = "x"
    for _ in range(50):
        deep = {"a": deep, "b": "y" * 40}
    many, nested = _parts(many=[{"n": n} for n in range(5_000)], deep=deep)

    assert (many.kind, nested.kind) == ("json", "json")
    assert '{"n": 4999}' in many.text
    assert nested.text.count('"a"') == 50


def test_an_answer_is_read_like_arguments() -> None:
    assert [(one.label, one.text) for one in answered({"a": 1})] == [("a", "1")]
    assert [(one.label, one.text) for one in answered("yes")] == [("The answer", '"yes"')]


def test_a_difference_is_two_values_or_lines() -> None:
    changes = differences({"a": 1, "b": "x\ny", "c": 1}, {"a": "1", "b": "x\nz", "d": 2})

    short, long, gone, new = compared(changes)

    assert (short.before, short.after) == ("1", '"1"')
    assert long.lines[1:] == (" x", "-y", "+z")
    assert (gone.before, gone.after) == ("1", "(none)")
    assert (new.before, new.after) == ("(none)", "2")

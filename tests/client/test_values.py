"""Arguments and their changes are shown exactly as they are, and none looks like another."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clearance import ApprovalRequest
from clearance.edits import differences as changes_between
from clearance.fields import depth
from clearance.render import arguments, as_text
from clearance.text import one_line, visible
from clearance.values import brief, differences

from .rendering import HOSTILE, edited


@settings(deadline=None)
@given(st.dictionaries(HOSTILE, HOSTILE | st.lists(HOSTILE) | st.integers(), min_size=1))
def test_an_argument_cannot_look_like_another_one(written: dict[str, Any]) -> None:
    """Only the names of arguments begin a line; every further line of a value is indented."""
    request = ApprovalRequest(action="x", arguments=written)

    lines = as_text(arguments(request)).split("\n")

    begun = [line for line in lines if line and not line.startswith("    ")]
    assert len(begun) == len(written)
    for line, (name, _) in zip(begun, arguments(request), strict=True):
        assert line.startswith(f"{name}:")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1, "n: 1"),
        ("1", 'n: "1"'),
        (1.0, "n: 1.0"),
        (None, "n: null"),
        (True, "n: true"),
        ("ü😀", 'n: "ü😀"'),
        ("\u202e", r'n: "\u202e"'),
        ("\x1b[2J", r'n: "\u001b[2J"'),
        ([1, {"b": 2}], 'n: [1, {"b": 2}]'),
        ("two\nlines", "n:\n    two\n    lines"),
        ("1" * 70, f'n: "{"1" * 70}"'),
        ("1" * 72, f'n:\n    "{"1" * 72}"'),
        ("1" * 73, f"n:\n    {'1' * 73}"),
        (list(range(40)), "n:\n    [\n" + ",\n".join(f"      {n}" for n in range(40)) + "\n    ]"),
    ],
)
def test_an_argument_is_shown_exactly_as_it_will_run(value: Any, shown: str) -> None:
    assert as_text(arguments(ApprovalRequest(action="x", arguments={"n": value}))) == shown


def test_a_request_without_arguments_shows_none() -> None:
    assert as_text(arguments(ApprovalRequest(action="x"))) == ""


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ({"n": 1}, {"n": "1"}, 'n: 1 -> "1"'),
        ({"n": 1}, {"n": 1.0}, "n: 1 -> 1.0"),
        ({"n": None}, {}, "n: null -> (none)"),
        ({}, {"n": "(none)"}, 'n: (none) -> "(none)"'),
        (
            {"n": "a\nb\nc"},
            {"n": "a\nB\nc"},
            "n:\n    @@ -1,3 +1,3 @@\n     a\n    -b\n    +B\n     c",
        ),
        ({"n": "a\nb"}, {"n": "a\nb\n"}, "n:\n    @@ -1,2 +1,3 @@\n     a\n     b\n    +"),
        ({"n": "a\nb"}, {"n": "a\r\nb"}, "n:\n    @@ -1,2 +1,2 @@\n    -a\n    +a\\x0d\n     b"),
        ({"n": "-- \nb"}, {"n": "b\n"}, "n:\n    @@ -1,2 +1,2 @@\n    --- \n     b\n    +"),
        ({"n": "x" * 73}, {"n": "y"}, f"n:\n    @@ -1 +1 @@\n    -{'x' * 73}\n    +y"),
        ({"n": [1] * 40}, {"n": [1] * 39}, None),
    ],
)
def test_a_difference_shows_exactly_what_is_not_the_same(
    before: dict[str, Any], after: dict[str, Any], shown: str | None
) -> None:
    changes = edited(before, after).edit
    assert changes is not None
    text = as_text(differences(changes.changes))

    if shown is None:
        lines = text.split("\n")
        assert lines[0] == "n:"
        assert [line for line in lines if line.startswith("    -")] == ["    -  1,"]
    else:
        assert text == shown


def test_a_text_that_spells_its_own_json_is_no_equal_of_it() -> None:
    value = [1] * 40
    edit = edited({"n": json.dumps(value, indent=2)}, {"n": value}).edit
    assert edit is not None

    text = as_text(differences(edit.changes))

    assert text.split("\n")[2].startswith('    -"[\\n  1,')


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from("abc"), HOSTILE | st.integers() | st.none(), min_size=1),
    st.dictionaries(st.sampled_from("abcd"), HOSTILE | st.integers() | st.none(), min_size=1),
)
def test_a_difference_never_looks_like_another_line(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    changes = changes_between(before, after)

    lines = as_text(differences(changes)).split("\n") if changes else []

    begun = [line for line in lines if not line.startswith("    ")]
    assert [line[0] for line in begun] == [change.name for change in changes]
    assert one_line(brief(changes)) == " ".join(brief(changes).split())


ROWS = [f"row {n},{'kept' if n % 2 else 'old'}" for n in range(8_000)]


def test_texts_too_long_to_be_compared_say_how_long_they_were_and_are() -> None:
    before = "\n".join(ROWS)
    edit = edited({"body": before, "n": 1}, {"body": before.replace("old", "new!"), "n": 2}).edit
    assert edit is not None

    assert list(differences(edit.changes)) == [
        (
            "body",
            "too long to be compared here: before 8,000 lines, 106,889 characters; "
            "now 8,000 lines, 110,889 characters",
        ),
        ("n", "1 -> 2"),
    ]
    assert brief(edit.changes) == "body: changed; n: 1 -> 2"


def test_only_so_much_is_compared_of_all_changes_together() -> None:
    before = {f"n{n}": "a\nb\n" for n in range(100)}
    edit = edited(before, dict.fromkeys(before, "b\na\n")).edit
    assert edit is not None

    texts = [text for _, text in differences(edit.changes)]

    assert [text.startswith("@@") for text in texts] == [True] * 66 + [False] * 34


@pytest.mark.parametrize(("levels", "lines"), [(9, True), (40, False)])
def test_json_that_is_nested_deep_stands_on_one_line(levels: int, lines: bool) -> None:
    value: Any = list(range(50))
    for _ in range(levels):
        value = [value]

    [(_, text)] = arguments(ApprovalRequest(action="x", arguments={"a": value}))

    assert ("\n" in text) is lines
    assert json.loads(text) == value


@settings(deadline=None)
@given(
    st.recursive(
        HOSTILE | st.integers() | st.none() | st.sampled_from(["[", '"', "\\", ", ", '\\"', "{}"]),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(HOSTILE, inner, max_size=4),
        max_leaves=15,
    )
)
def test_json_on_several_lines_is_what_python_writes(value: Any) -> None:
    value = ["x" * 80, value]
    if depth(value) > 10:
        return

    [(_, text)] = arguments(ApprovalRequest(action="x", arguments={"a": value}))

    assert text == visible(json.dumps(value, ensure_ascii=False, indent=2))

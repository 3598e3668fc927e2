"""Patterns of tool names, and what is said of those that can't be used."""

import pytest

from policy.pattern import MAX_PATTERN_CHARS, compiled


@pytest.mark.parametrize(
    ("pattern", "name", "found"),
    [
        ("delete_*", "delete_records", True),
        ("delete_*", "undelete", True),
        ("^delete_", "undelete_records", False),
        ("^send_email$", "send_email_later", False),
        ("(?i)DELETE", "delete_records", True),
        (".*", "", True),
        ("^$", "delete", False),
        ("löschen", "datensätze_löschen", True),
        (r"^\pL+$", "удалить", True),
        (r"^\pL+$", "delete_1", False),
    ],
)
def test_a_pattern_is_searched_in_the_name(pattern: str, name: str, found: bool) -> None:
    assert bool(compiled(pattern).search(name)) is found


@pytest.mark.parametrize("pattern", ["(?=x)", "(?!x)", "(?<=x)", "(?<!x)", r"(x)\1", "(?P=x)"])
def test_what_only_backtracking_engines_can_do_is_refused_by_name(pattern: str) -> None:
    with pytest.raises(ValueError, match="RE2 knows no lookaround and no backreferences"):
        compiled(pattern)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("x(", r"'x\(' is no RE2 expression: missing \): x\("),
        ("[a", "missing ]"),
        ("*", "no argument for repetition operator"),
        ("a{1001}", "invalid repetition size"),
        ("\\", "trailing"),
        ("", "match every tool: write .* if"),
        ("x" * (MAX_PATTERN_CHARS + 1), "1,001 characters, at most 1,000"),
        ("\ud800", "half of a surrogate pair"),
    ],
)
def test_a_bad_pattern_is_refused_with_what_is_wrong(
    pattern: str, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        compiled(pattern)
    assert "\n" not in str(refused.value)
    assert capfd.readouterr() == ("", ""), "RE2 would log it too"


def test_a_pattern_that_would_take_others_for_ever_is_searched_at_once() -> None:
    assert not compiled("^(a+)+$").search("a" * 10_000 + "b")

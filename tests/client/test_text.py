"""Nothing that somebody wrote can move the cursor, hide or reverse what a reviewer reads."""

import time
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clearance.text import control_characters, moment, one_line, span, utc, visible

ANY = st.text(st.characters())  # halves of pairs too: Python strings may hold them


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("plain ünïcödé 漢字", "plain ünïcödé 漢字"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\x9b31mb", r"a\x9b31mb"),
        ("a\x00\x07\x08\x7fb", r"a\x00\x07\x08\x7fb"),
        ("over\rwritten", r"over\x0dwritten"),
        ("new\x85line", r"new\x85line"),
        ("pay \u202egnihton\u202c", r"pay \u202egnihton\u202c"),
        ("\u2066isolate\u2069", r"\u2066isolate\u2069"),
        ("zero\u200bwidth\u2060\ufeff", r"zero\u200bwidth\u2060\ufeff"),
        ("soft\u00adhyphen", r"soft\xadhyphen"),
        ("line\u2028paragraph\u2029", r"line\u2028paragraph\u2029"),
        ("tag\U000e0041\U000e007f", r"tag\U000e0041\U000e007f"),
        ("variation\U000e0100\U000e01ef", r"variation\U000e0100\U000e01ef"),
        ("blank\u3164\u2800", r"blank\u3164\u2800"),
        ("half \ud83d", r"half \ud83d"),
    ],
)
def test_what_would_be_obeyed_is_shown_as_its_code(written: str, shown: str) -> None:
    assert visible(written) == shown


@pytest.mark.parametrize(
    "text",
    [
        "👩\u200d👩\u200d👧 family",
        "\u0645\u06cc\u200c\u062e\u0648",
        "❤\ufe0f",
        "👍🏽",
        "e\u0301",
        "two\nlines\tand a tab",
    ],
)
def test_emoji_scripts_and_lines_stay_as_they_are(text: str) -> None:
    assert visible(text) == text


def test_the_line_end_of_windows_is_a_line_end() -> None:
    assert visible("one\r\ntwo\r\n") == "one\ntwo\n"


@settings(deadline=None)
@given(ANY)
def test_whatever_is_written_nothing_is_left_that_a_display_obeys(text: str) -> None:
    left = {c for c in visible(text) if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}

    assert left <= set("\n\t\u200c\u200d")
    assert visible(visible(text)) == visible(text)


@settings(deadline=None)
@given(ANY)
def test_each_character_is_written_by_itself(text: str) -> None:
    lines = text.replace("\r\n", "\n")

    assert visible(text) == "".join(map(visible, lines))
    assert [c for c in lines if visible(c) != c] == [
        c for c in control_characters(lines) if c not in "\n\t\u200c\u200d"
    ]


def test_control_characters_are_listed_in_order() -> None:
    assert control_characters("a\x1bb\u202ec\nd") == ["\x1b", "\u202e", "\n"]
    assert control_characters("plain") == []


@pytest.mark.parametrize(
    ("text", "width", "line"),
    [
        ("  two \n\t lines ", 0, "two lines"),
        ("12345", 5, "12345"),
        ("123456", 5, "1234…"),
        ("123456", 1, "…"),
        ("a\x1bb", 0, r"a\x1bb"),
        ("", 5, ""),
        (" \n ", 5, ""),
    ],
)
def test_one_line_folds_white_space_and_cuts_with_an_ellipsis(
    text: str, width: int, line: str
) -> None:
    assert one_line(text, width) == line


@settings(deadline=None)
@given(ANY, st.integers(1, 50))
def test_one_line_is_one_line_and_never_wider(text: str, width: int) -> None:
    line = one_line(text, width)

    assert len(line) <= width
    assert len(line.splitlines()) <= 1


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(seconds=-5), "0 s"),
        (timedelta(0), "0 s"),
        (timedelta(milliseconds=999), "0 s"),
        (timedelta(seconds=1), "1 s"),
        (timedelta(seconds=59), "59 s"),
        (timedelta(seconds=60), "1 min"),
        (timedelta(seconds=61), "1 min"),
        (timedelta(minutes=59, seconds=59), "59 min"),
        (timedelta(minutes=90), "1 h 30 min"),
        (timedelta(hours=2), "2 h"),
        (timedelta(hours=2, seconds=30), "2 h"),
        (timedelta(days=1), "1 d"),
        (timedelta(days=1, minutes=5), "1 d 5 min"),
        (timedelta(days=1, seconds=30), "1 d"),
        (timedelta(days=9, hours=4), "9 d 4 h"),
        (timedelta(days=9, hours=4, minutes=30), "9 d 4 h"),
        (timedelta(days=1825), "1825 d"),
    ],
)
def test_a_span_is_told_in_its_two_largest_units(length: timedelta, words: str) -> None:
    assert span(length) == words


@pytest.fixture
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("new_york")
def test_a_moment_is_told_in_the_readers_zone_and_stored_in_utc() -> None:
    at = datetime(2026, 11, 21, 10, 0, 30, 999_999, tzinfo=UTC)

    assert moment(at) == "2026-11-21 05:00:30 EST"
    assert utc(at) == utc(at.astimezone()) == "2026-11-21 10:00:30 UTC"

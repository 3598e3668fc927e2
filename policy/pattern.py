"""Patterns of tool names, in RE2: no pattern that anybody writes takes more than linear time."""

import re
from typing import Protocol

import re2  # type: ignore[import-untyped]

from clearance.text import one_line

MAX_PATTERN_CHARS = 1_000

_QUIET = re2.Options()
_QUIET.log_errors = False  # what is wrong is told by our caller, not on standard error

_PYTHON_ONLY = re.compile(r"\(\?(?:<?[=!]|>)|\\[1-9]|\(\?P[=>]|\(\?\(")


class Pattern(Protocol):
    """A compiled expression."""

    def search(self, text: str) -> object | None:
        """Something where any part of ``text`` matches, else None."""


def compiled(pattern: str) -> Pattern:
    """The pattern, to be searched in names.

    Raises:
        ValueError: it is empty, too long or no RE2 expression; the text says what is wrong.
    """
    if not pattern:
        raise ValueError("it is empty and would match every tool: write .* if that is meant")
    if len(pattern) > MAX_PATTERN_CHARS:
        raise ValueError(f"it has {len(pattern):,} characters, at most {MAX_PATTERN_CHARS:,}")
    try:
        expression: Pattern = re2.compile(pattern, _QUIET)
    except UnicodeEncodeError as error:
        raise ValueError("it holds half of a surrogate pair") from error
    except re2.error as error:
        raise ValueError(_readable(pattern, error)) from error
    return expression


def _readable(pattern: str, error: Exception) -> str:
    raw = error.args[0] if error.args else b""
    said = raw.decode(errors="replace") if isinstance(raw, bytes) else str(raw)
    if _PYTHON_ONLY.search(pattern):
        said += "; RE2 knows no lookaround and no backreferences"
    return f"{one_line(pattern, 80)!r} is no RE2 expression: {one_line(said, 200)}"

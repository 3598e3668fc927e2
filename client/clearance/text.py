"""Text that a model or a stranger wrote, made safe to look at. Pure functions.

A reviewer must see what is there: a character that moves the cursor, hides text or reverses its
direction is shown as its code instead of being obeyed.
"""

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

_BLANKS = "\u034f\u115f\u1160\u2800\u3164\uffa0"  # letters by name, with nothing to see
_VARIANTS = ("\U000e0100", "\U000e01ef")  # no display shows them, and they can spell whole texts
_JOINERS = "\u200c\u200d"  # needed by emoji and by several scripts


def control_characters(text: str) -> list[str]:
    """The characters of ``text`` that are instructions to a display or invisible, in order."""
    return [
        c
        for c in text
        if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        or c in _BLANKS
        or _VARIANTS[0] <= c <= _VARIANTS[1]
    ]


class _Shown(dict[int, str]):
    """How each character is written. Filled as they occur: a text is gone through once, in C."""

    def __missing__(self, code: int) -> str:
        self[code] = shown = _shown(chr(code))
        return shown


_SHOWN = _Shown()


def visible(text: str) -> str:
    """``text`` with every control character but newline and tab written as its code."""

    if text.isascii() and text.isprintable():
        return text
    return text.replace("\r\n", "\n").translate(_SHOWN)


def _shown(c: str) -> str:
    if c in "\n\t" or c in _JOINERS or not control_characters(c):
        return c
    code = ord(c)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def one_line(text: str, width: int = 0) -> str:
    """``visible(text)`` on one line, white space folded; with ``width``, cut to it with an ellipsis."""
    line = " ".join(visible(text).split())
    return line if not width or len(line) <= width else line[: width - 1] + "…"


def span(length: timedelta) -> str:
    """A length of time in its two largest units: ``4 d 3 h``, ``12 min``, ``8 s``."""
    seconds = max(0, int(length.total_seconds()))
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    parts = []
    for name, size in units:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {name}")
        if parts and (len(parts) == 2 or name == "min"):
            break
    return " ".join(parts) or "0 s"


def moment(at: datetime) -> str:
    """A time in the reader's own zone, to the second, with the zone named."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def utc(at: datetime) -> str:
    """A time as it is stored for readers anywhere."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def some(names: Sequence[str], most: int = 5) -> str:
    """The first of them: a record may keep a thousand refusals, each with this text."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def kind(value: object) -> str:
    """What a value is, in words of JSON; none of it is repeated."""
    names = {
        type(None): "null",
        bytes: "bytes",
        str: "a string",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "an object" if isinstance(value, dict) else "a list of values")

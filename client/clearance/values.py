"""How values and their changes are shown, quickly enough for a workflow task. Pure functions."""

import json
import re
from collections.abc import Iterable, Iterator
from difflib import unified_diff

from pydantic import JsonValue

from .fields import depth
from .models import Change
from .text import one_line, visible

Entry = tuple[str, str]
"""A label and a value to show behind or below it (``is_block`` tells); an empty label is none."""

_WIDTH = 72

_NOTHING = "(none)"
"""No JSON, so that no value looks like it."""

_COMPARED_LINES = 400

_COMPARED_CHARS = 20_000
"""Of all changes of an edit together, before and after: comparing takes the square of the lines, or
worse, and is done inside a workflow, too, which has two seconds."""

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\[\]|\{\}|[\[\]{}]|, ')
"""What an indented JSON text breaks its lines at, and the texts inside it, where none is broken."""

_INDENTED_CHARS = 20_000

_INDENTED_DEPTH = 10
"""JSON that is written on lines of its own: not too long for a workflow task, nor so deep that the
white space would be the most."""


def first(entries: Iterable[Entry], room: int | None) -> list[Entry]:
    """As many entries as have ``room`` characters, and the one that has them no more; None: all."""
    if room is None:
        return list(entries)
    found = []
    for entry in entries:
        found.append(entry)
        room -= len(entry[0]) + len(entry[1])
        if room < 0:
            break
    return found


def differences(changes: Iterable[Change]) -> Iterator[Entry]:
    """Name and difference of each changed argument: ``100 -> 80``, or line by line where it is long.

    Where it is too long to be compared, how long it was and is. One by one: an edit may have so many
    that a workflow task has no time for all of them.
    """
    lines, chars = _COMPARED_LINES, _COMPARED_CHARS
    for change in changes:
        before, after = _sides(change)
        if not (is_block(before) or is_block(after)):
            yield argument_label(change.name), visible(f"{before} -> {after}")
            continue
        chars -= len(before) + len(after)
        lines -= before.count("\n") + after.count("\n") + 2
        fits = lines >= 0 and chars >= 0
        text = _compared(before, after) if fits else _lengths(before, after)
        yield argument_label(change.name), text


def brief(changes: Iterable[Change]) -> str:
    """The changes on one line: ``amount: 100 -> 80; note: changed``."""
    parts = []
    for change in changes:
        text = visible(" -> ".join(sides := _sides(change)))
        short = change.kind if any(map(is_block, (*sides, text))) else text
        parts.append(f"{one_line(argument_label(change.name), _WIDTH)}: {short}")
    return "; ".join(parts)


def is_block(text: str) -> bool:
    """Whether a value needs lines of its own."""
    return len(text) > _WIDTH or "\n" in text


def argument_label(name: str) -> str:
    """An argument's name as the label of an entry, which is never empty."""
    return one_line(name) or '""'  # an entry without a label is a text of its own


def _json(value: JsonValue) -> str:
    text = json.dumps(value, ensure_ascii=False)
    if not is_block(text) or len(text) > _INDENTED_CHARS or depth(value) > _INDENTED_DEPTH:
        return text
    return _indented(text)


def _indented(text: str) -> str:
    """JSON on lines of its own, as ``indent=2`` writes it; that is too slow inside a workflow."""
    margin = "\n"

    def broken(found: re.Match[str]) -> str:
        nonlocal margin
        mark = found[0]
        if mark in "[{":
            margin += "  "
            return mark + margin
        if mark in "]}":
            margin = margin[:-2]
            return margin + mark
        return f",{margin}" if mark == ", " else mark

    return _TOKEN.sub(broken, text)


def shown(value: JsonValue) -> str:
    """A value as it stands behind or below its name: JSON, but long or many-lined texts as they are."""
    return value if type(value) is str and is_block(visible(value)) else _json(value)


def _sides(change: Change) -> tuple[str, str]:
    """What it was and what it is, as they are shown: JSON, or long texts as texts."""
    if type(change.before) is str and type(change.after) is str:
        whole = change.before, change.after
        if any(map(is_block, whole)):  # as texts; else as JSON, where 1 and "1" look different
            return whole
    before = _NOTHING if change.kind == "added" else _json(change.before)
    after = _NOTHING if change.kind == "removed" else _json(change.after)
    return before, after


def _compared(before: str, after: str) -> str:
    lines = list(unified_diff(before.split("\n"), after.split("\n"), n=2, lineterm=""))
    return "\n".join(visible(line) for line in lines[2:])  # the first two would name files


def _lengths(before: str, after: str) -> str:
    was, now = (
        f"{len(text.splitlines()):,} lines, {len(text):,} characters" for text in (before, after)
    )
    return f"too long to be compared here: before {was}; now {now}"

"""Arguments as somebody reads them: an email as an email, long text as text, JSON as a tree."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Literal

from pydantic import JsonValue

from clearance import ApprovalRequest, mask
from clearance.fields import depth
from clearance.models import Change
from clearance.text import visible
from clearance.values import argument_label, differences, is_block, shown

_HEADERS = ("from", "sender", "to", "cc", "bcc", "reply_to", "subject")
_BODIES = ("body", "text", "message", "content", "html")

_MOST_PARTS = 400
"""Of all arguments together, each shown as a part of a tree; what has more is shown as plain JSON."""

_DEEPEST = 8


@dataclass(frozen=True)
class Part:
    """A value, or what is inside it."""

    label: str
    kind: Literal["masked", "value", "text", "json", "tree"]
    """``value`` fits behind its label; ``text`` and ``json`` stand below it."""
    text: str = ""
    """As it is shown; of a ``tree`` how much is in it."""
    inside: tuple["Part", ...] = ()


@dataclass(frozen=True)
class Email:
    """Arguments that are a message to somebody."""

    headers: tuple[tuple[str, str], ...]
    body: str


@dataclass(frozen=True)
class Difference:
    """What is changed in one argument: two short values, or lines with ``+`` and ``-`` before them."""

    label: str
    before: str = ""
    after: str = ""
    lines: tuple[str, ...] = ()


def read(request: ApprovalRequest) -> tuple[Email | None, list[Part]]:
    """The arguments of a request: the email that some of them make, and all others."""
    masked = frozenset(request.masked)
    email = None if masked else _email(request.arguments)
    used = {*_HEADERS, *_BODIES} if email else ()
    numbers = count()
    rest = {name: value for name, value in request.arguments.items() if name not in used}
    return email, [_part(name, value, (name,), masked, numbers) for name, value in rest.items()]


def answered(response: JsonValue) -> list[Part]:
    """The answer that an approval gave, value by value."""
    whole = response if isinstance(response, dict) and response else {"The answer": response}
    numbers = count()
    return [_part(name, value, (name,), (), numbers) for name, value in whole.items()]


def compared(changes: Collection[Change]) -> Iterator[Difference]:
    """What is different in each changed argument, line by line where it is long."""
    for change, (label, text) in zip(changes, differences(changes), strict=True):
        before = "(none)" if change.kind == "added" else shown(change.before)
        after = "(none)" if change.kind == "removed" else shown(change.after)
        if is_block(before) or is_block(after):
            yield Difference(label, lines=tuple(text.split("\n")))
        else:
            yield Difference(label, visible(before), visible(after))


def _email(arguments: Mapping[str, JsonValue]) -> Email | None:
    """The email, where there are a recipient, a subject and one body, and all of them are texts."""
    bodies = [name for name in _BODIES if name in arguments]
    headers = [name for name in _HEADERS if arguments.get(name) not in (None, "", [])]
    if len(bodies) != 1 or not {"to", "subject"} <= set(headers):
        return None
    body = arguments[bodies[0]]
    texts = {name: _text(arguments[name]) for name in headers}
    absent = any(name in arguments and name not in headers for name in _HEADERS)
    if absent or not isinstance(body, str) or None in texts.values():
        return None
    lines = tuple((name.replace("_", "-").capitalize(), text or "") for name, text in texts.items())
    return Email(lines, body)


def _text(value: JsonValue) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(map(str, value))
    return None


def _part(
    name: str,
    value: JsonValue,
    path: tuple[str | int, ...],
    masked: Collection[str],
    numbers: Iterator[int],
) -> Part:
    label = argument_label(name)
    if mask.pointer(*path) in masked:
        return Part(label, "masked", mask.MASK)
    text = shown(value)
    if not isinstance(value, dict | list) or not value:
        return Part(label, "text" if is_block(text) else "value", text)
    hides = any(one.startswith(f"{mask.pointer(*path)}/") for one in masked)
    if not (is_block(text) or hides or depth(value) > 1):
        return Part(label, "value", text)
    many = next(numbers) + len(value) > _MOST_PARTS
    if many or (len(path) == 1 and depth(value) > _DEEPEST):
        return Part(label, "json", text)
    items: Iterator[tuple[str | int, JsonValue]]
    items = iter(value.items()) if isinstance(value, dict) else iter(enumerate(value))
    inside = tuple(
        _part(str(step if isinstance(step, str) else step + 1), one, (*path, step), masked, numbers)
        for step, one in items
    )
    return Part(label, "tree", f"{len(value)} {_kind(value)}", inside)


def _kind(value: JsonValue) -> str:
    one = len(value) == 1 if isinstance(value, dict | list) else False
    if isinstance(value, dict):
        return "entry" if one else "entries"
    return "item" if one else "items"

"""Sentences with arguments in them: ``Send “{subject}” to {to}``. Pure functions.

A field is a name, or a path into what it names: ``{order.id}``, ``{customers.0.name}``. A number may
carry a format, ``{amount:,.2f}``. ``{{`` and ``}}`` are the braces themselves. Only JSON is reached,
never an attribute of an object, and filling never raises: what is not there is shown as missing.
"""

import json
import re
from collections.abc import Iterator, Mapping
from string import Formatter

from pydantic import JsonValue

_FIELD = re.compile(r"[^\W\d][\w-]*(\.[\w-]+)*")
_FORMAT = re.compile(r",?(\.\d)?[df%]?")
_ABSENT = object()


def check(template: str) -> None:
    """Raise ValueError, saying what is wrong, for a template that can't be filled as it is meant."""
    for _, field, spec, conversion in _parts(template):
        if field is None:
            continue
        if not _FIELD.fullmatch(field):
            raise ValueError(f"{{{field}}} is no field: write {{name}}, or {{{{ for a brace")
        if conversion or not _FORMAT.fullmatch(spec or ""):
            raise ValueError(f"{{{field}:{spec}}}: a format is like ,.2f")


def fill(template: str, values: Mapping[str, JsonValue], *, limit: int | None = None) -> str:
    """The template with ``values`` in it; a string as it is, anything else as JSON.

    A field that is not there becomes ``(missing: name)``. A template that ``check`` refuses is
    returned as it is. No more than ``limit`` characters are returned, nor written first: a template
    can name a long value a thousand times.
    """
    try:
        check(template)
    except ValueError:
        return template[:limit]
    filled = ""
    for text, field, spec, _ in _parts(template):
        filled += text + ("" if field is None else _shown(field, spec or "", values))
        if limit is not None and len(filled) >= limit:
            break
    return filled[:limit]


def _parts(template: str) -> Iterator[tuple[str, str | None, str | None, str | None]]:
    return iter(Formatter().parse(template))


def _shown(field: str, spec: str, values: Mapping[str, JsonValue]) -> str:
    value: object = values
    for step in field.split("."):
        value = _step(value, step)
        if value is _ABSENT:
            return f"(missing: {field})"
    if isinstance(value, str):
        return value
    if spec and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return format(value, spec)
        except (ValueError, OverflowError):  # a fraction formatted as d, a number beyond floats
            pass
    try:
        return json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):  # more digits, or deeper, than JSON is written here
        return f"(unreadable: {field})"


def _step(value: object, step: str) -> object:
    if isinstance(value, Mapping):
        return value.get(step, _ABSENT)
    if isinstance(value, list) and step.isascii() and step.isdecimal() and len(step) < 10:
        return value[int(step)] if int(step) < len(value) else _ABSENT
    return _ABSENT

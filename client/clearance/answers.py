"""What a request asks to be answered, read from its ``response_schema``. Pure functions.

Only enough of JSON Schema to ask a person: the names, the words and the kinds of the values. Whether
an answer fits is judged by the gate. A schema of any shape is read as far as it goes; none raises.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from pydantic import JsonValue

from .text import one_line
from .views import ApprovalView

Kind = Literal["text", "integer", "number", "boolean", "choice", "list", "object", "any"]

_KINDS: dict[str, Kind] = {
    "string": "text",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "array": "list",
    "object": "object",
}

_WANTED = {
    "text": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "yes or no",
    "list": "a JSON list",
    "object": "a JSON object",
    "any": "JSON, or text",
}

_HOPS = 5
"""References followed from one to the next; a circle of them ends there."""

_LONG = 300
_MANY = 50


@dataclass(frozen=True)
class Question:
    """One value that an answer has."""

    name: str
    """Of the property; empty where the whole answer is this one value."""

    words: str
    """What it means, in the schema's words, on one line; may be empty."""

    kind: Kind
    choices: tuple[JsonValue, ...] = ()
    """Of a ``choice``: what one may answer."""

    required: bool = True
    default: JsonValue = None
    """What holds where nothing is answered; None for nothing."""

    @property
    def wanted(self) -> str:
        """What may be answered: ``red, green or blue``, ``a number``."""
        if self.kind != "choice":
            return _WANTED[self.kind]
        *most, last = (one_line(as_words(one), _LONG) for one in self.choices[:_MANY])
        if (more := len(self.choices) - _MANY) > 0:
            return f"{', '.join([*most, last])} or one of {more} more"
        return f"{', '.join(most)} or {last}" if most else last


def questions(schema: Mapping[str, JsonValue], limit: int | None = None) -> list[Question]:
    """What has to be answered, in the schema's order; at most ``limit`` of it.

    An object's properties are asked one by one; anything else is one question without a name.
    """
    whole = _resolved(schema, schema)
    properties = whole.get("properties")
    if not isinstance(properties, Mapping) or not properties:
        return [_question("", schema, schema, required=True)]
    required = whole.get("required")
    names = required if isinstance(required, list) else []
    return [
        _question(name, part, schema, required=name in names)
        for name, part in islice(properties.items(), limit)
    ]


def others_follow(view: ApprovalView) -> bool:
    """Whether other stages may be asked after the one that is asked now: the last one answers."""
    known = [one.status for one in view.stages]
    return "waiting" in known if known else len(view.request.stages) > 1


def as_words(value: JsonValue) -> str:
    """A value as somebody would type it: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _question(name: str, part: Any, schema: Mapping[str, JsonValue], *, required: bool) -> Question:
    found = _resolved(part, schema)
    kind, choices = _kind(found, schema)
    return Question(name, _words(name, found), kind, choices, required, found.get("default"))


def _words(name: str, part: Mapping[str, Any]) -> str:
    """Title and description; not a title that only repeats the name, as pydantic makes one."""
    title, description = (
        one_line(said, _LONG) if isinstance(said := part.get(key), str) else ""
        for key in ("title", "description")
    )
    if title.casefold().replace(" ", "_") == name.casefold():
        title = ""
    return ": ".join(one for one in (title, description) if one)


def _resolved(part: Any, schema: Mapping[str, JsonValue]) -> dict[str, Any]:
    """A part with what it refers to inside the schema; what stands beside a reference goes first."""
    found: dict[str, Any] = dict(part) if isinstance(part, Mapping) else {}
    for _ in range(_HOPS):
        only = found.get("allOf")
        if isinstance(only, list) and len(only) == 1 and isinstance(only[0], Mapping):
            del found["allOf"]
            found = {**only[0], **found}
        reference = found.pop("$ref", None)
        if not isinstance(reference, str):
            break
        target: Any = schema
        for step in reference.removeprefix("#").split("/")[1:]:
            target = target.get(step) if isinstance(target, Mapping) else None
        if isinstance(target, Mapping):  # its title is the name of a class
            found = {**target, "title": None, **found}
    return found


def _kind(
    part: Mapping[str, Any], schema: Mapping[str, JsonValue], *, forms: bool = True
) -> tuple[Kind, tuple[Any, ...]]:
    """The kind of a value, and the choices there are; with ``forms``, where it has several, too."""
    if "const" in part:
        return "choice", (part["const"],)
    listed = part.get("enum")
    if isinstance(listed, list) and (choices := tuple(one for one in listed if one is not None)):
        return "choice", choices
    several = part.get("anyOf", part.get("oneOf"))
    if isinstance(several, list):
        return _one_of(several, schema) if forms else ("any", ())
    types = part.get("type")
    named = [one for one in (types if isinstance(types, list) else [types]) if one != "null"]
    known = _KINDS.get(named[0]) if len(named) == 1 and isinstance(named[0], str) else None
    return known or "any", ()


def _one_of(several: list[Any], schema: Mapping[str, JsonValue]) -> tuple[Kind, tuple[Any, ...]]:
    """The one kind of several forms: a choice where each is one. Null is no answer."""
    parts = [_resolved(one, schema) for one in several[:_MANY]]
    kinds = [_kind(one, schema, forms=False) for one in parts if one.get("type") != "null"]
    if len(kinds) == 1:
        return kinds[0]
    if kinds and len(several) <= _MANY and all(kind == "choice" for kind, _ in kinds):
        return "choice", tuple(value for _, choices in kinds for value in choices)
    return "any", ()

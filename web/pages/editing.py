"""Changing arguments while approving: each an input of its kind, and what was typed read back."""

import hashlib
import json
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import pydantic
from pydantic import JsonValue

from clearance import ApprovalRequest, ApprovalView, InvalidRequest, Refused, edits, mask
from clearance.errors import explain
from clearance.models import Change
from clearance.rules import CHANGED
from clearance.text import control_characters, one_line, visible
from clearance.typed import parsed
from clearance.values import argument_label, is_block

from .forms import Form, Misfit

_MOST = 100
"""Arguments that have an input; of more, the others are changed on the command line."""


@dataclass(frozen=True)
class Field:
    """The input of one argument."""

    key: str
    """Its name in the form: an argument's own may be anything."""
    name: str
    label: str
    kind: Literal["text", "long", "lines", "number", "boolean", "json"]
    """``lines``: a list of texts, one on each."""
    value: str
    """What stands in it."""
    problem: str = ""


@dataclass(frozen=True)
class Preview:
    """Changes that somebody is about to approve."""

    arguments: str
    """All of them, as JSON."""
    request: ApprovalRequest
    """As it would run."""
    changes: tuple[Change, ...]


def fields(view: ApprovalView, form: Form | None = None) -> list[Field]:
    """The inputs for what may be changed; with what a form has in them, where one was sent."""
    found = []
    for name, value in _editable(view.current):
        field = _field(name, value)
        if form is not None and form.do == "preview" and field.key in form:
            field = replace(field, value=form.text(field.key))
        elif form is not None and form.do == "approve" and "arguments" in form:
            field = _as_sent(field, form)
        found.append(field)
    return found


def preview(view: ApprovalView, form: Form) -> Preview:
    """What the inputs of a form make of a request.

    Raises:
        Refused: it is another request than the one that was read, or takes no such change.
        Misfit: something typed is none of its kind; ``fields`` says beside which.
        InvalidRequest: nothing was changed, or the changes break a limit.
    """
    if form.text("digest") != view.digest:
        raise Refused(CHANGED)
    arguments = dict(view.current.arguments)
    problems = {}
    for name, value in _editable(view.current):
        field = _field(name, value)
        if field.key not in form:
            continue
        try:
            arguments[name] = _typed(field, value, form.text(field.key))
        except ValueError as error:
            problems[field.key] = str(error)
    if problems:
        raise Misfit("Nothing was sent: look at what is marked below", problems)
    return _previewed(view, arguments)


def confirmed(view: ApprovalView, form: Form) -> ApprovalRequest:
    """What a form approves that comes from a preview: exactly what its page has shown.

    Raises:
        Refused: it isn't.
        InvalidRequest: it is none of what a preview of ours sends.
    """
    request = sent(view, form).request
    if request.digest != form.raw("previewed"):
        raise Refused(CHANGED)
    return request


def sent(view: ApprovalView, form: Form) -> Preview:
    """The preview that a form comes from. Raises Refused and InvalidRequest."""
    if form.text("digest") != view.digest:
        raise Refused(CHANGED)
    try:
        arguments = parsed(form.raw("arguments"))
    except ValueError as error:
        raise InvalidRequest("the changes are not JSON: review them again") from error
    if not isinstance(arguments, dict):
        raise InvalidRequest("the changes are no JSON object: review them again")
    return _previewed(view, arguments)


def _previewed(view: ApprovalView, arguments: dict[str, JsonValue]) -> Preview:
    current = view.current
    try:
        changes = edits.differences(current.arguments, arguments)
        if not changes:
            raise InvalidRequest(
                "Nothing was changed: change something, or discard this and approve it as it is"
            )
        if reason := edits.refuse_edit(current, arguments):
            raise Refused(reason)
        would_run = view.request.with_arguments(arguments)
    except pydantic.ValidationError as error:
        raise InvalidRequest(explain(error)) from error
    return Preview(json.dumps(arguments), would_run, changes)


def _editable(request: ApprovalRequest) -> Iterator[tuple[str, JsonValue]]:
    """Names and values of what has an input; nothing of what is masked as a whole."""
    if request.editable is False:
        return
    names: Collection[str] = request.arguments
    if request.editable is not True:
        names = [name for name in request.editable if name in request.arguments]
    left = _MOST
    for name in names:
        if mask.pointer(name) not in request.masked and left:
            left -= 1
            yield name, request.arguments[name]


def _field(name: str, value: JsonValue) -> Field:
    key = f"arg-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
    label = argument_label(name)
    if isinstance(value, bool):
        return Field(key, name, label, "boolean", "true" if value else "false")
    if isinstance(value, int | float):
        return Field(key, name, label, "number", json.dumps(value))
    if isinstance(value, str) and visible(value) == value.replace("\r\n", "\n"):
        return Field(key, name, label, "long" if is_block(value) else "text", value)
    if isinstance(value, list) and value and all(map(_is_line, value)):
        return Field(key, name, label, "lines", "\n".join(map(str, value)))
    text = json.dumps(value, ensure_ascii=False, indent=2)
    hidden = {c for c in control_characters(text) if c != "\n"}
    text = text.translate({ord(c): json.dumps(c)[1:-1] for c in hidden})
    return Field(key, name, label, "json", text)


def _as_sent(field: Field, form: Form) -> Field:
    """A field as the arguments of a preview have it."""
    try:
        arguments = parsed(form.raw("arguments"))
        return replace(_field(field.name, arguments[field.name]), kind=field.kind)
    except (KeyError, TypeError, ValueError):
        return field


def _typed(field: Field, before: JsonValue, typed: str) -> JsonValue:
    """What was typed, as a value of the kind that was there. Raises ValueError where it is none."""
    if field.kind == "boolean":
        return typed == "true"
    if isinstance(before, str) and field.kind in ("text", "long"):
        if typed == before.replace("\r\n", "\n"):
            return before
        # A browser sends other line ends than it was given.
        return typed.replace("\n", "\r\n") if "\r\n" in before else typed
    if typed == field.value:
        return before
    if field.kind == "lines":
        return [line.strip() for line in typed.split("\n") if line.strip()]
    try:
        value = parsed(typed)
    except ValueError as error:
        if field.kind == "number":
            raise ValueError(_no_number(typed)) from error
        raise ValueError(f"this is no JSON: {error}") from error
    if field.kind == "number" and not _is_number(value):
        raise ValueError(_no_number(typed))
    return value  # type: ignore[no-any-return]


def _is_line(value: JsonValue) -> bool:
    """Whether a value is a text that stands for itself on a line."""
    plain = isinstance(value, str) and value == value.strip() and "\n" not in value
    return plain and bool(value) and visible(str(value)) == value


def _is_number(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _no_number(typed: str) -> str:
    return f"{one_line(typed, 80) or 'nothing'} is not a number: write 80 or 80.5"

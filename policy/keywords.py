"""Keywords of JSON Schema, where we need others than the library's; and the count of steps."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from jsonschema import ValidationError

from clearance.text import one_line

from .formats import in_form
from .pattern import compiled

MAX_STEPS = 20_000
"""Of one check: a schema applied to a value is one step. They take some 0.5 s."""

_CHARS_A_STEP = 8_000
"""How much of a value is looked at, or repeated in an error, in the time of one step."""

_NUMBERS = "^(?!^[-+.]*$)"
"""How pydantic's pattern of a Decimal begins: lookahead, which RE2 doesn't know."""

_left: ContextVar[int] = ContextVar("steps_left")

Keyword = Callable[[Any, Any, Any, Any], Iterable[ValidationError] | None]

_compiled = lru_cache(maxsize=256)(compiled)


class CantBeApplied(ValueError):
    """A schema that says nothing of a value; the text says why and repeats no value."""


class Hidden(str):
    """What stands for a masked value: it fits every schema."""


@contextmanager
def limited() -> Iterator[None]:
    """For one check: all of it together takes at most ``MAX_STEPS``."""
    token = _left.set(MAX_STEPS)
    try:
        yield
    finally:
        _left.reset(token)


def spend(steps: int) -> None:
    """Count these. Raises CantBeApplied once there are too many."""
    left = _left.get() - steps
    if left < 0:
        raise CantBeApplied(f"too much to check: more than {MAX_STEPS:,} steps")
    _left.set(left)


def counted(keyword: Keyword) -> Keyword:
    """The keyword, with the time it takes counted. Nothing is wrong with what is hidden."""

    def check(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        if isinstance(instance, Hidden):
            return
        if isinstance(value, list | dict):
            spend(len(value) // 20)
        for error in keyword(validator, value, instance, schema) or ():
            if not error.schema_path or error.validator is None:
                spend(_size(instance) // _CHARS_A_STEP)  # the error repeats all of it
            yield error

    return check


def _size(value: Any) -> int:
    """About the characters of a value."""
    size, rest = 0, [value]
    while rest:
        one = rest.pop()
        size += 80 + (len(one) if isinstance(one, str) else 0)
        if isinstance(one, dict):
            rest += one.values()
        elif isinstance(one, list):
            rest += one
    return size


def _found(pattern: str, text: str) -> bool:
    if pattern.startswith(_NUMBERS):
        if not set(text) - set("-+."):
            return False
        pattern = "^" + pattern.removeprefix(_NUMBERS)
    if not pattern:
        return True
    try:
        expression = _compiled(pattern)
    except ValueError as error:
        raise CantBeApplied(one_line(f"its pattern {error}", 250)) from error
    spend(len(text) * getattr(expression, "programsize", 100) // 30_000)
    return expression.search(text) is not None


def _pattern(validator: Any, pattern: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _found(pattern, instance):
        yield ValidationError("")


def _format(validator: Any, form: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not in_form(form, instance):
        yield ValidationError("")


def _pattern_properties(
    validator: Any, patterns: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for pattern, part in patterns.items():
            spend(len(instance) // 20)
            for name, value in instance.items():
                if _found(pattern, name):
                    yield from validator.descend(value, part, path=name, schema_path=pattern)


def _additional_properties(
    validator: Any, part: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    patterns = schema.get("patternProperties", {})
    spend(len(instance) * (1 + len(patterns)) // 20)
    for name, value in instance.items():
        if name in schema.get("properties", {}) or any(_found(one, name) for one in patterns):
            continue
        if part is False:
            yield ValidationError("", path=[name])
        else:
            yield from validator.descend(value, part, path=name)


def _any_of(validator: Any, parts: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Only the first error of each part is kept: of a tree of such parts all would be too many."""
    context = []
    for index, part in enumerate(parts):
        error = next(validator.descend(instance, part, schema_path=index), None)
        if error is None:
            return
        context.append(error)
    yield ValidationError("", context=context)


def _one_of(validator: Any, parts: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    errors = [
        next(validator.descend(instance, part, schema_path=i), None) for i, part in enumerate(parts)
    ]
    fitting = errors.count(None)
    if not fitting:
        yield ValidationError("", context=[one for one in errors if one is not None])
    # What is masked fits all of them, and only its real value could tell which.
    elif fitting > 1 and not _hides(instance):
        yield ValidationError("")


def _hides(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_hides, value.values()))
    return any(map(_hides, value)) if isinstance(value, list) else isinstance(value, Hidden)


def _unique_items(
    validator: Any, wanted: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if wanted and isinstance(instance, list):
        spend(_size(instance) // _CHARS_A_STEP)
        if len({json.dumps(_plain(one), sort_keys=True) for one in instance}) < len(instance):
            yield ValidationError("")


def _plain(value: Any) -> Any:
    """The same text for numbers that JSON Schema holds to be the same: 1 and 1.0."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list) else value


OURS: dict[str, Keyword] = {
    "additionalProperties": _additional_properties,
    "anyOf": _any_of,
    "format": _format,
    "oneOf": _one_of,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "uniqueItems": _unique_items,
}
"""By name, in place of the library's."""

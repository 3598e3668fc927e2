"""What somebody typed, as values: JSON as the standard has it, answers of the kind that is asked for."""

import json
import math
from typing import Any

from pydantic import JsonValue

from . import contract
from .answers import Question
from .fields import depth
from .text import one_line


def parsed(text: str) -> Any:
    """JSON as the standard has it: no NaN, no name twice in an object, and not nested deeper than a
    request may be. Raises ValueError."""
    try:
        found = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_name_twice)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if depth(found) > contract.MAX_ARGUMENTS_DEPTH:
        raise ValueError("nested too deep")
    return found


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no number")


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def written_as_json(question: Question, typed: str) -> JsonValue:
    """A number, a list, an object, or anything, as the schema names it; what may be anything and is no
    JSON is a text.

    Raises:
        ValueError: it is none of that kind; says so.
    """
    try:
        value: JsonValue = parsed(typed)
    except ValueError:
        if question.kind == "any":
            return typed
        raise is_not(question, typed) from None
    if not _is_a(question.kind, value):
        raise is_not(question, typed)
    return value


def is_not(question: Question, typed: str) -> ValueError:
    """The error that says what was wanted instead."""
    return ValueError(f"{one_line(typed, 80) or 'nothing'} is not {question.wanted}")


def _is_a(kind: str, value: Any) -> bool:
    """Whether a value is of a kind whose values are written as JSON; ``True`` is no number."""
    kinds: dict[str, Any] = {"integer": int, "number": (int, float), "list": list, "object": dict}
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return kind == "any" or (isinstance(value, kinds[kind]) and not isinstance(value, bool))

"""What a schema's error says, without the value: that may be a secret."""

import json
from typing import Any

from jsonschema import ValidationError

from clearance.text import one_line

from .formats import FORMATS

_WORDS = {
    "additionalProperties": "is not an argument",
    "const": "must be {}",
    "enum": "must be one of {}",
    "exclusiveMaximum": "must be less than {}",
    "exclusiveMinimum": "must be more than {}",
    "maxItems": "must have at most {} items",
    "maxLength": "must have at most {} characters",
    "maxProperties": "must have at most {} properties",
    "maximum": "must be at most {}",
    "minItems": "must have at least {} items",
    "minLength": "must have at least {} characters",
    "minProperties": "must have at least {} properties",
    "minimum": "must be at least {}",
    "multipleOf": "must be a multiple of {}",
    "oneOf": "fits more than one of the forms it may have",
    "pattern": "must match {}",
    "uniqueItems": "must not hold the same twice",
}
"""By keyword; in place of the braces comes what the schema says."""


def told(error: ValidationError) -> str:
    """Where the error is and what is wanted there, in one line of at most 300 characters.

    Names are told and values never, except the schema's own.
    """
    path, error = _deepest(error)
    keyword = str(error.validator)
    wanted: Any = error.validator_value
    if keyword == "required" and isinstance(error.instance, dict):
        path += [name for name in wanted if name not in error.instance][:1]
    at = "/".join(str(step).replace("~", "~0").replace("/", "~1") for step in path)
    return one_line(f"{at}: {_words(keyword, wanted, error)}".removeprefix(": "), 300)


def _words(keyword: str, wanted: Any, error: ValidationError) -> str:
    if keyword == "required":
        return "is required"
    if keyword == "format":
        return f"must be {FORMATS[wanted][0]}"
    if types := _types(error):
        return f"must be {' or '.join(types)}"
    if keyword in {"anyOf", "oneOf"} and error.context:
        return "fits none of the forms it may have"
    words = _WORDS.get(keyword, f"doesn't fit {keyword}" if error.validator else "is not allowed")
    return words.format(one_line(json.dumps(wanted, ensure_ascii=False), 150))


def _deepest(error: ValidationError) -> tuple[list[Any], ValidationError]:
    """Of the forms that a value may have, the one it came nearest to tells best what is wrong."""
    path = list(error.path)
    while error.context and not _types(error):
        nearest = max(error.context, key=lambda one: (_meant(one), len(one.path)))
        if not nearest.path and not _meant(nearest):
            break
        path += nearest.path
        error = nearest
    return path, error


def _meant(error: ValidationError) -> bool:
    """Whether a form was: its own type, or a constant in it, tells it from the others."""
    own_type = error.validator == "type" and not error.path
    return not own_type and error.validator not in {"const", "enum"}


def _types(error: ValidationError) -> list[str]:
    """The types one of which was wanted, where it is about nothing else."""
    if error.validator == "type":
        wanted: Any = error.validator_value
        return [wanted] if isinstance(wanted, str) else [str(one) for one in wanted]
    parts = [_types(one) if not one.path else [] for one in error.context or ()]
    return list(dict.fromkeys(one for part in parts for one in part)) if all(parts) else []

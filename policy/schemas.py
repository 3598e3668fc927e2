"""Whether a value fits a JSON Schema: in bounded time, and never telling the value.

It runs inside workflows, on schemas and values that anybody may have made. So patterns are RE2's, and
steps are counted instead of seconds: a replay has to come to the same answer.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import UnknownType
from jsonschema.validators import extend, validator_for
from pydantic import JsonValue
from referencing import Registry
from referencing.exceptions import Unresolvable

from clearance.text import one_line

from .keywords import OURS, CantBeApplied, Hidden, counted, limited, spend
from .misfit import told

_PROBES: tuple[JsonValue, ...] = (None, 0, "", [""], {"": ""})
"""Values that together make every keyword say whether it can be applied."""

_SINGLE = (
    "additionalProperties",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
)
_LISTED = ("allOf", "anyOf", "items", "oneOf", "prefixItems")
_NAMED = ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties")
"""Keywords whose values are schemas, lists of schemas, or schemas by name."""


def misfit(
    value: JsonValue | Mapping[str, JsonValue],
    schema: Mapping[str, Any],
    masked: Iterable[str] = (),
) -> str | None:
    """The first thing wrong with ``value``, without any part of it; None where it fits.

    Args:
        value: the arguments of a tool call, or a reviewer's answer.
        schema: a JSON Schema, of any draft. Other documents are not fetched.
        masked: JSON pointers of values that fit whatever they are.

    Raises:
        CantBeApplied: the schema is broken, refers to something that is not there, has a pattern
            that RE2 doesn't know, or there is too much to check.
    """
    with _told():
        draft = _draft(schema)
        with limited():
            # With a registry of its own, an empty one: by default a reference would be fetched.
            validator = draft(schema, registry=Registry())
            error = next(validator.iter_errors(_hiding(value, masked)), None)
            return None if error is None else told(error)


def schema_problem(schema: Mapping[str, Any]) -> str | None:
    """Why nothing could be checked against ``schema``, in one line; None where every value can.

    Whoever asks for an answer by it learns so at once, instead of having every answer refused. What
    takes too long to check is a problem, too.
    """
    try:
        return _problem(json.dumps(schema))
    except RecursionError:
        return "it is nested too deep"


@lru_cache(maxsize=1_000)
def _problem(text: str) -> str | None:
    """By the text: every run brings its policy along, mostly the one before it had."""
    schema = json.loads(text)
    try:
        with _told():
            draft = _draft(schema)
            with limited():
                validator = draft(schema, registry=Registry())
                for part in _parts(schema):
                    for probe in _PROBES:
                        next(validator.evolve(schema=part).iter_errors(probe), None)
    except CantBeApplied as error:
        return one_line(str(error), 300)
    return None


@contextmanager
def _told() -> Iterator[None]:
    """Whatever goes wrong with a schema becomes CantBeApplied, and repeats no value."""
    try:
        yield
    except CantBeApplied:
        raise
    except RecursionError as error:
        raise CantBeApplied("it is nested too deep") from error
    except UnknownType as error:
        raise CantBeApplied(f"there is no type {error.type!r}") from error
    except Unresolvable as error:
        raise CantBeApplied(f"it refers to {error.ref!r}, which is not in it") from error
    except Exception as error:  # whose text may repeat a value
        raise CantBeApplied(f"it is no JSON Schema ({type(error).__name__})") from error


def _draft(schema: Mapping[str, Any]) -> Any:
    """The validator that a schema asks for."""
    if {"patternProperties", "unevaluatedProperties"} <= _keys(schema):
        # The library looks for those patterns by itself, with expressions that may never end.
        raise CantBeApplied("patternProperties and unevaluatedProperties don't go together")
    return _bounded(validator_for(schema, Draft202012Validator))


def _parts(schema: Any) -> Iterator[Any]:
    """A schema, and all schemas inside it."""
    rest = [schema]
    while rest:
        one = rest.pop()
        yield one
        if not isinstance(one, Mapping):
            continue
        for keyword, value in one.items():
            if keyword in _NAMED and isinstance(value, Mapping):
                rest += value.values()
            elif keyword in _LISTED and isinstance(value, list):
                rest += value
            elif keyword in _SINGLE:
                rest.append(value)


@cache
def _bounded(draft: Any) -> Any:
    """The validator of a draft, with every step counted and our own keywords."""
    every = {name: OURS.get(name, keyword) for name, keyword in draft.VALIDATORS.items()}
    bounded: Any = extend(  # type: ignore[no-untyped-call]
        draft, {name: counted(keyword) for name, keyword in every.items()}
    )
    evolve = bounded.evolve

    def counting(self: Any, *, schema: Any, **changes: Any) -> Any:
        spend(1)
        if isinstance(schema, Mapping) and "$schema" in schema:
            if validator_for(schema, Draft202012Validator) is not draft:
                raise CantBeApplied("a part of it is of another draft")
            # Told its draft, the library would go on with the validator that counts nothing.
            schema = {name: part for name, part in schema.items() if name != "$schema"}
        return evolve(self, schema=schema, **changes)

    bounded.evolve = counting
    return bounded


def _keys(schema: Any) -> set[str]:
    found: set[str] = set()
    rest: list[Any] = [schema]
    while rest:
        one = rest.pop()
        if isinstance(one, Mapping):
            found |= one.keys()
            rest += one.values()
        elif isinstance(one, list):
            rest += one
    return found


def _hiding(value: Any, masked: Iterable[str]) -> Any:
    """A copy with ``Hidden`` at the masked places."""
    hidden = set(masked)

    def walk(one: Any, at: str) -> Any:
        if at in hidden:
            return Hidden(at)  # by its place, so that two of them are not the same
        if isinstance(one, Mapping):
            return {
                name: walk(part, f"{at}/{name.replace('~', '~0').replace('/', '~1')}")
                for name, part in one.items()
            }
        if isinstance(one, list):
            return [walk(part, f"{at}/{index}") for index, part in enumerate(one)]
        return one

    return walk(value, "")

"""Whether arguments fit a tool's JSON Schema: in bounded time, and never telling a value.

It runs inside workflows, on schemas and values that anybody may have made. So patterns are RE2's, and
steps are counted instead of seconds: a replay has to come to the same answer.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import UnknownType
from jsonschema.validators import extend, validator_for
from pydantic import JsonValue
from referencing import Registry
from referencing.exceptions import Unresolvable

from .keywords import OURS, CantBeApplied, Hidden, counted, limited, spend
from .misfit import told


def misfit(
    arguments: Mapping[str, JsonValue], schema: Mapping[str, Any], masked: Iterable[str] = ()
) -> str | None:
    """The first thing wrong with ``arguments``, without any of their values; None where they fit.

    Args:
        arguments: of a tool call.
        schema: the tool's JSON Schema, of any draft. Other documents are not fetched.
        masked: JSON pointers of values that fit whatever they are.

    Raises:
        CantBeApplied: the schema is broken, refers to something that is not there, has a pattern
            that RE2 doesn't know, or there is too much to check.
    """
    try:
        return _misfit(arguments, schema, masked)
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


def _misfit(
    arguments: Mapping[str, JsonValue], schema: Mapping[str, Any], masked: Iterable[str]
) -> str | None:
    known = _keys(schema)
    if {"patternProperties", "unevaluatedProperties"} <= known:
        # The library looks for those patterns by itself, with expressions that may never end.
        raise CantBeApplied("patternProperties and unevaluatedProperties don't go together")
    draft = _bounded(validator_for(schema, Draft202012Validator))
    with limited():
        # With a registry of its own, an empty one: by default a reference would be fetched.
        validator = draft(schema, registry=Registry())
        error = next(validator.iter_errors(_hiding(arguments, masked)), None)
        return None if error is None else told(error)


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

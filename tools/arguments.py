"""A tool call's arguments, read strictly: what could be read in two ways runs nowhere."""

import json
from typing import Any

from pydantic import JsonValue

from clearance import contract
from clearance.fields import canonical_json, depth
from clearance.text import one_line

Arguments = dict[str, JsonValue]


def parse(name: str, raw: str) -> Arguments:
    """The arguments of a call of ``name``, as one JSON object.

    Args:
        name: of the tool, for the sentence about what is wrong.
        raw: as the model wrote them; nothing at all stands for no arguments.

    Raises:
        ValueError: they are no JSON object, name something twice, hold what JSON has no word for
            (NaN, a number beyond all floats, half of a surrogate pair), or are nested too deep.
    """
    try:
        arguments: JsonValue = json.loads(
            raw or "{}", parse_constant=_no_such_number, object_pairs_hook=_once_each
        )
        if not isinstance(arguments, dict):
            raise ValueError("not an object")
        # Before anything else walks through them: what writes and compares them does so recursively.
        if depth(arguments) > contract.MAX_ARGUMENTS_DEPTH:
            raise RecursionError
        canonical_json(arguments).encode()
    except RecursionError as error:
        limit = contract.MAX_ARGUMENTS_DEPTH
        raise ValueError(f"the arguments of {name} are nested more than {limit} deep") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"the arguments of {name} are not JSON: {error}") from error
    except UnicodeEncodeError as error:
        raise ValueError(f"the arguments of {name} hold half of a surrogate pair") from error
    except ValueError as error:
        raise ValueError(f"the arguments of {name} can't be taken: {error}") from error
    return arguments


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names differ: of two, one reader takes the first and another the last."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{one_line(twice, 80)!r} is there twice")
    return found


def _no_such_number(word: str) -> float:
    raise ValueError(f"{word} is no number in JSON")

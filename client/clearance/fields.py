"""Kinds of values that several models have: names, and JSON that is compared and measured."""

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import AfterValidator, JsonValue, StringConstraints

from . import contract, text


def canonical_json(value: JsonValue) -> str:
    """JSON with sorted keys, no spaces, UTF-8 kept: equal values give equal text.

    Raises ValueError for NaN and infinities, which JSON has no word for.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def same_json(one: JsonValue, other: JsonValue) -> bool:
    """Whether two values are the same JSON; what is no JSON is the same as nothing."""
    try:
        return canonical_json(one) == canonical_json(other)
    except (TypeError, ValueError):
        return False


def digest_of(value: JsonValue) -> str:
    """SHA-256, in hexadecimal, of canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def _one_spelling(name: str) -> str:
    """A name in the one form that equal names have (Unicode's NFC), with nothing in it unseen."""
    name = unicodedata.normalize("NFC", name)
    bad = [c for c in name if text.control_characters(c) or "\ufe00" <= c <= "\ufe0f"]
    if bad:
        raise ValueError(f"contains the control character {bad[0]!r}: remove it")
    return name


PLAIN = frozenset({str, int, float, bool, type(None)})
"""Types of values with nothing inside. ``type`` is asked first wherever there may be 100,000 values:
inside a workflow ``isinstance`` is not the built-in one, and takes so long that a task may fail."""


def inside(value: JsonValue) -> Iterable[JsonValue]:
    """What stands in a list or an object, one level down; nothing for a plain value."""
    if type(value) in PLAIN:
        return ()
    if type(value) is list:
        return value
    if type(value) is dict or isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def depth(value: JsonValue) -> int:
    """How many lists and objects stand inside one another; 0 for a plain value."""
    levels = 0
    level = [value]
    while level := [one for one in level if type(one) not in PLAIN]:
        levels += 1
        level = [item for one in level for item in inside(one)]
    return levels


def check_details(details: str) -> None:
    """Raise ValueError for details that are too large to be shown."""
    if (size := len(details.encode())) > contract.MAX_DETAILS_BYTES:
        raise ValueError(
            f"details are {size:,} bytes, at most {contract.MAX_DETAILS_BYTES:,}: "
            "shorten them, or link to the document"
        )
    if len(json.dumps(details, ensure_ascii=False)) > 2 * contract.MAX_DETAILS_BYTES:
        raise ValueError("details are full of control characters: leave them out")


def check_arguments(arguments: Mapping[str, JsonValue]) -> None:
    """Raise ValueError for arguments that are no JSON, or too large or too deep to be shown."""
    try:
        size = len(canonical_json(dict(arguments)).encode())
    except ValueError as error:
        raise ValueError(f"arguments are not JSON: {error}") from error
    if size > contract.MAX_ARGUMENTS_BYTES:
        raise ValueError(
            f"arguments are {size:,} bytes of JSON, at most "
            f"{contract.MAX_ARGUMENTS_BYTES:,}: pass a reference to the data instead"
        )
    if (deep := depth(dict(arguments))) > contract.MAX_ARGUMENTS_DEPTH:
        raise ValueError(
            f"arguments are nested {deep} deep, at most {contract.MAX_ARGUMENTS_DEPTH}: "
            "flatten them"
        )


Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=contract.MAX_NAME_CHARS),
    AfterValidator(_one_spelling),
]
"""One line that names somebody or something, 1 to 200 characters, no control characters."""

Prose = Annotated[str, StringConstraints(max_length=contract.MAX_PROSE_CHARS)]
"""Text that a request repeats: at most 2,000 characters."""

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 in hexadecimal."""

Key = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_-]{1,64}$")]
"""Chosen by a sender so that what arrives twice is one: 1 to 64 letters, digits, ``_`` and ``-``."""

Condition = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=contract.MAX_CONDITION_CHARS),
]
"""A CEL expression: 1 to 500 characters."""

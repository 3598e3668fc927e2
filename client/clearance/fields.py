"""Kinds of values that several models have: names, and JSON that is compared and measured."""

import json
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


def _printable(name: str) -> str:
    if bad := text.control_characters(name):
        raise ValueError(f"contains the control character {bad[0]!r}: remove it")
    return name


def depth(value: JsonValue) -> int:
    """How many lists and objects stand inside one another; 0 for a plain value."""
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=contract.MAX_NAME_CHARS),
    AfterValidator(_printable),
]
"""One line that names somebody or something, 1 to 200 characters, no control characters."""

Prose = Annotated[str, StringConstraints(max_length=contract.MAX_PROSE_CHARS)]
"""Text that a request repeats: at most 2,000 characters."""

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 in hexadecimal."""

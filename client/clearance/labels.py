"""Arguments as a trace may have them: without secrets, and still comparable. Pure functions."""

import hashlib
import json
from typing import Any

from pydantic import JsonValue

from . import contract, mask
from .fields import canonical_json, depth

_DEEPEST = 18
"""Arguments nested deeper are written as a digest: the format takes 20 levels."""

_LONGEST = 900_000
"""Characters of JSON, beyond which it is the same: a line of the format has a megabyte."""


class Labels:
    """A name for each secret: the same for the same value, and nothing else is told of it.

    No digest: of a PIN or a weak password anybody could try them all.
    """

    def __init__(self, names: frozenset[str]) -> None:
        """Secrets are told by the ``names`` of arguments."""
        self._names = names
        self._known: dict[str, str] = {}

    def of(self, arguments: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """The arguments as they may be written."""
        if (levels := depth(arguments)) > contract.MAX_ARGUMENTS_DEPTH:
            return {"nested": levels}  # nobody was asked about it: no request takes that
        shown, _ = mask.conceal(arguments, self._names)
        labelled: Any = self._walk(shown, arguments)
        whole = json.dumps(labelled, sort_keys=True)
        if levels > _DEEPEST or len(whole) > _LONGEST or not _is_text(labelled):
            return {"sha256": hashlib.sha256(whole.encode()).hexdigest()}
        return dict(labelled)

    def _walk(self, shown: JsonValue, real: JsonValue) -> JsonValue:
        if shown == mask.MASK and real != mask.MASK:
            key = json.dumps(real, sort_keys=True)
            return self._known.setdefault(key, f"[masked: value {len(self._known) + 1}]")
        if isinstance(shown, dict) and isinstance(real, dict):
            return {name: self._walk(value, real[name]) for name, value in shown.items()}
        if isinstance(shown, list) and isinstance(real, list):
            return [self._walk(*pair) for pair in zip(shown, real, strict=True)]
        return shown


def _is_text(value: JsonValue) -> bool:
    """Whether it can be written as UTF-8, which has no half characters."""
    try:
        canonical_json(value).encode()
    except ValueError:
        return False
    return True

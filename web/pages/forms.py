"""What a form of a page has sent, and the reading of what was typed in it."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import FormData

from clearance import InvalidRequest


class Misfit(InvalidRequest):
    """Something typed doesn't do. ``fields`` says what is wrong beside which."""

    def __init__(self, message: str, fields: Mapping[str, str]) -> None:
        """Keep ``fields`` beside the text."""
        super().__init__(message)
        self.fields = dict(fields)


class Form:
    """A form that was sent."""

    def __init__(self, data: FormData) -> None:
        """With all that came."""
        self._data = data

    def __contains__(self, name: str) -> bool:
        """Whether a field of this name came."""
        return name in self._data

    def raw(self, name: str) -> str:
        """A field as it came; empty where it didn't. Of several the last: a button's after its form's."""
        values = [one for one in self._data.getlist(name) if isinstance(one, str)]
        return values[-1] if values else ""

    def text(self, name: str) -> str:
        """A field with the line ends that were typed, and not those that browsers send."""
        return self.raw(name).replace("\r\n", "\n")

    @property
    def do(self) -> str:
        """What is to be done."""
        return self.raw("do")


def parsed(text: str) -> Any:
    """JSON as the standard has it: no NaN, and no name twice in an object. Raises ValueError."""
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_name_twice)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no number")


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found

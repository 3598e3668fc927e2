"""Values of a TOML document taken one by one; what is wrong is kept, and told all at once."""

import difflib
from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter, ValidationError

from clearance.fields import Name
from clearance.text import one_line

from .lines import Place
from .reading import BrokenPolicy, Document

_HINTS = 20
"""Faults that say what may be meant: each takes a look at up to 10,000 names."""

_ALIKE = 0.85
"""How much two names have to have in common; people of one domain have a lot."""

_NAME: TypeAdapter[str] = TypeAdapter(Name)


class Entries:
    """A document and its faults. ``place`` is as in ``lines``; ``what`` is its name in a fault.

    Whatever is taken from it is None, or left out, where it was a fault.
    """

    def __init__(self, read_as: Document) -> None:
        """Nothing is wrong so far."""
        self._document = read_as
        self._faults: list[tuple[Place, str]] = []
        self._hints = _HINTS

    @property
    def raw(self) -> dict[str, Any]:
        """All of the document."""
        return self._document.raw

    def check(self) -> None:
        """Raise BrokenPolicy with every fault, in the file's order, if there is any."""
        if self._faults:
            name, lines = self._document.name, self._document.lines
            found = [(lines.of(place), said) for place, said in self._faults]
            found.sort(key=lambda one: one[0])
            raise BrokenPolicy([f"{name}:{line}: {said}" for line, said in found])

    def fault(self, place: Place, said: str) -> None:
        """Keep a fault."""
        self._faults.append((place, one_line(said, 1_000)))

    def name(self, place: Place, what: str, value: Any) -> str | None:
        """A ``clearance.fields.Name``, case-folded."""
        try:
            return _NAME.validate_python(value, strict=True).casefold()
        except ValidationError as error:
            said = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        self.fault(place, f"{what}: {one_line(said, 200)}")
        return None

    def items(self, place: Place, what: str, value: Any) -> list[tuple[Place, str, Any]]:
        """What is in a list, each with its place and what it is called in a fault."""
        if isinstance(value, list):
            return [((*place, n), f"{what}, number {n + 1}", one) for n, one in enumerate(value)]
        self.fault(place, f'{what}: write a list: ["ada@example.com"]')
        return []

    def table(self, key: str, most: int) -> dict[str, Any]:
        """What is in a table of the document, empty where it isn't there."""
        value = self.raw.get(key, {})
        if not isinstance(value, dict):
            self.fault((key,), f"{key}: write a table: [{key}]")
            return {}
        if len(value) > most:
            self.fault((key,), f"{key}: {len(value):,} of them, at most {most:,}")
        return value

    def only(self, place: Place, what: str, given: Iterable[str], keys: tuple[str, ...]) -> None:
        """Keep a fault for each key that isn't one of these."""
        for key in given:
            if key not in keys:
                hint = self.hint(key, keys, 0.6) or f": the keys are {', '.join(keys)}"
                said = f'unknown key "{one_line(key, 80)}"{hint}'
                self.fault((*place, key), f"{what}: {said}" if what else said)

    def hint(self, name: str, known: Iterable[str], cutoff: float = _ALIKE) -> str:
        """Which of the known names may be meant; empty where none is like it."""
        self._hints -= 1
        near = difflib.get_close_matches(name, known, 1, cutoff) if self._hints >= 0 else []
        return f': did you mean "{near[0]}"?' if near else ""

"""Where in a TOML text its keys stand; ``tomllib`` tells only what they hold."""

import re
import tomllib
from collections.abc import Iterator, Sequence

_TOKEN = re.compile(
    r'''
      """(?:[^"\\]++|\\.|"{1,2}(?!"))*+"{3,5}    # strings of several lines may hold anything
    | \'\'\'(?:[^']++|'{1,2}(?!'))*+'{3,5}
    | "(?:[^"\\\n]++|\\.)*+" | '[^'\n]*+'
    | \#[^\n]*+
    | (?P<open>[\[{]) | (?P<close>[\]}]) | (?P<end>\n)
    | [^"'\#\[\]{}\n]++ | .
    ''',
    re.VERBOSE | re.DOTALL,
)
_PART = r"""(?:"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'|[A-Za-z0-9_-]++)"""
_PARTS = re.compile(_PART)
_NAME = rf"[ \t]*+({_PART}(?:[ \t]*+\.[ \t]*+{_PART})*+)[ \t]*+"
_KEY = re.compile(rf"{_NAME}=")
_HEADER = re.compile(rf"[ \t]*+(\[\[?){_NAME}\]")

_DEEPEST = 10
"""So many names of a dotted key are looked at; what is deeper stands in one of these."""

Place = tuple[int | str, ...]


class Lines:
    """Line numbers of the keys and tables of a text, however they are nested."""

    def __init__(self, text: str) -> None:
        """Look through ``text``, valid TOML, once."""
        self._known: dict[Place, int] = {}
        self._counts: dict[Place, int] = {}  # of the tables in each [[array]]
        table: Place = ()
        for line, start in _statements(text):
            if header := _HEADER.match(text, start):
                table = self._table(header[1] == "[[", _names(header[2]), line)
            elif key := _KEY.match(text, start):
                self._note(table, _names(key[1]), line)

    def of(self, place: Sequence[int | str]) -> int:
        """The line of a place, or of the innermost of what it stands in; 1 where none is known.

        A place is what pydantic calls one: ``("checkpoint", 1, "stage", 0, "when")`` is the key
        ``when`` of the first ``[[checkpoint.stage]]`` under the second ``[[checkpoint]]``.
        """
        whole = tuple(place[: 2 * _DEEPEST])  # each name of a known place may have an index
        ends = range(len(whole), 0, -1)
        return next((self._known[whole[:end]] for end in ends if whole[:end] in self._known), 1)

    def _table(self, is_array: bool, names: list[str], line: int) -> Place:
        """Note a table's header; where the keys after it belong."""
        if not is_array:
            return self._note((), names, line)
        array = (*self._note((), names[:-1], line), names[-1])
        index = self._counts.get(array, 0)
        self._counts[array] = index + 1
        self._known.setdefault(array, line)
        self._known[*array, index] = line
        return (*array, index)

    def _note(self, table: Place, names: list[str], line: int) -> Place:
        """Note each part of a dotted name as standing here, unless it stood somewhere before."""
        place = table
        for name in names:
            place = (*place, name)
            self._known.setdefault(place, line)
            if place in self._counts:  # [checkpoint.x] is about the last [[checkpoint]]
                place = (*place, self._counts[place] - 1)
        return place


def _statements(text: str) -> Iterator[tuple[int, int]]:
    """Number and beginning of each line that begins outside of any string, list or inline table."""
    line, depth, start = 1, 0, 0
    for token in _TOKEN.finditer(text):
        if token.start() == start and depth == 0:
            yield line, start
        line += token[0].count("\n")
        depth += bool(token["open"]) - bool(token["close"])
        if token["end"]:
            start = token.end()


def _names(dotted: str) -> list[str]:
    return [_name(part) for part in _PARTS.findall(dotted)[:_DEEPEST]]


def _name(part: str) -> str:
    if part[0] == '"' and "\\" in part:
        return next(iter(tomllib.loads(f"{part} = 0")))
    return part[1:-1] if part[0] in "\"'" else part

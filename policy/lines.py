"""Where in a TOML text its keys stand; ``tomllib`` tells only what they hold."""

import re
import tomllib
from collections.abc import Sequence

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
_PART = r"""("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)"""
_KEY = re.compile(rf"\s*{_PART}\s*[=.]")
_HEADER = re.compile(rf"\s*(\[\[?)\s*{_PART}\s*([\].])(?:\s*{_PART})?")


class Lines:
    """Line numbers of the top-level keys and the ``[[checkpoint]]`` tables of a text."""

    def __init__(self, text: str) -> None:
        """Look through ``text``, valid TOML, once."""
        self._keys: dict[str, int] = {}
        self._tables: list[dict[str, int]] = []
        self._headers: list[int] = []
        keys = self._keys
        for line, statement in _statements(text):
            if found := _HEADER.match(statement):
                keys = self._table(found, line)
            elif found := _KEY.match(statement):
                keys.setdefault(_name(found[1]), line)

    def of(self, place: Sequence[int | str]) -> int:
        """The line of a place like ``("checkpoint", 3, "when")``, or of what it stands in."""
        name, index, key = (*place, None, None, None)[:3]
        if name == "checkpoint" and isinstance(index, int) and index < len(self._headers):
            return self._tables[index].get(str(key), self._headers[index])
        return self._keys.get(str(name), 1)

    def _table(self, header: re.Match[str], line: int) -> dict[str, int]:
        """Note a table's header; where the keys after it belong."""
        brackets, name, closed, below = header[1], _name(header[2]), header[3], header[4]
        if name == "checkpoint" and brackets == "[[" and closed == "]":
            self._headers.append(line)
            self._tables.append({})
            return self._tables[-1]
        if name == "checkpoint" and closed == "." and self._tables and below:
            self._tables[-1].setdefault(_name(below), line)  # [checkpoint.x] is about the last one
        else:
            self._keys.setdefault(name, line)
        return {}


def _statements(text: str) -> list[tuple[int, str]]:
    """Each line, with its number, that begins outside of any string, list or inline table."""
    found, line, depth, start = [], 1, 0, 0
    for token in _TOKEN.finditer(text):
        if token.start() == start and depth == 0:
            # What follows on the same line: enough to see a key, however long its value is.
            found.append((line, text[start : start + 1_000].split("\n", 1)[0]))
        line += token[0].count("\n")
        depth += bool(token["open"]) - bool(token["close"])
        if token["end"]:
            start = token.end()
    return found


def _name(part: str) -> str:
    return next(iter(tomllib.loads(f"{part} = 0"))) if part[0] in "\"'" else part

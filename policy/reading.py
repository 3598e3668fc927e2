"""Reading a TOML file of ours: its bytes, its text, and what is no TOML with its line."""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from clearance import ClearanceError
from clearance.text import one_line

from .lines import Lines

MAX_FILE_BYTES = 1_500_000
"""Of a policy or a directory of reviewers."""

_AT = re.compile(r" \(at line (\d+), column (\d+)\)$| \(at end of document\)$")


class BrokenPolicy(ClearanceError):
    """A file that can't be used. ``problems`` has a line for each fault: file, line, what."""

    def __init__(self, problems: Sequence[str]) -> None:
        """Keep them; the text of the error is all of them."""
        super().__init__("\n".join(problems))
        self.problems = list(problems)


@dataclass(frozen=True)
class Document:
    """A TOML file that has been read."""

    name: str
    """The file, as its path was given, on one line."""

    text: str

    raw: dict[str, Any]
    """What it holds, as ``tomllib`` gives it."""

    @cached_property
    def lines(self) -> Lines:
        """Where its keys stand; looked for only when there is a fault to tell."""
        return Lines(self.text)


def read(path: Path, *, why: str = "") -> bytes:
    """The bytes of a file; ``why`` ends what is said of one that is too large.

    Raises:
        BrokenPolicy: it can't be read, or has more than 1,500,000 bytes.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BrokenPolicy([f"{one_line(str(path))}: can't be read: {reason}"]) from error
    check_size(data, str(path), why=why)
    return data


def check_size(data: bytes, source: str, *, why: str = "") -> None:
    """Raise BrokenPolicy for more than 1,500,000 bytes."""
    if len(data) > MAX_FILE_BYTES:
        raise BrokenPolicy([f"{one_line(source)}: larger than {MAX_FILE_BYTES:,} bytes{why}"])


def document(data: bytes, source: str) -> Document:
    """What the bytes of a file hold; ``source`` names it in problems.

    Raises:
        BrokenPolicy: they are no UTF-8, no TOML, or nested too deep.
    """
    name = one_line(source)
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BrokenPolicy([f"{name}:{line}: not UTF-8: save the file as UTF-8"]) from error
    try:
        return Document(name, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise BrokenPolicy([_syntax(name, text, str(error))]) from error
    except RecursionError as error:
        raise BrokenPolicy([f"{name}: nested too deep"]) from error


def _syntax(name: str, text: str, said: str) -> str:
    where = _AT.search(said)
    what = one_line(_AT.sub("", said), 200)
    if where and where[1]:
        return f"{name}:{where[1]}: not TOML: {what} (column {where[2]})"
    last = text.rstrip("\n").count("\n") + 1
    return f"{name}:{last}: not TOML: {what} (at the end of the file)"

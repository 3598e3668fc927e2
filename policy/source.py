"""Reading a policy file: every fault of it at once, each with its line."""

import difflib
import hashlib
import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from clearance import ClearanceError
from clearance.text import one_line

from .lines import Lines
from .model import Checkpoint, Policy

MAX_POLICY_BYTES = 1_500_000
"""A run carries its policy as one payload, of which Temporal takes 2 MB."""

_SHIPPED = Path(__file__).with_name("checkpoints.toml")

SAMPLE = _SHIPPED if _SHIPPED.is_file() else Path(__file__).parents[1] / "checkpoints.toml"
"""The sample policy: beside this file in an installed package, at the root of the repository."""

_AT = re.compile(r" \(at line (\d+), column (\d+)\)$| \(at end of document\)$")


class BrokenPolicy(ClearanceError):
    """A policy file that can't be used. ``problems`` has a line for each fault: file, line, what."""

    def __init__(self, problems: Sequence[str]) -> None:
        """Keep them; the text of the error is all of them."""
        super().__init__("\n".join(problems))
        self.problems = list(problems)


class Pinned(BaseModel):
    """A policy as it was read once: what a run keeps until its end."""

    model_config = ConfigDict(frozen=True)

    digest: str
    """SHA-256, in hexadecimal, of the file's bytes."""

    source: str
    """The file, as its path was given."""

    policy: Policy

    def __hash__(self) -> int:
        """By the digest; equality still compares all of it."""
        return hash(self.digest)


def load(path: Path) -> Pinned:
    """Read a policy file. An empty one is a policy too: everything waits for a person.

    Raises:
        BrokenPolicy: it can't be read, is too large, or anything in it is wrong.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_POLICY_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BrokenPolicy([f"{one_line(str(path))}: can't be read: {reason}"]) from error
    return _parse(data, str(path))


def parse(text: str, source: str) -> Pinned:
    """The policy that ``text`` holds; ``source`` names it in problems. Raises BrokenPolicy."""
    return _parse(text.encode(errors="surrogatepass"), source)


def _parse(data: bytes, source: str) -> Pinned:
    name = one_line(source)
    if len(data) > MAX_POLICY_BYTES:
        limit = f"{MAX_POLICY_BYTES:,}"
        raise BrokenPolicy([f"{name}: larger than {limit} bytes: no run could carry it"])
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BrokenPolicy([f"{name}:{line}: not UTF-8: save the file as UTF-8"]) from error
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BrokenPolicy([_syntax(name, text, str(error))]) from error
    except RecursionError as error:
        raise BrokenPolicy([f"{name}: nested too deep"]) from error
    try:
        policy = Policy.model_validate(raw)
    except ValidationError as error:
        found = [f"{name}:{line}: {what}" for line, what in _problems(raw, error, Lines(text))]
        raise BrokenPolicy(found) from error
    pinned = Pinned(digest=hashlib.sha256(data).hexdigest(), source=source, policy=policy)
    if (size := len(pinned.model_dump_json(exclude_defaults=True).encode())) > MAX_POLICY_BYTES:
        limit = f"{size:,} bytes as JSON, at most {MAX_POLICY_BYTES:,}"
        raise BrokenPolicy([f"{name}: takes {limit}: no run could carry it"])
    return pinned


def _syntax(name: str, text: str, said: str) -> str:
    where = _AT.search(said)
    what = one_line(_AT.sub("", said), 200)
    if where and where[1]:
        return f"{name}:{where[1]}: not TOML: {what} (column {where[2]})"
    last = text.rstrip("\n").count("\n") + 1
    return f"{name}:{last}: not TOML: {what} (at the end of the file)"


def _problems(
    raw: dict[str, Any], error: ValidationError, lines: Lines
) -> Iterator[tuple[int, str]]:
    """Line and words of everything that is wrong, in the file's order."""
    found = list(_repeated(raw, lines))
    found += [
        (lines.of(fault["loc"]), _words(fault, raw))
        for fault in error.errors(include_url=False, include_input=False)
        if fault["loc"]  # the one of the whole is about repeated ids, told above with lines
    ]
    yield from sorted(found, key=lambda one: one[0])


def _repeated(raw: dict[str, Any], lines: Lines) -> Iterator[tuple[int, str]]:
    first: dict[str, int] = {}
    for index, one in enumerate(_checkpoints(raw)):
        id = one.get("checkpoint_id") if isinstance(one, dict) else None
        if not isinstance(id, str):
            continue
        line = lines.of(("checkpoint", index, "checkpoint_id"))
        if (before := first.setdefault(id.strip(), line)) != line:
            text = f'checkpoint "{one_line(id, 80)}": already the id of the one on line {before}'
            yield line, text


def _words(fault: ErrorDetails, raw: dict[str, Any]) -> str:
    """One fault: which checkpoint, which key, what is wrong."""
    place = list(fault["loc"])
    prefix, known = "", list(Policy.model_fields)
    if place[0] == "checkpoint" and len(place) > 1:
        index = int(place[1])
        one = _checkpoints(raw)[index]
        id = one.get("checkpoint_id") if isinstance(one, dict) else None
        prefix = f'checkpoint "{one_line(id, 80)}": ' if isinstance(id, str) else ""
        prefix = prefix or f"checkpoint {index + 1}: "
        place, known = place[2:], list(Checkpoint.model_fields)
    key = one_line(str(place[0]), 80) if place else ""
    if fault["type"] == "missing":
        return f"{prefix}{key} is missing"
    if fault["type"] == "extra_forbidden":
        return f'{prefix}unknown key "{key}"{_hint(key, known)}'
    if place == ["checkpoint"] and isinstance(raw["checkpoint"], dict):
        return "checkpoint: write [[checkpoint]], in two pairs of brackets"
    where = "".join(f", number {part + 1}" for part in place[1:] if isinstance(part, int))
    said = one_line(fault["msg"].removeprefix("Value error, "), 400)
    return f"{prefix}{key}{where}: {said}" if key else f"{prefix}{said}"


def _hint(key: str, known: list[str]) -> str:
    if near := difflib.get_close_matches(key, known, 1):
        return f': did you mean "{near[0]}"?'
    if key in Policy.model_fields:
        return ": it belongs above the first [[checkpoint]]"
    if key in Checkpoint.model_fields:
        return ": it belongs under a [[checkpoint]]"
    return f": the keys are {', '.join(known)}"


def _checkpoints(raw: dict[str, Any]) -> list[Any]:
    found = raw.get("checkpoint")
    return found if isinstance(found, list) else []

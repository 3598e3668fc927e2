"""Reading a policy file: every fault of it at once, each with its line."""

import contextlib
import difflib
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from clearance.signatures import DecisionKeys, unset
from clearance.text import one_line

from .contradictions import contradictions
from .lines import Lines
from .model import Checkpoint, Policy
from .reading import MAX_FILE_BYTES, Document, check_size, document, read
from .reading import BrokenPolicy as BrokenPolicy
from .terms import StageKeys

MAX_POLICY_BYTES = MAX_FILE_BYTES
"""A run carries its policy as one payload, of which Temporal takes 2 MB."""

_WHY = ": no run could carry it"

_SHIPPED = Path(__file__).with_name("checkpoints.toml")

SAMPLE = _SHIPPED if _SHIPPED.is_file() else Path(__file__).parents[1] / "checkpoints.toml"
"""The sample policy: beside this file in an installed package, at the root of the repository."""


class Pinned(BaseModel):
    """A policy as it was read once: what a run keeps until its end."""

    model_config = ConfigDict(frozen=True)

    digest: str
    """SHA-256, in hexadecimal, of the file's bytes."""

    source: str
    """The file, as its path was given."""

    policy: Policy

    decision_keys: DecisionKeys = Field((), exclude_if=unset)
    """What the run's requests pin, by the worker's own setting: not for whoever starts a run to say."""

    def __hash__(self) -> int:
        """By the digest; equality still compares all of it."""
        return hash(self.digest)


def load(path: Path) -> Pinned:
    """Read a policy file. An empty one is a policy too: everything waits for a person.

    Raises:
        BrokenPolicy: it can't be read, is too large, or anything in it is wrong.
    """
    return _parse(read(path, why=_WHY), str(path))


def parse(text: str, source: str) -> Pinned:
    """The policy that ``text`` holds; ``source`` names it in problems. Raises BrokenPolicy."""
    return _parse(text.encode(errors="surrogatepass"), source)


def _parse(data: bytes, source: str) -> Pinned:
    check_size(data, source, why=_WHY)
    read_as = document(data, source)
    name = read_as.name
    try:
        policy = Policy.model_validate(read_as.raw)
    except ValidationError as error:
        told = error.errors(include_url=False, include_input=False)
        raise BrokenPolicy(_problems(read_as, told)) from error
    if found := _problems(read_as, []):
        raise BrokenPolicy(found)
    pinned = Pinned(digest=hashlib.sha256(data).hexdigest(), source=source, policy=policy)
    if (size := len(pinned.model_dump_json(exclude_defaults=True).encode())) > MAX_POLICY_BYTES:
        limit = f"{size:,} bytes as JSON, at most {MAX_POLICY_BYTES:,}"
        raise BrokenPolicy([f"{name}: takes {limit}: no run could carry it"])
    return pinned


def _problems(file: Document, told: list[ErrorDetails]) -> list[str]:
    """Everything that is wrong, each with its line, in the file's order; ``told`` by the models."""
    found = list(_repeated(file.raw, file.lines))
    found += [
        (file.lines.of(fault["loc"]), _words(fault, file.raw))
        for fault in told
        if fault["loc"]  # the one of the whole is about repeated ids, told above with lines
    ]
    for index, one in enumerate(_checkpoints(file.raw)):
        with contextlib.suppress(ValidationError):  # told already
            for place, what in contradictions(Checkpoint.model_validate(one)):
                at = ("checkpoint", index, *place)
                found.append((file.lines.of(at), _said(at, what, file.raw)))
    return [f"{file.name}:{line}: {what}" for line, what in sorted(found, key=lambda one: one[0])]


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
    """One fault that the models told: which checkpoint, which key, what is wrong."""
    prefix, place, keys = _inside(fault["loc"], raw)
    key = one_line(str(place[0]), 80) if place else ""
    if fault["type"] == "missing":
        return f"{prefix}{key} is missing"
    if fault["type"] == "extra_forbidden":
        return f'{prefix}unknown key "{key}"{_hint(key, keys)}'
    tables = {"checkpoint": "[[checkpoint]]", "stage": "[[checkpoint.stage]]"}
    if fault["type"] == "tuple_type" and len(place) == 1 and key in tables:
        return f"{prefix}{key}: write {tables[key]}, in two pairs of brackets"
    return _said(fault["loc"], fault["msg"].removeprefix("Value error, "), raw)


def _said(place: Sequence[int | str], what: str, raw: dict[str, Any]) -> str:
    """``what``, after the words for where it is."""
    prefix, inside, _ = _inside(place, raw)
    said = one_line(what, 400)
    if not inside:
        return f"{prefix}{said}"
    key = one_line(str(inside[0]), 80)
    where = "".join(f", number {part + 1}" for part in inside[1:] if isinstance(part, int))
    begins = said.startswith((f"{key} ", f"{key}:"))
    return f"{prefix}{said}" if begins else f"{prefix}{key}{where}: {said}"


def _inside(
    place: Sequence[int | str], raw: dict[str, Any]
) -> tuple[str, list[int | str], type[BaseModel]]:
    """Which table a place is in: its name, the rest of the place, and the model of such tables."""
    rest, prefix, of = list(place), "", raw
    kinds: list[tuple[str, str, type[BaseModel]]] = [
        ("checkpoint", "checkpoint_id", Checkpoint),
        ("stage", "name", StageKeys),
    ]
    keys: type[BaseModel] = Policy
    for table, name, model in kinds:
        if rest[:1] != [table] or len(rest) < 2:
            break
        index, keys = int(rest[1]), model
        found = of[table][index]
        of = found if isinstance(found, dict) else {}
        id = of.get(name)
        prefix += f'{table} "{one_line(id, 80)}": ' if isinstance(id, str) else ""
        prefix += "" if isinstance(id, str) else f"{table} {index + 1}: "
        rest = rest[2:]
    return prefix, rest, keys


def _hint(key: str, of: type[BaseModel]) -> str:
    stage_only = key in StageKeys.model_fields and key not in Checkpoint.model_fields
    if of is not Policy and key in Policy.model_fields:
        return ": it belongs above the first [[checkpoint]]"
    if of is StageKeys and key in Checkpoint.model_fields:
        return ": it belongs above the first [[checkpoint.stage]]"
    if of is Checkpoint and stage_only:
        return ": it belongs under a [[checkpoint.stage]]"
    if of is Policy and key in Checkpoint.model_fields:
        return ": it belongs under a [[checkpoint]]"
    if near := difflib.get_close_matches(key, of.model_fields, 1):
        return f': did you mean "{near[0]}"?'
    return f": the keys are {', '.join(sorted(of.model_fields))}"


def _checkpoints(raw: dict[str, Any]) -> list[Any]:
    found = raw.get("checkpoint")
    return found if isinstance(found, list) else []

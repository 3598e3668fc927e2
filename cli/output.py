"""What the command line prints: lines for a person, JSON for programs; ``cli/tables.py`` draws tables."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from clearance import ApprovalSummary, Grant, values
from clearance.models import Change
from clearance.text import one_line, visible


def say(text: str) -> None:
    """One line for a person, on standard error, so that standard output stays for results."""
    print(visible(text), file=sys.stderr, flush=True)  # noqa: T201


def ask(question: str) -> None:
    """A question for a person, on standard error; the answer is typed behind it."""
    print(one_line(question) + " ", end="", file=sys.stderr, flush=True)  # noqa: T201


def out(text: str) -> None:
    """One line of result."""
    print(visible(text), flush=True)  # noqa: T201


def show_changes(changes: Sequence[Change]) -> None:
    """What a reviewer is about to change, on standard error."""
    from .tables import console, entry_lines  # here: few change anything

    console(stderr=True).print(entry_lines(values.differences(changes)))


def print_json(value: BaseModel | Sequence[BaseModel] | dict[str, Any] | list[Any]) -> None:
    """The value as indented JSON, ASCII only: no character in it can act on a terminal."""
    print(json.dumps(_plain(value), indent=2), flush=True)  # noqa: T201


def _plain(value: Any) -> Any:
    if isinstance(value, ApprovalSummary):
        deadline = value.deadline and value.deadline.isoformat()
        return {**value.model_dump(mode="json"), "deadline": deadline}
    if isinstance(value, Grant):
        return {**value.model_dump(mode="json"), "status": value.status(datetime.now(UTC))}
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value

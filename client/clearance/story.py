"""A request's record as a reader follows it: what happened, event by event. Pure functions."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from .text import one_line, visible
from .values import brief
from .views import ApprovalView, Event, EventKind

_TEXTS = ("commented", "asked", "answered")
"""What people wrote to each other: in full, in a block of its own."""

_TO_WHOM = ("notified", "refused", "reminded")
"""Done to somebody; all others are done by somebody."""

_WORD = re.compile(r"[^\s()\"]+")


class Told(NamedTuple):
    """One event, in words."""

    sequence: int
    at: datetime
    kind: EventKind
    line: str
    """What stands behind the kind, on one line: by whom, for whom, in which stage, how, and why."""
    block: str = ""
    """A comment, a question or an answer, as it was written, control characters made visible."""
    label: str = ""
    """What to call it: the kind, but of ``notified`` what it means."""


def story(view: ApprovalView) -> list[Told]:
    """Every event of a request, in order."""
    return [_told(event, view.request.stages) for event in view.events]


def _told(event: Event, stages: Sequence[object]) -> Told:
    if event.kind == "notified" and (untold := _untold(event)):
        label, line = untold
        return Told(event.sequence, event.at, event.kind, line, label=label)
    block = visible(event.reason) if event.kind in _TEXTS else ""
    why = "" if block else one_line(event.reason) or brief(event.changes)
    line = " ".join(part for part in (*_who(event), _stage(event, stages), _how(event)) if part)
    if why or block:
        line += f": {why}".rstrip()
    return Told(event.sequence, event.at, event.kind, line, block, event.kind)


def _untold(event: Event) -> tuple[str, str] | None:
    """Label and line of what a notifier says, which speaks up only where it failed; and of what the
    gate says of telling people. None of whatever else others send under that kind."""
    who, said = event.who or "", one_line(event.reason)
    for begin, label in (
        (f"could not tell {who} ", "not told:"),
        (f"{who} may not have been told ", "perhaps not told:"),
    ):
        if said.startswith(begin):
            return label, f"{_name(who)} {said.removeprefix(begin)}"
    return ("noted:", said) if (who, event.channel) == ("clearance", "engine") else None


def _who(event: Event) -> tuple[str, ...]:
    parts = []
    if event.who:
        who = _name(event.who)
        parts.append(who if event.kind in _TO_WHOM else f"by {who}")
    if event.on_behalf_of:
        parts.append(f"for {_name(event.on_behalf_of)}")
    if event.through:
        parts.append(f"as one of {_name(event.through)}")
    if event.to:
        to = _name(event.to) if event.kind == "delegated" else one_line(event.to)
        parts.append(to if event.kind in _TO_WHOM else f"to {to}")
    return tuple(parts)


def _name(name: str) -> str:
    """In quotation marks unless it is one plain word: ``bob for ada (cli)`` could be somebody's name."""
    line = one_line(name).translate({ord(mark): '"' for mark in "“”"})
    return line if _WORD.fullmatch(line) else f"“{line}”"


def _stage(event: Event, stages: Sequence[object]) -> str:
    """The stage that was asked then; only where there are several to tell apart."""
    if not (event.stage and stages) or event.kind == "created":
        return ""
    name = one_line(event.stage)
    return f"to stage {name}" if event.kind == "advanced" else f"in stage {name}"


def _how(event: Event) -> str:
    return f"({event.channel})"

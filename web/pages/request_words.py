"""How the page of a request puts things: whole sentences, to the person who reads them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from clearance import ApprovalView
from clearance.rules import may
from clearance.stages import folded
from clearance.story import Told, story
from clearance.text import one_line
from clearance.views import Event
from web.who import Who

_YOURS = {"is": "are", "has": "have", "was": "were"}

_OURS = ("engine", "timer", "grant")
"""Channels that no person came by: their names tell a reader nothing."""


@dataclass(frozen=True)
class End:
    """How a request ended, for one sentence."""

    verb: str
    """``approved``, ``rejected``, ``sent back for changes``, ``withdrawn``, ``expired``."""
    by: str
    """Empty where nobody did it, or it isn't known who."""
    at: datetime | None
    reason: str = ""
    """What they wrote; of an expiry what there is to say besides that nobody decided."""


def sentence(text: str, who: Who, view: ApprovalView) -> str:
    """What the gate says, with a capital letter at its beginning, and ``You`` for the reader's name."""
    text = text.removeprefix(f"{view.id} is ")
    first = text.partition(" ")[0]
    if text.startswith(f"{who.name} "):
        verb, gap, rest = text.removeprefix(f"{who.name} ").partition(" ")
        return f"You {_YOURS.get(verb, verb)}{gap}{rest}"
    if first.rstrip(":,").isalpha() and first.casefold() not in _people(view):
        return first[:1].upper() + text[1:]
    return text


def told(view: ApprovalView) -> list[tuple[Told, Event]]:
    """The record, event by event."""
    return [
        (_plain(one, event), event) for one, event in zip(story(view), view.events, strict=True)
    ]


def end_of(view: ApprovalView) -> End | None:
    """How it ended; None while it waits."""
    if view.status == "pending":
        return None
    if view.decision is not None:
        asked = view.decision.changes_requested
        verb = "sent back for changes" if asked else view.status
        return End(verb, view.decision.by, view.decision.at, view.decision.reason)
    last = next((one for one in reversed(view.events) if one.kind == view.status), None)
    at = last.at if last else None
    if view.status == "expired":
        more = view.explanation.removeprefix("nobody decided in time").strip()
        return End("expired", "", at or view.deadline, more)
    by = (last.who if last else "") or ""
    reason = view.explanation
    if by:
        reason = reason.removeprefix(f"withdrawn by {by}").removeprefix(": ")
    return End(view.status, by, at, reason)


def changed_by(view: ApprovalView) -> list[str]:
    """Who made the arguments what they are, in order."""
    found = [one.who for one in view.events if one.kind == "edited" and one.who]
    return list(dict.fromkeys(found))


def editor_counts(view: ApprovalView) -> bool:
    """Whether who changes the arguments may approve that as well."""
    return may(view.request, "editor")


def _plain(one: Told, event: Event) -> Told:
    if event.channel not in _OURS:
        return one
    before, _, after = one.line.partition(f"({event.channel})")
    return one._replace(line=f"{before.rstrip()}{after}".strip().removeprefix(": "))


def _people(view: ApprovalView) -> Collection[str]:
    stages: Iterable[str] = (
        name for one in view.request.chain for name in (*one.audience, *one.escalate_to)
    )
    handed = [name for one in view.delegations for name in (one.to, one.by, one.principal)]
    events = [one.who for one in view.events if one.who]
    asked = [view.request.requester] if view.request.requester else []
    return folded(one_line(name) for name in (*stages, *handed, *events, *asked))

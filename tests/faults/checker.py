"""What was acknowledged, held against what happened in the world. Pure: no clock, no server, no file."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from clearance.fields import digest_of

from .bank import Arrival
from .journal import Entry

COUNTED = ("approved", "rejected", "edited")
"""Events that a decision which counts leaves; ``edited`` alone where its changes are in, but the one who
made them may not approve them."""

_EXCUSE = 20.0
"""Seconds before a webhook's first answer in which a fault may have kept its sender from hearing it."""

_EVENT = re.compile(r"^(?:- )?(\S[^:?(]*[?:]) Pay (\S+)", re.MULTILINE)
"""A line of a mail: what is told, of which request."""


class Violation(NamedTuple):
    """Something that must not happen."""

    kind: str
    text: str


class Said(NamedTuple):
    """One event of a record, as far as it matters here."""

    kind: str
    who: str | None = None
    key: str | None = None


@dataclass(frozen=True)
class Seen:
    """A request as somebody tells it: Temporal, or the ledger."""

    id: str
    status: str
    digest: str
    """Of what may run: with a reviewer's changes."""
    tool: str | None = None
    run_id: str | None = None
    decided_by: str | None = None
    """The id of the decision that closed it."""
    events: tuple[Said, ...] = ()
    unreadable: str = ""
    """Why no worker can tell the record: then only what the server itself shows is above."""


@dataclass
class Shown:
    """The world at the end, after everything was healed and has come to rest."""

    requests: dict[str, Seen] = field(default_factory=dict)
    """By id, as Temporal has them."""
    ledger: dict[str, Seen] = field(default_factory=dict)
    ledger_faults: list[str] = field(default_factory=list)
    """What ``clearance audit verify`` and ``reconcile`` complain of."""
    runs: dict[str, str] = field(default_factory=dict)
    """By id, how they ended, in lower case."""
    payments: list[Arrival] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    mails: list[Entry] = field(default_factory=list)
    webhooks: list[Entry] = field(default_factory=list)


def check(journal: Sequence[Entry], shown: Shown) -> list[Violation]:
    """Every violation there is, none where all was kept that was promised."""
    return [
        *_unreadable(shown),
        *_decisions(journal, shown),
        *_actions(journal, shown),
        *_permits(journal),
        *_vanished(journal, shown),
        *_mails(shown),
        *_webhooks(journal, shown),
        *_ledger(shown),
    ]


def counts(journal: Sequence[Entry], shown: Shown) -> str:
    """How much was going on, in one line."""
    faults = Counter(one["kind"] for one in journal if one["what"] == "fault")
    kinds = ", ".join(f"{kind} {number}" for kind, number in sorted(faults.items()))
    answers = Counter(one["answer"] for one in journal if one["what"] == "answer")
    said = ", ".join(f"{kind} {number}" for kind, number in sorted(answers.items()))
    told = len(shown.mails) + sum(one["answered"] for one in shown.webhooks)
    return (
        f"faults {faults.total()} ({kinds}), requests {len(shown.requests)}, decisions "
        f"{answers.total()} ({said}), actions {len(shown.payments)}, told {told}"
    )


def _unreadable(shown: Shown) -> Iterator[Violation]:
    for seen in shown.requests.values():
        if seen.unreadable:
            yield Violation("unreadable", f"the record of {seen.id}: {seen.unreadable}")


def _decisions(journal: Sequence[Entry], shown: Shown) -> Iterator[Violation]:
    for one in journal:
        if one["what"] != "answer":
            continue
        seen = shown.requests.get(one["id"])
        if seen is None:
            yield Violation("lost decision", f"{_told(one)}; that request is nowhere")
            continue
        if seen.unreadable:
            continue
        events = Counter(event.kind for event in seen.events if event.key == one["key"])
        if max((events[kind] for kind in COUNTED), default=0) > 1:
            yield Violation("decided twice", f"{_told(one)}; its record has it twice")
        counted = any(events[kind] for kind in COUNTED)
        yield from _answer(one, seen, counted=counted, refused=bool(events["refused"]))


def _answer(one: Entry, seen: Seen, *, counted: bool, refused: bool) -> Iterator[Violation]:
    if one["answer"] == "in effect":
        if not counted:
            yield Violation("lost decision", f"{_told(one)}; its record doesn't have it")
        if one["status"] not in ("pending", seen.status):
            yield Violation("lost decision", f"{_told(one)}; the request is {seen.status} now")
    elif one["answer"] == "recorded" and not counted and not refused:
        yield Violation("forgotten", f"{_told(one)}; its record neither has nor refuses it")
    elif one["answer"] == "refused" and counted:
        events = ", ".join(f"{event.kind} {event.who}" for event in seen.events)
        yield Violation(
            "refused, yet counted", f"{_told(one)}; {seen.status}, its record has it: {events}"
        )


def _told(one: Entry) -> str:
    verdict = "approval" if one["approved"] else "rejection"
    said = f"{one['answer']} ({one['status']})" if one["status"] else one["answer"]
    return f"{one['reviewer']}'s {verdict} {one['key'][:8]} of {one['id']} was {said}"


def _actions(journal: Sequence[Entry], shown: Shown) -> Iterator[Violation]:
    free = {one["ref"] for one in journal if one["what"] == "free"}
    for key, arguments in shown.arrivals:
        if arguments["ref"] in free:
            continue
        seen = shown.requests.get(key)
        if seen is None or seen.status != "approved":
            is_now = seen.status if seen else "unknown"
            yield Violation("ran without approval", f"{arguments}: {key} is {is_now}")
        elif not seen.unreadable and seen.digest != digest_of(
            {"tool": seen.tool, "arguments": arguments}
        ):
            yield Violation("ran something else", f"{arguments}: not what {key} allows")
    effects = Counter(arguments["ref"] for _, arguments in shown.payments)
    for ref, number in effects.items():
        if number > 1:
            yield Violation("done twice", f"{ref} was paid {number} times")
    done = {key for key, _ in shown.payments}
    for seen in shown.requests.values():
        if seen.status == "approved" and seen.run_id and seen.tool and seen.id not in done:
            yield Violation("approved, not done", f"{seen.id} of the run {seen.run_id}")


def _permits(journal: Sequence[Entry]) -> Iterator[Violation]:
    takers: dict[str, set[str]] = defaultdict(set)
    for one in journal:
        if one["what"] == "permit":
            takers[one["id"]].add(one["taker"])
    for id, some in takers.items():
        if len(some) > 1:
            yield Violation("permit given twice", f"{id}: to {' and '.join(sorted(some))}")


def _vanished(journal: Sequence[Entry], shown: Shown) -> Iterator[Violation]:
    for one in journal:
        if one["what"] == "asked" and one["id"] not in shown.requests:
            yield Violation("vanished", f"the request {one['id']}")
        if one["what"] == "started" and shown.runs.get(one["id"]) != "completed":
            is_now = shown.runs.get(one["id"], "nowhere")
            yield Violation("run not finished", f"{one['id']} is {is_now}")


def _mails(shown: Shown) -> Iterator[Violation]:
    for id, number in Counter(one["id"] for one in shown.mails).items():
        if number > 1:
            yield Violation("told twice", f"the mail {id} came {number} times")
    told: Counter[tuple[str, str, str, str]] = Counter()
    for one in shown.mails:
        stage = "".join(re.findall(r"^Stage: (.*)$", one["text"], re.MULTILINE))
        for what, ref in set(_EVENT.findall(one["text"])):
            told.update((to, what, ref, stage) for to in one["to"])
    for (to, what, ref, _), number in told.items():
        if number > 1:
            yield Violation("told twice", f"{to} of {what} {ref}, {number} times")


def _webhooks(journal: Sequence[Entry], shown: Shown) -> Iterator[Violation]:
    """The same event comes under one id. Under that it may come again only where a fault kept its sender
    from hearing that it was taken."""
    faults = [one["at"] for one in journal if one["what"] in ("fault", "healed")]
    ids: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    answered: dict[str, float] = {}
    for one in shown.webhooks:
        data = one["data"]
        ids[data["id"], one["type"], str(data.get("stage"))].add(one["id"])
        first = answered.get(one["id"])
        if first is not None and not one["answered"]:
            if not any(first - _EXCUSE <= at <= one["at"] for at in faults):
                yield Violation("told twice", f"the event {one['id']} came again, though answered")
        elif one["answered"]:
            answered.setdefault(one["id"], one["at"])
    for (id, type, _), several in ids.items():
        if len(several) > 1:
            yield Violation("told twice", f"{type} of {id} came under {len(several)} ids")


def _ledger(shown: Shown) -> Iterator[Violation]:
    for fault in shown.ledger_faults:
        yield Violation("ledger fault", fault)
    for id, seen in shown.requests.items():
        if seen.unreadable:
            continue
        kept = shown.ledger.get(id)
        if kept is None:
            if seen.status != "pending":
                yield Violation("ledger skips", f"{id}, which is {seen.status}")
        elif (kept.status, kept.digest, kept.decided_by) != (
            seen.status,
            seen.digest,
            seen.decided_by,
        ):
            yield Violation("ledger lies", f"{id} is {seen.status}, in the ledger {kept.status}")
        elif missing := [one for one in seen.events if one not in kept.events]:
            yield Violation("ledger lies", f"{id}: it lacks {missing[0].kind} by {missing[0].who}")
    for id in shown.ledger.keys() - shown.requests.keys():
        yield Violation("ledger lies", f"{id}: nobody asked for that")

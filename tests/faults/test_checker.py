"""The checker finds each kind of violation, and none where there is none."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clearance.fields import digest_of

from .bank import Arrival, Bank, Payment
from .checker import Said, Seen, Shown, check, counts
from .faults import schedule
from .journal import Entry, Journal

ADA = "ada@example.com"

SUM: dict[str, Any] = {"kind": "plain", "cents": 5, "ref": "r.0"}

MAIL = {
    "at": 5.0,
    "id": "<1@clearance>",
    "to": [ADA],
    "subject": "Approve? Pay r.0",
    "text": "Approve? Pay r.0\n\nRisk: medium\nRequest: r.1\n\nSee and decide: http://here",
}


def answer(kind: str = "in effect", status: str = "approved", **how: Any) -> Entry:
    """What Ada was told."""
    said = {
        "what": "answer",
        "at": 2.0,
        "id": "r.1",
        "reviewer": ADA,
        "approved": True,
        "key": "k1",
    }
    return {**said, "answer": kind, "status": status, **how}


def event(at: float, *, answered: bool, id: str = "msg_1") -> Entry:
    """A webhook's line."""
    data = {"id": "r.1", "stage": None}
    return {"at": at, "id": id, "type": "approval.created", "data": data, "answered": answered}


def world() -> tuple[list[Entry], Shown]:
    """One in which everything is as it should be."""
    journal: list[Entry] = [
        {"what": "started", "at": 1.0, "id": "r"},
        {"what": "asked", "at": 1.5, "id": "r.1"},
        answer(),
        {"what": "permit", "at": 3.0, "id": "o", "taker": "agent"},
        {"what": "free", "at": 1.0, "ref": "r.free"},
    ]
    seen = Seen(
        id="r.1",
        status="approved",
        digest=digest_of({"tool": "pay", "arguments": SUM}),
        tool="pay",
        run_id="r",
        decided_by="k1",
        events=(Said("created"), Said("approved", ADA, "k1"), Said("executed")),
    )
    paid = [Arrival("r.1", SUM), Arrival("some-uuid", {**SUM, "ref": "r.free"})]
    shown = Shown(
        requests={"r.1": seen},
        ledger={"r.1": seen},
        runs={"r": "completed"},
        payments=paid,
        arrivals=[*paid, paid[0]],
        mails=[MAIL],
        webhooks=[event(5.0, answered=False), event(5.1, answered=True)],
    )
    return journal, shown


def change(**how: Any) -> Callable[[list[Entry], Shown], None]:
    """The request as Temporal has it, and the ledger, with something changed."""

    def apply(_: list[Entry], shown: Shown) -> None:
        shown.requests["r.1"] = shown.ledger["r.1"] = replace(shown.requests["r.1"], **how)

    return apply


def said(*entries: Entry) -> Callable[[list[Entry], Shown], None]:
    """Something more in the journal."""
    return lambda journal, _: journal.extend(entries)


def also(field: str, *more: Any) -> Callable[[list[Entry], Shown], None]:
    """Something more in the world."""
    return lambda _, shown: getattr(shown, field).extend(more)


def ledger(**how: Any) -> Callable[[list[Entry], Shown], None]:
    """The ledger tells it otherwise."""

    def apply(_: list[Entry], shown: Shown) -> None:
        shown.ledger["r.1"] = replace(shown.ledger["r.1"], **how)

    return apply


VIOLATIONS: dict[str, tuple[str, Callable[[list[Entry], Shown], None]]] = {
    "a decision isn't in the record": (
        "lost decision",
        change(events=(Said("created"),)),
    ),
    "a decision didn't last": ("lost decision", said(answer(status="rejected"))),
    "no worker can tell a record": ("unreadable", change(unreadable="nobody knows")),
    "the request of a decision is gone": ("lost decision", said(answer(id="other"))),
    "a decision counted twice": (
        "decided twice",
        change(events=(Said("approved", ADA, "k1"), Said("approved", ADA, "k1"))),
    ),
    "a recorded decision is neither kept nor refused": (
        "forgotten",
        said(answer("recorded", "pending", key="k2")),
    ),
    "a refused decision counts": ("refused, yet counted", said(answer("refused", ""))),
    "a rejected action ran": ("ran without approval", change(status="rejected", decided_by="k1")),
    "an action ran under a key of its own": (
        "ran without approval",
        also("arrivals", Arrival("no-approval", SUM)),
    ),
    "other arguments ran": (
        "ran something else",
        also("arrivals", Arrival("r.1", {**SUM, "cents": 500})),
    ),
    "an action was done again": ("done twice", also("payments", Arrival("another-key", SUM))),
    "an approved action was not done": (
        "approved, not done",
        lambda _, shown: shown.payments.clear(),
    ),
    "two takers have the same permission": (
        "permit given twice",
        said({"what": "permit", "at": 3.1, "id": "o", "taker": "rival"}),
    ),
    "a request is gone": ("vanished", said({"what": "asked", "at": 1.0, "id": "gone"})),
    "a run hangs": ("run not finished", lambda _, shown: shown.runs.update(r="running")),
    "a run is gone": ("run not finished", lambda _, shown: shown.runs.clear()),
    "a mail came twice": ("told twice", also("mails", MAIL)),
    "the same was said in two mails": (
        "told twice",
        also("mails", {**MAIL, "id": "<2@clearance>"}),
    ),
    "one of several in a mail was said before": (
        "told twice",
        also(
            "mails",
            {
                **MAIL,
                "id": "<3@clearance>",
                "subject": "Approvals: 2 to decide",
                "text": "- Approve? Pay r.0 (medium risk)\n  http://here\n- Approve? Pay r.9 (low)",
            },
        ),
    ),
    "an event came again though it was taken": (
        "told twice",
        also("webhooks", event(9.0, answered=False)),
    ),
    "an event came under another id": (
        "told twice",
        also("webhooks", event(9.0, answered=False, id="msg_2")),
    ),
    "the ledger doesn't verify": ("ledger fault", also("ledger_faults", "row 7: changed")),
    "the ledger lacks a request": ("ledger skips", lambda _, shown: shown.ledger.clear()),
    "the ledger has another end": ("ledger lies", ledger(status="rejected")),
    "the ledger has another decision": ("ledger lies", ledger(decided_by="k9")),
    "the ledger lacks an event": ("ledger lies", ledger(events=(Said("created"),))),
    "the ledger has a request of nobody's": (
        "ledger lies",
        lambda _, shown: shown.ledger.update(x=replace(shown.ledger["r.1"], id="x")),
    ),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_violation_is_found(name: str) -> None:
    kind, break_it = VIOLATIONS[name]
    journal, shown = world()
    break_it(journal, shown)

    assert kind in {one.kind for one in check(journal, shown)}


def test_nothing_is_found_where_all_is_well() -> None:
    assert check(*world()) == []


def test_what_is_allowed_is_no_violation() -> None:
    journal, shown = world()
    journal.append({"what": "fault", "at": 4.0, "kind": "kill a worker"})
    shown.webhooks += [
        event(9.0, answered=False),
        event(9.1, answered=True),
    ]  # its sender was killed
    other = replace(shown.requests["r.1"], id="w.1", status="pending", tool=None, decided_by=None)
    refused = replace(other, events=(Said("refused", ADA, "k2"),))
    shown.requests["w.1"] = refused  # waits, so that the ledger has nothing of it
    journal.append(answer("recorded", "pending", id="w.1", key="k2"))
    stage = "Approve? Pay r.0\n\nStage: director\n"
    shown.mails.append({**MAIL, "id": "<4@clearance>", "text": stage})

    assert check(journal, shown) == []


def test_how_much_was_going_on_is_told_in_a_line() -> None:
    journal, shown = world()
    journal += [{"what": "fault", "at": 4.0, "kind": kind} for kind in ("cut", "cut", "fill")]

    assert counts(journal, shown) == (
        "faults 3 (cut 2, fill 1), requests 1, decisions 1 (in effect 1), actions 2, told 2"
    )


def test_a_seed_is_one_schedule_in_which_every_kind_has_its_turn() -> None:
    kinds = ["kill", "cut", "fill"]
    once = schedule(3, kinds, 300)

    assert schedule(3, kinds, 300) == once != schedule(4, kinds, 300)
    assert {one.kind for one in once[:3]} == set(kinds)
    assert sum(one.after for one in once) < 300


def test_the_bank_pays_a_key_once_and_remembers_who_came(tmp_path: Path) -> None:
    bank = Bank(tmp_path / "bank.db")
    bank.pay(Payment(key="k", arguments={"cents": 5}))
    bank.pay(Payment(key="k", arguments={"cents": 9}), attempt=2)

    assert bank.payments() == [Arrival("k", {"cents": 5})]
    assert [arguments["cents"] for _, arguments in bank.arrivals()] == [5, 9]


def test_the_journal_is_read_as_it_was_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    assert journal.entries() == []
    journal.note("asked", id="r.1")

    [entry] = journal.entries()
    assert (entry["what"], entry["id"]) == ("asked", "r.1")

"""Requests and people as the tests of the pure rules know them. No server."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from clearance import ApprovalRequest, Decision, Recorded
from clearance.acts import Act
from clearance.directory import Members, Person, Standing
from clearance.record import Record

START = datetime(2026, 11, 21, 10, tzinfo=UTC)
DAY = timedelta(days=1)
CHANGED = "the request changed since you read it: read it again, then decide"
ASKED: dict[str, Any] = {
    "action": "Pay 100",
    "tool": "pay",
    "arguments": {"amount": 100, "to": "Ada"},
    "editable": True,
}


def request_of(**fields: Any) -> ApprovalRequest:
    """A payment of 100."""
    return ApprovalRequest(**{**ASKED, **fields})


def record_of(members: Members | None = None, /, *, how: Any = None, **fields: Any) -> Record:
    """Its record; ``how`` are further arguments of ``Record``."""
    record = Record(request_of(**fields), approval_id="pay.1", requested_at=START, **(how or {}))
    if members is not None:
        record.members = members
    return record


def decision(record: Record, reviewer: str, **said: Any) -> Decision:
    """By somebody who read the request as it is now."""
    whole = {
        "approved": True,
        "reviewer": reviewer,
        "digest": record.view().digest,
        "stage": record.ballot.number if record.request.stages else None,
        "decision_id": f"by-{reviewer.strip()}",
        "decided_at": START,
    }
    return Decision.model_validate(whole | said)


def vote(record: Record, by: str | Standing, *, now: datetime = START, **said: Any) -> str | None:
    """A decision that is taken at once; returns why it was refused."""
    if isinstance(by, str):
        return record.decide(decision(record, by, **said), now)
    return record.decide(decision(record, by.name, **said), now, by)


def edit(**changes: Any) -> dict[str, Any]:
    """The fields of a decision that changes these arguments."""
    return {"arguments": {"amount": 100, "to": "Ada", **changes}}


def person(name: str, *aliases: str, groups: Iterable[str] = ()) -> Person:
    """Somebody in the directory."""
    return Person(name=name, names=frozenset({name, *aliases}), groups=frozenset(groups))


def somebody(name: str, *aliases: str, groups: Iterable[str] = (), **more: Any) -> Standing:
    """Somebody who acts; ``more`` are further fields of ``Standing``."""
    return Standing(**person(name, *aliases, groups=groups).model_dump(), **more)


def stand_in(name: str, *principals: str, **more: Any) -> Standing:
    """Somebody who may decide for others."""
    return somebody(name, stands_in_for=tuple(map(person, principals)), **more)


def act(kind: str, who: str, **said: Any) -> Act:
    """A comment, a delegation ..."""
    text = "why?" if kind in ("commented", "asked", "answered") else ""
    whole = {"kind": kind, "who": who, "text": text, "act_id": f"{kind}-{who}"}
    return Act.model_validate(whole | said)


def kinds(record: Record) -> list[str]:
    """What has happened, in order."""
    return [event.kind for event in record.view().events]


def approvals(record: Record) -> list[str | None]:
    """Who has approved in the stage that is asked."""
    return [one.reviewer for one in record.view().approvals]


def decision_of(request: ApprovalRequest, **said: Any) -> Decision:
    """Ada's approval of a request that nobody has changed."""
    whole = {
        "approved": True,
        "reviewer": "ada",
        "digest": request.digest,
        "decision_id": "one",
        "decided_at": START,
    }
    return Decision.model_validate(whole | said)


def counted(request: ApprovalRequest, reviewer: str = "ada", **said: Any) -> Recorded:
    """The same decision as the record keeps it."""
    whole = {"approved": True, "reviewer": reviewer, "channel": "cli", "at": START}
    return Recorded.model_validate(
        {**whole, "digest": request.digest, "decision_id": "one", **said}
    )

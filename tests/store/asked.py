"""Requests as they come to the ledger."""

from datetime import datetime
from typing import Any

from clearance.kept import Kept
from clearance.record import Record
from tests.client.records import START, request_of, vote

QUEUE = "approvals"


def asked(id: str = "pay.1", at: datetime = START, **fields: Any) -> Record:
    """The record of a payment of 100."""
    return Record(request_of(**fields), approval_id=id, requested_at=at)


def kept(record: Record, execution: str | None = None, queue: str = QUEUE) -> Kept:
    """As it is now."""
    view = record.view()
    return Kept(execution=execution or f"run-of-{view.id}", queue=queue, view=view)


def kept_by(
    *people: str,
    id: str = "pay.1",
    at: datetime = START,
    says: dict[str, Any] | None = None,
    queue: str = QUEUE,
    **fields: Any,
) -> Kept:
    """A request that these people approved, or decided as ``says`` says."""
    record = asked(id, at, audience=("ada", "bob", "eve", "Zoë"), **fields)
    for number, one in enumerate(people):
        said = {"decision_id": f"d{number}", **(says or {})}
        assert vote(record, one, now=at, **said) is None
    return kept(record, queue=queue)

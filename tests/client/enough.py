"""Who approved, by what the record says of it: whether it was enough people, and the right ones."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from clearance.views import Event

from .allowed import Allowed, Office


@dataclass
class Approval:
    """One event ``approved``, and what was the case then."""

    who: str
    right: str
    digest: str | None
    editors: frozenset[str]
    widened: bool

    @property
    def people(self) -> set[str]:
        return {self.who, self.right}


def approved_by_enough_people(office: Office, allowed: Allowed, events: Iterable[Event]) -> None:
    """Assert that each stage that has to be asked, of what runs, was approved by its quorum.

    Reads only the events, the terms of the request and who there is.
    """
    stages = told(office, allowed, events)
    for stage in allowed.stages:
        when = getattr(stage, "when", None)
        if when is not None and (allowed.amount > 100) is not (when == "over"):
            continue
        votes = stages.get(stage.name if allowed.request.stages else None, [])
        assert len(votes) >= stage.quorum
        for number, vote in enumerate(votes):
            assert not any(vote.people & other.people for other in votes[:number])
            assert may_approve(office, allowed, stage, vote)


def told(
    office: Office, allowed: Allowed, events: Iterable[Event]
) -> dict[str | None, list[Approval]]:
    """The approvals of each stage that nothing has undone."""
    stages: dict[str | None, list[Approval]] = {}
    editors = frozenset[str]()
    widened = set[str | None]()
    for event in events:
        who = office.own(event.who or "")
        people = {who, office.own(event.on_behalf_of or who)}
        votes = stages.setdefault(event.stage, [])
        if event.kind == "edited":
            votes.clear()
            as_asked = event.digest == allowed.request.digest
            editors = frozenset() if as_asked else editors | people
        elif event.kind == "rejected":
            votes[:] = [vote for vote in votes if not vote.people & people]
        elif event.kind == "escalated":
            widened.add(event.stage)
        elif event.kind == "approved":
            right = office.own(event.on_behalf_of or who)
            late = event.stage in widened
            votes.append(Approval(who, right, event.digest, editors, late))
    return stages


def may_approve(office: Office, allowed: Allowed, stage: Any, vote: Approval) -> bool:
    """Whether this person may approve in this stage, in this right."""
    audience = stage.audience + (stage.escalate_to if vote.widened else ())
    if stage.audience and vote.right not in office.means(audience):
        return False
    if vote.right not in (vote.who, *office.principals(vote.who, allowed.handed)):
        return False
    if not allowed.may("requester") and allowed.requester in vote.people:
        return False
    return allowed.may("editor") or not vote.people & vote.editors

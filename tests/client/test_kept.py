"""What the record keeps of everything that counts: who, when, through which channel, of what."""

from datetime import timedelta
from typing import Any

import pytest

from clearance.directory import Members, unlisted
from clearance.views import ApprovalView, Event

from .records import (
    CHANGED,
    DAY,
    START,
    act,
    approvals,
    decision,
    edit,
    kinds,
    record_of,
    stand_in,
    vote,
)

LATER = START + timedelta(hours=1)
STAGES: tuple[dict[str, Any], ...] = (
    {"name": "one", "audience": ("ada", "amy", "ann")},
    {"name": "two", "audience": ("bob", "ben")},
)


def told(event: Event) -> dict[str, Any]:
    """What an event says, without what it leaves out."""
    return event.model_dump(exclude_defaults=True, exclude={"sequence", "at", "changes"})


def test_every_event_says_who_and_when_and_of_what() -> None:
    record = record_of(requester="zoe", stages=STAGES)
    old = record.request.digest
    changed = decision(
        record, "ada", channel="inbox", reason="less", decision_id="d1", **edit(amount=80)
    )
    assert record.decide(changed, LATER, stand_in("ada", "amy")) is None
    new = record.view().digest
    refused = decision(record, "eve", channel="api", decision_id="d2", digest=old)
    assert record.decide(refused, LATER) is not None
    for_amy = decision(record, "ann", channel="cli", reason="fine", decision_id="d3")
    assert record.decide(for_amy, LATER) is None
    assert record.act(act("commented", "bob", text="hm", channel="link"), LATER) is None
    assert record.act(act("withdrawn", "eve", channel="api"), LATER) is not None
    no = {"approved": False, "reason": "never", "decision_id": "d4", "channel": "inbox"}
    assert record.decide(decision(record, "bob", **no), LATER, unlisted("bob")) is None

    one, two = {"stage": "one"}, {"stage": "two", "digest": new}
    assert [told(event) for event in record.view().events] == [
        {"kind": "created", "channel": "engine", "who": "zoe", "digest": old, **one},
        {"kind": "edited", "channel": "inbox", "who": "ada", "digest": new, "key": "d1", **one},
        {"kind": "refused", "channel": "api", "who": "eve", "digest": old, "key": "d2", **one}
        | {"reason": CHANGED},
        {"kind": "approved", "channel": "cli", "who": "ann", "digest": new, "key": "d3", **one}
        | {"reason": "fine"},
        {"kind": "advanced", "channel": "cli", **two},
        {"kind": "commented", "channel": "link", "who": "bob", "key": "commented-bob", **two}
        | {"reason": "hm"},
        {"kind": "refused", "channel": "api", "who": "eve", "key": "withdrawn-eve", **two}
        | {"reason": "eve neither asked for this nor is an operator"},
        {"kind": "rejected", "channel": "inbox", "who": "bob", "key": "d4", "reason": "never"}
        | two,
    ]
    assert {event.at for event in record.view().events[1:]} == {LATER}


def test_the_decision_that_closed_it_is_kept_whole() -> None:
    record = record_of(audience=("ada",))
    said = {"approved": False, "reason": "in euros", "changes_requested": True}
    sent = decision(record, "bob", channel="link", decision_id="d", **said)
    assert record.decide(sent, LATER, stand_in("bob", "ada")) is None

    outcome = record.outcome()
    assert outcome.changes_requested
    assert outcome.decision is not None
    assert outcome.decision.model_dump(exclude_defaults=True) == {
        "approved": False,
        "reviewer": "bob",
        "reason": "in euros",
        "channel": "link",
        "decision_id": "d",
        "digest": record.request.digest,
        "at": LATER,
        "on_behalf_of": "ada",
        "changes_requested": True,
    }
    assert record.view().decision == outcome.decision


def test_an_edit_in_the_right_of_somebody_else_says_so() -> None:
    record = record_of(audience=("ada", "eve"))
    assert vote(record, stand_in("bob", "ada"), **edit(amount=80)) is None

    event = record.view().events[-1]
    assert (event.kind, event.who, event.on_behalf_of) == ("edited", "bob", "ada")
    assert vote(record, "ada") == "ada changed the arguments: somebody else has to approve them"


def test_an_edit_makes_earlier_votes_of_this_stage_new_and_leaves_those_of_others() -> None:
    record = record_of(stages=({**STAGES[0], "quorum": 2}, STAGES[1]))
    void = decision(record, "ada", decision_id="void")
    assert record.decide(void, START) is None
    assert vote(record, "ann", **edit(amount=80)) is None
    assert record.decide(void, START) == CHANGED
    kept = [decision(record, name, decision_id=f"{name}-again") for name in ("ada", "amy")]
    assert [record.decide(one, START) for one in kept] == [None, None]

    assert vote(record, "bob", **edit(amount=70)) is None

    before = record.view()
    assert [record.decide(one, LATER) for one in kept] == [None, None]  # as they were taken
    assert record.view() == before
    assert [one.who for one in before.stages[0].approvals] == ["ada", "amy"]
    assert approvals(record) == []


@pytest.mark.parametrize("how", ["expired", "withdrawn"])
def test_where_nobody_decided_an_early_vote_is_told_so_and_not_taken_as_a_repeat(how: str) -> None:
    record = record_of(audience=("ada", "bob"), quorum=2)
    sent = decision(record, "ada")
    assert record.decide(sent, START) is None
    (record.expire if how == "expired" else record.cancel)(LATER)

    assert record.decide(sent, LATER) == f"already {how}: nobody can decide it any more"
    assert kinds(record) == ["created", "approved", how, "refused"]


def test_a_grant_says_who_gave_it_and_a_granted_call_by_which_it_was() -> None:
    record = record_of(grantable=True)
    assert vote(record, "ada", grant={"condition": "true"}) is None
    assert record.view().events[-1].who == "ada"

    use = {"grant_id": "run.1", "granted_by": "ada", "condition": "true", "use": 2, "max_uses": 3}
    used = record_of(grant=use)
    assert used.outcome().reason == "standing approval run.1, use 2 of 3"


def test_the_view_has_the_terms_as_they_are_now() -> None:
    record = record_of(audience=("ada", "bob"), quorum=2, reject_quorum=1)
    assert record.act(act("delegated", "ada", to="eve"), LATER) is None
    assert vote(record, "eve", now=LATER) is None

    view = record.view()
    assert isinstance(view, ApprovalView)
    assert (view.id, view.requested_at, view.deadline) == ("pay.1", START, START + 7 * DAY)
    assert (view.stages[0].deadline, view.explanation) == (view.deadline, "")
    assert [(one.principal, one.by, one.at) for one in view.delegations] == [("ada", "ada", LATER)]
    listed = record.listing()
    assert listed["digest"] == view.digest
    assert listed | {"action": "", "digest": ""} == {
        "action": "",
        "digest": "",
        "audience": ["ada", "bob"],
        "quorum": 2,
        "approvals": [{"who": "eve for ada", "at": "2026-11-21T11:00:00Z"}],
        "delegates": ["eve"],
        "stage": 1,
        "due": None,
    }


def test_the_view_has_who_rejected_and_why_nobody_decided() -> None:
    record = record_of(audience=("ada", "bob", "eve"), reject_quorum=2)
    assert record.members == Members()
    assert vote(record, "ada", approved=False, reason="no") is None
    assert [(one.by, one.reason) for one in record.view().rejections] == [("ada", "no")]

    record.expire(LATER)
    assert record.view().explanation == record.outcome().reason == "nobody decided in time"


def test_a_stored_decision_is_of_whom_the_directory_says() -> None:
    record = record_of(audience=("ada",))
    plain = decision(record, "bob").model_dump(mode="json")

    assert record.decide_stored(plain, LATER, stand_in("bob", "ada")) is None
    assert record.outcome().approved


def test_groups_of_an_audience_add_up_and_nobody_is_twice_in_it() -> None:
    members = Members(
        directory=True,
        groups={"group:a": ("ada", "bob"), "group:b": ("bob", "cy")},
        aliases={"countess": "ada"},
    )

    audience = ("eve", "Group:A", "group:b", "Countess", "group:none")
    assert members.people(audience) == {"ada", "bob", "cy", "eve"}

"""What one may decide, handed over to somebody else: by whom, to whom, and what becomes of it."""

from typing import Any

import pytest

from clearance.acts import handed_over, refuse_act
from clearance.directory import Standing, unlisted
from clearance.record import Record
from clearance.views import Delegation

from .records import START, act, person, record_of, request_of, somebody, stand_in, vote

AUDIENCE = ("ada", "bob")
STAGES: tuple[dict[str, Any], ...] = (
    {"name": "one", "audience": ("ada",)},
    {"name": "two", "audience": ("bob",), "escalate_to": ("eve",)},
)
OPERATOR = somebody("root", operator=True)
ASKER = somebody("zoe", "zo")
ASKED_BY = {"requester": "ZO"}
NOTHING = "anyone may decide this already: there is nothing to hand over"
MAY_NOT = "{who} is not in the audience, and has nothing to hand over"
THEMSELVES = "{who} can't hand it over to themselves"
CIRCLE = "{who} decides for {to}: handing it back makes a circle"


@pytest.mark.parametrize(
    ("fields", "who", "to", "refused"),
    [
        ({}, unlisted("ada"), unlisted("eve"), NOTHING),
        ({"self_approval": ()}, unlisted("ada"), unlisted("eve"), NOTHING),
        ({"audience": AUDIENCE}, unlisted("ada"), unlisted("eve"), None),
        ({"audience": AUDIENCE}, unlisted("ada"), unlisted("bob"), None),
        ({"audience": AUDIENCE}, unlisted("ada"), None, None),
        ({"audience": AUDIENCE}, unlisted("eve"), unlisted("ada"), MAY_NOT),
        ({"audience": AUDIENCE}, OPERATOR, unlisted("eve"), MAY_NOT),
        ({"audience": AUDIENCE}, unlisted("ada"), unlisted("ADA"), THEMSELVES),
        (
            {"audience": AUDIENCE},
            somebody("ada", "countess"),
            somebody("ada", "countess"),
            THEMSELVES,
        ),
        ({"audience": AUDIENCE}, stand_in("eve", "ada"), unlisted("zoe"), None),
        ({"audience": AUDIENCE}, stand_in("eve", "ada"), unlisted("ada"), CIRCLE),
        ({"audience": AUDIENCE}, stand_in("bob", "ada"), unlisted("ada"), CIRCLE),
        ({"audience": AUDIENCE}, stand_in("eve", "bob", "ada"), unlisted("ada"), CIRCLE),
        ({"audience": AUDIENCE}, stand_in("eve", "zoe"), unlisted("jim"), MAY_NOT),
        (
            {"audience": AUDIENCE},
            unlisted("ada"),
            somebody("nobody", known=False),
            "reviewers.toml does not list {to}: is it misspelt?",
        ),
        (
            {"audience": AUDIENCE},
            unlisted("ada"),
            somebody("group:heads", known=False),
            "{to} is a group: hand it to a person",
        ),
        (
            {"audience": AUDIENCE, **ASKED_BY},
            unlisted("ada"),
            ASKER,
            "{to} asked for this: somebody else has to approve it",
        ),
        (
            {"audience": AUDIENCE, **ASKED_BY, "self_approval": ("editor",)},
            unlisted("ada"),
            ASKER,
            "{to} asked for this: somebody else has to approve it",
        ),
        (
            {"audience": AUDIENCE, **ASKED_BY, "self_approval": ("requester",)},
            unlisted("ada"),
            ASKER,
            None,
        ),
        ({"stages": STAGES}, unlisted("bob"), unlisted("zoe"), None),
        ({"stages": STAGES}, unlisted("eve"), unlisted("zoe"), None),
    ],
)
def test_what_one_may_decide_can_be_handed_to_somebody_else(
    fields: dict[str, Any], who: Standing, to: Standing | None, refused: str | None
) -> None:
    handing = act("delegated", "Who", to="To")

    said = refuse_act(request_of(**fields), handing, who, to)

    assert said == (refused and refused.format(who="Who", to="To"))


def test_ones_own_right_is_handed_over_before_that_of_others() -> None:
    request = request_of(audience=("ada", "bob"))

    both, other = stand_in("bob", "ada"), stand_in("eve", "zoe", "bob", "ada")
    assert handed_over(request, both) == both
    assert handed_over(request, other) == person("bob")
    assert handed_over(request, unlisted("eve")) is None
    assert handed_over(request_of(), unlisted("ada")) is None


def handed(record: Record, who: str, to: str, **said: Any) -> str | None:
    return record.act(act("delegated", who, to=to, act_id=f"{who}-{to}", **said), START)


def test_whoever_it_was_handed_to_decides_in_the_right_of_who_handed_it() -> None:
    record = record_of(audience=AUDIENCE, quorum=2)
    assert vote(record, "eve") == "eve is not in the audience (ada, bob)"

    assert handed(record, "ada", "Eve", text="on holiday") is None

    assert record.delegators("EVE") == ("ada",)
    assert vote(record, "eve", decision_id="now") is None
    assert vote(record, "ada") == "ada has approved already, through eve for ada"
    assert vote(record, "bob") is None
    events = record.view().events
    assert [(one.kind, one.who, one.on_behalf_of, one.to, one.reason) for one in events[2:]] == [
        ("delegated", "ada", None, "Eve", "on holiday"),
        ("approved", "eve", "ada", None, ""),
        ("refused", "ada", None, None, "ada has approved already, through eve for ada"),
        ("approved", "bob", None, None, ""),
    ]
    assert record.view().delegations == [Delegation(principal="ada", to="Eve", by="ada", at=START)]
    assert record.listing()["delegates"] == ["Eve"]


def test_the_directory_says_to_whom_it_may_be_handed() -> None:
    record = record_of(audience=AUDIENCE)
    sent = act("delegated", "ada", to="nobody")

    refused = record.act(sent, START, unlisted("ada"), somebody("nobody", known=False))

    assert refused == "reviewers.toml does not list nobody: is it misspelt?"
    assert record.view().delegations == []


def test_who_handed_it_over_may_still_decide_first() -> None:
    record = record_of(audience=("ada",))
    assert handed(record, "ada", "eve") is None

    assert vote(record, "ada") is None
    assert record.outcome().approved


def test_what_was_handed_over_is_handed_on_in_the_same_right() -> None:
    record = record_of(audience=("ada",))
    assert handed(record, "ada", "eve") is None
    assert handed(record, "eve", "zoe") is None
    assert handed(record, "zoe", "ada") == CIRCLE.format(who="zoe", to="ada")

    last = record.view().delegations[-1]
    assert (last.principal, last.to, last.by) == ("ada", "zoe", "eve")
    assert record.view().events[-2].on_behalf_of == "ada"
    assert vote(record, "zoe") is None
    assert record.outcome().decision is not None
    assert record.view().approvals[0].by == "zoe for ada"


def test_two_people_cannot_hand_it_to_one_another() -> None:
    record = record_of(audience=AUDIENCE)
    assert handed(record, "ada", "bob") is None

    assert handed(record, "bob", "ada") == CIRCLE.format(who="bob", to="ada")


def test_a_person_to_whom_several_handed_it_still_counts_once() -> None:
    record = record_of(audience=AUDIENCE, quorum=2)
    assert handed(record, "ada", "eve") is None
    assert handed(record, "bob", "eve") is None

    assert [one.name for one in record.standing("eve").stands_in_for] == ["ada", "bob"]
    assert vote(record, "eve") is None
    assert vote(record, "eve", decision_id="2") == "eve has approved already"
    assert record.status == "pending"


def test_whoever_it_was_handed_to_is_known_under_all_their_names() -> None:
    record = record_of(audience=AUDIENCE)
    eve = somebody("eve", "e.smith")

    assert record.act(act("delegated", "ada", to="E.Smith"), START, unlisted("ada"), eve) is None

    assert record.delegators("eve") == record.delegators("E.SMITH") == ("ada",)
    assert record.delegators("smith") == ()

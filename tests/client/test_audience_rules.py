"""Who may decide, in whose right, and whose own matter it is."""

from typing import Any

import pytest

from clearance.directory import Members, Standing, unlisted
from clearance.rules import Vote, choose, is_requester, principals, still_possible

from .records import (
    approvals,
    counted,
    decision,
    edit,
    kinds,
    person,
    record_of,
    request_of,
    somebody,
    stand_in,
    vote,
)

ADA = person("ada", "countess")
FINANCE = ("group:finance",)


@pytest.mark.parametrize(
    ("audience", "who", "rights"),
    [
        ((), unlisted("anyone"), ["anyone"]),
        ((), stand_in("bob", "ada"), ["bob"]),
        (("ada",), unlisted("ada"), ["ada"]),
        (("Ada",), unlisted("ADA"), ["ada"]),
        (("ada",), unlisted("bob"), []),
        (("countess",), somebody("ada", "countess"), ["ada"]),
        (("ada@example.com",), unlisted("ada"), []),
        (("Group:Finance",), somebody("ada", groups=FINANCE), ["ada"]),
        (FINANCE, somebody("ada", groups=("group:sales",)), []),
        (FINANCE, unlisted("ada"), []),
        (FINANCE, unlisted("group:finance"), []),
        (FINANCE, unlisted("Group:Finance"), []),
        (("ada",), stand_in("bob", "ada"), ["ada"]),
        (("ada", "bob"), stand_in("bob", "ada"), ["bob", "ada"]),
        (("ada", "eve"), stand_in("bob", "ada", "zoe", "eve"), ["ada", "eve"]),
        (("ada",), stand_in("bob", "eve"), []),
        (FINANCE, stand_in("bob", "ada"), []),
        (FINANCE, stand_in("bob", "group:finance"), []),
    ],
)
def test_one_decides_in_ones_own_right_and_in_that_of_others(
    audience: tuple[str, ...], who: Standing, rights: list[str]
) -> None:
    assert [one.name for one in principals(audience, who)] == rights


def test_a_group_of_whoever_is_stood_in_for_counts_as_long_as_they_are_in_it() -> None:
    inside = somebody("bob", stands_in_for=(person("ada", groups=FINANCE),))
    outside = somebody("bob", stands_in_for=(person("ada"),))

    assert [one.name for one in principals(FINANCE, inside)] == ["ada"]
    assert principals(FINANCE, outside) == ()


def of(*people: str, approved: bool = True, by: str = "", **said: Any) -> Vote:
    name = by or people[0]
    return Vote(counted(request_of(), name, approved=approved, **said), frozenset(people))


NOT_IN = "bob is not in the audience (ada, eve)"
THEIRS = "asked for this: somebody else has to approve it"
CHANGED_BY = "changed the arguments: somebody else has to approve them"


@pytest.mark.parametrize(
    ("who", "votes", "chosen"),
    [
        (unlisted("ada"), (), "ada"),
        (unlisted("bob"), (), NOT_IN),
        (unlisted("ada"), (of("eve"),), "ada"),
        (unlisted("ada"), (of("ada"),), "ada has approved already"),
        (unlisted("ada"), (of("eve"), of("ada", approved=False)), "ada has rejected already"),
        (
            somebody("ada", "countess"),
            (of("ada", by="countess"),),
            "ada has approved already, thro",
        ),
        (stand_in("bob", "ada"), (), "ada"),
        (stand_in("bob", "ada", "eve"), (of("ada"),), "eve"),
        (stand_in("bob", "ada"), (of("ada"),), "ada has approved already"),
        (
            stand_in("bob", "ada", "eve"),
            (of("bob", "ada", by="bob", on_behalf_of="ada"),),
            "bob has approved already",
        ),
        (
            unlisted("ada"),
            (of("bob", "ada", by="bob", on_behalf_of="ada"),),
            "ada has approved already, through bob for ada",
        ),
        (
            stand_in("zoe", "ada"),
            (of("bob", "ada", by="bob", on_behalf_of="ada", approved=False),),
            "ada has rejected already, through bob for ada",
        ),
        (stand_in("ada", "eve"), (of("ada"),), "ada has approved already"),
        (stand_in("ada", "eve"), (), "ada"),
        (stand_in("ada", "eve"), (of("eve"),), "ada"),
    ],
)
def test_a_person_counts_once_for_themselves_or_for_somebody_else(
    who: Standing, votes: tuple[Vote, ...], chosen: str
) -> None:
    request = request_of(audience=("ada", "eve"), quorum=2)

    right = choose(
        request, ("ada", "eve"), who, called=who.name, approved=True, votes=votes, editors=set()
    )

    assert (right if isinstance(right, str) else right.name).startswith(chosen)


@pytest.mark.parametrize(
    ("allowed", "who", "approving", "rejecting"),
    [
        (None, unlisted("ada"), f"Called {THEIRS}", "ada"),
        ((), somebody("ada", "countess"), f"Called {THEIRS}", "ada"),
        (("editor",), unlisted("ada"), f"Called {THEIRS}", "ada"),
        (("requester",), unlisted("ada"), "ada", "ada"),
        (None, unlisted("eve"), f"Called {CHANGED_BY}", "eve"),
        (("requester",), unlisted("eve"), f"Called {CHANGED_BY}", "eve"),
        (("editor",), unlisted("eve"), "eve", "eve"),
        (("requester", "editor"), unlisted("eve"), "eve", "eve"),
        (None, stand_in("bob", "ada"), f"ada {THEIRS}", "ada"),
        (None, stand_in("bob", "eve"), f"eve {CHANGED_BY}", "eve"),
        (None, stand_in("bob", "ada", "eve", "zoe"), "zoe", "ada"),
        (None, stand_in("ada", "zoe"), f"Called {THEIRS}", "ada"),
        (None, stand_in("eve", "zoe"), f"Called {CHANGED_BY}", "eve"),
        (("requester",), stand_in("bob", "ada"), "ada", "ada"),
        (("editor",), stand_in("bob", "eve"), "eve", "eve"),
        (None, unlisted("zoe"), "zoe", "zoe"),
    ],
)
def test_nobody_approves_their_own_matter_unless_it_is_said_so_but_may_reject_it(
    allowed: Any, who: Standing, approving: str, rejecting: str
) -> None:
    audience = ("ada", "eve", "zoe")
    name = "ada" if "countess" not in who.names else "Countess"
    request = request_of(audience=audience, requester=name, self_approval=allowed)

    for approved, chosen in ((True, approving), (False, rejecting)):
        right = choose(
            request,
            audience,
            who,
            called="Called",
            approved=approved,
            editors={"eve"},
        )
        assert (right if isinstance(right, str) else right.name) == chosen


def test_who_asked_is_known_under_any_of_their_names() -> None:
    request = request_of(requester="Countess")

    assert is_requester(request, ADA)
    assert not is_requester(request, person("ada"))
    assert not is_requester(request_of(), ADA)


@pytest.mark.parametrize(
    ("fields", "stage", "editors", "possible"),
    [
        ({}, {}, {"ada"}, True),
        ({}, {"audience": ("ada", "bob")}, {"ada"}, True),
        ({}, {"audience": ("ada", "bob")}, {"ada", "bob"}, False),
        ({}, {"audience": ("ada", "bob"), "quorum": 2}, {"ada"}, False),
        ({}, {"audience": ("ada", "bob"), "quorum": 2}, {"zoe"}, True),
        ({}, {"audience": ("countess",)}, {"ada"}, False),
        ({}, {"audience": FINANCE}, {"ada"}, True),
        ({}, {"audience": FINANCE}, {"ada", "bob"}, False),
        ({}, {"audience": ("ada",), "escalate_to": ("eve",)}, {"ada"}, True),
        ({"requester": "bob"}, {"audience": ("ada", "bob")}, {"ada"}, False),
        ({"requester": "bob"}, {"audience": ("ada", "bob", "eve")}, {"ada"}, True),
        ({"requester": "countess"}, {"audience": ("ada", "bob")}, {"bob"}, False),
        (
            {"requester": "bob", "self_approval": ("requester",)},
            {"audience": ("ada", "bob")},
            {"ada"},
            True,
        ),
        ({"self_approval": ("editor",)}, {"audience": ("ada",)}, {"ada"}, True),
    ],
)
def test_enough_people_have_to_be_left_beside_those_who_changed_the_arguments(
    fields: dict[str, Any], stage: dict[str, Any], editors: set[str], possible: bool
) -> None:
    request = request_of(**fields, stages=({"name": "one", **stage},))
    members = Members(
        directory=True, groups={"group:finance": ("ada", "bob")}, aliases={"countess": "ada"}
    )

    assert still_possible(request, request.stages[0], editors, members) is possible


def test_of_a_group_that_nobody_can_list_somebody_may_be_left() -> None:
    stages = ({"name": "one", "audience": ("group:finance",)},)
    request = request_of(stages=stages)
    members = Members(directory=True, groups={"group:finance": ("ada",)})

    assert not still_possible(request, request.stages[0], {"ada"}, members)
    members = members.model_copy(update={"open_groups": ("group:finance",)})
    assert still_possible(request, request.stages[0], {"ada"}, members)


def test_who_changes_the_arguments_needs_somebody_else_to_approve_them() -> None:
    record = record_of(audience=("ada", "bob"))
    sent = decision(record, "ada", **edit(amount=80))

    assert record.decide(sent, sent.decided_at) is None

    receipt = record.receipt(sent)
    assert (receipt.counted, receipt.approvals, receipt.status) == (False, 0, "pending")
    assert (kinds(record), approvals(record)) == (["created", "edited"], [])
    assert record.view().current.arguments["amount"] == 80
    assert vote(record, "ada", decision_id="again") == f"ada {CHANGED_BY}"
    assert record.decide(sent, sent.decided_at) is None  # the same again is no second try
    assert vote(record, "bob") is None
    outcome = record.outcome()
    assert outcome.decision is not None
    assert (outcome.status, outcome.decision.by) == ("approved", "bob")
    assert outcome.edit is not None
    assert outcome.edit.digest == outcome.decision.digest


def test_who_changed_the_arguments_may_still_reject_them() -> None:
    record = record_of(audience=("ada", "bob"))
    assert vote(record, "ada", **edit(amount=80)) is None

    assert vote(record, "ada", approved=False, decision_id="no") is None
    assert record.status == "rejected"


def test_everybody_who_changed_what_runs_is_its_editor_until_it_is_as_asked_again() -> None:
    record = record_of(audience=("ada", "bob", "eve"))
    assert vote(record, "ada", **edit(amount=80)) is None
    assert vote(record, "bob", **edit(amount=70)) is None
    assert vote(record, "ada", decision_id="2") == f"ada {CHANGED_BY}"
    assert vote(record, "eve", **edit(amount=60)) == TOO_FEW

    assert vote(record, "bob", decision_id="3", **edit()) is None

    assert (record.status, record.outcome().edit) == ("approved", None)


TOO_FEW = (
    "who changes the arguments may not approve them, and without you too few people are left: "
    "approve it as it is, or reject it and say what to change"
)


@pytest.mark.parametrize(
    ("fields", "who"),
    [
        ({"audience": ("ada",)}, unlisted("ada")),
        ({"audience": ("ada",)}, stand_in("bob", "ada")),
        ({"audience": ("ada", "bob"), "requester": "bob"}, unlisted("ada")),
        ({"audience": ("ada", "bob"), "quorum": 2}, unlisted("ada")),
    ],
)
def test_a_change_after_which_nobody_could_approve_is_refused(
    fields: dict[str, Any], who: Standing
) -> None:
    record = record_of(**fields)

    assert vote(record, who, **edit(amount=80)) == TOO_FEW
    assert (record.view().edit, kinds(record)) == (None, ["created", "refused"])


def test_where_anyone_decides_who_changes_the_arguments_approves_them_too() -> None:
    record = record_of()

    assert vote(record, "ada", **edit(amount=80)) is None
    assert record.status == "approved"
    alone = record_of(self_approval=())
    assert vote(alone, "ada", **edit(amount=80)) is None
    assert kinds(alone) == ["created", "edited"]
    assert vote(alone, "anybody") is None
    assert alone.outcome().approved

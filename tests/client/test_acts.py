"""What people do besides deciding: comment, ask, answer, hand over, withdraw, and how much of it."""

from typing import Any

import pydantic
import pytest

from clearance.acts import Act, refuse_act
from clearance.directory import Standing, unlisted
from clearance.errors import explain

from .records import (
    DAY,
    START,
    act,
    kinds,
    record_of,
    request_of,
    somebody,
    stand_in,
    vote,
)

AUDIENCE = ("ada", "bob")
STAGES: tuple[dict[str, Any], ...] = (
    {"name": "one", "audience": ("ada",)},
    {"name": "two", "audience": ("bob",), "escalate_to": ("eve",)},
)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "commented", "text": " \n"}, "the text is empty: say something"),
        ({"kind": "asked"}, "the text is empty: say something"),
        ({"kind": "answered", "text": ""}, "the text is empty: say something"),
        ({"kind": "commented", "text": "x" * 4_001}, "text: String should have at most 4000"),
        ({"kind": "delegated"}, "`to` names who shall decide instead, and belongs to delegated"),
        ({"kind": "withdrawn", "to": "bob"}, "`to` names who shall decide instead"),
        ({"kind": "delegated", "to": " "}, "to: String should have at least 1 character"),
        ({"kind": "approved"}, "kind: Input should be 'commented'"),
        ({"kind": "withdrawn", "who": "x" * 10_240}, "who: String should have at most 200"),
        ({"kind": "withdrawn", "who": "a\u202eb"}, "who: contains the control character"),
        ({"kind": "withdrawn", "act_id": "a b"}, "act_id: String should match pattern"),
        ({"kind": "withdrawn", "forced": True}, "forced: Extra inputs are not permitted"),
    ],
)
def test_a_malformed_act_is_refused_in_one_line(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(pydantic.ValidationError) as raised:
        Act.model_validate({"who": "ada", "act_id": "one", **fields})

    assert explain(raised.value).startswith(said)


OPERATOR = somebody("root", operator=True)
ASKER = somebody("zoe", "zo")
ASKED_BY = {"requester": "ZO"}
NEITHER = "{} neither asked for this nor is an operator"
NO_ANSWER = "{} did not ask for this: only who did answers"
OUTSIDE = "{} is not in the audience ({})"


@pytest.mark.parametrize(
    ("fields", "who", "commenting", "answering", "withdrawing"),
    [
        ({}, unlisted("x"), None, None, None),
        (ASKED_BY, unlisted("x"), None, NO_ANSWER, NEITHER),
        (ASKED_BY, ASKER, None, None, None),
        (ASKED_BY, unlisted("zoe"), None, NO_ANSWER, NEITHER),
        (ASKED_BY, OPERATOR, None, None, None),
        ({"self_approval": ()}, unlisted("x"), None, NO_ANSWER, NEITHER),
        ({"audience": AUDIENCE}, unlisted("Ada"), None, NO_ANSWER, NEITHER),
        ({"audience": AUDIENCE}, unlisted("x"), OUTSIDE, NO_ANSWER, NEITHER),
        ({"audience": AUDIENCE}, stand_in("x", "ada"), None, NO_ANSWER, NEITHER),
        ({"audience": AUDIENCE, **ASKED_BY}, ASKER, None, None, None),
        ({"audience": AUDIENCE, **ASKED_BY}, stand_in("x", "zoe"), OUTSIDE, NO_ANSWER, NEITHER),
        ({"audience": AUDIENCE}, OPERATOR, None, None, None),
        ({"audience": AUDIENCE, "escalate_to": ("x",)}, unlisted("x"), None, NO_ANSWER, NEITHER),
        ({"stages": STAGES}, unlisted("bob"), None, NO_ANSWER, NEITHER),
        ({"stages": STAGES}, unlisted("eve"), None, NO_ANSWER, NEITHER),
        ({"stages": STAGES}, unlisted("x"), OUTSIDE, NO_ANSWER, NEITHER),
        ({"stages": (*STAGES, {"name": "any"})}, unlisted("x"), None, NO_ANSWER, NEITHER),
    ],
)
def test_reviewers_comment_and_ask_and_who_asked_answers_and_withdraws(
    fields: dict[str, Any],
    who: Standing,
    commenting: str | None,
    answering: str | None,
    withdrawing: str | None,
) -> None:
    request = request_of(**fields)
    names = [name for one in request.chain for name in one.audience + one.escalate_to]
    expected = {
        "commented": commenting,
        "asked": commenting,
        "answered": answering,
        "withdrawn": withdrawing,
        "viewed": None,
        "notified": None,
    }

    for kind, refused in expected.items():
        said = refuse_act(request, act(kind, "Called"), who, None)
        assert said == (refused and refused.format("Called", ", ".join(names)))


def test_a_withdrawal_ends_it_and_says_by_whom_and_why() -> None:
    for text, said in (("not needed", ": not needed"), ("", "")):
        record = record_of(requester="zoe", audience=AUDIENCE)
        sent = act("withdrawn", "zoe", text=text)
        assert record.act(sent, START) is None

        outcome = record.outcome()
        assert (outcome.status, outcome.reason) == ("withdrawn", f"withdrawn by zoe{said}")
        assert vote(record, "ada") == "already withdrawn: nobody can decide it any more"
        assert record.act(sent, START) is None  # the same again
        assert record.act_receipt(sent).recorded_at == START
        assert kinds(record) == ["created", "withdrawn", "refused"]


@pytest.mark.parametrize("kind", ["commented", "asked", "answered", "delegated", "withdrawn"])
def test_after_the_end_nothing_is_added(kind: str) -> None:
    record = record_of(requester="zoe", audience=("ada",))
    assert vote(record, "ada") is None
    to = {"to": "eve"} if kind == "delegated" else {}
    who = "zoe" if kind in ("answered", "withdrawn") else "ada"

    assert record.act(act(kind, who, **to), START) == (
        "already decided: approved by ada at 2026-11-21 10:00:00 UTC"
    )
    assert record.act(act("viewed", "ada"), START) is None
    assert (record.status, kinds(record)[1:]) == ("approved", ["approved", "refused"])


def test_the_same_act_twice_is_one_and_another_with_its_id_is_refused() -> None:
    record = record_of()
    sent = act("commented", "ada", text="hm", channel="cli")

    assert record.act(sent, START) is None
    assert record.act(sent, START + DAY) is None
    assert record.act_receipt(sent).recorded_at == START
    another = sent.model_copy(update={"text": "no"})
    assert record.act(another, START) == "another act had this id: choose a new one"
    assert kinds(record) == ["created", "commented", "refused"]
    event = record.view().events[1]
    assert (event.who, event.reason, event.key, event.channel) == ("ada", "hm", sent.act_id, "cli")


def test_a_refused_act_is_on_record_and_may_be_sent_again() -> None:
    record = record_of(audience=AUDIENCE)
    sent = act("commented", "eve")

    for _ in range(2):
        assert record.act(sent, START) == OUTSIDE.format("eve", "ada, bob")
    assert kinds(record) == ["created", "refused", "refused"]
    assert record.act_receipt(sent).recorded_at is None


@pytest.mark.parametrize("junk", [None, True, "withdrawn", [], {"kind": "withdrawn"}])
def test_a_malformed_stored_act_is_on_record(junk: object) -> None:
    record = record_of()

    said = record.read_act(junk, START)

    assert isinstance(said, str)
    assert said.startswith("malformed act: ")
    assert record.view().events[-1].reason == said
    whole = act("commented", "ada")
    assert record.read_act(whole.model_dump(mode="json"), START) == whole

"""Which decision counts: every rule, in a table."""

from datetime import timedelta
from typing import Any

import pytest

from clearance.rules import closed, is_repeat, may, refuse_bare_signal, refuse_reading
from clearance.text import utc

from .records import ASKED, CHANGED, DAY, START, counted, decision_of, request_of

ARGUMENTS: dict[str, Any] = ASKED["arguments"]
OTHERS: dict[str, Any] = {**ARGUMENTS, "amount": 80}
UNNAMED = "a bare signal says nothing about who"
STAGES = ({"name": "manager"},)


@pytest.mark.parametrize(
    ("fields", "approving", "rejecting"),
    [
        ({}, None, None),
        ({"editable": True, "grantable": True, "requester": "ada"}, None, None),
        ({"audience": ("ada",)}, f"an audience is named, and {UNNAMED} sent it", "the same"),
        ({"quorum": 2}, f"2 people have to approve, and {UNNAMED}", "the same"),
        ({"stages": STAGES}, f"stages are named, and {UNNAMED} sent it", "the same"),
        (
            {"self_approval": ()},
            f"not everybody may decide this, and {UNNAMED} sent it",
            "the same",
        ),
        (
            {"self_approval": ("requester", "editor")},
            f"not everybody may decide this, and {UNNAMED} sent it",
            "the same",
        ),
        (
            {"reject_quorum": 2},
            f"not everybody may decide this, and {UNNAMED} sent it",
            "the same",
        ),
        (
            {"confirm_phrase": "go"},
            "a phrase has to be typed to approve, and a bare signal carries none",
            None,
        ),
        (
            {"response_schema": {"type": "string"}},
            "an answer has to be given to approve, and a bare signal carries none",
            None,
        ),
        (
            {"confirm_phrase": "go", "audience": ("ada",), "quorum": 1},
            f"an audience is named, and {UNNAMED} sent it",
            "the same",
        ),
    ],
)
def test_a_bare_signal_counts_only_where_nothing_depends_on_who_sent_it(
    fields: dict[str, Any], approving: str | None, rejecting: str | None
) -> None:
    request = request_of(**fields)

    said = [refuse_bare_signal(request, one, now=START, deadline=None) for one in (True, False)]

    assert said == [approving, approving if rejecting == "the same" else rejecting]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "null"),
        ("true", "a string"),
        (b"true", "bytes"),
        (0, "a number"),
        (1.0, "a number"),
        ({}, "an object"),
        ([True], "a list of values"),
    ],
)
def test_a_bare_signal_is_true_or_false(value: object, kind: str) -> None:
    said = f"approve takes true or false, not {kind}"

    assert refuse_bare_signal(request_of(), value, now=START, deadline=None) == said


@pytest.mark.parametrize(("late", "refused"), [(-1, False), (0, True), (1, True)])
def test_the_deadline_is_the_first_moment_that_is_too_late(late: int, refused: bool) -> None:
    request, now = request_of(), START + timedelta(microseconds=late)
    said = f"too late: the deadline was {utc(START)}" if refused else None

    assert refuse_bare_signal(request, True, now=now, deadline=START) == said
    decision = decision_of(request)
    assert refuse_reading(request, decision, made_at=now, deadline=START) == said
    assert refuse_reading(request, decision, made_at=now, deadline=None) is None


NOW_CFO = "it is stage 2 now, cfo\\u2066"
WHICH = "this request has stages, so a decision says which"


@pytest.mark.parametrize(
    ("staged", "said", "refused"),
    [
        (False, {}, None),
        (False, {"stage": 1}, None),
        (False, {"stage": 2}, "no stages here"),
        (False, {"digest": "0" * 64}, CHANGED),
        (False, {"digest": "0" * 64, "approved": False}, CHANGED),
        (True, {"stage": 2}, None),
        (True, {"stage": 2, "approved": False}, None),
        (True, {}, f"{WHICH}: {NOW_CFO}"),
        (True, {"approved": False}, f"{WHICH}: {NOW_CFO}"),
        (True, {"stage": 1}, f"stage 1 is not asked: {NOW_CFO}"),
        (True, {"stage": 3}, f"stage 3 is not asked: {NOW_CFO}"),
        (True, {"stage": 10, "digest": "0" * 64}, f"stage 10 is not asked: {NOW_CFO}"),
        (True, {"stage": 2, "digest": "0" * 64}, CHANGED),
    ],
)
def test_a_decision_is_about_this_stage_of_the_request_as_it_is(
    staged: bool, said: dict[str, Any], refused: str | None
) -> None:
    request = request_of()
    if staged:  # a name that no request may have, to see how it is shown
        named = [{"name": "manager"}, {"name": "cfo", "audience": ("cfo",)}]
        request = request_of(stages=named)
        odd = request.stages[1].model_copy(update={"name": "cfo\u2066"})
        request = request.model_copy(update={"stages": (request.stages[0], odd)})

    decision = decision_of(request, **said)

    stage = 2 if staged else 1
    assert refused == refuse_reading(
        request, decision, made_at=START, deadline=START + DAY, stage=stage
    )


@pytest.mark.parametrize(
    ("fields", "requester", "editor"),
    [
        ({}, True, True),
        ({"audience": ("ada",)}, False, False),
        ({"quorum": 2}, False, False),
        ({"reject_quorum": 2}, False, False),
        ({"stages": ({"name": "any"},)}, False, False),
        ({"self_approval": ()}, False, False),
        ({"self_approval": ("requester",)}, True, False),
        ({"self_approval": ("editor",)}, False, True),
        ({"self_approval": ("requester", "editor"), "audience": ("ada",)}, True, True),
    ],
)
def test_ones_own_approval_counts_where_anyone_decides_or_it_is_said_so(
    fields: dict[str, Any], requester: bool, editor: bool
) -> None:
    request = request_of(**fields)

    assert (may(request, "requester"), may(request, "editor")) == (requester, editor)


def test_a_request_that_has_ended_says_how() -> None:
    request = request_of()

    assert closed("expired", None) == "already expired: nobody can decide it any more"
    assert closed("withdrawn", None) == "already withdrawn: nobody can decide it any more"
    assert closed("approved", counted(request)) == (
        "already decided: approved by ada at 2026-11-21 10:00:00 UTC"
    )
    no = counted(request, approved=False, on_behalf_of="eve")
    assert closed("rejected", no) == (
        "already decided: rejected by ada for eve at 2026-11-21 10:00:00 UTC"
    )


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({}, True),
        ({"reason": "other words"}, True),
        ({"channel": "inbox"}, True),
        ({"decided_at": START + timedelta(days=1)}, True),
        ({"decision_id": "two"}, False),
        ({"approved": False}, False),
        ({"reviewer": "Ada"}, False),
        ({"digest": "0" * 64}, False),
        ({"arguments": OTHERS}, False),
        ({"arguments": {"text": "x" * 300}}, False),
    ],
)
def test_a_repeated_decision_says_the_same_under_the_same_id(
    changed: dict[str, Any], same: bool
) -> None:
    request = request_of(arguments=ARGUMENTS, editable=True)

    assert is_repeat(request, counted(request), decision_of(request, **changed)) is same
    assert not is_repeat(request, None, decision_of(request, **changed))


@pytest.mark.parametrize(
    ("arguments", "same"),
    [(OTHERS, True), ({**ARGUMENTS, "amount": 81}, False), (None, False), ({}, False)],
)
def test_a_repeated_edit_has_the_same_changes(arguments: dict[str, Any] | None, same: bool) -> None:
    request = request_of(arguments=ARGUMENTS, editable=True)
    taken = counted(request.with_arguments(OTHERS))

    assert is_repeat(request, taken, decision_of(request, arguments=arguments)) is same


@pytest.mark.parametrize(
    ("name", "stage", "same"),
    [
        ("manager", 1, True),
        ("manager", None, True),
        ("manager", 2, False),
        ("manager", 3, False),
        ("cfo", 1, False),
        ("cfo", 2, True),
        (None, 3, True),
    ],
)
def test_a_repeated_decision_is_of_the_same_stage(
    name: str | None, stage: int | None, same: bool
) -> None:
    request = request_of(stages=({"name": "manager"}, {"name": "cfo"}))
    taken = counted(request, stage=name)

    assert is_repeat(request, taken, decision_of(request, stage=stage)) is same


def test_a_rejection_brings_no_changes_and_no_grant() -> None:
    request = request_of()

    for said in ({"arguments": {"amount": 80}}, {"grant": {"condition": "true"}}):
        with pytest.raises(ValueError, match="a rejection neither changes arguments nor grants"):
            decision_of(request, approved=False, **said)

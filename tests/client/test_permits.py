"""Who may say what an action did, and whose permission is for what. Pure rules."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pydantic
import pytest

from clearance import ActionOutcome, ApprovalRequest, Outcome
from clearance.directory import Person
from clearance.edits import is_of
from clearance.models import Edit, Recorded
from clearance.permits import Report, Taking, refuse_report

START = datetime(2026, 11, 21, 10, tzinfo=UTC)
DIGEST = "0" * 64
TAKEN = Taking(
    approval_id="a",
    taker="Bot",
    consumption_id="c",
    digest=DIGEST,
    until=START + timedelta(hours=1),
)
PAID = ActionOutcome(succeeded=True, summary="paid", at=START)


@pytest.mark.parametrize(
    ("told", "said", "reason"),
    [
        (None, {}, None),
        (None, {"taker": "BOT"}, None),
        (None, {"taker": "other"}, "other did not take this permission: Bot did"),
        (PAID, {"taker": "other"}, "other did not take this permission: Bot did"),
        (PAID, {}, None),
        (PAID, {"succeeded": False}, "already reported at 2026-11-21 10:00:00 UTC: it succeeded"),
        (PAID, {"summary": ""}, "already reported at 2026-11-21 10:00:00 UTC: it succeeded"),
        (
            PAID.model_copy(update={"succeeded": False}),
            {},
            "already reported at 2026-11-21 10:00:00 UTC: it failed",
        ),
    ],
)
def test_who_took_it_reports_once(
    told: ActionOutcome | None, said: dict[str, Any], reason: str | None
) -> None:
    report = Report(**{"taker": "bot", "succeeded": True, "summary": "paid", **said})

    assert refuse_report(TAKEN, told, report) == reason


@pytest.mark.parametrize(
    "changes",
    [
        {"succeeded": "true"},
        {"succeeded": 1},
        {"summary": "x" * 4_001},
        {"taker": ""},
        {"more": 1},
    ],
)
def test_a_malformed_report_is_none(changes: dict[str, Any]) -> None:
    with pytest.raises(pydantic.ValidationError):
        Report(**{"taker": "bot", "succeeded": True, **changes})


@pytest.mark.parametrize(
    ("length", "fits"),
    [
        (timedelta(seconds=1), True),
        (timedelta(days=30), True),
        (None, True),
        (timedelta(milliseconds=999), False),
        (timedelta(days=30, seconds=1), False),
        (timedelta(0), False),
        (timedelta(seconds=-5), False),
    ],
)
def test_a_permission_is_usable_for_a_second_to_30_days(
    length: timedelta | None, fits: bool
) -> None:
    if fits:
        assert ApprovalRequest(action="Pay", usable_for=length).usable_for == length
    else:
        with pytest.raises(pydantic.ValidationError, match="usable_for"):
            ApprovalRequest(action="Pay", usable_for=length)


def test_how_long_it_is_usable_is_no_part_of_what_is_approved() -> None:
    plain = ApprovalRequest(action="Pay", tool="pay", arguments={"n": 1})

    assert plain.model_copy(update={"usable_for": timedelta(days=1)}).digest == plain.digest


def outcome(asked: ApprovalRequest, edit: Edit | None = None, **fields: Any) -> Outcome:
    decision = Recorded(approved=True, reviewer="ada", channel="cli", digest=DIGEST, at=START)
    known = {"approval_id": "a", "status": "approved", "digest": asked.digest}
    return Outcome(**{**known, "decision": decision, "edit": edit, **fields})


def test_an_outcome_is_of_its_request_and_an_edit_one_that_it_allows() -> None:
    asked = ApprovalRequest(action="Pay", tool="pay", arguments={"n": 1}, editable=True)
    changed = asked.with_arguments({"n": 2})
    edit = Edit(arguments={"n": 2}, digest=changed.digest, changes=())

    assert is_of(asked, outcome(asked))
    assert is_of(asked, outcome(asked, edit))
    assert not is_of(asked, outcome(asked, digest=DIGEST))
    assert not is_of(asked, outcome(asked, edit, digest=DIGEST))
    assert not is_of(asked, outcome(asked, edit.model_copy(update={"digest": DIGEST})))
    assert not is_of(asked, outcome(asked, edit.model_copy(update={"arguments": {"n": 3}})))
    assert not is_of(asked.model_copy(update={"editable": False}), outcome(asked, edit))


@pytest.mark.parametrize(
    ("audience", "group"),
    [
        (("group:sre",), "group:sre"),
        (("bob", "GROUP:Sre", "group:all"), "GROUP:Sre"),
        (("group:sre", "group:desk"), None),
        (("group:sre", "ADA"), None),
        (("group:desk",), None),
        (("bob",), None),
        ((), None),
    ],
)
def test_a_sign_in_is_told_only_where_nothing_else_puts_somebody_in_an_audience(
    audience: tuple[str, ...], group: str | None
) -> None:
    ada = Person(
        name="ada",
        names=frozenset({"ada"}),
        groups=frozenset({"group:sre", "group:desk", "group:all"}),
        vouched=frozenset({"group:sre", "group:all"}),
    )

    assert ada.through(audience) == group
    assert ada.model_copy(update={"vouched": frozenset()}).through(audience) is None

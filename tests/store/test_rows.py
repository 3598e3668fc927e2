"""What goes into the ledger comes out of it the same."""

import json
from datetime import timedelta
from typing import Any

import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clearance import InvalidRequest
from clearance.kept import Kept
from clearance.record import Record
from clearance.views import ApprovalView, Event
from store.ledger import rows_of
from store.ledger.rows import same, view_of
from tests.client.drawn import asked as request_of
from tests.client.drawn import requests
from tests.client.records import DAY, START, act, edit, vote

from .asked import asked, kept, kept_by

NAMES = ("ada", "BOB", "cyrus", "dee", "eve", "mallory\u202e", "Zoë 🦊")


@st.composite
def _steps(draw: st.DrawFn) -> tuple[Any, ...]:
    kind = draw(st.sampled_from(("vote", "vote", "vote", "edit", "act", "tick", "signal")))
    who, text = draw(st.sampled_from(NAMES[:5])), draw(st.text(max_size=20))
    return kind, who, text, draw(st.booleans()), draw(st.integers(0, 9))


def _step(record: Record, step: tuple[Any, ...], number: int) -> None:
    kind, who, text, yes, days = step
    now = START + days * DAY
    if kind in ("vote", "edit"):
        changed = edit(amount=days) if kind == "edit" and yes else {}
        said = {"approved": yes, "reason": text, "decision_id": f"d{number}", **changed}
        vote(record, who, now=now, **said)
    elif kind == "act":
        wanted = ("commented", "asked", "delegated", "withdrawn", "viewed")[days % 5]
        to = {"to": "dee"} if wanted == "delegated" else {}
        record.act(act(wanted, who, act_id=f"a{number}", **to), now)
    elif kind == "tick":
        record.tick(now)
    else:
        record.signal(yes, now)


@st.composite
def _lives(draw: st.DrawFn) -> list[Kept]:
    """A request as it was at every moment of its life, the last of them after its end."""
    stages = draw(st.sampled_from((-1, 0, 2, 3)))
    fields = draw(requests(stages=stages, listed=False))
    try:
        request = request_of(fields, stages=stages)
    except pydantic.ValidationError:
        request = request_of({}, stages=-1)
    record = Record(request, approval_id="pay.1", requested_at=START)
    moments = [kept(record)]
    for number, step in enumerate(draw(st.lists(_steps(), max_size=8))):
        _step(record, step, number)
        moments.append(kept(record))
    (record.cancel if draw(st.booleans()) else record.expire)(START + 30 * DAY)
    return [*moments, kept(record)]


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(_lives())
def test_any_record_is_rebuilt_from_its_rows_and_rows_written_earlier_stay_what_they_were(
    moments: list[Kept],
) -> None:
    last = moments[-1]
    rows = rows_of(last)
    assert view_of([json.loads(row.body) for row in rows]) == last.view
    for one in moments:
        for early, late in zip(rows_of(one), rows, strict=False):
            assert same(early.body, late.body) or "ended" in json.loads(late.body)
        ended = [row for row in rows_of(one) if "ended" in json.loads(row.body)]
        assert len(ended) == (one.view.status != "pending")
        if ended:
            assert same(ended[0].body, rows[ended[0].sequence - 1].body)


def test_what_came_of_it_after_its_end_is_told_by_rows_of_its_own() -> None:
    first = kept_by("ada", grantable=True)
    ran = Event(sequence=3, at=START + DAY, kind="executed", channel="engine", reason="it failed")
    later = first.view.model_copy(update={"events": [*first.view.events, ran]})
    rows = rows_of(first.model_copy(update={"view": later}))
    assert rows[:2] == rows_of(first)
    assert view_of([json.loads(row.body) for row in rows]) == later
    assert view_of([json.loads(row.body) for row in rows[:2]]) == first.view


def test_masked_secrets_stay_masked() -> None:
    request = request_of({}, stages=-1)
    hidden = request.with_arguments({"amount": 1, "api_key": "s3cr3t-value"}).sent()
    record = Record(hidden, approval_id="pay.1", requested_at=START)
    record.expire(START + 30 * DAY)
    assert "s3cr3t-value" not in "".join(row.body for row in rows_of(kept(record)))


def _with(**changes: Any) -> ApprovalView:
    return kept_by("ada").view.model_copy(update=changes)


@pytest.mark.parametrize(
    ("view", "said"),
    [
        (_with(complete=False), "whole records"),
        (_with(events=[]), "whole records"),
        (_with(events=kept_by("ada").view.events[1:]), "not numbered from 1"),
        (_with(status="expired"), "it is expired, and no event of it says so"),
        (_with(explanation="\ud800"), "no Unicode"),
        (_with(id="pay\0"), "control characters"),
    ],
)
def test_what_is_no_whole_record_is_refused(view: ApprovalView, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        rows_of(Kept(execution="run", queue="approvals", view=view))


def test_another_version_that_leaves_out_what_says_nothing_says_the_same() -> None:
    body = rows_of(kept_by("ada"))[-1].body
    plain = json.loads(body)
    del plain["event"]["through"], plain["ended"]["delegations"]
    plain["ended"]["refusals_uncounted"] = 7
    assert same(body, json.dumps(plain))
    plain["event"]["who"] = "eve"
    assert not same(body, json.dumps(plain))
    record = asked()
    record.expire(START + timedelta(days=30))
    assert not same(body, rows_of(kept(record))[-1].body)

"""The record of a request, event by event, as a reader follows it."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clearance import ApprovalRequest, ApprovalView
from clearance.models import Change
from clearance.story import Told, story
from clearance.text import control_characters
from clearance.views import Event

START = datetime(2026, 11, 21, 10, tzinfo=UTC)
STAGED = ApprovalRequest.model_validate(
    {"action": "Pay", "stages": [{"name": "director", "audience": ["ada"]}]}
)


def told(*, staged: bool = False, **said: Any) -> Told:
    base: dict[str, Any] = {"sequence": 1, "at": START, "channel": "cli"}
    request = STAGED if staged else ApprovalRequest(action="Pay")
    view = ApprovalView(
        id="a.1",
        status="pending",
        request=request,
        digest=request.digest,
        requested_at=START,
        deadline=None,
        events=[Event(**{**base, **said})],
    )
    [one] = story(view)
    return one


@pytest.mark.parametrize(
    ("event", "line"),
    [
        ({"kind": "created", "who": "grace", "channel": "engine"}, "created by grace (engine)"),
        ({"kind": "created", "channel": "engine"}, "created (engine)"),
        ({"kind": "viewed", "who": "ada"}, "viewed by ada (cli)"),
        ({"kind": "notified", "who": "ada", "channel": "engine"}, "notified ada (engine)"),
        ({"kind": "approved", "who": "ada", "reason": "fine"}, "approved by ada (cli): fine"),
        (
            {"kind": "approved", "who": "bob", "on_behalf_of": "ada"},
            "approved by bob for ada (cli)",
        ),
        (
            {"kind": "approved", "who": "bob", "through": "group:finance"},
            "approved by bob as one of group:finance (cli)",
        ),
        ({"kind": "consumed", "who": "bot", "channel": "engine"}, "consumed by bot (engine)"),
        ({"kind": "rejected", "channel": "signal"}, "rejected (signal)"),
        ({"kind": "delegated", "who": "ada", "to": "bob"}, "delegated by ada to bob (cli)"),
        (
            {"kind": "refused", "who": "eve", "reason": "eve is not in the audience (ada)"},
            "refused eve (cli): eve is not in the audience (ada)",
        ),
        ({"kind": "reminded", "to": "ada, bob", "channel": "timer"}, "reminded ada, bob (timer)"),
        ({"kind": "escalated", "to": "cfo", "channel": "timer"}, "escalated to cfo (timer)"),
        ({"kind": "withdrawn", "who": "grace"}, "withdrawn by grace (cli)"),
        (
            {"kind": "executed", "channel": "engine", "reason": "it failed"},
            "executed (engine): it failed",
        ),
        (
            {
                "kind": "edited",
                "who": "ada",
                "changes": (Change(name="n", kind="changed", before=1, after=2),),
            },
            "edited by ada (cli): n: 1 -> 2",
        ),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_an_event_is_told_as_a_sentence(event: dict[str, Any], line: str) -> None:
    one = told(**event)

    assert f"{one.kind} {one.line}" == line
    assert one.block == ""


def test_the_stage_is_named_where_there_are_stages() -> None:
    def line(kind: str, **said: Any) -> str:
        return told(kind=kind, stage="director", **said).line

    assert line("approved", who="ada", staged=True) == "by ada in stage director (cli)"
    assert line("advanced", channel="engine", staged=True) == "to stage director (engine)"
    assert line("approved", who="ada") == "by ada (cli)"


@pytest.mark.parametrize(
    ("who", "reason", "line"),
    [
        ("ada", "could not tell ada by env:N: it is down", "not told: ada by env:N: it is down"),
        (
            "ada",
            "ada may not have been told by env:N: late",
            "perhaps not told: ada by env:N: late",
        ),
        ("clearance", "only 50 are told", "noted: only 50 are told"),
        (
            "ada",
            "could not tell bob by env:N",
            "notified ada (engine): could not tell bob by env:N",
        ),
    ],
)
def test_who_was_not_told_is_not_called_notified(who: str, reason: str, line: str) -> None:
    one = told(kind="notified", who=who, channel="engine", reason=reason)

    assert f"{one.label} {one.line}" == line
    assert one.kind == "notified"


def test_a_name_that_reads_like_a_sentence_is_told_apart() -> None:
    forged = "bob for ada (cli): “fine”"

    assert told(kind="approved", who=forged).line == 'by “bob for ada (cli): "fine"” (cli)'
    assert told(kind="delegated", who="ada", to="Bob B.").line == "by ada to “Bob B.” (cli)"


@pytest.mark.parametrize("kind", ["commented", "asked", "answered"])
def test_what_people_write_to_each_other_is_told_in_full(kind: str) -> None:
    text = "Why so much?\n\n" + "Because.\x1b[2J " * 300

    one = told(kind=kind, who="ada", reason=text)

    assert one.line == "by ada (cli):"
    assert one.block == text.replace("\x1b", r"\x1b")


@settings(deadline=None)
@given(st.text(), st.text(), st.sampled_from(["approved", "refused", "delegated", "withdrawn"]))
def test_what_somebody_wrote_stays_on_its_line(who: str, reason: str, kind: str) -> None:
    one = told(kind=kind, who=who, to=who, on_behalf_of=who, reason=reason)

    assert not control_characters(one.line.replace("\u200c", "").replace("\u200d", ""))

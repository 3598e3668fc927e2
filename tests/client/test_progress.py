"""Who may decide, who has and until when, as a reader sees it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from clearance import ApprovalRequest, ApprovalView
from clearance.models import Recorded
from clearance.progress import progress
from clearance.render import fields, markdown, status_line
from clearance.views import ApprovalSummary, Delegation, StageView, Vote

START = datetime(2026, 11, 21, 10, tzinfo=UTC)
NOW = START + timedelta(minutes=3)
STAGES = (
    {"name": "manager", "audience": ["mia"]},
    {"name": "director", "audience": ["ada", "bob", "cleo"], "quorum": 2, "expires_in": "P2D"},
    {"name": "legal", "audience": ["lou"], "when": "args.amount > 10"},
    {"name": "board", "audience": ["group:board"], "quorum": 3, "when": "args.amount > 10000"},
)


def vote(who: str | None, *, approved: bool = True, **said: Any) -> Recorded:
    base: dict[str, Any] = {"approved": approved, "reviewer": who, "channel": "cli", "at": START}
    return Recorded(**{**base, "digest": "0" * 64, **said})


def view(asked: dict[str, Any], **said: Any) -> ApprovalView:
    request = ApprovalRequest.model_validate({"action": "Pay", **asked})
    base: dict[str, Any] = {"id": "a.1", "status": "pending", "request": request}
    base |= {"digest": request.digest, "requested_at": START, "deadline": None}
    return ApprovalView(**{**base, **said})


def rows(asked: dict[str, Any], **said: Any) -> dict[str, str]:
    return dict(fields(view(asked, **said), NOW))


def stage(which: int, **said: Any) -> StageView:
    asked = {name: STAGES[which - 1][name] for name in ("name", "audience")}
    quorum = STAGES[which - 1].get("quorum", 1)
    return StageView.model_validate({"number": which, "quorum": quorum, **asked, **said})


def test_each_stage_is_a_line_with_its_name_how_far_it_is_and_who_is_asked() -> None:
    shown = rows(
        {"stages": STAGES},
        stage=2,
        approvals=[vote("ada")],
        deadline=START + timedelta(days=2),
        stages=[
            stage(1, status="done", approvals=(Vote(who="mia", at=START),)),
            stage(
                2,
                status="open",
                approvals=(Vote(who="ada", at=START),),
                deadline=START + timedelta(days=2),
            ),
            stage(3, status="skipped"),
            stage(4, status="waiting"),
        ],
    )

    assert shown["Status"] == "pending in stage director (1 of 2)"
    assert shown["Stage 1"] == "manager: done; 1 of 1: mia approved 3 min ago"
    told, until = shown["Stage 2"].split("; until ")
    assert told == "director: open; 1 of 2: ada approved 3 min ago; asks ada, bob, cleo"
    assert until.endswith("(in 1 d 23 h)")
    assert shown["Stage 3"] == "legal: skipped; not (args.amount > 10)"
    assert shown["Stage 4"] == (
        "board: waiting; asks group:board; 3 have to approve; within 7 d; if args.amount > 10000"
    )
    assert "Audience" not in shown
    assert "Approvals" not in shown


def test_the_stage_in_which_a_request_ended_says_who_rejected_it() -> None:
    asked = {"stages": [{**STAGES[1], "reject_quorum": 2}]}
    against = (Vote(who="ada", at=START), Vote(who="bob", at=START))
    ended = stage(2, number=1, status="ended", reject_quorum=2, rejections=against)

    shown = rows(asked, status="rejected", decision=vote("bob", approved=False), stages=[ended])

    assert shown["Stage 1"] == (
        "director: ended; 0 of 2; 2 of 2: ada rejected 3 min ago, bob rejected 3 min ago"
    )


def test_stages_that_no_worker_told_of_are_those_of_the_request() -> None:
    shown = rows({"stages": STAGES}, complete=False)

    assert shown["Status"] == "pending in stage manager"
    assert shown["Stage 1"] == "manager; asks mia; within 7 d"
    assert shown["Stage 3"] == "legal; asks lou; within 7 d; if args.amount > 10"


def test_a_rejection_that_needs_several_is_counted_like_an_approval() -> None:
    asked = {"audience": ["ada", "bob", "cleo"], "quorum": 2, "reject_quorum": 2}

    shown = rows(
        asked, approvals=[vote("ada", on_behalf_of="eve")], rejections=[vote("bob", approved=False)]
    )

    assert shown["Approvals"] == "1 of 2: ada for eve approved 3 min ago"
    assert shown["Rejections"] == "1 of 2: bob rejected 3 min ago"


def test_whom_it_will_be_escalated_to_and_when_stands_with_the_audience() -> None:
    asked: dict[str, Any] = {"audience": ["ada"], "escalate_to": ["bob", "ADA", "cleo"]}

    later = {**asked, "escalate_after": timedelta(hours=4)}

    assert rows(asked)["Audience"] == "ada; at the deadline bob, ADA, cleo, too"
    assert rows(later)["Audience"] == "ada; after 4 h bob, ADA, cleo, too"
    assert rows(later, status="expired")["Audience"] == "ada"


def test_who_may_decide_since_the_escalation_is_told_apart() -> None:
    widened = StageView(
        number=1, name="decision", status="open", audience=("ada", "bob", "ADA", "cleo")
    )

    shown = rows({"audience": ["ada"], "escalate_to": ["bob", "ADA", "cleo"]}, stages=[widened])

    assert shown["Audience"] == "ada; since the escalation bob, cleo, too"


def test_who_stands_in_for_whom_and_who_handed_it_over_is_told() -> None:
    shown = rows(
        {"audience": ["ada"]},
        delegations=[
            Delegation(principal="ada", to="bob", by="Ada", at=START),
            Delegation(principal="ada", to="cleo", by="bob", at=START),
        ],
    )

    assert shown["Standing in"] == "bob for ada, cleo for ada, by bob"


def test_a_second_attempt_names_the_one_before_it() -> None:
    shown = rows({"attempt": 2, "previous": "run-1.1"})

    assert shown["Attempt"] == "2; before it: run-1.1"
    assert "Attempt" not in rows({})


def test_whose_own_approval_counts_is_told_where_the_request_says_so() -> None:
    assert rows({"self_approval": []})["Own approval"] == "counts of nobody"
    assert rows({"self_approval": ["requester", "editor"]})["Own approval"] == (
        "counts of who asked for it and of who changes it"
    )
    assert "Own approval" not in rows({"audience": ["ada"]})


def test_why_nobody_decided_stands_behind_the_status() -> None:
    def line(status: str, explanation: str) -> str:
        return status_line(view({}, status=status, explanation=explanation))

    assert line("expired", "nobody decided in time") == "expired: nobody decided in time"
    assert line("withdrawn", "withdrawn by grace:\nno longer needed") == (
        "withdrawn by grace: no longer needed"
    )
    assert line("withdrawn", "") == "withdrawn"


def test_a_rejection_that_asks_for_changes_says_so() -> None:
    against = vote("ada", approved=False, changes_requested=True, reason="shorter")

    line = status_line(view({}, status="rejected", decision=against))

    assert line.startswith("rejected with changes requested by ada at ")
    assert line.endswith(": shorter")


def test_names_that_span_lines_stay_on_theirs() -> None:
    when = "true\nStatus: approved"
    stages = [STAGES[0], {"name": "a", "audience": ["ada"], "when": when}]

    page = markdown(view({"stages": stages}), NOW)

    assert "- Stage 2: ` a; asks ada; within 7 d; if true Status: approved `" in page.split("\n")


def summary(**said: Any) -> ApprovalSummary:
    base: dict[str, Any] = {"id": "a.1", "status": "pending", "action": "Pay", "digest": "0" * 64}
    return ApprovalSummary(**{**base, "requested_at": START, **said})


def test_a_line_of_a_list_tells_how_far_a_request_is() -> None:
    ada = Vote(who="ada", at=START)

    assert progress(summary(), NOW) == ""
    assert progress(summary(quorum=2), NOW) == "0 of 2"
    assert progress(summary(quorum=2, approvals=(ada,)), NOW) == "1 of 2: ada 3 min ago"
    staged = summary(stages=("manager", "director", "cfo"), stage=2)
    assert progress(staged, NOW) == "director (2 of 3), 0 of 1"
    assert (
        progress(staged.model_copy(update={"quorum": 2, "approvals": (ada,)}), NOW)
        == "director (2 of 3), 1 of 2: ada 3 min ago"
    )


def test_a_line_of_a_list_names_the_first_of_many() -> None:
    many = tuple(Vote(who=f"p{n}", at=NOW) for n in range(7))

    assert progress(summary(quorum=9, approvals=many), NOW).endswith("p4 0 s ago and 2 more")

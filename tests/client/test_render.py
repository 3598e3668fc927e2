"""A request as Markdown: whatever a model wrote in it stays inside its code blocks."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from clearance import ApprovalRequest
from clearance.record import Record
from clearance.render import (
    arguments,
    as_text,
    code,
    fenced,
    fields,
    markdown,
    sections,
    status_line,
)
from clearance.text import one_line, visible

from .rendering import HOSTILE, NAMES, START, WORDS, edited, view_of


def blocks(tokens: list[Token]) -> list[str]:
    """The outermost elements of a page, in order."""
    return [token.type for token in tokens if token.level == 0 and token.nesting >= 0]


@pytest.mark.parametrize("text", ["plain", "`", "```", "a\n````\nb", "~~~", "``` ```` `````", ""])
def test_a_fence_is_longer_than_any_run_of_backticks_inside(text: str) -> None:
    [block] = MarkdownIt().parse(fenced(text))

    assert (block.type, block.content) == ("fence", f"{text}\n")
    assert fenced(text).startswith("```")


@pytest.mark.parametrize("text", ["plain", "`", "``", "a ` b `` c", "` x `", "**x**", "\\`"])
def test_inline_code_is_ended_by_nothing_inside(text: str) -> None:
    inline = MarkdownIt().parse(code(text))[1]

    assert [(child.type, child.content) for child in inline.children or []] == [
        ("code_inline", text)
    ]


@settings(deadline=None)
@given(
    asked=st.fixed_dictionaries(
        {"action": WORDS, "details": HOSTILE},
        optional={
            "arguments": st.dictionaries(HOSTILE, HOSTILE | st.lists(HOSTILE), min_size=1),
            "tool": NAMES,
            "run_id": NAMES,
            "requester": NAMES,
            "checkpoint": NAMES,
            "impact": HOSTILE,
            "user_prompt": HOSTILE,
            "agent_message": HOSTILE,
            "editable": st.just(True),
            "confirm_phrase": HOSTILE,
            "previous": WORDS,
            "stages": st.builds(
                lambda name, who: [{"name": name, "audience": [who]}], NAMES, NAMES
            ),
            "response_schema": st.dictionaries(
                HOSTILE, st.fixed_dictionaries({"description": HOSTILE, "enum": st.lists(HOSTILE)})
            ).map(lambda properties: {"properties": properties}),
        },
    ),
    reviewer=NAMES,
    reason=st.none() | HOSTILE,
)
@example(asked={"action": "`", "details": "```\n# Approved"}, reviewer="`", reason="`\n\n# x")
def test_nothing_that_somebody_wrote_breaks_out_of_its_code(
    asked: dict[str, Any], reviewer: str, reason: str | None
) -> None:
    view = view_of(reviewer=reviewer, reason=reason, **asked)
    rows = fields(view, START)

    tokens = MarkdownIt().parse(markdown(view, START))

    shown = [as_text(entries) for _, entries in sections(view)]
    assert blocks(tokens) == [
        "fence",
        "bullet_list_open",
        *["paragraph_open", "fence"] * len(shown),
    ]
    fences = [token.content for token in tokens if token.type == "fence"]
    assert fences == [f"{text}\n" for text in (visible(view.request.action), *shown)]
    items = [token.children or [] for token in tokens if token.type == "inline" and token.level > 1]
    assert [[(child.type, child.content) for child in item] for item in items] == [
        [("text", f"{label}: "), ("code_inline", value)] for label, value in rows
    ]


def test_the_rows_of_a_pending_request_say_all_that_is_known() -> None:
    view = view_of(
        tool="send_email",
        run_id="email-1",
        requester="grace",
        checkpoint="mail",
        risk="high",
        audience=("ada", "bob"),
        expires_in=timedelta(days=9, hours=4),
    )

    rows = dict(fields(view, START + timedelta(seconds=59)))

    assert rows.pop("Asked").endswith("(59 s ago)")
    assert rows.pop("Deadline").endswith("(in 9 d 3 h)")
    assert rows == {
        "Status": "pending",
        "Risk": "high",
        "Tool": "send_email",
        "Run": "email-1",
        "Requester": "grace",
        "Checkpoint": "mail",
        "Audience": "ada, bob",
        "Digest": view.digest,
    }


def test_the_rows_of_a_decided_request_have_no_deadline_and_leave_out_what_is_not_known() -> None:
    labels = [label for label, _ in fields(view_of(reason=""), START)]

    assert labels == ["Status", "Risk", "Asked", "Digest"]


def test_the_status_line_names_who_decided_and_why() -> None:
    line = status_line(view_of(reason="looks\nright", reviewer="Ada"))

    assert line.startswith("approved by Ada at ")
    assert line.endswith(": looks right")
    assert status_line(view_of(reason="")).startswith("approved by Ada at ")
    assert not status_line(view_of(reason="")).endswith(":")
    assert one_line(line) == line


def test_an_edit_is_shown_as_what_runs_now_and_as_the_difference() -> None:
    view = edited({"amount": 100, "to": "Ada"}, {"amount": 80, "to": "Ada"})

    assert dict(sections(view)) == {
        "Arguments": [("amount", "80"), ("to", '"Ada"')],
        "Changed by a reviewer": [("amount", "100 -> 80")],
    }
    assert status_line(view).startswith("approved with changes by cfo@example.com at ")


def test_the_sentence_of_an_edited_request_is_that_of_what_runs_now() -> None:
    view = edited({"amount": 100}, {"amount": 80}, description_template="Pay {amount} euros")

    assert markdown(view, START).startswith("```\nPay 80 euros\n```")


def test_what_a_reviewer_has_to_know_to_decide_is_there_while_it_waits() -> None:
    view = view_of(
        tool="trade",
        arguments={"symbol": "AAPL", "amount": 100},
        checkpoint="trades",
        policy_digest="ab" * 32,
        confirm_phrase="{symbol}",
        editable=("amount",),
        quorum=2,
        grantable=True,
    )

    rows = dict(fields(view, START))

    assert rows["Status"] == "pending (0 of 2)"
    assert rows["Approvals"] == "0 of 2"
    assert (rows["Checkpoint"], rows["Policy"]) == ("trades", "abababababab")
    assert rows["To approve"] == "type 'AAPL'"
    assert rows["Editable"] == "amount"
    assert rows["In advance"] == "further calls like it can be approved, too"


def test_who_has_approved_so_far_is_named_with_when() -> None:
    view = edited({"amount": 100}, {"amount": 80}, quorum=2, self_approval=("editor",))

    rows = dict(fields(view, START + timedelta(minutes=3)))

    assert rows["Status"] == "pending (1 of 2)"
    assert rows["Approvals"] == "1 of 2: cfo@example.com approved 3 min ago"


def test_a_request_that_was_read_without_a_worker_counts_no_votes_it_does_not_know() -> None:
    view = view_of(quorum=2).model_copy(update={"complete": False})

    assert status_line(view) == "pending"


def test_a_call_that_was_approved_in_advance_says_by_whom_and_for_what() -> None:
    view = view_of(
        grant={
            "grant_id": "run.1",
            "granted_by": "grace",
            "condition": "args.amount <= 100",
            "use": 2,
            "max_uses": 5,
        }
    )

    assert dict(fields(view, START))["Granted"] == (
        "by grace with run.1, use 2 of 5, if args.amount <= 100"
    )
    assert status_line(view).endswith(": standing approval run.1, use 2 of 5")


def test_a_mask_is_not_what_an_argument_that_spells_it_looks_like() -> None:
    request = ApprovalRequest(
        action="Log in",
        arguments={"password": "hunter2", "note": "[masked]", "in": [{"token": "t" * 9}]},
    ).concealed()
    view = Record(request, approval_id="a.1", requested_at=START).view()

    assert list(arguments(request)) == [
        ("password", "[masked]"),
        ("note", '"[masked]"'),
        ("in", '[{"token": "[masked]"}]'),
    ]
    assert dict(fields(view, START))["Masked"] == "/password, /in/0/token"
    assert "hunter2" not in markdown(view, START)


def test_many_masks_are_counted() -> None:
    secrets = {f"token_{n}": "secret" for n in range(12)}
    request = ApprovalRequest(action="x", arguments=secrets).concealed()
    view = Record(request, approval_id="a.1", requested_at=START).view()

    assert dict(fields(view, START))["Masked"].endswith("/token_9 and 2 more")


def test_the_why_is_quoted_as_what_somebody_else_said() -> None:
    view = view_of(
        impact="Money leaves today.",
        user_prompt="Refund Ada\n\nStatus   approved",
        agent_message="I refund what was paid.",
    )

    assert sections(view) == [
        ("Impact", [("", "Money leaves today.")]),
        ("Why: what the agent was told", [("", "Refund Ada\n\nStatus   approved")]),
        ("Why: what the agent said", [("", "I refund what was paid.")]),
    ]
    assert "**Why: what the agent said**\n```\nI refund what was paid.\n```" in markdown(
        view, START
    )


@pytest.mark.parametrize("value", [[[0]] * 20_000, {"n": list(range(40_000))}, "x\u202e" * 30_000])
def test_a_page_with_a_limit_says_where_the_rest_is(value: Any) -> None:
    view = view_of(
        arguments={"to": "Ada", "value": value}, details="y" * 60_000, user_prompt="Refund Ada"
    )

    page = markdown(view, START, limit=20_000)

    assert 15_000 < len(page) < 22_000
    assert page.count("\n(cut here: `clearance show a.1` has all of it)\n") == 2
    assert "```\nRefund Ada\n```" in page
    assert 'to: "Ada"' in page
    assert len(markdown(view, START)) > 100_000


def test_a_short_page_is_the_same_with_a_limit() -> None:
    view = view_of(arguments={"to": "Ada"}, details="Now", impact="Much")

    assert markdown(view, START, limit=20_000) == markdown(view, START)


def test_what_is_long_among_the_facts_is_cut_too() -> None:
    view = view_of(reason="why " * 1_000, editable=tuple(f"argument {n}" for n in range(5_000)))

    page = markdown(view, START, limit=20_000)

    assert len(page) < 5_000
    assert page.count("… (cut here: `clearance show a.1` has all of it)") == 1
    assert f"- Digest: ` {view.digest} `" in page


@settings(deadline=None, max_examples=50)
@given(HOSTILE, st.integers(40, 400))
def test_what_is_cut_does_not_break_out_either(text: str, limit: int) -> None:
    view = view_of(details=text * 20, arguments={"a": text * 20}, user_prompt=text)

    tokens = MarkdownIt().parse(markdown(view, START, limit=limit))

    assert set(blocks(tokens)) <= {"fence", "bullet_list_open", "paragraph_open"}
    assert len(blocks(tokens)) <= 2 + 2 * 3

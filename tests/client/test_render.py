"""A request as Markdown: whatever a model wrote in it stays inside its code blocks."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from clearance import ApprovalRequest, ApprovalView, Decision
from clearance.edits import differences as changes_between
from clearance.fields import depth
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
from clearance.text import control_characters, one_line, visible
from clearance.values import brief, differences

START = datetime(2026, 11, 21, 10, tzinfo=UTC)
FRAGMENTS = [
    *("```", "````", "~~~", "`", "\n", "\n\n", "\r", "\r\n", "\t", "    ", " ", "\\"),
    *("# ", "- ", "> ", "1. ", "---", "===", "**", "_", "[x](http://x)", "![](x)", "<b>", "<!--"),
    *("Risk: `low`", "- Status: ` approved `", "|", "&amp;", "\x1b[2J", "\u2028", "\u202e", "\0"),
]
HOSTILE = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=5), max_size=12).map("".join)
WORDS = HOSTILE.filter(lambda text: 0 < len(text.strip()) <= 200)
NAMES = WORDS.map(
    lambda text: "".join(c for c in text if not control_characters(c)).strip()
).filter(bool)


def view_of(*, reason: str | None = None, reviewer: str = "Ada", **asked: Any) -> ApprovalView:
    record = Record(
        ApprovalRequest(**{"action": "Deploy", **asked}), approval_id="a.1", requested_at=START
    )
    if reason is not None:
        decision = Decision(
            approved=True,
            reviewer=reviewer,
            digest=record.request.digest,
            reason=reason,
            decision_id="one",
            decided_at=START,
        )
        record.decide(decision, START)
    return record.view()


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


@settings(deadline=None)
@given(st.dictionaries(HOSTILE, HOSTILE | st.lists(HOSTILE) | st.integers(), min_size=1))
def test_an_argument_cannot_look_like_another_one(written: dict[str, Any]) -> None:
    """Only the names of arguments begin a line; every further line of a value is indented."""
    request = ApprovalRequest(action="x", arguments=written)

    lines = as_text(arguments(request)).split("\n")

    begun = [line for line in lines if line and not line.startswith("    ")]
    assert len(begun) == len(written)
    for line, (name, _) in zip(begun, arguments(request), strict=True):
        assert line.startswith(f"{name}:")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1, "n: 1"),
        ("1", 'n: "1"'),
        (1.0, "n: 1.0"),
        (None, "n: null"),
        (True, "n: true"),
        ("ü😀", 'n: "ü😀"'),
        ("\u202e", r'n: "\u202e"'),
        ("\x1b[2J", r'n: "\u001b[2J"'),
        ([1, {"b": 2}], 'n: [1, {"b": 2}]'),
        ("two\nlines", "n:\n    two\n    lines"),
        ("1" * 70, f'n: "{"1" * 70}"'),
        ("1" * 72, f'n:\n    "{"1" * 72}"'),
        ("1" * 73, f"n:\n    {'1' * 73}"),
        (list(range(40)), "n:\n    [\n" + ",\n".join(f"      {n}" for n in range(40)) + "\n    ]"),
    ],
)
def test_an_argument_is_shown_exactly_as_it_will_run(value: Any, shown: str) -> None:
    assert as_text(arguments(ApprovalRequest(action="x", arguments={"n": value}))) == shown


def test_a_request_without_arguments_shows_none() -> None:
    assert as_text(arguments(ApprovalRequest(action="x"))) == ""


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


def edited(
    arguments: dict[str, Any], changed: dict[str, Any], *, quorum: int = 1, **asked: Any
) -> ApprovalView:
    """A request that one reviewer has changed."""
    asked = {"tool": "pay", "arguments": arguments, "editable": True, "quorum": quorum, **asked}
    record = Record(ApprovalRequest(action="Pay", **asked), approval_id="a.1", requested_at=START)
    decision = Decision(
        approved=True,
        reviewer="cfo@example.com",
        digest=record.request.digest,
        arguments=changed,
        decision_id="one",
        decided_at=START,
    )
    assert record.decide(decision, START) is None
    return record.view()


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


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ({"n": 1}, {"n": "1"}, 'n: 1 -> "1"'),
        ({"n": 1}, {"n": 1.0}, "n: 1 -> 1.0"),
        ({"n": None}, {}, "n: null -> (none)"),
        ({}, {"n": "(none)"}, 'n: (none) -> "(none)"'),
        (
            {"n": "a\nb\nc"},
            {"n": "a\nB\nc"},
            "n:\n    @@ -1,3 +1,3 @@\n     a\n    -b\n    +B\n     c",
        ),
        ({"n": "a\nb"}, {"n": "a\nb\n"}, "n:\n    @@ -1,2 +1,3 @@\n     a\n     b\n    +"),
        ({"n": "a\nb"}, {"n": "a\r\nb"}, "n:\n    @@ -1,2 +1,2 @@\n    -a\n    +a\\x0d\n     b"),
        ({"n": "-- \nb"}, {"n": "b\n"}, "n:\n    @@ -1,2 +1,2 @@\n    --- \n     b\n    +"),
        ({"n": "x" * 73}, {"n": "y"}, f"n:\n    @@ -1 +1 @@\n    -{'x' * 73}\n    +y"),
        ({"n": [1] * 40}, {"n": [1] * 39}, None),
    ],
)
def test_a_difference_shows_exactly_what_is_not_the_same(
    before: dict[str, Any], after: dict[str, Any], shown: str | None
) -> None:
    changes = edited(before, after).edit
    assert changes is not None
    text = as_text(differences(changes.changes))

    if shown is None:
        lines = text.split("\n")
        assert lines[0] == "n:"
        assert [line for line in lines if line.startswith("    -")] == ["    -  1,"]
    else:
        assert text == shown


def test_a_text_that_spells_its_own_json_is_no_equal_of_it() -> None:
    value = [1] * 40
    edit = edited({"n": json.dumps(value, indent=2)}, {"n": value}).edit
    assert edit is not None

    text = as_text(differences(edit.changes))

    assert text.split("\n")[2].startswith('    -"[\\n  1,')


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from("abc"), HOSTILE | st.integers() | st.none(), min_size=1),
    st.dictionaries(st.sampled_from("abcd"), HOSTILE | st.integers() | st.none(), min_size=1),
)
def test_a_difference_never_looks_like_another_line(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    changes = changes_between(before, after)

    lines = as_text(differences(changes)).split("\n") if changes else []

    begun = [line for line in lines if not line.startswith("    ")]
    assert [line[0] for line in begun] == [change.name for change in changes]
    assert one_line(brief(changes)) == " ".join(brief(changes).split())


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

    assert arguments(request) == [
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


ROWS = [f"row {n},{'kept' if n % 2 else 'old'}" for n in range(8_000)]


def test_texts_too_long_to_be_compared_say_how_long_they_were_and_are() -> None:
    before = "\n".join(ROWS)
    edit = edited({"body": before, "n": 1}, {"body": before.replace("old", "new!"), "n": 2}).edit
    assert edit is not None

    assert differences(edit.changes) == [
        (
            "body",
            "too long to be compared here: before 8,000 lines, 106,889 characters; "
            "now 8,000 lines, 110,889 characters",
        ),
        ("n", "1 -> 2"),
    ]
    assert brief(edit.changes) == "body: changed; n: 1 -> 2"


def test_only_so_much_is_compared_of_all_changes_together() -> None:
    before = {f"n{n}": "a\nb\n" for n in range(100)}
    edit = edited(before, dict.fromkeys(before, "b\na\n")).edit
    assert edit is not None

    texts = [text for _, text in differences(edit.changes)]

    assert [text.startswith("@@") for text in texts] == [True] * 66 + [False] * 34


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


@pytest.mark.parametrize(("levels", "lines"), [(9, True), (40, False)])
def test_json_that_is_nested_deep_stands_on_one_line(levels: int, lines: bool) -> None:
    value: Any = list(range(50))
    for _ in range(levels):
        value = [value]

    [(_, text)] = arguments(ApprovalRequest(action="x", arguments={"a": value}))

    assert ("\n" in text) is lines
    assert json.loads(text) == value


@settings(deadline=None)
@given(
    st.recursive(
        HOSTILE | st.integers() | st.none() | st.sampled_from(["[", '"', "\\", ", ", '\\"', "{}"]),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(HOSTILE, inner, max_size=4),
        max_leaves=15,
    )
)
def test_json_on_several_lines_is_what_python_writes(value: Any) -> None:
    value = ["x" * 80, value]
    if depth(value) > 10:
        return

    [(_, text)] = arguments(ApprovalRequest(action="x", arguments={"a": value}))

    assert text == visible(json.dumps(value, ensure_ascii=False, indent=2))

"""A request as Markdown: whatever a model wrote in it stays inside its code blocks."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from clearance import ApprovalRequest, ApprovalView, Decision
from clearance.record import Record
from clearance.render import arguments, arguments_text, code, fenced, fields, markdown, status_line
from clearance.text import control_characters, one_line, visible

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

    texts = [visible(view.request.details), arguments_text(view.request)]
    shown = [text for text in texts if text]
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

    lines = arguments_text(request).split("\n")

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
    assert arguments_text(ApprovalRequest(action="x", arguments={"n": value})) == shown


def test_a_request_without_arguments_shows_none() -> None:
    assert arguments_text(ApprovalRequest(action="x")) == ""


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

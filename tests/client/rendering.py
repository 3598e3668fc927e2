"""Requests to be rendered, and hostile text to put in them."""

import unicodedata
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from clearance import ApprovalRequest, ApprovalView, Decision
from clearance.record import Record
from clearance.text import control_characters

START = datetime(2026, 11, 21, 10, tzinfo=UTC)
FRAGMENTS = [
    *("```", "````", "~~~", "`", "\n", "\n\n", "\r", "\r\n", "\t", "    ", " ", "\\"),
    *("# ", "- ", "> ", "1. ", "---", "===", "**", "_", "[x](http://x)", "![](x)", "<b>", "<!--"),
    *("Risk: `low`", "- Status: ` approved `", "|", "&amp;", "\x1b[2J", "\u2028", "\u202e", "\0"),
]
HOSTILE = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=5), max_size=12).map("".join)
WORDS = HOSTILE.filter(lambda text: 0 < len(text.strip()) <= 200)
VARIANTS = "".join(map(chr, range(0xFE00, 0xFE10)))
"""Which a name may not have: most displays don't show them."""
NAMES = WORDS.map(
    lambda text: unicodedata.normalize(
        "NFC", "".join(c for c in text if not control_characters(c) and c not in VARIANTS).strip()
    )
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

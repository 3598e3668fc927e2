"""What people read: one request whole, several with a line each, and nothing that a model wrote acts."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities.messages import Message, Told, for_chat, for_mail, message
from clearance.notices import Notice
from policy.channels import FIELDS, Wording

EXECUTION = "01999b3c-0000-7000-8000-000000000001"
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
URL = "https://approvals.example.com/l/abc"


def notice(kind: Any = "created", **said: Any) -> Notice:
    facts = {"action": "Refund 29.00 for A-1001", "requester": "shop", "risk": "high", **said}
    return Notice(
        key=f"refund-1/{EXECUTION}/1",
        approval_id="refund-1",
        requested_at=NOW,
        kind=kind,
        at=NOW,
        **facts,
    )


def written(*notices: Notice, more: int = 0, wording: Wording | None = None, **how: Any) -> Message:
    told = [Told(one, URL) for one in notices]
    return message(told, more, wording or Wording(), NOW, **how)


def test_one_request_is_told_whole() -> None:
    deadline = NOW + timedelta(hours=4)
    one = written(
        notice(deadline=deadline, stage="2 of 3: director", tool="issue_refund", run_id="run-1")
    )
    assert one.title == "Approve? Refund 29.00 for A-1001"
    assert one.text == (
        "Approve? Refund 29.00 for A-1001\n\n"
        "Risk: high\n"
        "Decide: within 4 h, by 2026-11-21 13:00:00 UTC\n"
        "Stage: 2 of 3: director\n"
        "Asked by: shop\n"
        "Tool: issue_refund\n"
        "Run: run-1\n"
        "Request: refund-1\n\n"
        f"See and decide: {URL}"
    )
    assert f'<a href="{URL}">See and decide</a>' in one.html


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        ("stage", "Approve? Refund"),
        ("delegated", "Approve? Refund"),
        ("reminded", "Still waiting: Refund"),
        ("escalated", "Escalated to you: Refund"),
        ("approved", "Approved: Refund"),
        ("rejected", "Rejected: Refund"),
        ("expired", "Expired: Refund"),
        ("withdrawn", "Withdrawn: Refund"),
    ],
)
def test_each_kind_has_its_words(kind: str, title: str) -> None:
    one = written(notice(kind, by="ada@example.com", reason="as agreed", deadline=NOW))
    assert one.title.startswith(title)
    assert "as agreed" in one.text
    assert ("Decide:" in one.text) == (not notice(kind).ends)


def test_several_are_one_message_with_a_line_each() -> None:
    asked = notice(deadline=NOW + timedelta(minutes=30))
    one = written(asked, notice("approved", by="ada", reason="ok"), more=1_200)
    assert one.title == "Approvals: 1 to decide, 1 ended, 1200 more"
    assert one.text == (
        "- Approve? Refund 29.00 for A-1001 (high risk, asked by shop, 30 min left)\n"
        f"  {URL}\n"
        "- Approved: Refund 29.00 for A-1001 (by ada, ok)\n"
        f"  {URL}\n\n"
        "and 1,200 more: see `clearance pending`"
    )
    assert one.html.count("<li>") == 2


def test_a_message_fits_into_its_channel_and_says_what_is_left_out() -> None:
    several = written(*[notice(action="x" * 500)] * 50, room=2_000)
    assert len(several.text) <= 2_000
    lines = several.text.count("- Approve?")
    assert several.text.endswith(f"and {50 - lines} more: see `clearance pending`")
    small = written(notice(action="x" * 500, reason="y" * 500, by="z" * 200), room=160)
    assert len(small.text) <= 160
    assert small.text.endswith(URL)


def test_a_template_names_the_fields_of_a_notice_and_what_is_not_there_is_empty() -> None:
    wording = Wording(title="[{risk}] {action}{stage}", line="{id} <{{x}}> {action}")
    one = written(notice(), wording=wording)
    assert one.title == "[high] Refund 29.00 for A-1001"
    assert one.text.startswith("refund-1 <{x}> Refund 29.00")
    assert "<strong>refund-1 &lt;{x}&gt; Refund" in one.html
    every = written(notice(), wording=Wording(line=" ".join(f"{{{name}}}" for name in FIELDS)))
    assert "missing" not in every.text


HOSTILE = (
    "Pay\r\nBcc: eve@example.com\u2028{requester} <script>alert(1)</script> [here](https://evil.example) "
    "<!channel> <@U1> @everyone a@here **bold** ||hidden|| ~~no~~ `code` \u202eabc"
)


def test_what_a_model_wrote_is_no_header_no_markup_and_no_mention() -> None:
    bad = notice(action=HOSTILE, requester="{action}", reason=HOSTILE, by="@all <b>")
    for quote in (for_mail, for_chat):
        for one in (written(bad, quote=quote), written(bad, notice(), quote=quote)):
            assert one.title.isprintable()
            assert len(one.title) <= 150
            assert "\u202e" not in one.text + one.title + one.html
            assert "<script" not in one.html
            assert "<b>" not in one.html
            assert "Bcc" not in [line.split(":")[0] for line in one.text.splitlines()]
    chat = written(bad, quote=for_chat)
    for sign in ("<", ">", "](", "@everyone", "@here", "@all", "**", "||", "~~", "`"):
        assert sign not in chat.text + chat.title, sign


def test_an_address_for_mail_stays_one_in_a_chat() -> None:
    assert for_chat("ask ada@example.com, not @ada or x@everyone.org") == (
        "ask ada@example.com, not \uff20ada or x\uff20everyone.org"
    )

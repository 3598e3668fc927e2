"""What people read in a mail or a chat of the requests that concern them. Pure functions.

Everything that a model or a reviewer wrote is data: it stands on one line, and no markup, mention or
header comes of it.
"""

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from clearance import template
from clearance.notices import Notice
from clearance.text import one_line, span, utc
from policy.channels import Wording

_WHAT = {
    "created": "Approve?",
    "stage": "Approve?",
    "delegated": "Approve?",
    "reminded": "Still waiting:",
    "escalated": "Escalated to you:",
    "approved": "Approved:",
    "rejected": "Rejected:",
    "expired": "Expired:",
    "withdrawn": "Withdrawn:",
}

_MAX_TITLE = 150
_MAX_TEXT = 200
"""Of an action or a reason in a message; the request's page has all of it."""

MAX_CHARS = 20_000
"""Of a whole message, unless its channel takes less."""

Quote = Callable[[str], str]
"""How data is written so that it stays data."""

_LOOK_ALIKE = str.maketrans("<>*~|`", "‹›∗∼¦'")  # noqa: RUF001 - that is what they are for
_MENTION = re.compile(
    r"@(?=everyone|here|channel|all\b|room)|@(?!(?<=\w@)[\w-]+\.\w)", re.IGNORECASE
)


@dataclass(frozen=True)
class Message:
    """What is sent."""

    title: str
    """One line, at most 150 characters."""

    text: str
    html: str


TEST_MESSAGE = Message(
    "Clearance: a test",
    "This is how Clearance will reach you. There is nothing to decide.",
    "<p>This is how Clearance will reach you. There is nothing to decide.</p>",
)


@dataclass(frozen=True)
class Told:
    """A notice, and where its request is: an address, or a command where there is none."""

    notice: Notice
    where: str


def for_mail(text: str) -> str:
    """Data in plain text that nothing interprets."""
    return text


def for_chat(text: str) -> str:
    """Data in a chat: characters that one of them takes for markup are replaced by look-alikes, since no
    escape is understood by all; ``@`` becomes another sign, but within addresses for mail."""
    plain = text.translate(_LOOK_ALIKE).replace("](", "] (")
    return _MENTION.sub("\uff20", plain)


def message(
    told: Sequence[Told],
    more: int,
    wording: Wording,
    now: datetime,
    *,
    quote: Quote = for_mail,
    room: int = MAX_CHARS,
) -> Message:
    """One request whole, or several with a line each.

    Args:
        told: at least one.
        more: further requests there was no room for.
        wording: the templates.
        now: when it is sent, with its zone.
        quote: how data is written in the title and in the text.
        room: characters that the text may have; what doesn't fit is left out, and said to be.
    """
    if len(told) == 1 and not more:
        return _one(told[0], wording, now, quote, room)
    return _several(told, more, wording, now, quote, room)


def _one(told: Told, wording: Wording, now: datetime, quote: Quote, room: int) -> Message:
    notice = told.notice
    fields = _fields(notice, now)
    title = one_line(_filled(wording.title, fields, quote), _MAX_TITLE)
    facts = _facts(notice, fields)
    end = f"\n\n{_way(notice)}: {told.where}"
    text = one_line(_filled(wording.line, fields, quote), max(20, room - len(end)))
    gap = "\n\n"
    for label, value in facts:
        line = f"{gap}{label}: {quote(value)}"
        if len(text) + len(line) + len(end) > room:
            break
        text, gap = text + line, "\n"
    rows = "".join(
        f'<tr><td style="padding-right:1em;color:#666">{label}</td>'
        f"<td>{html.escape(value)}</td></tr>"
        for label, value in facts
    )
    head = html.escape(one_line(_filled(wording.line, fields, for_mail)))
    return Message(
        title,
        text + end,
        f"<p><strong>{head}</strong></p><table>{rows}</table><p>{_link(notice, told.where)}</p>",
    )


def _several(
    told: Sequence[Told], more: int, wording: Wording, now: datetime, quote: Quote, room: int
) -> Message:
    asked = sum(not one.notice.ends for one in told)
    ended = len(told) - asked
    parts = [f"{asked} to decide"] * bool(asked) + [f"{ended} ended"] * bool(ended)
    title = f"Approvals: {', '.join(parts)}{f', {more} more' if more else ''}"
    lines, items, left = [], [], room - len("\n\nand 1,000,000 more: see `clearance pending`")
    for number, one in enumerate(told):
        fields = _fields(one.notice, now)
        aside = f" ({one_line(_aside(one.notice, fields), _MAX_TEXT)})"
        line = _filled(wording.line, fields, quote) + quote(aside)
        said = f"- {one_line(line)}\n  {one.where}"
        left -= len(said) + 1
        if left < 0:
            more += len(told) - number
            break
        lines.append(said)
        head = html.escape(one_line(_filled(wording.line, fields, for_mail) + aside))
        items.append(f"<li>{head}<br>{_link(one.notice, one.where)}</li>")
    rest = f"and {more:,} more: see `clearance pending`" if more else ""
    return Message(
        title,
        "\n".join(lines) + (f"\n\n{rest}" if rest else ""),
        f"<ul>{''.join(items)}</ul>" + (f"<p>{rest}</p>" if rest else ""),
    )


def _filled(text: str, fields: Mapping[str, str], quote: Quote) -> str:
    return template.fill(text, {name: quote(value) for name, value in fields.items()})


def _fields(notice: Notice, now: datetime) -> dict[str, str]:
    """What a template may name, ``policy.channels.FIELDS``; empty where there is nothing to say."""
    asked = notice.deadline if not notice.ends else None
    said = {
        "what": _WHAT[notice.kind],
        "action": notice.action,
        "tool": notice.tool,
        "requester": notice.requester,
        "risk": notice.risk,
        "deadline": utc(asked) if asked else None,
        "left": span(asked - now) if asked else None,
        "stage": notice.stage,
        "by": notice.by,
        "reason": notice.reason,
        "id": notice.approval_id,
        "run_id": notice.run_id,
    }
    return {name: one_line(value or "", _MAX_TEXT) for name, value in said.items()}


def _facts(notice: Notice, fields: Mapping[str, str]) -> list[tuple[str, str]]:
    within = f"within {fields['left']}, by {fields['deadline']}" if fields["deadline"] else ""
    by = "Handed over by" if notice.kind == "delegated" else "By"
    facts = [
        ("Risk", fields["risk"]),
        ("Decide", within if not notice.ends else ""),
        ("Stage", fields["stage"]),
        (by, fields["by"]),
        ("Reason", fields["reason"]),
        ("Asked by", fields["requester"]),
        ("Tool", fields["tool"]),
        ("Run", fields["run_id"]),
        ("Request", fields["id"]),
    ]
    return [(label, value) for label, value in facts if value]


def _aside(notice: Notice, fields: Mapping[str, str]) -> str:
    if notice.ends:
        parts = [fields["by"] and f"by {fields['by']}", fields["reason"]]
    else:
        parts = [
            f"{fields['risk']} risk",
            fields["requester"] and f"asked by {fields['requester']}",
            fields["left"] and f"{fields['left']} left",
        ]
    return ", ".join(part for part in parts if part) or f"{fields['risk']} risk"


def _way(notice: Notice) -> str:
    return "See it" if notice.ends else "See and decide"


def _link(notice: Notice, where: str) -> str:
    said = html.escape(where)
    if where.startswith(("http://", "https://")):
        return f'<a href="{said}">{_way(notice)}</a>'
    return f"{_way(notice)}: <code>{said}</code>"

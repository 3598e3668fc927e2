"""What the command line draws: one console, one table style. Apart from ``cli/output.py``, because Rich
takes longer to import than most commands have to say."""

import sys
from collections.abc import Iterable
from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from clearance import Grant, render, values
from clearance.progress import progress
from clearance.story import story
from clearance.text import moment, one_line, span
from clearance.views import ApprovalSummary, ApprovalView, FinishedApproval

COLOURS = {
    "pending": "yellow",
    "approved": "green",
    "rejected": "red",
    "refused": "red",
    "expired": "bright_black",
    "withdrawn": "bright_black",
    "standing": "green",
    "revoked": "red",
    "low": "green",
    "medium": "yellow",
    "high": "red",
    "critical": "bold red",
}


def console(*, stderr: bool = False) -> Console:
    """A console on this process's own stream; wide where nobody watches, so that nothing is cut."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(
        stderr=stderr, width=None if stream.isatty() else 200, highlight=False, markup=False
    )


def text(value: str | None, style: str = "") -> Text:
    """Somebody's words in a cell: literal, on one line, harmless."""
    return Text(one_line(value or "-"), style=style)


def coloured(word: str) -> Text:
    """A status or a risk in its colour; the word itself says it too."""
    return Text(word, style=COLOURS.get(word, ""))


def table(*columns: str) -> Table:
    """The one table style. The first column, an id, is never cut."""
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    made.add_column(columns[0], no_wrap=True)
    for column in columns[1:]:
        made.add_column(column, overflow="fold")
    return made


def pending_table(waiting: Iterable[ApprovalSummary]) -> Table:
    """What waits, a line each."""
    now = datetime.now(UTC)
    waiting = list(waiting)
    far = {one.id: progress(one, now) for one in waiting}
    several = any(far.values())
    made = table(
        *("ID", "ACTION", "RISK", "TOOL", "ASKED BY", "AGE", "LEFT"),
        *(["PROGRESS"] if several else []),
    )
    for one in waiting:
        left = "?" if one.risk is None else "no deadline"
        unknown = None if one.readable else "?"
        made.add_row(
            text(one.id),
            text(one.action),
            coloured(one.risk or "?"),
            text(one.tool or unknown),
            text(one.requester or unknown),
            span(now - one.requested_at),
            span(one.deadline - now) if one.deadline else left,
            *([Text(far[one.id])] if several else []),
        )
    return made


def history_table(ended: Iterable[FinishedApproval]) -> Table:
    """What has ended, a line each."""
    made = table("ID", "ACTION", "STATUS", "BY", "WHEN", "REASON")
    for one in ended:
        decision = one.decision
        again = "changes requested: " if decision and decision.changes_requested else ""
        made.add_row(
            text(one.id),
            text(one.action),
            coloured(one.status),
            text(decision.by if decision else None),
            moment(one.closed_at),
            text(again + one.reason),
        )
    return made


def request_panel(view: ApprovalView, *, forgotten: bool = False) -> Panel:
    """One request whole: what will happen first, then the facts, the texts and the record.

    Args:
        view: the request and its record.
        forgotten: whether only the ledger has it.
    """
    now = datetime.now(UTC)
    facts = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for label, value in [*render.fields(view, now), *([render.KEPT] if forgotten else [])]:
        style = (
            COLOURS.get(value.split(" ")[0].rstrip(":"), "") if label in ("Status", "Risk") else ""
        )
        facts.add_row(Text(label, style="dim"), Text(value, style=style, overflow="fold"))
    parts: list[RenderableType] = [
        Text(one_line(view.current.action), style="bold"),
        Text(""),
        facts,
    ]
    for title, entries in render.sections(view):
        parts += [Text(f"\n{title}", style="dim"), entry_lines(entries)]
    parts += [Text("\nRecord", style="dim"), _record(view)]
    return Panel(
        Group(*parts),
        title=Text(one_line(view.id)),
        title_align="left",
        border_style=COLOURS[view.status],
        width=min(100, console().width),
    )


def entry_lines(entries: Iterable[values.Entry]) -> Group:
    """Labels and values: short ones on a line, long ones set off below their label."""
    parts: list[RenderableType] = []
    for label, value in entries:
        if label and not values.is_block(value):
            parts.append(Text(f"{label}: {value}"))
        else:
            parts += [*([Text(f"{label}:")] if label else []), _inset(value)]
    return Group(*parts)


def grants_table(grants: Iterable[Grant]) -> Table:
    """Standing approvals, a line each."""
    now = datetime.now(UTC)
    made = table("ID", "TOOL", "IF", "USES", "EXPIRES", "BY", "STATUS")
    for one in grants:
        status = one.status(now)
        left = f"in {span(one.expires_at - now)}" if now < one.expires_at else "-"
        made.add_row(
            text(one.id),
            text(one.tool),
            text(one.condition),
            f"{len(one.used_by)} of {one.max_uses}",
            left,
            text(one.granted_by),
            Text(status, style=COLOURS.get(status, "")),
        )
    return made


def _inset(body: str) -> Padding:
    """Set off from the left, wrapped lines too: no line of it can pass for one of ours."""
    return Padding(Text(body.rstrip("\n")), (0, 0, 0, 4))


def _record(view: ApprovalView) -> RenderableType:
    """Every event on a line of its own; what people wrote to each other below it, set off."""
    if not view.complete:
        return Text("no worker answered; this is what the server itself has stored")
    rows = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for _ in range(2):
        rows.add_column(no_wrap=True)
    rows.add_column(overflow="fold")
    for told in story(view):
        line = Text.assemble(coloured(told.label), " ", told.line)
        block = [_inset(told.block)] if told.block else []
        rows.add_row(str(told.sequence), moment(told.at), Group(line, *block))
    if view.refusals_uncounted:
        rows.add_row("", "", f"refused {view.refusals_uncounted} times more")
    return rows

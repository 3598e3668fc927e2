"""One way to show a request: the Markdown that Temporal's UI, the command line and others build on."""

import json
from datetime import datetime
from textwrap import indent

from .requests import ApprovalRequest
from .text import moment, one_line, span, visible
from .views import ApprovalView


def fields(view: ApprovalView, now: datetime) -> list[tuple[str, str]]:
    """Label and value of what a reviewer wants to know besides the texts, in reading order."""
    request = view.request
    rows = [
        ("Status", status_line(view)),
        ("Risk", request.risk),
        ("Asked", f"{moment(view.requested_at)} ({span(now - view.requested_at)} ago)"),
    ]
    if view.deadline and view.status == "pending":
        rows.append(("Deadline", f"{moment(view.deadline)} (in {span(view.deadline - now)})"))
    optional = {
        "Tool": request.tool,
        "Run": request.run_id,
        "Requester": request.requester,
        "Checkpoint": request.checkpoint,
        "Audience": ", ".join(request.audience),
    }
    rows += [(label, one_line(value)) for label, value in optional.items() if value]
    rows.append(("Digest", view.digest))
    return rows


def status_line(view: ApprovalView) -> str:
    """The status with who decided and when."""
    if view.decision is None:
        return view.status
    line = f"{view.status} by {one_line(view.decision.by)} at {moment(view.decision.at)}"
    return f"{line}: {one_line(view.decision.reason)}" if view.decision.reason else line


def arguments(request: ApprovalRequest) -> list[tuple[str, str]]:
    """Name and value of each argument, exactly as it will run.

    A value is JSON, so that ``"1"`` and ``1`` look different; only a string that is long or has
    several lines stands as plain text, to be set off from its name by whoever shows it
    (``is_block`` tells).
    """
    shown = []
    for name, value in request.arguments.items():
        text = json.dumps(value, ensure_ascii=False)
        if isinstance(value, str):
            text = value if is_block(visible(value)) else text
        elif is_block(text):
            text = json.dumps(value, ensure_ascii=False, indent=2)
        shown.append((one_line(name), visible(text)))
    return shown


def is_block(text: str) -> bool:
    """Whether a value needs lines of its own."""
    return len(text) > 72 or "\n" in text


def arguments_text(request: ApprovalRequest) -> str:
    """All arguments as text, blocks indented; empty where there are none."""
    return "\n".join(
        f"{name}:\n{indent(text, '    ', lambda _: True)}" if is_block(text) else f"{name}: {text}"
        for name, text in arguments(request)
    )


def markdown(view: ApprovalView, now: datetime) -> str:
    """The whole request as Markdown. What others wrote stands in code blocks, where it can't format."""
    parts = [fenced(visible(view.request.action))]
    parts.append("\n".join(f"- {label}: {code(value)}" for label, value in fields(view, now)))
    for title, text in (
        ("Details", visible(view.request.details)),
        ("Arguments", arguments_text(view.request)),
    ):
        if text:
            parts.append(f"**{title}**\n{fenced(text)}")
    return "\n\n".join(parts)


def fenced(text: str) -> str:
    """A code block whose fence is longer than any run of backticks inside."""
    return f"{(fence := _ticks(text, 3))}\n{text}\n{fence}"


def code(text: str) -> str:
    """``text`` as inline code that nothing inside can end."""
    return f"{(tick := _ticks(text, 1))} {text} {tick}"


def _ticks(text: str, least: int) -> str:
    longest = run = 0
    for c in text:
        run = run + 1 if c == "`" else 0
        longest = max(longest, run)
    return "`" * max(least, longest + 1)

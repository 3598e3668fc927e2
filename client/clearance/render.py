"""One way to show a request: the Markdown that Temporal's UI, the command line and others build on.

What somebody wrote, a model, a requester, a reviewer, never looks like a line of ours: it stands on
one line behind a label, or in a block of its own.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from textwrap import indent

from . import answers, mask
from .progress import delegations, how_far, who_decides
from .requests import ApprovalRequest
from .text import moment, one_line, some, span, visible
from .values import Entry, argument_label, differences, first, is_block, shown
from .views import ApprovalView

_QUESTIONS = 20
"""Of a request's answer, told one by one; a page is made inside a workflow, too."""


def fields(view: ApprovalView, now: datetime) -> list[Entry]:
    """Label and value of what a reviewer wants to know besides the texts, in reading order."""
    request = view.current
    rows = [
        ("Status", status_line(view)),
        ("Risk", request.risk),
        ("Asked", f"{moment(view.requested_at)} ({span(now - view.requested_at)} ago)"),
    ]
    if view.deadline and view.status == "pending":
        rows.append(("Deadline", f"{moment(view.deadline)} (in {span(view.deadline - now)})"))
    known = {
        "Tool": request.tool,
        "Run": request.run_id,
        "Requester": request.requester,
        "Checkpoint": request.checkpoint,
        "Policy": request.policy_digest and request.policy_digest[:12],
        "Attempt": _attempt(request),
        **who_decides(view, now),
        "Own approval": _own_approval(request),
        "Decisions": _signed(request),
        "Standing in": delegations(view),
        "Granted": _granted(request),
        "Usable": _usable(request),
        "Masked": some(request.masked, 10),
    }
    rows += [(label, one_line(value)) for label, value in known.items() if value]
    if view.status == "pending":
        rows += _how_to_decide(request)
    rows.append(("Digest", view.digest))
    return rows


KEPT: Entry = ("Kept", "in the ledger; Temporal no longer has it")
"""A fact of what Temporal has forgotten."""


def status_line(view: ApprovalView) -> str:
    """The status with who decided and when; of a pending request, with how far it is."""
    if view.status == "pending":
        return f"pending{how_far(view)}"
    if view.decision is None:
        why = one_line(view.explanation)
        said = why.startswith(view.status) or not why
        return why or view.status if said else f"{view.status}: {why}"
    word = f"{view.status} with changes" if view.edit else view.status
    if view.decision.changes_requested:
        word = f"{view.status} with changes requested"
    line = f"{word} by {one_line(view.decision.by)} at {moment(view.decision.at)}"
    return f"{line}: {one_line(view.decision.reason)}" if view.decision.reason else line


def sections(view: ApprovalView, limit: int | None = None) -> list[tuple[str, list[Entry]]]:
    """The texts, each under its title: as they are now, and what a reviewer has changed in them.

    Args:
        view: the request and its record.
        limit: about how many characters of each are wanted; None for all.
    """
    request = view.current
    changes = differences(view.edit.changes if view.edit else ())
    found = [
        ("Impact", _whole(request.impact)),
        ("Details", _whole(request.details)),
        ("Arguments", first(arguments(request), limit)),
        ("Changed by a reviewer", first(changes, limit)),
        ("To be answered", _questions(request) if view.status == "pending" else []),
        ("Answer", _answer(view)),
        ("Why: what the agent was told", _whole(request.user_prompt)),
        ("Why: what the agent said", _whole(request.agent_message)),
    ]
    return [(title, entries) for title, entries in found if entries]


def arguments(request: ApprovalRequest) -> Iterator[Entry]:
    """Name and value of each argument, exactly as it will run; but of a masked one, ``[masked]``.

    A value is JSON, so that ``"1"`` and ``1`` look different, and ``"[masked]"`` like no mask; only a
    string that is long or has several lines stands as plain text, to be set off from its name by
    whoever shows it.
    """
    masked = set(request.masked)
    for name, value in request.arguments.items():
        hidden = mask.pointer(name) in masked
        yield argument_label(name), mask.MASK if hidden else visible(shown(value))


def as_text(entries: Iterable[Entry]) -> str:
    """Entries as text, blocks below their labels indented; empty where there are none."""
    lines = []
    for label, text in entries:
        if not label:
            lines.append(text)
        elif is_block(text):
            lines.append(f"{label}:\n{indent(text, '    ', lambda _: True)}")
        else:
            lines.append(f"{label}: {text}")
    return "\n".join(lines)


def markdown(view: ApprovalView, now: datetime, *, limit: int | None = None) -> str:
    """The whole request as Markdown. What others wrote stands in code blocks, where it can't format.

    Args:
        view: the request and its record.
        now: when it is read.
        limit: about how many characters it may have; None for all. What is longer is cut, with a
            mark that says where the rest is: first the longest texts and arguments.
    """
    mark = f"(cut here: `clearance show {view.id}` has all of it)"

    def cut(text: str, room: int, gap: str = "\n") -> str:
        return text if limit is None or len(text) <= room else f"{text[:room]}{gap}{mark}"

    parts = [fenced(visible(view.current.action))]
    rows = [(label, cut(value, (limit or 0) // 20, "… ")) for label, value in fields(view, now)]
    parts.append("\n".join(f"- {label}: {code(value)}" for label, value in rows))
    texts = [(title, as_text(entries)) for title, entries in sections(view, limit)]
    left = max(0, (limit or 0) - sum(map(len, parts)))
    rooms = {}
    for position, (title, text) in enumerate(sorted(texts, key=lambda one: len(one[1]))):
        rooms[title] = left // (len(texts) - position)  # what a short one leaves is the others'
        left -= min(rooms[title], len(text))
    parts += [f"**{title}**\n{fenced(cut(text, rooms[title]))}" for title, text in texts]
    return "\n\n".join(parts)


def fenced(text: str) -> str:
    """A code block whose fence is longer than any run of backticks inside."""
    return f"{(fence := _ticks(text, 3))}\n{text}\n{fence}"


def code(text: str) -> str:
    """``text`` as inline code that nothing inside can end."""
    return f"{(tick := _ticks(text, 1))} {text} {tick}"


def _ticks(text: str, least: int) -> str:
    longest = max(map(len, re.findall("`+", text)), default=0)
    return "`" * max(least, longest + 1)


def _attempt(request: ApprovalRequest) -> str | None:
    if request.previous is None:
        return None if request.attempt == 1 else str(request.attempt)
    return f"{request.attempt}; before it: {request.previous}"


def _own_approval(request: ApprovalRequest) -> str | None:
    """What a request says of those whose own matter it is; None where it says nothing."""
    if request.self_approval is None:
        return None
    words = {"requester": "of who asked for it", "editor": "of who changes it"}
    return "counts " + (" and ".join(words[one] for one in request.self_approval) or "of nobody")


def _signed(request: ApprovalRequest) -> str | None:
    """Of which keys one has to sign what is decided; None where nothing need be signed."""
    ids = ", ".join(one.id for one in request.decision_keys)
    return f"only signed ones count, by {ids}" if ids else None


def _usable(request: ApprovalRequest) -> str | None:
    """How long an agent outside Temporal may take its permission; None where nothing is said."""
    length = request.usable_for
    return None if length is None else f"within {span(length)} of the approval"


def _granted(request: ApprovalRequest) -> str | None:
    use = request.grant
    if use is None:
        return None
    which = f"by {use.granted_by} with {use.grant_id}, use {use.use} of {use.max_uses}"
    return f"{which}, if {use.condition}"


def _how_to_decide(request: ApprovalRequest) -> list[Entry]:
    """What a reviewer has to do, and may do, besides approving or rejecting."""
    rows = []
    if request.phrase is not None:
        rows.append(("To approve", f"type {request.phrase!r}"))
    if request.editable is not False:
        which = "all arguments" if request.editable is True else ", ".join(request.editable)
        rows.append(("Editable", one_line(which)))
    if request.grantable:
        rows.append(("In advance", "further calls like it can be approved, too"))
    return rows


def _whole(text: str) -> list[Entry]:
    return [("", visible(text))] if text.strip() else []


def _questions(request: ApprovalRequest) -> list[Entry]:
    """What an approval has to answer, a line each."""
    if request.response_schema is None:
        return []
    found = answers.questions(request.response_schema, _QUESTIONS + 1)
    rows = []
    for one in found[:_QUESTIONS]:
        wanted = one.wanted if one.required else f"{one.wanted}, or nothing"
        if one.default is not None:
            wanted = f"{one.wanted}; else {one_line(answers.as_words(one.default), 300)}"
        label = argument_label(one.name) if one.name else "The answer"
        rows.append((label, one_line(f"{one.words} ({wanted})" if one.words else wanted)))
    more = [("", "and more: the schema in the request has all")] if len(found) > _QUESTIONS else []
    return rows + more


def _answer(view: ApprovalView) -> list[Entry]:
    """What the approval answered, value by value."""
    answer = view.decision.response if view.decision is not None else None
    if answer is None:
        return []
    if type(answer) is dict and answer:
        return [(argument_label(name), visible(shown(value))) for name, value in answer.items()]
    return [("", visible(shown(answer)))]

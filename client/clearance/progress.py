"""How far a request is, in words: who may decide, who has, until when. Pure functions."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from .stages import Stage, folded
from .text import moment, one_line, some, span
from .views import ApprovalSummary, ApprovalView, Delegation, StageView, Vote


def progress(listed: ApprovalSummary, now: datetime) -> str:
    """How far a listed request is: ``director (2 of 3), 1 of 2: ada@example.com 3 min ago``.

    Empty where one approval is enough and there are no stages.
    """
    stage = ""
    if listed.stages:
        name = listed.stages[min(listed.stage or 1, len(listed.stages)) - 1]
        stage = f"{name} ({listed.stage} of {len(listed.stages)})"
    count = ""
    if listed.stages or (listed.quorum or 1) > 1 or listed.approvals:
        who = some([f"{vote.who} {span(now - vote.at)} ago" for vote in listed.approvals])
        count = f"{len(listed.approvals)} of {listed.quorum}" + (f": {who}" if who else "")
    return one_line(", ".join(part for part in (stage, count) if part))


def how_far(view: ApprovalView) -> str:
    """Behind the word ``pending``: the stage, and how many of how many have approved."""
    asked = view.request.chain[view.stage - 1]
    where = f" in stage {one_line(asked.name)}" if view.request.stages else ""
    counting = asked.quorum > 1 and view.complete
    return where + (f" ({len(view.approvals)} of {asked.quorum})" if counting else "")


def who_decides(view: ApprovalView, now: datetime) -> Mapping[str, str | None]:
    """Label and value of who may decide and who has; a line for each stage where there are some."""
    if view.request.stages:
        known = {one.number: one for one in view.stages}
        return {
            f"Stage {number}": _stage(stage, known.get(number), view.status == "pending", now)
            for number, stage in enumerate(view.request.stages, 1)
        }
    terms = view.request.chain[0]
    asked = view.stages[0].audience if view.stages else terms.audience
    return {
        "Audience": _audience(terms, asked, waits=view.status == "pending"),
        "Approvals": _votes("approved", list(map(Vote.of, view.approvals)), terms.quorum, now),
        "Rejections": _votes(
            "rejected", list(map(Vote.of, view.rejections)), terms.reject_quorum, now
        ),
    }


def _stage(stage: Stage, known: StageView | None, waits: bool, now: datetime) -> str:
    status = known.status if known else ""
    parts = [f"{stage.name}: {status}" if status else stage.name]
    if known and status in ("open", "done", "ended"):
        counts = [
            _votes("approved", known.approvals, known.quorum, now, always=True),
            _votes("rejected", known.rejections, known.reject_quorum, now),
        ]
        parts += [count for count in counts if count]
    if status in ("", "open", "waiting"):
        asked = known.audience if known else stage.audience
        who = _audience(stage, asked, waits=waits)
        parts.append(f"asks {who}" if who else "asks anyone")
        if stage.quorum > 1 and status != "open":
            parts.append(f"{stage.quorum} have to approve")
        if status != "open":
            parts.append(f"within {span(end)}" if (end := stage.expires_in) else "no deadline")
    if waits and known and known.deadline and status == "open":
        parts.append(f"until {moment(known.deadline)} (in {span(known.deadline - now)})")
    if stage.when and status in ("", "waiting", "skipped"):
        parts.append(f"not ({stage.when})" if status == "skipped" else f"if {stage.when}")
    return "; ".join(parts)


def _audience(terms: Stage, now_asked: Sequence[str], *, waits: bool) -> str | None:
    """Who may decide; with those to whom it was escalated, or will be; None for anyone."""
    if not terms.audience:
        return None
    first = folded(terms.audience)
    line = ", ".join(terms.audience)
    if added := [name for name in now_asked if name.casefold() not in first]:
        return f"{line}; since the escalation {', '.join(added)}, too"
    if terms.escalate_to and waits:
        after = terms.escalate_after
        when = "at the deadline" if after is None else f"after {span(after)}"
        return f"{line}; {when} {', '.join(terms.escalate_to)}, too"
    return line


def _votes(
    verdict: str, votes: Sequence[Vote], quorum: int, now: datetime, *, always: bool = False
) -> str | None:
    """``1 of 2: ada@example.com approved 3 min ago``; None where one is enough, unless ``always``."""
    if quorum == 1 and not always:
        return None
    who = some([f"{one.who} {verdict} {span(now - one.at)} ago" for one in votes])
    return f"{len(votes)} of {quorum}" + (f": {who}" if who else "")


def delegations(view: ApprovalView) -> str:
    """``bob for ada``; who handed it over is told where it was somebody else."""
    return some([_delegation(one) for one in view.delegations], 10)


def _delegation(one: Delegation) -> str:
    by_another = one.by.casefold() != one.principal.casefold()
    return f"{one.to} for {one.principal}" + (f", by {one.by}" if by_another else "")

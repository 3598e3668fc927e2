"""Who has to decide a request, who has, and whose turn comes."""

from dataclasses import dataclass
from datetime import datetime

from clearance import ApprovalView, Stage
from clearance.stages import folded
from clearance.views import StageView, Vote

_WORDS = {
    "open": "asked now",
    "done": "done",
    "ended": "ended here",
    "waiting": "to come",
    "skipped": "not needed",
    "": "",
}


@dataclass(frozen=True)
class Step:
    """One stage as a line of a list."""

    name: str
    """Empty where the request has no stages: there is one, and it needs no name."""
    state: str
    word: str
    audience: tuple[str, ...]
    quorum: int
    reject_quorum: int
    approvals: tuple[Vote, ...]
    rejections: tuple[Vote, ...]
    deadline: datetime | None
    when: str
    """The condition on which it is asked."""
    escalates_to: tuple[str, ...]
    """Who may decide as well from the escalation on, as long as that is to come."""


def stages(view: ApprovalView) -> list[Step]:
    """The stages in order; where no worker has answered, without how far they are."""
    known = {one.number: one for one in view.stages}
    named = bool(view.request.stages)
    return [
        _step(stage, known.get(number), named=named)
        for number, stage in enumerate(view.request.chain, 1)
    ]


def _step(stage: Stage, known: StageView | None, *, named: bool) -> Step:
    audience = known.audience if known else stage.audience
    asked = folded(audience)
    state = known.status if known else ""
    later = [one for one in stage.escalate_to if one.casefold() not in asked]
    return Step(
        name=stage.name if named else "",
        state=state,
        word=_WORDS[state],
        audience=audience,
        quorum=stage.quorum,
        reject_quorum=stage.reject_quorum,
        approvals=known.approvals if known else (),
        rejections=known.rejections if known else (),
        deadline=known.deadline if known and state == "open" else None,
        when=stage.when or "",
        escalates_to=tuple(later) if state in ("open", "waiting", "") else (),
    )

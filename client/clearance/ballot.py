"""One stage while it is asked: who has decided so far, and when something is due."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from .models import Recorded
from .rules import Vote
from .stages import Stage, folded

_BRIEF_CHARS = 500


class Ballot:
    """The votes and the times of one stage. It decides nothing; the record does."""

    def __init__(self, number: int, stage: Stage, began: datetime) -> None:
        """Stage ``number``, from 1, asked from ``began`` on."""
        self.number = number
        self.stage = stage
        self.approvals: list[Vote] = []
        self.rejections: list[Vote] = []
        self.audience = stage.audience
        self.escalates_at = began + stage.escalate_after if stage.escalate_after else None
        self._begin(began)
        self.reminders += [began + age for age in stage.remind_after]

    def _begin(self, began: datetime) -> None:
        length = self.stage.expires_in
        self.deadline = began + length if length else None
        self.reminders = []
        if self.deadline is not None:
            self.reminders = [self.deadline - before for before in self.stage.remind_before]

    def against(self, approved: bool) -> list[Vote]:
        """The votes that stand in the way of another one by the same people.

        Who has approved may still reject; who has rejected can't approve any more.
        """
        return self.approvals + self.rejections if approved else list(self.rejections)

    def take(self, vote: Vote) -> list[Vote]:
        """Count a vote; returns all of its kind. A rejection takes back the same people's approval."""
        votes = self.approvals if vote.recorded.approved else self.rejections
        if not vote.recorded.approved:
            self.approvals = [one for one in self.approvals if one.people.isdisjoint(vote.people)]
        votes.append(vote)
        return votes

    @property
    def may_escalate(self) -> bool:
        """Whether it still can be escalated."""
        return bool(self.stage.escalate_to) and self.audience == self.stage.audience

    def void(self) -> None:
        """What was voted on isn't what would run any more."""
        self.approvals.clear()
        self.rejections.clear()

    def next_time(self) -> datetime | None:
        """When something is due next; None for never."""
        times = [*self.reminders, self.deadline, self.escalates_at]
        return min((time for time in times if time is not None), default=None)

    def escalates_by(self, at: datetime) -> bool:
        """Whether it has to be escalated by then: at its time, or where it has none at the deadline."""
        due = self.escalates_at or self.deadline
        return self.may_escalate and due is not None and at >= due

    def escalate(self, now: datetime) -> tuple[str, ...]:
        """Let more people decide; returns who they are. At the deadline, that begins anew.

        It stands for the reminders that are due by then.
        """
        if self.escalates_at is None:
            self._begin(now)
        self.audience = self.stage.audience + self.stage.escalate_to
        self.escalates_at = None
        self.reminded(now)
        before = folded(self.stage.audience)
        return tuple(name for name in self.stage.escalate_to if name.casefold() not in before)

    def reminded(self, now: datetime) -> bool:
        """Whether a reminder is due; those that are, are done with."""
        left = [time for time in self.reminders if time > now]
        due = len(left) < len(self.reminders)
        self.reminders = left
        return due


@dataclass(frozen=True)
class Taken:
    """A decision that was not refused: so that the same one again changes nothing."""

    recorded: Recorded
    ballot: Ballot
    counted: bool


def recorded(votes: Sequence[Vote]) -> list[Recorded]:
    """The decisions of some votes, long reasons cut: the events have them whole."""
    return [_brief(vote.recorded) for vote in votes]


def _brief(one: Recorded) -> Recorded:
    if len(one.reason) <= _BRIEF_CHARS:
        return one
    return one.model_copy(update={"reason": one.reason[: _BRIEF_CHARS - 1] + "…"})

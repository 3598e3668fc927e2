"""What time does to a request: remind, escalate, end it. No clock, no engine."""

from datetime import datetime
from typing import Any

from .deliberation import Deliberation
from .text import some


class Timekeeping(Deliberation):
    """A request that has times. ``Record`` adds what people do to it besides deciding it."""

    def __init__(self, *args: Any, **how: Any) -> None:
        """As ``Deliberation``."""
        super().__init__(*args, **how)
        self._explanation = ""

    def next_time(self) -> datetime | None:
        """When ``tick`` has something to do; None for never."""
        return self.ballot.next_time() if self.status == "pending" else None

    def tick(self, now: datetime) -> None:
        """Do what is due: remind, escalate, expire. Never approve."""
        ballot = self.ballot
        if self.status != "pending" or self._escalated_by(now, now):
            return
        if ballot.deadline is not None and now >= ballot.deadline:
            self.expire(now)
        elif ballot.reminded(now):
            self._add("reminded", "timer", now, to=some(ballot.audience) or None)

    def _escalated_by(self, at: datetime, now: datetime) -> bool:
        """Escalate what had to be by then. Returns whether it had to."""
        if self.status != "pending" or not self.ballot.escalates_by(at):
            return False
        self._add("escalated", "timer", now, to=some(self.ballot.escalate(now)))
        return True

    def expire(self, now: datetime) -> None:
        """The time is over. A request that has ended stays as it is."""
        if self.status == "pending":
            self.status = "expired"
            where = f" in stage {self.ballot.stage.name}" if self.request.stages else ""
            self._explanation = f"nobody decided in time{where}"
            self._add("expired", "timer", now)

    def cancel(self, now: datetime) -> None:
        """Its run has ended, or Temporal was told to. A request that has ended stays as it is."""
        if self.status == "pending":
            self.status = "withdrawn"
            self._add("withdrawn", "engine", now)

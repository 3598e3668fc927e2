"""What is known of a run and of its approvals, once their histories have been read."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from . import turns


@dataclass(frozen=True)
class Proposed:
    """One call that the model made."""

    event: int
    """Number of the history's event that has it: the order in which things happened."""
    at: datetime
    call: turns.Call


@dataclass
class Gate:
    """One approval that the run asked for."""

    event: int
    at: datetime
    approval_id: str
    execution: str = ""
    """Temporal's own id of it, once it had started."""
    closed: int | None = None
    closed_at: datetime | None = None
    outcome: Any = None
    """What the run was told, as plain JSON; None where Temporal ended it."""


@dataclass(frozen=True)
class Effect:
    """One activity, as it was handed to whoever does it. Tried again, it is the same one."""

    event: int
    at: datetime
    name: str
    values: tuple[Any, ...]
    """What it really got, as plain JSON."""


@dataclass(frozen=True)
class Moment:
    """Something that ended or interrupted the run."""

    event: int
    at: datetime
    reason: str


@dataclass
class Facts:
    """A run: what the model proposed, what was asked, what the tools got."""

    agent: str = ""
    requester: str = ""
    policy: dict[str, Any] = field(default_factory=dict)
    """As it was pinned; empty where none was."""
    handoffs: set[str] = field(default_factory=set)
    """Names by which one agent hands over to another."""
    proposed: list[Proposed] = field(default_factory=list)
    gates: list[Gate] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    interrupt: Moment | None = None
    end: Moment | None = None


@dataclass
class Asked:
    """An approval by its own history."""

    request: Any = None
    """What was shown, as plain JSON."""
    answers: list[tuple[datetime, Any]] = field(default_factory=list)
    """Every decision that reached it, counted or not; of a bare signal its value."""
    closed_at: datetime | None = None
    outcome: Any = None
    """None where it has none: it waits, or Temporal ended it."""

"""What callers catch.

try:
    await client.approve("email-7f3k.1", reviewer="ada@example.com")
except AlreadyDecided as error:     # somebody was first: error.decision says who and when
    ...
except ClearanceError as error:     # anything else; str(error) says what to do
    ...
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from . import text

if TYPE_CHECKING:
    from .models import Recorded, Status


_SHOWN = 5
"""Faults of one validation that are told one by one."""


class ClearanceError(Exception):
    """Base of every error this package raises on purpose. Its text says what to do."""


class CannotConnect(ClearanceError):
    """Temporal did not answer, or refused the connection."""


class NotRecorded(CannotConnect):
    """Temporal stopped answering before a decision, or another act, was sent: nothing was recorded."""

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__(
            "nothing was recorded: Temporal does not answer. Send it again in a moment"
        )


class OutcomeUnknown(CannotConnect):
    """Temporal stopped answering while a decision, or another act, was on its way, or no worker tells
    what became of it: it may have been recorded or not. Sent again with the same id (``key``) it counts
    once."""

    def __init__(
        self, approval_id: str, key: str, why: str = "Temporal stopped answering while this went to"
    ) -> None:
        """Keep the request and the id beside the text, which begins with ``why``."""
        super().__init__(
            f"unknown: {why} {approval_id}. Send the same again with the id {key}: it counts once"
        )
        self.approval_id = approval_id
        self.key = key


class InvalidRequest(ClearanceError, ValueError):
    """A request, filter or decision that breaks a rule of its model; nothing was sent."""


class AlreadyAsked(InvalidRequest):
    """The id of a new request is in use, or was used before; nothing was asked."""


class NotFound(ClearanceError, LookupError):
    """No approval or run has this id. ``nearest`` lists ids that look like it."""

    def __init__(self, message: str, nearest: Sequence[str] = ()) -> None:
        """Keep ``nearest`` beside the text."""
        super().__init__(message)
        self.nearest = tuple(nearest)


class Ambiguous(ClearanceError, LookupError):
    """Several ids begin or end like this. ``candidates`` lists them."""

    def __init__(self, message: str, candidates: Sequence[str]) -> None:
        """Keep ``candidates`` beside the text."""
        super().__init__(message)
        self.candidates = tuple(candidates)


class Refused(ClearanceError):
    """The decision did not count. The text says why; the gate is as it was."""


class AlreadyDecided(Refused):
    """The request is closed. ``decision`` is the one that counted, None where nobody decided."""

    def __init__(self, message: str, status: "Status", decision: "Recorded | None" = None) -> None:
        """Keep the final status and the decision that counted beside the text."""
        super().__init__(message)
        self.status = status
        self.decision = decision


class AlreadyConsumed(Refused):
    """Somebody has taken the permission to act: ``taker``, at ``at``. There is one for each approval."""

    def __init__(self, message: str, taker: str, at: datetime) -> None:
        """Keep who and when beside the text."""
        super().__init__(message)
        self.taker = taker
        self.at = at


class WaitTimeout(ClearanceError, TimeoutError):
    """``wait`` gave up. The request itself still waits."""


class NoWorker(ClearanceError):
    """No worker polls the queue, so nothing would happen."""


def explain(error: Any) -> str:
    """A pydantic ``ValidationError`` as one line that says which fields and what is wrong.

    Its length has a limit: a stranger's field names, of any length, end up in records through it.
    """
    items = error.errors(include_url=False, include_input=False)
    parts = []
    for item in items[:_SHOWN]:
        where = text.one_line(".".join(str(part) for part in item["loc"]), 80)
        message = text.one_line(item["msg"].removeprefix("Value error, "), 300)
        parts.append(f"{where}: {message}" if where else message)
    if more := len(items) - len(parts):
        parts.append(f"and {more} more")
    return "; ".join(parts)

"""What is said of an error, in one line, and the exit code that tells scripts its kind."""

import typer
from temporalio.service import RPCError

from clearance.errors import (
    Ambiguous,
    CannotConnect,
    ClearanceError,
    InvalidRequest,
    NotFound,
    OutcomeUnknown,
)
from clearance.keys import InvalidKeys
from clearance.text import one_line
from policy.reading import BrokenPolicy

from . import session


def explain(error: Exception) -> tuple[list[str], int]:
    """The lines to say of an error, and the exit code that tells scripts its kind."""
    text, code = _explain(error)
    return [one_line(line) for line in _problems(error) or ([text] if text else [])], code


def _problems(error: BaseException | None) -> list[str]:
    """Each fault of a broken policy, for a line of its own. Any other error has one line, whatever
    stands in it: what others wrote must not look like a line of ours."""
    if error is None:
        return []
    return error.problems if isinstance(error, BrokenPolicy) else _problems(error.__cause__)


def _explain(error: Exception) -> tuple[str, int]:
    if isinstance(error, typer.TyperException):
        # No text: the command was called bare, and its help has been printed.
        return error.format_message(), session.EXIT_USAGE
    if isinstance(error, OutcomeUnknown):
        return f"{error} (a decision with --decision-id {error.key})", _code(error)
    if isinstance(error, ClearanceError):
        return str(error), _code(error)
    if isinstance(error, RPCError):
        return f"Temporal answered with an error: {error.message}", session.EXIT_UNREACHABLE
    text = f"unexpected {type(error).__name__}: {error} (--debug shows where)"
    return text, session.EXIT_FAILED


def _code(error: ClearanceError) -> int:
    if isinstance(error, CannotConnect):
        return session.EXIT_UNREACHABLE
    if isinstance(error, InvalidRequest | NotFound | Ambiguous | InvalidKeys):
        return session.EXIT_USAGE
    return session.EXIT_FAILED

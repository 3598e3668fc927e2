"""What has ended: history."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

import typer

from clearance.views import FinishedApproval

from . import output, past, session, tables
from .approvals import Json, check_risk

_STATUSES = ("approved", "rejected", "expired", "withdrawn")
_TIMES = "a date (2026-11-01), a date with a time (2026-11-01T09:30) or an age (7d)"


def history(
    status: Annotated[
        str | None, typer.Option(help="approved, rejected, expired or withdrawn.")
    ] = None,
    reviewer: Annotated[str | None, typer.Option(help="Only what this person closed.")] = None,
    tool: Annotated[str | None, typer.Option(help="Only of this tool.")] = None,
    run: Annotated[str | None, typer.Option(help="Only of this agent run.")] = None,
    requester: Annotated[str | None, typer.Option(help="Only what this person asked for.")] = None,
    risk: Annotated[str | None, typer.Option(help="low, medium, high or critical.")] = None,
    checkpoint: Annotated[str | None, typer.Option(help="Only of this policy rule.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help=f"Only what ended from then on: {_TIMES}.")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Only what ended before then; of a date, that day too."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most this many.")] = 50,
    as_json: Json = False,
) -> None:
    """List what has ended, newest first: who decided, when, and why."""
    if status is not None and status not in _STATUSES:
        raise typer.BadParameter(f"--status takes {', '.join(_STATUSES)}, not {status!r}")
    check_risk(risk)
    now = datetime.now(UTC)
    begin, end = moment_of(since, "--since", now), moment_of(until, "--until", now, whole_day=True)
    if begin is not None and end is not None and begin >= end:
        raise typer.BadParameter("--since is not before --until, so nothing lies between them")
    filters: dict[str, Any] = {"status": status, "reviewer": reviewer, "tool": tool, "run": run}
    filters |= {"requester": requester, "risk": risk, "checkpoint": checkpoint}
    settings = session.load()

    async def work() -> list[FinishedApproval]:
        async with session.connected(settings) as client:
            return await past.listed(settings, client, limit, since=begin, until=end, **filters)

    ended = session.run(work())
    if as_json:
        output.print_json(ended)
    elif ended:
        tables.console().print(tables.history_table(ended))
    else:
        narrowed = any((*filters.values(), since, until))
        output.say("Nothing that has ended fits." if narrowed else "Nothing has ended yet.")


def moment_of(
    given: str | None, option: str, now: datetime, *, whole_day: bool = False
) -> datetime | None:
    """A time that somebody wrote, in the reader's own zone unless it names one.

    Args:
        given: a date, a date with a time, or an age.
        option: where it was said.
        now: what an age counts back from.
        whole_day: of a date, the end of that day instead of its beginning.

    Raises:
        typer.BadParameter: it is none of these.
    """
    if given is None:
        return None
    try:
        return (_age(given, now) or _day(given, whole_day=whole_day) or _time(given)).astimezone(
            UTC
        )
    except (ValueError, OverflowError, OSError, typer.BadParameter) as error:
        raise typer.BadParameter(f"{option} {given}: write {_TIMES}") from error


def _age(given: str, now: datetime) -> datetime | None:
    if not given[:-1].isdecimal() or given[-1:].isdecimal():
        return None
    length = session.duration(given)
    return None if length is None else now - length


def _day(given: str, *, whole_day: bool) -> datetime | None:
    try:
        day = date.fromisoformat(given)
    except ValueError:
        return None
    return datetime.combine(day + timedelta(days=whole_day), time())


def _time(given: str) -> datetime:
    return datetime.fromisoformat(given)

"""What waits for a person: pending, show."""

import asyncio
import contextlib
import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from temporalio.service import RPCError

from clearance import ApprovalClient, ApprovalView, ClearanceError
from clearance.away import is_away
from clearance.filters import Filters
from clearance.workers import unserved

from . import output, past, session
from .settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Id = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="The request: its id, or any unambiguous beginning or end of it.",
        autocompletion=session.complete_pending,
    ),
]
As = Annotated[str | None, typer.Option("--as", metavar="NAME", help="Who you are here.")]
RISKS = ("low", "medium", "high", "critical")


def check_risk(risk: str | None) -> None:
    """Raise typer.BadParameter where a filter names a risk that there isn't."""
    if risk is not None and risk not in RISKS:
        raise typer.BadParameter(f"{risk!r}: the risks are low, medium, high and critical")


def pending(
    audience: Annotated[str | None, typer.Option(help="Only what names this person.")] = None,
    tool: Annotated[str | None, typer.Option(help="Only of this tool.")] = None,
    run: Annotated[str | None, typer.Option(help="Only of this agent run.")] = None,
    risk: Annotated[str | None, typer.Option(help="low, medium, high or critical.")] = None,
    mine: Annotated[
        bool, typer.Option("--mine", help="Only what you may still decide, by reviewers.toml.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and show changes.")] = False,
    as_json: Json = False,
) -> None:
    """List what waits for a person."""
    check_risk(risk)
    if watch and (as_json or not sys.stdout.isatty()):
        raise typer.BadParameter("--watch draws a screen: without one, run pending repeatedly")
    settings = session.load()
    filters: Filters = {"audience": audience, "tool": tool, "run": run, "risk": risk}
    if mine:
        person = session.reviewer(settings, None)
        filters |= {"reviewer": person, "also": _mine(settings, person), "left_to": person}

    async def work() -> None:
        async with session.connected(settings) as client:
            if watch:
                await _watch(client, settings, filters)
            waiting = [one async for one in client.pending(**filters)]
            if waiting:
                await session.tell_unserved(client, settings)
        if as_json:
            output.print_json(waiting)
        elif waiting:
            from . import tables  # here: only a table needs it

            tables.console().print(tables.pending_table(waiting))
        else:
            output.say("Nothing waits for a person.")

    session.run(work())


async def _watch(client: ApprovalClient, settings: Settings, filters: Filters) -> None:
    """Draw what waits, again and again, until it is interrupted."""
    from rich.live import Live

    from . import tables

    console = tables.console()
    with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
        while True:
            live.update(await _screen(client, settings, filters), refresh=True)
            await asyncio.sleep(1)


async def _screen(client: ApprovalClient, settings: Settings, filters: Filters) -> Any:
    """What waits, and what keeps a decision from taking effect."""
    from rich.console import Group

    from . import tables

    try:
        table = tables.pending_table([one async for one in client.pending(**filters)])
    except RPCError as error:
        if not is_away(error):
            raise
        return "Temporal does not answer; what waits is shown again when it does."
    served = await client.is_served()
    return table if served else Group(table, unserved(settings.approvals_queue))


def show(id: Id, as_json: Json = False) -> None:
    """Show one request whole: what will run, who decided, everything that happened to it."""
    settings = session.load()

    async def work() -> None:
        async with session.connected(settings) as client:
            found = await past.get(settings, client, id)
            view = found.value
            if as_json:
                output.print_json(view)
                return
            from . import tables  # here: only a panel needs it

            tables.console().print(tables.request_panel(view, forgotten=found.forgotten))
            if view.status == "pending":
                await session.tell_unserved(client, settings)
                for one in (await client.untaken(view))[-5:]:  # the latest: there may be many
                    output.say(one.sentence())
                await _seen(client, settings, view)

    session.run(work())


async def _seen(client: ApprovalClient, settings: Settings, view: ApprovalView) -> None:
    """Put into the record that it was read, once. Reading goes on where that can't be."""
    with contextlib.suppress(ClearanceError, RPCError):
        who = session.reviewer(settings, None)
        if not any((one.kind, one.who) == ("viewed", who) for one in view.events):
            await client.viewed(view.id, who=who, channel="cli")


def _mine(settings: Settings, person: str) -> list[str]:
    """What else an audience may call somebody: by ``reviewers.toml``, where there is one.

    Raises:
        BrokenPolicy: the file is broken.
    """
    path = settings.reviewers_file()
    if path is None:
        return []
    from policy.reviewers import load  # here: it takes its time

    return list(load(path).names_of(person, datetime.now(UTC)))

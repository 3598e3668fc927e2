"""What waits for a person: pending, show, request."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.live import Live

from clearance import ApprovalRequest, InvalidRequest, text
from clearance.errors import explain
from clearance.reading import Filters
from clearance.workers import has_worker

from . import output, session

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Id = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="The request: its id, or any unambiguous beginning or end of it.",
        autocompletion=session.complete_pending,
    ),
]
As = Annotated[str | None, typer.Option("--as", metavar="NAME", help="Decide as this person.")]


def pending(
    audience: Annotated[str | None, typer.Option(help="Only what names this person.")] = None,
    tool: Annotated[str | None, typer.Option(help="Only of this tool.")] = None,
    run: Annotated[str | None, typer.Option(help="Only of this agent run.")] = None,
    risk: Annotated[str | None, typer.Option(help="low, medium, high or critical.")] = None,
    mine: Annotated[bool, typer.Option("--mine", help="Only what you may decide.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and show changes.")] = False,
    as_json: Json = False,
) -> None:
    """List what waits for a person."""
    if risk is not None and risk not in ("low", "medium", "high", "critical"):
        raise typer.BadParameter(f"{risk!r}: the risks are low, medium, high and critical")
    if watch and (as_json or not sys.stdout.isatty()):
        raise typer.BadParameter("--watch draws a screen: without one, run pending repeatedly")
    settings = session.load()
    filters: Filters = {"audience": audience, "tool": tool, "run": run, "risk": risk}
    if mine:
        filters["reviewer"] = session.reviewer(settings, None)

    async def work() -> None:
        async with session.connected(settings) as client:
            console = output.console()
            while watch:
                with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
                    while True:
                        waiting = [one async for one in client.pending(**filters)]
                        live.update(output.pending_table(waiting), refresh=True)
                        await asyncio.sleep(1)
            waiting = [one async for one in client.pending(**filters)]
        if as_json:
            output.print_json(waiting)
        elif waiting:
            console.print(output.pending_table(waiting))
        else:
            output.say("Nothing waits for a person.")

    session.run(work())


def show(id: Id, as_json: Json = False) -> None:
    """Show one request whole: what will run, who decided, everything that happened to it."""
    settings = session.load()

    async def work() -> None:
        async with session.connected(settings) as client:
            view = await client.get(id)
        if as_json:
            output.print_json(view)
        else:
            output.console().print(output.request_panel(view))

    session.run(work())


def request(
    action: Annotated[str, typer.Argument(help="What is about to happen, in one sentence.")],
    details: Annotated[
        str, typer.Option(help="What the reviewer has to read; @FILE reads a file, - the input.")
    ] = "",
    tool: Annotated[str | None, typer.Option(help="The tool that will run.")] = None,
    args: Annotated[str, typer.Option(help="Its arguments, a JSON object.")] = "{}",
    risk: Annotated[str, typer.Option(help="low, medium, high or critical.")] = "medium",
    audience: Annotated[
        list[str] | None, typer.Option(help="Who may decide; repeat it for several people.")
    ] = None,
    expires_in: Annotated[
        str, typer.Option(help="Until the deadline: 90s, 15m, 2h, 7d, 2w or never.")
    ] = "7d",
    id: Annotated[
        str | None, typer.Option(help="An id of your own: asking again then asks nothing new.")
    ] = None,
    wait: Annotated[
        bool,
        typer.Option("--wait", help="Wait; exit 0 approved, 1 rejected, 3 expired, 4 withdrawn."),
    ] = False,
    as_: As = None,
    as_json: Json = False,
) -> None:
    """Ask for an approval from any shell script."""
    settings = session.load()
    try:
        arguments = json.loads(args)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"--args is not JSON: {error}") from error
    if not isinstance(arguments, dict):
        raise InvalidRequest('--args must be a JSON object, for example {"amount": 80}')
    try:
        wanted = ApprovalRequest.model_validate(
            {
                "action": action,
                "details": _text(details),
                "tool": tool,
                "arguments": arguments,
                "risk": risk,
                "audience": audience or [],
                "expires_in": session.duration(expires_in),
                "requester": session.reviewer(settings, as_),
            }
        )
    except ValidationError as error:
        raise InvalidRequest(explain(error)) from error

    async def work() -> int:
        async with session.connected(settings) as client:
            asked = await client.request(wanted, id=id)
            if not await has_worker(client.temporal, settings.approvals_queue):
                output.say(
                    f"No worker serves {settings.approvals_queue}: the request is stored and "
                    "waits until one does (`clearance worker`)."
                )
            if not wait:
                output.print_json(asked) if as_json else output.out(asked.id)
                return 0
            output.say(f"Waiting for a person: clearance approve {asked.id}")
            outcome = await client.wait(asked.id)
        if as_json:
            output.print_json(outcome)
        else:
            reason = f": {outcome.reason}" if outcome.reason else ""
            output.out(text.one_line(f"{outcome.approval_id} is {outcome.status}{reason}"))
        return {
            "approved": 0,
            "rejected": session.EXIT_FAILED,
            "expired": session.EXIT_EXPIRED,
            "withdrawn": session.EXIT_WITHDRAWN,
        }[outcome.status]

    raise typer.Exit(session.run(work()))


def _text(value: str) -> str:
    """``-`` is standard input, ``@FILE`` a file, anything else itself."""
    try:
        if value == "-":
            return sys.stdin.read()
        if value.startswith("@"):
            return Path(value[1:]).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"--details: {value} can't be read: {error}") from error
    return value

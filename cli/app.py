"""The command ``clearance``: wires the commands, and says in one line what went wrong."""

import asyncio
import os
import sys
import traceback
from typing import Annotated

import click
import typer
from temporalio.service import RPCError

from clearance import CannotConnect, ClearanceError
from clearance.errors import Ambiguous, InvalidRequest, NotFound

from . import admin, approvals, demo, output, runs, serve, session

app = typer.Typer(
    help="A durable approval gate between an AI agent and an action that can't be undone.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command(rich_help_panel="Start")(demo.demo)
app.command(rich_help_panel="Start")(serve.up)
app.command(rich_help_panel="Start")(serve.worker)
app.command(rich_help_panel="Agents")(runs.run)
app.command(rich_help_panel="Agents")(runs.runs)
app.command(rich_help_panel="Approvals")(approvals.pending)
app.command(rich_help_panel="Approvals")(approvals.show)
app.command(rich_help_panel="Approvals")(approvals.approve)
app.command(rich_help_panel="Approvals")(approvals.reject)
app.command(rich_help_panel="Approvals")(approvals.request)
app.command(rich_help_panel="Operate")(admin.setup)
app.command(rich_help_panel="Operate")(admin.doctor)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """A durable approval gate between an AI agent and an action that can't be undone."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command and leave the process.

    By ``os._exit``: a process that used Temporal's client can abort while the interpreter shuts
    down (temporalio/sdk-python issue 300), and a shell script would take that for a refusal.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    code = _run(arguments)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # whoever read us has gone
            code = code or 1
    os._exit(code)


def _run(arguments: list[str]) -> int:
    try:
        return app(arguments, prog_name="clearance", standalone_mode=False) or 0
    except (KeyboardInterrupt, asyncio.CancelledError, click.exceptions.Abort):
        return session.EXIT_INTERRUPTED
    except click.ClickException as error:
        output.say(f"clearance: {error.format_message()}")
        return session.EXIT_USAGE
    except ClearanceError as error:
        if "--debug" in arguments:
            traceback.print_exc()
        output.say(f"clearance: {error}")
        return _code(error)
    except RPCError as error:
        if "--debug" in arguments:
            traceback.print_exc()
        output.say(f"clearance: Temporal answered with an error: {error.message}")
        return session.EXIT_UNREACHABLE
    except Exception as error:
        if "--debug" in arguments:
            traceback.print_exc()
        output.say(f"clearance: unexpected {type(error).__name__}: {error} (--debug shows where)")
        return session.EXIT_FAILED


def _code(error: ClearanceError) -> int:
    if isinstance(error, CannotConnect):
        return session.EXIT_UNREACHABLE
    if isinstance(error, InvalidRequest | NotFound | Ambiguous):
        return session.EXIT_USAGE
    return session.EXIT_FAILED

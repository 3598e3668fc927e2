"""The command ``clearance``: wires the commands, and says in one line what went wrong."""

import asyncio
import os
import sys
import traceback
from typing import Annotated

import typer
from temporalio.service import RPCError

from clearance import CannotConnect, ClearanceError
from clearance.errors import Ambiguous, InvalidRequest, NotFound
from clearance.keys import InvalidKeys
from clearance.text import one_line
from policy.source import BrokenPolicy

from . import (
    acts,
    admin,
    approvals,
    audit,
    deciding,
    demo,
    grants,
    history,
    keys,
    links,
    mcp,
    output,
    policy,
    requesting,
    runs,
    serve,
    session,
    tokens,
    web,
    webhooks,
)

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
app.command(rich_help_panel="Approvals")(deciding.approve)
app.command(rich_help_panel="Approvals")(deciding.reject)
app.command(rich_help_panel="Approvals")(acts.comment)
app.command(rich_help_panel="Approvals")(acts.ask)
app.command(rich_help_panel="Approvals")(acts.answer)
app.command(rich_help_panel="Approvals")(acts.delegate)
app.command(rich_help_panel="Approvals")(acts.withdraw)
app.command(rich_help_panel="Approvals")(history.history)
app.command(rich_help_panel="Approvals")(requesting.request)
app.command(rich_help_panel="Approvals")(grants.grants)
app.command(rich_help_panel="Approvals")(grants.revoke)
app.command(rich_help_panel="Inbox")(web.web)
app.command("sign-in", rich_help_panel="Inbox")(web.sign_in)
app.command(rich_help_panel="Inbox")(links.link)
app.add_typer(tokens.app, name="token", rich_help_panel="Inbox")
app.add_typer(keys.app, name="keys", rich_help_panel="Operate")
app.command(rich_help_panel="Approvals")(mcp.mcp)
app.add_typer(audit.app, name="audit", rich_help_panel="Operate")
app.add_typer(policy.app, name="policy", rich_help_panel="Operate")
app.add_typer(webhooks.notify, name="notify", rich_help_panel="Operate")
app.add_typer(webhooks.webhook, name="webhook", rich_help_panel="Operate")
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
    except SystemExit as end:  # how shell completion leaves
        return end.code if isinstance(end.code, int) else 0
    except (KeyboardInterrupt, asyncio.CancelledError, typer.Abort):
        return session.EXIT_INTERRUPTED
    except Exception as error:
        if "--debug" in arguments:
            traceback.print_exc()
        text, code = _explain(error)
        for line in _problems(error) or ([text] if text else []):
            output.say(f"clearance: {one_line(line)}")
        return code


def _problems(error: BaseException | None) -> list[str]:
    """Each fault of a broken policy, for a line of its own. Any other error has one line, whatever
    stands in it: what others wrote must not look like a line of ours."""
    if error is None:
        return []
    return error.problems if isinstance(error, BrokenPolicy) else _problems(error.__cause__)


def _explain(error: Exception) -> tuple[str, int]:
    """What to say of an error, and the exit code that tells scripts its kind."""
    if isinstance(error, typer.TyperException):
        # No text: the command was called bare, and its help has been printed.
        return error.format_message(), session.EXIT_USAGE
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

"""Trying how people and services are told: webhook test, webhook secret, notify test."""

import base64
import secrets
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from clearance import ClearanceError, InvalidRequest
from clearance.text import one_line
from policy.channels import SECRET
from policy.watched import WatchedDirectory

from . import output, session, tables
from .approvals import Json
from .settings import Settings

webhook = typer.Typer(help="Webhooks that other services are told by.", no_args_is_help=True)
notify = typer.Typer(help="By which channels people are told.", no_args_is_help=True)


@webhook.command("test")
def try_webhook(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As in \\[webhooks.NAME].")],
) -> None:
    """Send a signed event, clearance.test, and print what came back."""
    sender = _sender(session.load())
    status, headers = session.run(sender.test_webhook(name))
    output.out(f"It answered {status}.")
    output.say("These headers were sent:")
    for header, value in headers.items():
        output.say(f"  {header}: {value}")
    if not 200 <= status < 300:
        output.say("An answer from 200 to 299 says that it was told; redirects are not followed.")
        raise typer.Exit(session.EXIT_FAILED)


@webhook.command()
def secret() -> None:
    """Make a secret for a webhook; it is kept nowhere."""
    output.out(SECRET + base64.b64encode(secrets.token_bytes(32)).decode())


@notify.command("test")
def try_people(
    name: Annotated[
        str, typer.Argument(metavar="PERSON_OR_GROUP", help="ada@example.com, or group:finance.")
    ],
    as_json: Json = False,
) -> None:
    """Send a test by each channel that a request to them would take today."""
    tried = session.run(_try(_sender(session.load()), name))
    if as_json:
        output.print_json(tried)
    else:
        table = tables.table("WHO", "CHANNEL", "RESULT")
        for one in tried:
            said = "sent" if one["sent"] else f"not sent: {one['reason']}"
            table.add_row(tables.text(one["who"]), tables.text(one["channel"]), tables.text(said))
        tables.console().print(table)
    if not all(one["sent"] for one in tried):
        raise typer.Exit(session.EXIT_FAILED)


async def _try(sender: Any, name: str) -> list[dict[str, Any]]:
    """Each channel, and what happened. Raises InvalidRequest: there is none, or nobody of this name."""
    directory = await sender.directory.current()
    if reason := directory.stranger(name):
        raise InvalidRequest(reason)
    destinations = directory.destinations([name], datetime.now(UTC))
    if not destinations:
        raise InvalidRequest(
            f"reviewers.toml names no channel for {one_line(name, 80)}: give them "
            'notify = ["mail"], for instance'
        )
    tried = []
    for to in destinations:
        reason = ""
        try:
            await sender.test(to)
        except ClearanceError as error:
            reason = str(error)
        tried.append({"who": to.who, "channel": to.channel, "sent": not reason, "reason": reason})
    return tried


def _sender(settings: Settings) -> Any:
    """What the worker sends by."""
    from worker import sender  # slow to load

    return sender(settings, WatchedDirectory(settings.reviewers_file()))

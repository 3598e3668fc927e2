"""Standing approvals: grants, revoke."""

from typing import Annotated

import typer

from clearance import Grant, NoWorker, Revocation
from clearance.text import moment

from . import output, session, tables
from .approvals import As, Json


def grants(
    run: Annotated[str | None, typer.Option(help="Only of this agent run.")] = None,
    as_json: Json = False,
) -> None:
    """List the calls that were approved in advance, of the agent runs under way."""
    settings = session.load()

    async def work() -> None:
        found: list[Grant] = []
        silent: NoWorker | None = None
        async with session.connected(settings) as client:
            try:
                async for grant in client.grants(run):
                    found.append(grant)  # noqa: PERF401 - those before a run that doesn't answer count
            except NoWorker as error:
                silent = error
        if as_json:
            output.print_json(found)
        elif found:
            tables.console().print(tables.grants_table(found))
        elif not silent:
            output.say("Nothing is approved in advance.")
        if silent:
            raise silent

    session.run(work())


def revoke(
    grant_id: Annotated[
        str,
        typer.Argument(
            metavar="GRANT_ID",
            help="The approval it came with: its id, or any unambiguous beginning or end of it.",
        ),
    ],
    as_: As = None,
    as_json: Json = False,
) -> None:
    """End a standing approval: from the next call on, a person is asked again."""
    settings = session.load()
    reviewer = session.reviewer(settings, as_)

    async def work() -> Revocation:
        async with session.connected(settings) as client:
            return await client.revoke(grant_id, reviewer=reviewer)

    done = session.run(work())
    if as_json:
        output.print_json(done)
    elif done.revoked_at:
        output.out(f"{done.grant_id} is revoked by {done.revoked_by} at {moment(done.revoked_at)}.")
    else:
        output.out(
            f"Your revocation of {done.grant_id} is recorded; it takes effect when a worker is back, "
            "before the next call."
        )

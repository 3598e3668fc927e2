"""Bringing into the ledger what it lacks: audit reconcile."""

from typing import TYPE_CHECKING, Annotated

import typer

from clearance.ended import Ended

from . import output, session
from .approvals import Json

if TYPE_CHECKING:
    from store.ledger.reconciling import Reconciled


def reconcile(
    everything: Annotated[
        bool,
        typer.Option("--all", help="Go through all that Temporal has, not only what is new."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring into the ledger what Temporal knows and it doesn't have.

    Exit 1 where something is left, or has ended otherwise than the ledger says.
    """
    settings = session.load()
    from store.ledger import Ledger
    from store.ledger.reconciling import reconcile as work_off

    async def work() -> "Reconciled":
        async with (
            session.connected(settings) as client,
            Ledger.open(settings.ledger_address()) as ledger,
        ):
            ended = Ended(client.temporal, settings.approvals_queue)
            return await work_off(ledger, ended, everything=everything)

    done = session.run(work())
    if as_json:
        output.print_json(done)
    else:
        _tell(done, settings.approvals_queue)
    if done.left or done.otherwise or not done.served:
        raise typer.Exit(session.EXIT_FAILED)


def _tell(done: "Reconciled", queue: str) -> None:
    output.out(f"{done.missing:,} requests were missing; {done.rows:,} events were written.")
    if not done.served:
        output.say(
            f"No worker serves {queue}, and only a worker can tell a whole record: start "
            "`clearance worker`, then try again."
        )
    for reason in done.reasons:
        output.say(reason)
    if done.served and done.left:
        output.say(f"{done.left:,} could not be read, and are tried again the next time.")
    for one in done.otherwise:
        output.say(one)
    if done.otherwise:
        output.say(
            f"{len(done.otherwise):,} ended otherwise than the ledger says, which keeps the first: "
            "Temporal or the ledger was set back. What was decided since is not audited."
        )

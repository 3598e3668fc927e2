"""What people do to a request besides deciding it: delegate, withdraw, comment, ask, answer."""

from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from clearance import ApprovalClient
from clearance.acts import ActReceipt
from clearance.text import one_line

from . import output, session
from .approvals import As, Id, Json
from .deciding import recorded
from .requesting import words

Words = Annotated[
    str, typer.Argument(metavar="TEXT", help="What you say; @FILE reads a file, - the input.")
]
_ID = "{id}"
"""In what is said when it is done, the place of the whole id, which is known only then."""

Why = Annotated[str, typer.Option(help="Why; kept in the record.")]


def delegate(
    id: Id,
    to: Annotated[str, typer.Option(metavar="NAME", help="Who may decide for you from now on.")],
    reason: Why = "",
    as_: As = None,
    as_json: Json = False,
) -> None:
    """Hand a request over: somebody else may decide it for you; you still may, too."""
    _act(
        lambda client, who: client.delegate(id, to=to, who=who, reason=reason, channel="cli"),
        *(as_, as_json, "delegation of", f"{one_line(to)} may decide {_ID} for you."),
    )


def withdraw(id: Id, reason: Why = "", as_: As = None, as_json: Json = False) -> None:
    """Withdraw a request that you asked for: its action will not run."""
    _act(
        lambda client, who: client.withdraw(id, who=who, reason=reason, channel="cli"),
        *(as_, as_json, "withdrawal of", f"{_ID} is withdrawn."),
    )


def comment(id: Id, text: Words, as_: As = None, as_json: Json = False) -> None:
    """Say something about a request without deciding it."""
    said = words(text, "TEXT")
    _act(
        lambda client, who: client.comment(id, said, who=who, channel="cli"),
        *(as_, as_json, "comment on", f"Your comment is in the record of {_ID}."),
    )


def ask(id: Id, text: Words, as_: As = None, as_json: Json = False) -> None:
    """Ask whoever made a request something, without deciding it."""
    said = words(text, "TEXT")
    _act(
        lambda client, who: client.ask(id, said, who=who, channel="cli"),
        *(as_, as_json, "question on", f"Your question is in the record of {_ID}."),
    )


def answer(id: Id, text: Words, as_: As = None, as_json: Json = False) -> None:
    """Answer a reviewer's question about a request that you asked for."""
    said = words(text, "TEXT")
    _act(
        lambda client, who: client.answer(id, said, who=who, channel="cli"),
        *(as_, as_json, "answer on", f"Your answer is in the record of {_ID}."),
    )


def _act(
    send: Callable[[ApprovalClient, str], Awaitable[ActReceipt]],
    as_: str | None,
    as_json: bool,
    what: str,
    done: str,
) -> None:
    """Send it, and say what came of it: ``done``, where it has taken effect."""
    settings = session.load()
    who = session.reviewer(settings, as_)

    async def work() -> ActReceipt:
        async with session.sending(settings) as client:
            return await send(client, who)

    receipt = session.run(work())
    if as_json:
        output.print_json(receipt)
    elif receipt.in_effect:
        output.out(done.replace(_ID, receipt.approval_id))
    else:
        output.out(recorded(what, receipt))

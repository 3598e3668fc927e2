"""API tokens of services: token create, list, revoke."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from clearance import InvalidRequest
from clearance.text import moment

from . import output, session, tables
from .approvals import Json
from .settings import Settings
from .web import config_of, person

if TYPE_CHECKING:
    from store import ApiToken
    from store.tokens import Scope

app = typer.Typer(help="API tokens of services.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The token's name, or its id.")]


@app.command()
def create(
    name: Annotated[str, typer.Option(help="Of the service that will use it.")],
    scopes: Annotated[
        str,
        typer.Option(
            help="What it may do, with commas: request, request-for (for others, whom it names), "
            "read, decide; decide-as:NAME is decide with --as NAME; codec (reads everything)."
        ),
    ],
    as_: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="With decide: whose decisions these are."),
    ] = None,
    expires: Annotated[str, typer.Option(help="90d, 2w, 12h, or never.")] = "90d",
) -> None:
    """Make a token, and print it this once; the database keeps only its hash."""
    settings = session.load()
    lasts = session.duration(expires)
    if lasts is not None and not lasts:
        raise typer.BadParameter("--expires: a token has to hold for a while")
    name = person(name)
    allowed, decides_as = _scopes(scopes, as_)
    from store import Store

    async def work() -> tuple[str, "ApiToken"]:
        async with Store.open(_database(settings)) as store:
            return await store.tokens.create(name, allowed, decides_as=decides_as, lasts=lasts)

    token, known = session.run(work())
    until = f"until {moment(known.expires_at)}" if known.expires_at else "until it is revoked"
    who = f" as {known.decides_as}" if known.decides_as else ""
    output.say(f"Token {known.name} ({', '.join(known.scopes)}{who}) holds {until}.")
    output.say("This is the only time it is shown:")
    output.out(token)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List all tokens, also those that don't hold any more."""
    settings = session.load()
    from store import Store

    async def work() -> "list[ApiToken]":
        async with Store.open(_database(settings)) as store:
            return await store.tokens.all()

    found = session.run(work())
    if as_json:
        output.print_json([_plain(one) for one in found])
        return
    if not found:
        output.say("There are no tokens.")
        return
    table = tables.table("NAME", "ID", "SCOPES", "DECIDES AS", "MADE", "EXPIRES", "STATUS")
    for one in found:
        table.add_row(
            tables.text(one.name),
            one.id,
            ", ".join(one.scopes),
            tables.text(one.decides_as),
            moment(one.created_at),
            moment(one.expires_at) if one.expires_at else "never",
            tables.coloured(_status(one)),
        )
    tables.console().print(table)


@app.command()
def revoke(name: Name) -> None:
    """End a token: the next call with it is refused."""
    settings = session.load()
    from store import Store

    async def work() -> "ApiToken":
        async with Store.open(_database(settings)) as store:
            return await store.tokens.revoke(name)

    output.out(f"{session.run(work()).name} is revoked.")


def _database(settings: Settings) -> str:
    return config_of(settings).database


def _scopes(given: str, as_: str | None) -> "tuple[list[Scope], str | None]":
    """The scopes, and who decides with them."""
    from store.tokens import Scope

    known: dict[str, Scope] = {one: one for one in get_args(Scope)}
    found: list[Scope] = []
    people = [] if as_ is None else [as_]
    for part in given.split(","):
        word, _, name = part.strip().partition(":")
        if name:
            people.append(name)
        scope = known.get("decide" if name and word == "decide-as" else word)
        if scope is None or (name and word != "decide-as"):
            raise typer.BadParameter(f"--scopes: {part.strip()!r}; they are {', '.join(known)}")
        found.append(scope)
    if "request-for" in found and "request" not in found:
        raise InvalidRequest("request-for goes with the scope request")
    names = {person(name) for name in people}
    if len(names) > 1:
        raise InvalidRequest(f"a token decides as one person, not as {', '.join(sorted(names))}")
    if names and "decide" not in found:
        raise InvalidRequest("--as goes with the scope decide")
    if "decide" in found and not names:
        raise InvalidRequest("decide needs --as: whose decisions are these?")
    return found, next(iter(names), None)


def _status(token: "ApiToken") -> str:
    if token.revoked_at:
        return "revoked"
    return "holds" if token.holds(datetime.now(UTC)) else "expired"


def _plain(token: "ApiToken") -> dict[str, Any]:
    times = ("created_at", "expires_at", "revoked_at")
    found = {
        name: value and value.isoformat() for name in times for value in [getattr(token, name)]
    }
    return {
        "id": token.id,
        "name": token.name,
        "scopes": list(token.scopes),
        "decides_as": token.decides_as,
        **found,
        "status": _status(token),
    }

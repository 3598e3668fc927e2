"""Signed links: one person's way to one request."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from clearance import ApprovalView, InvalidRequest
from clearance.stages import folded, is_group
from clearance.text import moment
from policy.reviewers import load

from . import output, session
from .approvals import Id
from .settings import Settings
from .web import address, config_of, person

if TYPE_CHECKING:
    from store import Link

_LONGEST = timedelta(days=90)


def link(
    id: Id,
    for_: Annotated[
        str | None, typer.Option("--for", metavar="NAME", help="Who opens it, and decides by it.")
    ] = None,
    expires: Annotated[str, typer.Option(help="12h, 2d, at most 90d.")] = "2d",
    revoke: Annotated[
        bool,
        typer.Option("--revoke", help="End the links to it instead: all, or those --for NAME."),
    ] = False,
) -> None:
    """Print a link by which one person sees one request, and decides it in two clicks."""
    settings = session.load()
    if revoke:
        _revoke(settings, id, for_ and person(for_))
    elif for_ is None:
        raise typer.BadParameter("--for NAME: whose link is it?")
    else:
        lasts = session.duration(expires)
        if lasts is None or not timedelta(0) < lasts <= _LONGEST:
            raise typer.BadParameter("--expires: a link ends, after at most 90d")
        _create(settings, id, person(for_), lasts)


def _create(settings: Settings, id: str, who: str, lasts: timedelta) -> None:
    config = config_of(settings)
    from store import Store
    from store.links import path_of

    async def work() -> "tuple[str, Link]":
        async with session.connected(settings) as client:
            view = await client.get(id)
            asked_at = (await client.summary(view.id)).requested_at
        _check(settings, view, who)
        async with Store.open(config.database) as store:
            made = await store.links.create(view.id, who, lasts, asked_at=asked_at)
            return path_of(store.signing_key, made.id), made

    path, made = session.run(work())
    output.out(address(settings) + path)
    output.say(f"It opens {made.approval_id} as {made.who}, until {moment(made.expires_at)}.")
    if config.loopback and not config.public_url:
        output.say("Only this machine reaches that address: CLEARANCE_PUBLIC_URL is not set.")


def _check(settings: Settings, view: ApprovalView, who: str) -> None:
    """Refuse a link that could open nothing, or by which nobody could decide.

    Raises:
        InvalidRequest: the request has ended, or its audience can't mean this person.
    """
    if view.status != "pending":
        raise InvalidRequest(f"{view.id} is {view.status} already: there is nothing to decide")
    asked = view.request.chain
    if any(not stage.audience for stage in asked):
        return
    audience = {name for stage in asked for name in stage.audience + stage.escalate_to}
    wanted = set(folded(audience)) | set(folded(one.to for one in view.delegations))
    path = settings.reviewers_file()
    if path is None:
        if any(map(is_group, wanted)):
            return  # the worker may know who is in it
        names: tuple[str, ...] = (who,)
    else:
        names = load(path).names_of(who, datetime.now(UTC))
    if wanted.isdisjoint(folded(names)):
        raise InvalidRequest(
            f"{who} is not among those who may decide {view.id}: {', '.join(sorted(audience))}"
        )


def _revoke(settings: Settings, id: str, who: str | None) -> None:
    database = config_of(settings).database
    from store import Store

    async def work() -> "tuple[str, list[Link]]":
        async with session.connected(settings) as client:
            view = await client.get(id)
        async with Store.open(database) as store:
            return view.id, await store.links.revoke(view.id, who)

    approval_id, ended = session.run(work())
    if not ended:
        of = f" for {who}" if who else ""
        output.say(f"No link to {approval_id}{of} holds.")
        return
    whose = ", ".join(sorted({one.who for one in ended}))
    output.out(f"{len(ended)} link{'s' * (len(ended) > 1)} to {approval_id} revoked: {whose}.")

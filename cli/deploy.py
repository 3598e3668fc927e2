"""Rolling out builds of the workers: deploy status, current, ramp, off, drained."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated

import typer
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from clearance import NotFound
from clearance.deployments import (
    ROLES,
    CannotDeploy,
    Deployment,
    Role,
    deployment_name,
    deployments,
    ramp,
    set_current,
    usable,
)
from clearance.errors import InvalidRequest

from . import output, session, tables
from .approvals import Json
from .checks import Check
from .settings import Settings

app = typer.Typer(help="Which build of the workers new work goes to.", no_args_is_help=True)

_AGAIN = 2.0
"""Seconds between two looks at whether a build has drained; the server itself looks every few minutes."""

Build = Annotated[str, typer.Argument(metavar="BUILD", help="As CLEARANCE_BUILD_ID names it.")]
Only = Annotated[
    str | None, typer.Option(help="One of the two deployments alone: approvals or agents.")
]
AllowNoPollers = Annotated[
    bool,
    typer.Option("--allow-no-pollers", help="Even if no worker of it runs: what is new waits."),
]


@app.command()
def status(as_json: Json = False) -> None:
    """Show every build: what is routed to it, what is still open under it, how many workers it has."""
    found = _each(None, _nothing)
    versions = [version for one in found for version in one.versions]
    if as_json:
        output.print_json([asdict(one) for one in versions])
        return
    table = tables.table("DEPLOYMENT", "BUILD", "STATUS", "NEW WORK", "OPEN", "PINNED", "WORKERS")
    for one in versions:
        counts = [f"{one.percent:g}%", f"{one.open:,}", f"{one.pinned:,}", f"{one.workers:,}"]
        table.add_row(tables.text(one.deployment), tables.text(one.build), one.status, *counts)
    tables.console().print(table)
    for deployment in found:
        if said := _switched_off(deployment) or unrouted(deployment):
            output.say(said)


@app.command()
def current(build: Build, only: Only = None, allow_no_pollers: AllowNoPollers = False) -> None:
    """Send all new work to this build; requests that wait go on under it, too."""

    async def change(client: Client, one: Deployment) -> None:
        await set_current(client, one, build)

    for one in _each(only, change, build, without_workers=allow_no_pollers):
        before = f"(before: {one.current or 'none'})"
        how = "already" if one.current == build else before
        output.out(f"{one.name}: {build} is current {how}.")


@app.command("ramp")
def ramp_(
    build: Build,
    percent: Annotated[float, typer.Option(min=0, max=100, help="Of the new work: 0 to 100.")],
    only: Only = None,
    allow_no_pollers: AllowNoPollers = False,
) -> None:
    """Send part of the new work to this build, and leave the rest with the current one."""

    async def change(client: Client, one: Deployment) -> None:
        await ramp(client, one, build, percent)

    for one in _each(only, change, build, without_workers=allow_no_pollers):
        rest = one.current or "workers without a build"
        output.out(f"{one.name}: {percent:g}% goes to {build}, the rest to {rest}.")


@app.command()
def off(only: Only = None) -> None:
    """Send all new work to workers without a build again, as before worker versioning."""

    async def change(client: Client, one: Deployment) -> None:
        await set_current(client, one, None)

    for one in _each(only, change):
        output.out(f"{one.name}: no build is current (before: {one.current or 'none'}).")


@app.command()
def drained(
    build: Build,
    wait: Annotated[bool, typer.Option("--wait", help="Return only when it is so.")] = False,
    timeout: Annotated[
        str | None, typer.Option(help="How long to wait at most: 30m, 12h; unless given, for ever.")
    ] = None,
) -> None:
    """Exit 0 when the workers of this build can be stopped: nothing is routed or pinned to it."""
    limit = session.duration(timeout) if timeout else None
    end = time.monotonic() + limit.total_seconds() if limit is not None else None
    while needed := _needed(build):
        if not wait or (end is not None and time.monotonic() > end):
            raise CannotDeploy(f"keep the workers of build {build}: {needed}")
        time.sleep(_AGAIN)
    output.out(f"Nothing needs build {build} any more: its workers can be stopped.")


def _needed(build: str) -> str:
    """What still needs this build; empty where nothing does."""
    found = [one.find(build) for one in _each(None, _nothing)]
    versions = [one for one in found if one is not None]
    if not versions:
        raise NotFound(f"no deployment has a build {build}: see `clearance deploy status`")
    needed = [one for one in versions if one.is_needed]
    said = ", ".join(f"{one.deployment} is {one.status}, {one.pinned:,} pinned" for one in needed)
    run = next((one.run for one in needed if one.run), None)
    return f"{said}; wait for {run}, or let it end" if run else said


async def _nothing(client: Client, deployment: Deployment) -> None:
    """Change nothing."""


def _each(
    only: str | None,
    change: Callable[[Client, Deployment], Awaitable[None]],
    build: str | None = None,
    *,
    without_workers: bool = False,
) -> list[Deployment]:
    """Change each deployment, or none where one of them can't be; returns what they were before."""
    settings = session.load()
    if only not in (None, *ROLES):
        raise typer.BadParameter(f"--only takes approvals or agents, not {only!r}")

    async def work() -> list[Deployment]:
        async with session.connected(settings) as client:
            found = await of(settings, client.temporal)
            if only is not None and settings.deployment is not None:
                name = deployment_name(
                    settings.deployment, "agents" if only == "agents" else "approvals"
                )
                found = [one for one in found if one.name == name]
            if not found:
                raise NotFound(
                    f"there is no deployment of {settings.deployment} yet: start a worker with "
                    f"CLEARANCE_DEPLOYMENT={settings.deployment} and CLEARANCE_BUILD_ID"
                )
            if build is not None:
                for one in found:
                    usable(one, build, without_workers=without_workers)
            for one in found:
                await change(client.temporal, one)
            return found

    return session.run(work())


async def of(settings: Settings, client: Client) -> list[Deployment]:
    """The deployments of this installation. Raises InvalidRequest where its settings name none."""
    if settings.deployment is None:
        raise InvalidRequest("CLEARANCE_DEPLOYMENT is not set: set it as the workers have it")
    queues: dict[Role, str] = {
        "approvals": settings.approvals_queue,
        "agents": settings.agents_queue,
    }
    return await deployments(client, settings.deployment, queues)


def _switched_off(deployment: Deployment) -> str | None:
    """Where new work goes after ``deploy off``; None where versioning is on, or never was."""
    if not deployment.is_off:
        return None
    return f"{deployment.name}: versioning is off: new work goes to workers without a build"


def unrouted(deployment: Deployment) -> str | None:
    """Why nothing would be worked on in a deployment as it is routed; None where all is well, and where
    versioning is off."""
    if deployment.is_off:
        return None
    if deployment.current is None:
        newest = deployment.versions[0].build if deployment.versions else "BUILD"
        return f"{deployment.name}: nothing is routed to any build: `clearance deploy current {newest}`"
    version = deployment.find(deployment.current)
    if version is None or not version.workers:
        return f"{deployment.name}: no worker of the current build {deployment.current} runs"
    return None


async def examined(settings: Settings, client: Client) -> tuple[dict[str, Deployment], list[Check]]:
    """For ``doctor``: the deployment of each queue, and whether what is new is worked on. Nothing where
    the settings name no deployment."""
    if settings.deployment is None:
        return {}, []
    try:
        found = await _again_if_busy(settings, client)
    except RPCError as error:
        fault = f"Temporal doesn't tell of deployments: {error.message}"
        return {}, [("deployment", False, fault)]
    if not found:
        return {}, [("deployment", False, f"no worker of {settings.deployment} has begun one")]
    faults = [said for one in found if (said := unrouted(one))]
    builds = [
        _switched_off(one)
        or f"{one.name} {', '.join(f'{v.build} {v.status}' for v in one.versions)}"
        for one in found
    ]
    check = ("deployment", not faults, "; ".join(faults or builds))
    return {one.queue: one for one in found}, [check]


async def _again_if_busy(settings: Settings, client: Client) -> list[Deployment]:
    """``of``, asked once more where the server has too much to do."""
    try:
        return await of(settings, client)
    except RPCError as error:
        if error.status is not RPCStatusCode.RESOURCE_EXHAUSTED:
            raise
    await asyncio.sleep(_AGAIN)
    return await of(settings, client)

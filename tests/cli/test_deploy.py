"""``clearance deploy``: which build of the workers new work goes to."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from temporalio.openai_agents.testing import TestModelProvider

import worker
from clearance import ApprovalClient
from cli.settings import Settings
from tests.processes import Asker
from tests.support import eventually, unique

from .conftest import Shell, only_line


@dataclass
class Fleet:
    """Workers of several builds, and a shell that knows their deployment."""

    name: str
    shell: Shell
    settings: Settings
    connection: dict[str, Any]
    _running: AsyncExitStack

    async def start(self, build: str, *, agents: bool = True) -> str:
        """Start the workers of a build; returns what they say of themselves."""
        mine = self.settings.model_copy(update={"deployment": self.name, "build_id": build})
        provider = TestModelProvider(Asker()) if agents else None
        serving = await self._running.enter_async_context(
            worker.running(mine, self.connection, model_provider=provider)
        )
        known = "agents" if agents else "approvals"

        async def is_known() -> bool:
            return (f"{self.name}-{known}", build) in await self.status()

        await eventually(is_known)
        return serving.line

    async def status(self) -> dict[tuple[str, str], dict[str, Any]]:
        """By deployment and build, what ``deploy status`` says."""
        shown = await self.shell.inside("deploy", "status", "--json")
        found = shown.json if shown.code == 0 else []
        return {(one["deployment"], one["build"]): one for one in found}

    async def stop(self) -> None:
        """Stop all that run."""
        await self._running.aclose()


@pytest.fixture
async def fleet(cli: Shell, settings: Settings, connection: dict[str, Any]) -> AsyncIterator[Fleet]:
    name = unique("fleet")
    async with AsyncExitStack() as stack:
        yield Fleet(name, cli.having(CLEARANCE_DEPLOYMENT=name), settings, connection, stack)


async def test_a_build_is_rolled_out_ramped_and_rolled_back(
    fleet: Fleet, approvals: ApprovalClient
) -> None:
    shell, name = fleet.shell, fleet.name
    assert only_line(await shell("deploy", "status"), 2) == (
        f"clearance: there is no deployment of {name} yet: start a worker with "
        f"CLEARANCE_DEPLOYMENT={name} and CLEARANCE_BUILD_ID\n"
    )

    line = await fleet.start("1")
    assert f"build 1 of {name}; nothing new is routed to" in line
    assert line.endswith("here: `clearance deploy current 1`")
    shown = await shell.inside("deploy", "status")
    assert shown.err.splitlines() == [
        f"{name}-{role}: nothing is routed to any build: `clearance deploy current 1`"
        for role in ("approvals", "agents")
    ]
    checks = {one["check"]: one for one in (await shell.inside("doctor", "--json")).json}
    assert not checks["deployment"]["ok"]
    assert "goes to workers of no build" in checks["approvals worker"]["finding"]
    ramped = await shell("deploy", "ramp", "1", "--percent", "10", "--only", "agents")
    assert ramped.out == f"{name}-agents: 10% goes to 1, the rest to workers without a build.\n"
    assert "`clearance deploy current 1`" in checks["deployment"]["finding"]

    moved = await shell("deploy", "current", "1")
    assert (moved.code, moved.out) == (
        0,
        f"{name}-approvals: 1 is current (before: none).\n"
        f"{name}-agents: 1 is current (before: none).\n",
    )
    again = await shell.inside("deploy", "current", "1", "--only", "agents")
    assert again.out == f"{name}-agents: 1 is current already.\n"
    await approvals.request("Deploy?")

    async def is_counted() -> bool:
        return bool((await fleet.status())[f"{name}-approvals", "1"]["open"] == 1)

    await eventually(is_counted)
    checks = {one["check"]: one for one in (await shell.inside("doctor", "--json")).json}
    assert checks["deployment"]["ok"]
    assert checks["approvals worker"]["ok"]

    await fleet.start("2")
    ramped = await shell.inside("deploy", "ramp", "2", "--percent", "20", "--only", "agents")
    assert ramped.out == f"{name}-agents: 20% goes to 2, the rest to 1.\n"
    now = await fleet.status()
    assert [now[f"{name}-agents", build]["percent"] for build in "12"] == [80, 20]
    assert [now[f"{name}-approvals", build]["percent"] for build in "12"] == [100, 0]

    assert (await shell.inside("deploy", "current", "2")).code == 0
    now = await fleet.status()
    assert [now[f"{name}-agents", build]["status"] for build in "12"] == ["draining", "current"]
    assert only_line(await shell("deploy", "drained", "2"), 1) == (
        f"clearance: keep the workers of build 2: {name}-approvals is current, 0 pinned, "
        f"{name}-agents is current, 0 pinned\n"
    )

    back = await shell.inside("deploy", "current", "1")
    assert back.out.endswith(f"{name}-agents: 1 is current (before: 2).\n")
    table = (await shell.inside("deploy", "status")).out
    assert table.splitlines()[0].split() == [
        *("DEPLOYMENT", "BUILD", "STATUS", "NEW", "WORK", "OPEN", "PINNED", "WORKERS")
    ]
    assert "100%" in table

    off = await shell("deploy", "off")
    assert off.out.splitlines()[0] == f"{name}-approvals: no build is current (before: 1)."
    assert (await shell.inside("deploy", "status")).err.splitlines() == [
        f"{name}-{role}: versioning is off: new work goes to workers without a build"
        for role in ("approvals", "agents")
    ]
    checks = {one["check"]: one for one in (await shell.inside("doctor", "--json")).json}
    assert checks["deployment"]["ok"]
    assert "versioning is off" in checks["deployment"]["finding"]
    assert not checks["approvals worker"]["ok"]  # none of them runs without a build


async def test_work_is_not_sent_where_nobody_would_do_it(fleet: Fleet) -> None:
    shell, name = fleet.shell, fleet.name
    await fleet.start("1")
    await fleet.start("2", agents=False)

    # Known to one of the two only: neither is changed.
    assert only_line(await shell.inside("deploy", "current", "2"), 2) == (
        f"clearance: {name}-agents has no build 2 (known: 1): start a worker with "
        "CLEARANCE_BUILD_ID=2 first\n"
    )
    assert {one["status"] for one in (await fleet.status()).values()} == {"inactive"}
    assert (await shell.inside("deploy", "current", "2", "--only", "approvals")).code == 0
    assert "known: 2, 1" in only_line(
        await shell.inside("deploy", "ramp", "3", "--percent", "5", "--only", "approvals"), 2
    )
    assert "no deployment has a build 9" in only_line(
        await shell.inside("deploy", "drained", "9"), 2
    )

    await fleet.stop()
    assert only_line(await shell.inside("deploy", "current", "1"), 1) == (
        f"clearance: no worker of build 1 polls {fleet.settings.approvals_queue}: start one with "
        "CLEARANCE_BUILD_ID=1, or add --allow-no-pollers\n"
    )
    shown = await shell.inside("deploy", "status")
    assert f"{name}-approvals: no worker of the current build 2 runs" in shown.err
    assert (await shell.inside("deploy", "current", "1", "--allow-no-pollers")).code == 0


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "said"),
    [
        (["status"], {"CLEARANCE_DEPLOYMENT": None}, 2, "CLEARANCE_DEPLOYMENT is not set"),
        (["status"], {"CLEARANCE_DEPLOYMENT": "a.b"}, 2, "CLEARANCE_DEPLOYMENT: write at most"),
        (["status"], {"CLEARANCE_BUILD_ID": "-x"}, 2, "CLEARANCE_BUILD_ID: write at most"),
        (["current", "1", "--only", "web"], {}, 2, "--only takes approvals or agents"),
        (["ramp", "1", "--percent", "101"], {}, 2, "equal to 100"),
        (["drained", "1", "--wait", "--timeout", "soon"], {}, 2, "'soon' is no duration"),
    ],
)
async def test_what_cannot_be_meant_is_one_line(
    cli: Shell, arguments: list[str], environment: dict[str, str | None], code: int, said: str
) -> None:
    shell = cli.having(**({"CLEARANCE_DEPLOYMENT": unique("fleet")} | environment))
    assert said in only_line(await shell.inside("deploy", *arguments), code)


async def test_a_worker_of_a_deployment_has_to_say_which_build_it_is(cli: Shell) -> None:
    said = only_line(await cli.having(CLEARANCE_DEPLOYMENT=unique("fleet"))("worker"), 1)
    assert said.startswith("clearance: CLEARANCE_BUILD_ID is not set: a worker of a deployment")


async def test_a_build_without_a_deployment_is_refused(cli: Shell) -> None:
    said = only_line(await cli.having(CLEARANCE_BUILD_ID="1.4.0")("worker"), 1)
    assert said.startswith("clearance: CLEARANCE_DEPLOYMENT is not set: with CLEARANCE_BUILD_ID")

"""``clearance deploy`` back to an older build, while requests wait that the newer one has taken."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from temporalio.openai_agents.testing import TestModelProvider

import worker
from clearance import connect
from cli.settings import Settings
from tests.processes import Asker
from tests.support import unique
from tests.upgrading import Installation, draining_server

from .conftest import Shell


async def test_requests_go_back_to_the_old_build_and_drained_waits_for_the_runs_of_the_new_one(
    settings: Settings, alone: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.deploy._AGAIN", 0.2)
    name = unique("fleet")
    async with (
        draining_server(tmp_path / "server") as server,
        AsyncExitStack() as workers,
    ):
        here = Installation(await connect({"target_host": server.address}), settings)
        shell = alone.having(
            TEMPORAL_ADDRESS=server.address,
            CLEARANCE_APPROVALS_QUEUE=settings.approvals_queue,
            CLEARANCE_AGENTS_QUEUE=settings.agents_queue,
            CLEARANCE_DEPLOYMENT=name,
        )
        for build in ("1", "2"):
            mine = settings.model_copy(update={"deployment": name, "build_id": build})
            provider = TestModelProvider(Asker())
            connection = {"target_host": server.address}
            await workers.enter_async_context(
                worker.running(mine, connection, model_provider=provider)
            )
            await here.roll_out(name, build)
            await here.ask(5, 1)
            await here.served_by(build, [*here.plain[-5:], here.runs[-1].id])

        back = await shell("deploy", "current", "1")
        assert (back.code, back.out.count("1 is current (before: 2).")) == (0, 2)
        soon = await shell.inside("deploy", "drained", "2", "--wait", "--timeout", "0s")
        assert (soon.code, "keep the workers of build 2: " in soon.err) == (1, True)

        waiting = asyncio.create_task(shell.inside("deploy", "drained", "2", "--wait"))
        await here.decide()  # by the old build all that waits, by each its own runs
        drained = await waiting
        assert (drained.code, drained.out) == (
            0,
            "Nothing needs build 2 any more: its workers can be stopped.\n",
        )
        await here.served_by("1", [*here.waiting, here.runs[0].id])
        await here.served_by("2", [here.runs[1].id])

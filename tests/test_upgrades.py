"""New builds of the workers, while a hundred requests wait that the old ones were asked for."""

import signal
from contextlib import AsyncExitStack
from typing import Any

from temporalio.openai_agents.testing import TestModelProvider

import worker
from clearance import connect
from clearance.deployments import set_current
from cli.settings import EmbeddedServer, Settings

from .processes import Asker, worker_process
from .support import eventually, unique
from .upgrading import Installation

PLAIN, RUNS = 98, 2
"""Requests of services, and of agent runs."""


async def test_a_new_build_takes_over_a_hundred_requests_and_runs_end_under_the_old_one(
    forgetting: EmbeddedServer, settings: Settings
) -> None:
    connection = {"target_host": forgetting.address}
    here = Installation(await connect(connection), settings)
    name = unique("fleet")

    def build(number: str, only: worker.Only | None = None) -> Any:
        env = {"CLEARANCE_DEPLOYMENT": name, "CLEARANCE_BUILD_ID": number}
        return worker_process(settings, forgetting.address, only, **env)

    async with AsyncExitStack() as old_agents, build("1", "approvals") as old:
        mine = settings.model_copy(update={"deployment": name, "build_id": "1"})
        provider = TestModelProvider(Asker())
        await old_agents.enter_async_context(
            worker.running(mine, connection, only="agents", model_provider=provider)
        )
        await here.roll_out(name, "1")
        await here.ask(PLAIN, RUNS)
        await here.served_by("1", here.waiting)

        async with build("2"):
            await here.roll_out(name, "2")
            old.send_signal(signal.SIGTERM)
            assert await old.wait() == 0

            async def names_a_run() -> bool:
                [_, agents] = await here.deployments(name)
                version = agents.find("1")
                return version is not None and version.run in {run.id for run in here.runs}

            await eventually(names_a_run)
            later = await here.run()
            await here.decide()

            await here.served_by("2", here.waiting)
            await here.served_by("1", [run.id for run in here.runs])

            async def drained() -> bool:
                [_, agents] = await here.deployments(name)
                version = agents.find("1")
                return version is not None and not version.is_needed

            await eventually(drained)
            await old_agents.aclose()

            # What was started after the roll-out runs under the new build from the beginning.
            async def asks() -> list[str]:
                return [one.id async for one in here.approvals.pending(run=later.id)]

            [id] = await eventually(asks)
            await here.approvals.approve(id, reviewer="ada@example.com")
            await later.result()
            await here.served_by("2", [later.id, id])


async def test_versioning_is_switched_on_under_requests_that_wait_and_off_again(
    forgetting: EmbeddedServer, settings: Settings
) -> None:
    connection = {"target_host": forgetting.address}
    temporal = await connect(connection)
    here = Installation(temporal, settings)
    name = unique("fleet")
    versioned = settings.model_copy(update={"deployment": name, "build_id": "1"})
    provider = TestModelProvider(Asker())

    async with worker.running(settings, connection, model_provider=provider):
        await here.ask(4, 1)

    async with worker.running(versioned, connection, model_provider=provider):
        await here.roll_out(name, "1")
        await here.decide()
        await here.served_by("1", [run.id for run in here.runs])
        here = Installation(temporal, settings)
        await here.ask(4, 0)
        await here.served_by("1", here.waiting)

    for one in await here.deployments(name):
        await set_current(temporal, one, None)
    async with worker.running(settings, connection, model_provider=provider):
        await here.decide()

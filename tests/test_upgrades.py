"""New builds of the workers, while a hundred requests wait that the old ones were asked for."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.openai_agents.testing import TestModelProvider

import worker
from clearance import ApprovalClient, connect
from clearance.deployments import Deployment, Role, deployments, set_current
from clearance.runs import AgentResult, AgentRun, start_run
from cli import embedded
from cli.settings import EmbeddedServer, Settings

from .processes import Asker, worker_process
from .raw import Handle
from .support import eventually, unique

RUNS = 10
PLAIN = 90
SOON = [
    f'--dynamic-config-value=matching.wv.VersionDrainageStatus{one}="1s"'
    for one in ("VisibilityGracePeriod", "RefreshInterval")
]
"""How soon the server looks whether a version has drained; else it takes minutes."""


@pytest.fixture
async def draining(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    """A server that soon sees what has drained."""
    usual = embedded.server_arguments
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "server_arguments", lambda *how: [*usual(*how), *SOON])
        async with embedded.server(tmp_path / "server", in_memory=True, ports=(0, 0)) as running:
            yield running


class Installation:
    """One server, its queues, and what waits there."""

    def __init__(self, client: Client, settings: Settings) -> None:
        """Nothing waits yet."""
        self.client = client
        self.settings = settings
        self.approvals = ApprovalClient(client, task_queue=settings.approvals_queue)
        self.plain: list[str] = []
        self.runs: list[Handle] = []

    async def run(self) -> Handle:
        """Start an agent run that will ask."""
        asked = AgentRun(
            agent="assistant", prompt="Pay", approvals_queue=self.settings.approvals_queue
        )
        queue = self.settings.agents_queue
        return await start_run(self.client, asked, id=unique("run"), task_queue=queue)

    async def ask(self, plain: int, runs: int) -> None:
        """Have so many requests wait, of services and of agent runs."""
        asking = (self.approvals.request(f"Deploy {n}?") for n in range(plain))
        self.plain += [one.id for one in await asyncio.gather(*asking)]
        self.runs += await asyncio.gather(*(self.run() for _ in range(runs)))
        self.waiting = [*self.plain, *(f"{run.id}.1" for run in self.runs)]

        async def all_wait() -> bool:
            found = {one.id async for one in self.approvals.pending(limit=1_000)}
            return found == set(self.waiting)

        await eventually(all_wait, within=60)

    async def decide(self) -> None:
        """Approve all of them; each has to count, and each run has to finish by it."""
        await asyncio.gather(
            *(self.approvals.approve(id, reviewer="ada@example.com") for id in self.waiting)
        )
        for id in self.waiting:
            outcome = await self.client.get_workflow_handle(id).result()
            assert (outcome["status"], outcome["decision"]["reviewer"]) == (
                "approved",
                "ada@example.com",
            )
        for run in self.runs:
            assert AgentResult.model_validate(await run.result()).output == "Approved"

    async def served_by(self, build: str, ids: list[str]) -> None:
        """Wait until each of these workflows has had its last task from a worker of this build."""

        async def is_so(id: str) -> bool:
            described = await self.client.get_workflow_handle(id).describe()
            found = described.raw_description.workflow_execution_info.versioning_info
            return found.deployment_version.build_id == build

        await asyncio.gather(*(eventually(partial(is_so, id)) for id in ids))

    async def deployments(self, name: str) -> list[Deployment]:
        """What Temporal knows of the builds."""
        queues: dict[Role, str] = {
            "approvals": self.settings.approvals_queue,
            "agents": self.settings.agents_queue,
        }
        return await deployments(self.client, name, queues)

    async def roll_out(self, name: str, build: str) -> None:
        """Make a build current in both deployments as soon as they know it."""

        async def known() -> list[Deployment]:
            found = await self.deployments(name)
            return found if len([one for one in found if one.find(build)]) == 2 else []

        for one in await eventually(known):
            await set_current(self.client, one, build)


async def test_a_new_build_takes_over_a_hundred_requests_and_runs_end_under_the_old_one(
    draining: EmbeddedServer, settings: Settings
) -> None:
    here = Installation(await connect({"target_host": draining.address}), settings)
    name = unique("fleet")

    def build(number: str, only: worker.Only | None = None) -> Any:
        env = {"CLEARANCE_DEPLOYMENT": name, "CLEARANCE_BUILD_ID": number}
        return worker_process(settings, draining.address, only, **env)

    async with AsyncExitStack() as old_agents, build("1", "approvals") as old:
        mine = settings.model_copy(update={"deployment": name, "build_id": "1"})
        connection = {"target_host": draining.address}
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
    temporal: Client, settings: Settings, connection: dict[str, Any]
) -> None:
    here = Installation(temporal, settings)
    name = unique("fleet")
    versioned = settings.model_copy(update={"deployment": name, "build_id": "1"})
    provider = TestModelProvider(Asker())

    async with worker.running(settings, connection, model_provider=provider):
        await here.ask(10, 2)

    async with worker.running(versioned, connection, model_provider=provider):
        await here.roll_out(name, "1")
        await here.decide()
        await here.served_by("1", [run.id for run in here.runs])
        here = Installation(temporal, settings)
        await here.ask(10, 0)
        await here.served_by("1", here.waiting)

    for one in await here.deployments(name):
        await set_current(temporal, one, None)
    async with worker.running(settings, connection, model_provider=provider):
        await here.decide()

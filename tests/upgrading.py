"""Builds of the workers on one server, and what waits there meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from temporalio.client import Client

from clearance import ApprovalClient
from clearance.deployments import Deployment, Role, deployments, set_current
from clearance.runs import AgentResult, AgentRun, start_run
from cli import embedded
from cli.settings import EmbeddedServer, Settings

from .raw import Handle
from .support import eventually, unique

SOON = [
    f'--dynamic-config-value=matching.wv.VersionDrainageStatus{one}="1s"'
    for one in ("VisibilityGracePeriod", "RefreshInterval")
]
"""How soon the server looks whether a version has drained; else it takes minutes."""


@asynccontextmanager
async def draining_server(folder: Path) -> AsyncIterator[EmbeddedServer]:
    """A server that soon sees what has drained."""
    usual = embedded.server_arguments
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "server_arguments", lambda *how: [*usual(*how), *SOON])
        async with embedded.server(folder, in_memory=True, ports=(0, 0)) as running:
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

"""Builds that are broken on purpose, run for real: the checker has to catch each."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from clearance import ApprovalClient, connect

from .checker import check
from .evidence import at_rest, gathered
from .traffic import Traffic
from .world import ROOT, World, world

Scene = Callable[[World, ApprovalClient], Awaitable[None]]


async def rejected(world: World, client: ApprovalClient) -> None:
    """A run asks, and may not."""
    await Traffic(world, client, 1).rejected("rejected")


async def approved(world: World, client: ApprovalClient) -> None:
    """A run asks, and may."""
    await Traffic(world, client, 1).plain("approved")


async def recorded(world: World, client: ApprovalClient) -> None:
    """Somebody decides while no worker is there; the server keeps what was stored, and no update."""
    worker, server = world.programs["worker-1"], world.programs["server"]
    await worker.kill()
    await Traffic(world, client, 1).delegated("recorded")
    await server.kill()
    await server.start()
    await server.is_ready()
    await worker.start()
    await worker.is_ready()


class Mutant(NamedTuple):
    """One line of one module, changed."""

    module: str
    old: str
    new: str
    scene: Scene
    caught: str
    """The kind of violation that it has to be caught by."""


_RUNS = "    with _call(outcome.approval_id, outcome.response):\n"

MUTANTS = {
    "fails open": Mutant(
        "tools/gate.py",
        "    if outcome.approved is not True:\n"
        "        return answer(outcome, name)\n"
        "    approved = to_run(asked, outcome, run)\n",  # which would refuse as well
        "    approved = arguments\n",
        rejected,
        "ran without approval",
    ),
    "runs twice": Mutant(
        "tools/gate.py",
        _RUNS,
        f"    with _call(str(workflow.uuid4())):\n        await invoke(ctx, approved)\n{_RUNS}",
        approved,
        "done twice",
    ),
    "forgets what was stored": Mutant(
        "workflows/approval.py",
        "                await self._decide(parsed, made_at=made_at)\n",
        "                pass\n",
        recorded,
        "forgotten",
    ),
    "forgets what it answered": Mutant(
        "workflows/approval.py",
        "            return self._record.receipt(parsed)\n",
        "            told = self._record.receipt(parsed)\n"
        "            self._record.log.events.clear()\n"
        "            return told\n",
        approved,
        "lost decision",
    ),
}


async def kinds(folder: Path, changed: Path | None, *scenes: Scene) -> set[str]:
    """Of the violations that the checker finds after these scenes."""
    async with world(folder, changed=changed, workers=1, with_inbox=False) as all_of_it:
        temporal = await connect({"target_host": all_of_it.address})
        soon = timedelta(seconds=1)
        client = ApprovalClient(temporal, whole_ids=True, answer_timeout=soon)
        for scene in scenes:
            await scene(all_of_it, client)
        await at_rest(all_of_it, told=False)
        shown = await gathered(all_of_it, ledger=changed is None)
        return {one.kind for one in check(all_of_it.journal.entries(), shown)}


@pytest.mark.parametrize("name", MUTANTS)
async def test_a_build_that_is_broken_is_caught(name: str, tmp_path: Path) -> None:
    mutant = MUTANTS[name]
    room, folder = mutant.module.partition("/")[0], tmp_path / "world"
    shutil.copytree(ROOT / room, tmp_path / "changed" / room)
    module = tmp_path / "changed" / mutant.module
    source = module.read_text()
    assert source.count(mutant.old) == 1
    module.write_text(source.replace(mutant.old, mutant.new))
    folder.mkdir()

    async with asyncio.timeout(150):
        assert mutant.caught in await kinds(folder, tmp_path / "changed", mutant.scene)


async def test_nothing_is_found_in_the_build_as_it_is(tmp_path: Path) -> None:
    async with asyncio.timeout(150):
        assert await kinds(tmp_path, None, rejected, approved, recorded) == set()

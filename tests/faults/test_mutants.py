"""Builds that are broken on purpose, run for real: the checker has to catch each."""

import asyncio
import re
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from clearance import ApprovalClient, connect

from .checker import check
from .evidence import at_rest, gathered
from .programs import Program
from .traffic import Traffic
from .world import ROOT, World, world

Scene = Literal["plain", "rejected", "asked", "delegated"]
"""Of ``Traffic``. The last is decided while no worker is there, and the server restarted then, which
keeps what was stored, and no update."""


class Mutant(NamedTuple):
    """One place of one module, changed."""

    module: str
    old: str
    """A pattern, found once."""
    new: str
    """With its groups."""
    scene: Scene
    caught: str
    """The kind of violation that it has to be caught by."""


_RUNS = "    with _call(outcome.approval_id, outcome.response):\n"

MUTANTS = {
    "fails open": Mutant(
        "tools/gate.py",
        r"    if outcome\.approved is not True:\n"
        r"        return answer\(outcome, name\)\n"
        r"    approved = to_run\(asked, outcome, run\)\n",  # which would refuse as well
        "    approved = arguments\n",
        "rejected",
        "ran without approval",
    ),
    "runs twice": Mutant(
        "tools/gate.py",
        re.escape(_RUNS),
        f"    with _call(str(workflow.uuid4())):\n        await invoke(ctx, approved)\n{_RUNS}",
        "plain",
        "done twice",
    ),
    "forgets what was stored": Mutant(
        "workflows/approval.py",
        r"await self\._decide\(decision, [^\n]+\)",
        "pass",
        "delegated",
        "forgotten",
    ),
    "forgets what it answered": Mutant(
        "workflows/approval.py",
        r"            if reason := (await self\._decide\(parsed, [^\n]+\)):\n",
        '            kept, self._record = self._record, __import__("copy").deepcopy(self._record)\n'
        r"            reason = \1"
        "\n"
        "            told = None if reason else self._record.receipt(parsed)\n"
        "            self._record = kept\n"
        "            if told is not None:\n                return told\n            if reason:\n",
        "asked",
        "lost decision",
    ),
}


def changed(folder: Path, mutant: Mutant) -> Path:
    """A copy of the module's room, with the change, in a new folder."""
    room = mutant.module.partition("/")[0]
    shutil.copytree(ROOT / room, folder / room)
    module = folder / mutant.module
    source, found = re.subn(mutant.old, mutant.new, module.read_text())
    assert found == 1, mutant.old
    module.write_text(source)
    return folder


async def kinds(world: World, worker: Program, name: str, *scenes: Scene) -> set[str]:
    """Of the violations that the checker finds after these scenes, whose ids begin with ``name``."""
    temporal = await connect({"target_host": world.address})
    soon = timedelta(seconds=1)
    traffic = Traffic(world, ApprovalClient(temporal, whole_ids=True, answer_timeout=soon), 1)
    if "delegated" in scenes:
        await traffic.delegated(f"{name}-delegated")
        server = world.programs["server"]
        await server.kill()
        await server.start()
        await server.is_ready()
    await worker.start()
    await worker.is_ready()
    try:
        for scene in scenes:
            if scene != "delegated":
                await getattr(traffic, scene)(f"{name}-{scene}")
        await at_rest(world, told=False)
        shown = await gathered(world, of=name, ledger=not name.startswith("mutant"))
    finally:
        await worker.kill()
    journal = world.journal.entries()
    own = [one for one in journal if str(one.get("id") or one.get("ref")).startswith(name)]
    return {one.kind for one in check(own, shown)}


async def test_each_broken_build_is_caught_and_the_build_as_it_is_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "world"
    folder.mkdir()
    async with asyncio.timeout(200), world(folder, workers=0, with_inbox=False) as one:
        assert await kinds(one, one.worker("right"), "right", *get_args(Scene)) == set()
        for number, (name, mutant) in enumerate(MUTANTS.items()):
            worker = one.worker(f"mutant-{number}", changed(tmp_path / str(number), mutant))
            found = await kinds(one, worker, f"mutant-{number}", mutant.scene)
            assert mutant.caught in found, name

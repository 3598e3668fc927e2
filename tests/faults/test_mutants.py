"""Builds that are broken on purpose, run for real: the checker has to catch each."""

import asyncio
import contextlib
import re
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from clearance import ApprovalClient, Refused, connect

from .checker import Violation, check
from .evidence import at_rest, gathered
from .programs import Program
from .traffic import Traffic
from .world import CLEO, ROOT, World, world

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


BUILDS = (
    ("fails open", "runs twice", "forgets what was stored"),
    ("forgets what it answered",),
)
"""What is broken in one build together: no scene meets what another one's mutant changed."""


def changed(folder: Path, *mutants: Mutant) -> Path:
    """A copy of the modules' rooms, with the changes, in a new folder."""
    for room in {one.module.partition("/")[0] for one in mutants}:
        shutil.copytree(ROOT / room, folder / room)
    for mutant in mutants:
        module = folder / mutant.module
        source, found = re.subn(mutant.old, mutant.new, module.read_text())
        assert found == 1, mutant.old
        module.write_text(source)
    return folder


async def violations(world: World, worker: Program, name: str, *scenes: Scene) -> list[Violation]:
    """What the checker finds after these scenes, whose ids begin with ``name``, all at once."""
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
        others = [one for one in scenes if one != "delegated"]
        await asyncio.gather(*(getattr(traffic, one)(f"{name}-{one}") for one in others))
        if (
            "delegated" in scenes
        ):  # whose decision is looked up, and tried again, before what comes later
            patient = ApprovalClient(temporal, whole_ids=True, answer_timeout=timedelta(seconds=30))
            with contextlib.suppress(Refused):
                assert (await patient.comment(f"{name}-delegated", "Done?", who=CLEO)).in_effect
        await at_rest(world, told=False)
        shown = await gathered(world, of=name, ledger=not name.startswith("mutant"))
    finally:
        await worker.kill()
    journal = world.journal.entries()
    own = [one for one in journal if str(one.get("id") or one.get("ref")).startswith(name)]
    return check(own, shown)


async def test_each_broken_build_is_caught_and_the_build_as_it_is_is_not(tmp_path: Path) -> None:
    assert {name for names in BUILDS for name in names} == set(MUTANTS)
    folder = tmp_path / "world"
    folder.mkdir()
    async with asyncio.timeout(200), world(folder, workers=0, with_inbox=False) as one:
        assert await violations(one, one.worker("right"), "right", *get_args(Scene)) == []
        for number, names in enumerate(BUILDS):
            build, mutants = f"mutant-{number}", [MUTANTS[name] for name in names]
            worker = one.worker(build, changed(tmp_path / build, *mutants))
            found = await violations(one, worker, build, *(mutant.scene for mutant in mutants))
            for name, (*_, scene, caught) in zip(names, mutants, strict=True):
                of = [violation for violation in found if f"{build}-{scene}" in violation.text]
                assert caught in {violation.kind for violation in of}, name

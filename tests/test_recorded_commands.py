"""No workflow's commands change unseen: each recorded case is played anew, and compared.

What can't replay any more is found by ``test_replay``. This finds what replays and yet is new, behind
a patch say: the history that it writes from now on has to be recorded, or nobody would notice when a
later change breaks it.
"""

import importlib
import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import workflows.approval
from cli.settings import EmbeddedServer, Settings

from .played import FOLDER, commands, differs, play, recordings, studio
from .raw import RUNS_LEFT_OPEN, collect_open_runs
from .record_histories import CASES
from .test_replay import read, replayer

pytestmark = RUNS_LEFT_OPEN

MEND = (
    "the commands of these workflows changed: keep their old recordings, record the new ones (just "
    "record-history), and put the change behind a named patch in workflows/patches.py if the old "
    "ones do not replay"
)

FINISHED = ("approved-by-update", "quorum-approved", "staged-approved", "edited", "expired")
OPEN = ("pending", "quorum-1-of-2-pending", "staged-pending", "edited-pending", "escalated-pending")


@pytest.fixture(scope="module", autouse=True)
def _collected() -> Iterator[None]:
    yield
    collect_open_runs()


async def test_each_case_gives_the_commands_that_were_recorded_last(
    server: EmbeddedServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FOLDER.parents[1])
    changed: dict[str, str] = {}

    def compare(name: str, history: dict[str, Any]) -> None:
        if change := differs(name, history):
            changed[name] = change

    async with studio(settings, server.address) as on:
        await play(CASES, on, compare)

    assert not changed, MEND


@pytest.fixture
def patched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """``ApprovalWorkflow`` with a change that is behind a patch, as every change should be."""
    source = inspect.getsource(workflows.approval)
    line = "        record = self._record\n"  # where it begins to run
    assert line in source
    rest = "        if workflow.patched('takes-a-rest'):\n            await workflow.sleep(0.01)\n"
    (tmp_path / "rested.py").write_text(source.replace(line, rest + line, 1))
    monkeypatch.syspath_prepend(tmp_path)
    rested = importlib.import_module("rested").ApprovalWorkflow
    monkeypatch.setattr(workflows.approval, "ApprovalWorkflow", rested)
    yield rested
    del sys.modules["rested"]


async def test_a_change_behind_a_patch_replays_and_is_seen(
    forgetting: EmbeddedServer,
    settings: Settings,
    patched: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(FOLDER.parents[1])
    file = recordings("approval-approved-by-update")[-1]
    assert (await replayer(file, patched).replay_workflow(read(file))).replay_failure is None

    changed = []
    async with studio(settings, forgetting.address) as on:
        case = {"approval-approved-by-update": CASES["approval-approved-by-update"]}
        await play(case, on, lambda name, history: changed.append(differs(name, history)))

    [change] = changed
    assert change is not None
    assert "+ MARKER_RECORDED core_patch takes-a-rest" in change
    assert "+ TIMER_STARTED" in change


def test_what_never_was_recorded_and_what_is_left_out_are_seen() -> None:
    history = json.loads(recordings("approval-expired")[-1].read_text())
    assert differs("approval-expired", history) is None
    assert differs("approval-unheard-of", history) == "never recorded"

    ended = {**history, "events": history["events"][:-1]}
    assert differs("approval-expired", ended) == "- WORKFLOW_EXECUTION_COMPLETED"
    assert commands(ended) == commands(history)[:-1]


def test_each_released_version_has_its_histories_pending_and_finished() -> None:
    released: dict[str, list[str]] = json.loads((FOLDER / "versions.json").read_text())
    assert released
    for version, files in released.items():
        gone = [file for file in files if not (FOLDER / file).exists()]
        assert not gone, f"{version}: a recorded history stays while a workflow like it may be open"
        cases = {file.split(".")[0] for file in files}
        assert cases >= {f"approval-{name}" for name in (*FINISHED, *OPEN)}, version
        assert cases >= {"agent-pending", "agent-approved", "agent-rejected", "agent-expired"}

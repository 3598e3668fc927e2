"""The benchmarks of settings and of recovery work, each on its smallest run."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import recovery, tuning
from benchmarks.engine import engine
from benchmarks.measuring import Size
from cli import embedded

from . import warm

ROOT = Path(__file__).parents[1]

QUICK = Size(quick=True)

SOON = '--dynamic-config-value=history.defaultWorkflowTaskTimeout="3s"'
"""When the server gives a task of a killed worker to another one: else after ten seconds."""


@pytest.fixture(autouse=True)
def _warm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their workers are processes of their own, without Python's start, which takes most of the time."""
    cold = asyncio.create_subprocess_exec

    async def start(*command: str, **how: Any) -> Any:
        if command[:2] != (sys.executable, "-m"):
            return await cold(*command, **how)
        reading, writing = os.pipe()
        files = (0, writing, writing)
        process: Any = await warm.start(command[1:], env=how["env"], cwd=ROOT, files=files)
        os.close(writing)
        process.stdout = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(process.stdout), os.fdopen(reading, "rb")
        )
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start)


async def test_a_setting_is_measured_beside_the_same_server_without_it() -> None:
    measured = await tuning.beside(embedded.TUNING, tuning.TRIED[0], QUICK)

    for found in measured:
        assert all(figure > 0 for figures in found for figure in figures)
    assert tuning.row("partitions", *measured)[0] == "partitions"


async def test_a_decision_after_a_worker_was_killed_takes_effect_and_is_timed() -> None:
    async with engine((*embedded.TUNING, SOON)) as server:
        assert await recovery.killed(server, another=True, after=0.5, wanted=QUICK) > 0

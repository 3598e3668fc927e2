"""The benchmarks work, each on its smallest run; their figures are taken elsewhere."""

import asyncio
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from benchmarks import cost, history_events, resumed, throughput
from benchmarks.engine import engine
from benchmarks.measuring import Size
from benchmarks.others import others

from . import warm
from .support import eventually

ROOT = Path(__file__).parents[1]

QUICK = Size(quick=True)

PERFORMANCE = (ROOT / "docs/performance.md").read_text()

COMMANDS = {
    path.stem
    for path in (ROOT / "benchmarks").glob("*.py")
    if '__name__ == "__main__"' in path.read_text() and path.stem not in ("bare", "ours")
}
"""Those that people call, and not those that they run beside themselves."""


@asynccontextmanager
async def forked(*command: str, says: str, environment: dict[str, str]) -> AsyncIterator[None]:
    """What ``benchmarks.running.process`` is, without the time that imports take."""
    with tempfile.TemporaryFile() as output:
        process = await warm.start(
            command[1:],
            env={**os.environ, **environment},
            cwd=ROOT,
            files=(0, output.fileno(), output.fileno()),
        )

        async def ready() -> bool:
            said = os.pread(output.fileno(), 1 << 16, 0).decode()
            assert process.returncode is None, said
            return says in said

        try:
            await eventually(ready, within=60)
            yield
        finally:
            process.terminate()
            await process.wait()


async def test_everybody_who_waits_goes_on_after_the_decision_and_all_are_finished(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One test: it is one server with all the processes."""
    monkeypatch.setattr("benchmarks.engine.process", forked)
    async with engine() as server, others(server.folder) as beside:
        await asyncio.gather(
            server.serve("benchmarks.bare"), server.serve("benchmarks.ours", "--agents")
        )
        took = await resumed.measured(server, beside, QUICK)
        rates = await throughput.measured(server, beside, QUICK)
        costs = await cost.measured(server, QUICK)
    assert all(one > 0 for each in (took, costs) for values in each.values() for one in values)
    assert all(a_second > 0 for a_second, _ in rates.values())
    assert set(resumed.AIMS) < set(took)

    resumed.report(took)
    throughput.report(rates)
    cost.report(costs)
    said = capsys.readouterr().out.splitlines()
    for name in (*took, *rates, *costs):
        assert any(line.startswith(f"{name}  ") for line in said)


async def test_a_plain_approval_has_at_most_three_events_more_than_the_bare_pattern(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = await history_events.measure(1)
    for name, base in (("Clearance, signal", "bare, signal"), ("plain, update", "bare, update")):
        assert found[name].events - found[base].events <= history_events.AIM
    history_events.report(found)
    said = capsys.readouterr().out
    for feature in ("no deadline", "an audience", "two stages", "a reminder", "an escalation"):
        assert f"{feature}, update" in said


async def test_a_poller_that_finds_its_decision_says_when_it_went_on(tmp_path: Path) -> None:
    from benchmarks.others import polling

    every = 0.2
    async with polling.contender(tmp_path, every) as polled:
        await polled.decide("unknown")  # nobody's, and nobody is disturbed
        took = await resumed.at_random(polled, 1, 0)
    assert took[polled.name][0] < (every + 5) * 1_000


async def test_a_process_in_which_others_wait_ends_with_its_benchmark() -> None:
    code = (
        "import asyncio; from benchmarks.others import lines\n"
        "async def main():\n"
        "    print('ready', flush=True)\n"
        "    async for id in lines(): pass\n"
        "asyncio.run(main())"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    await process.communicate(b"one\n")  # and the end of what it reads
    assert process.returncode == 0


def test_every_benchmark_s_command_is_named_beside_its_figures() -> None:
    named = set(re.findall(r"`uv run python -m benchmarks\.(\w+)`", PERFORMANCE))
    assert named == COMMANDS


def test_just_bench_runs_every_benchmark() -> None:
    just = (ROOT / "justfile").read_text()
    run = re.findall(r"uv run --group bench python -m benchmarks\.(\w+)$", just, re.MULTILINE)
    assert sorted(run) == sorted(COMMANDS)

"""The benchmarks work, each on its smallest run; their figures are taken elsewhere."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from benchmarks import cost, history_events, resumed, throughput
from benchmarks.contenders import Contender
from benchmarks.engine import Engine, engine
from benchmarks.measuring import Size
from benchmarks.others import others

ROOT = Path(__file__).parents[1]

QUICK = Size(quick=True)

PERFORMANCE = (ROOT / "docs/performance.md").read_text()

COMMANDS = sorted(
    path.stem
    for path in (ROOT / "benchmarks").glob("*.py")
    if '__name__ == "__main__"' in path.read_text() and path.stem not in ("bare", "ours")
)
"""Those that people call, and not those that they run beside themselves."""


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Engine]:
    async with engine() as running:
        yield running


@pytest.fixture(scope="module")
async def beside(server: Engine) -> AsyncIterator[Sequence[Contender]]:
    async with others(server.folder) as found:
        await server.serve("benchmarks.bare")
        await server.serve("benchmarks.ours", "--agents")
        yield found


async def test_everybody_who_waits_goes_on_after_the_decision_and_never_before(
    server: Engine, beside: Sequence[Contender], capsys: pytest.CaptureFixture[str]
) -> None:
    took = await resumed.measured(server, beside, QUICK)
    assert all(milliseconds > 0 for values in took.values() for milliseconds in values)
    resumed.report(took)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[1:]] == list(took)
    assert set(resumed.AIMS) < set(took)


async def test_approvals_that_are_under_way_together_are_all_finished(
    server: Engine, beside: Sequence[Contender], capsys: pytest.CaptureFixture[str]
) -> None:
    rates = await throughput.measured(server, beside, QUICK)
    throughput.report(rates)
    assert all(found > 0 for found in rates.values())
    assert "Clearance, signal" in capsys.readouterr().out


async def test_the_price_of_a_feature_in_time_is_measured_on_a_worker_that_has_it(
    server: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    cost.report(await cost.measured(server, QUICK))
    assert "without the ledger" in capsys.readouterr().out


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

    async with polling.contender(tmp_path) as polled:
        await polled.decide("unknown")  # nobody's, and nobody is disturbed
        took = await resumed.at_random(polled, 1, 0)
    assert took[polled.name][0] < (polling.EVERY + 5) * 1_000


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


@pytest.mark.parametrize("name", COMMANDS)
def test_every_benchmark_s_command_is_named_beside_its_figures(name: str) -> None:
    assert re.search(rf"uv run( --group bench)? python -m benchmarks\.{name}\b", PERFORMANCE)

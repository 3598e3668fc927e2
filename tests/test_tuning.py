"""The benchmarks of settings and of recovery work, each on its smallest run."""

from benchmarks import recovery, tuning
from benchmarks.engine import engine
from benchmarks.measuring import Size
from cli import embedded

QUICK = Size(quick=True)


async def test_a_setting_is_measured_beside_the_same_server_without_it() -> None:
    measured = await tuning.beside(embedded.TUNING, tuning.TRIED[0], QUICK)

    for found in measured:
        assert all(figure > 0 for figures in found for figure in figures)
    assert tuning.row("partitions", *measured)[0] == "partitions"


async def test_a_decision_after_a_worker_was_killed_takes_effect_and_is_timed() -> None:
    async with engine() as server:
        assert 0 < await recovery.killed(server, another=True, after=0.5, wanted=QUICK) < 30

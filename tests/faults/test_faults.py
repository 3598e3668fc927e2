"""Whatever breaks, nothing that was acknowledged is lost, and nothing is done that wasn't allowed."""

from pathlib import Path

import pytest

from .disk import FAKETIME
from .suite import suffered

SHORT = 20.0
"""Seconds of faults where no option says how many minutes."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One run for each seed."""
    seeds = metafunc.config.getoption("--faults-seed", default=None) or [12]
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", seeds)


async def test_what_was_promised_holds_through_every_fault(
    seed: int, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    minutes: float | None = request.config.getoption("--faults-minutes", default=None)
    kept: str | None = request.config.getoption("--faults-keep", default=None)
    folder = Path(kept) / f"seed-{seed}" if kept else tmp_path / "world"
    folder.mkdir(parents=True)
    seconds = SHORT if minutes is None else minutes * 60

    long = minutes is not None
    violations, line = await suffered(
        folder, seed, seconds, told=long, with_postgresql=long and seed % 2 == 0
    )

    with capsys.disabled():
        print(f"\nseed {seed}: {line}")  # noqa: T201
        if not FAKETIME.exists():
            print("no clock was stepped: apt-get install libfaketime")  # noqa: T201
    again = f"again: just faults --faults-minutes {seconds / 60:.2f} --faults-seed {seed}"
    assert not violations, "\n".join([again, *(f"{one.kind}: {one.text}" for one in violations)])

"""Whatever breaks, nothing that was acknowledged is lost, and nothing is done that wasn't allowed."""

import asyncio
from pathlib import Path

import pytest

from .disk import FAKETIME
from .suite import suffered


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
    seconds = None if minutes is None else minutes * 60

    async with asyncio.timeout(200 if seconds is None else 480 + seconds):
        violations, line = await suffered(
            *(folder, seed, seconds),
            with_postgresql=seconds is not None and seed % 2 == 0,
            with_steps=seconds is not None,
        )

    with capsys.disabled():
        print(f"\nseed {seed}: {line}")  # noqa: T201
        if seconds is not None and not FAKETIME.exists():
            print("no clock was stepped: apt-get install libfaketime")  # noqa: T201
    options = f"--faults-seed {seed}" + (f" --faults-minutes {minutes}" if minutes else "")
    again = f"again: just faults {options}"
    assert not violations, "\n".join([again, *(f"{one.kind}: {one.text}" for one in violations)])

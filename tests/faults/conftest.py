"""Options of the fault suite: ``just faults`` gives them."""

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long, and which."""
    group = parser.getgroup("faults")
    group.addoption("--faults-minutes", type=float, help="Minutes of faults, for each seed.")
    group.addoption("--faults-seed", type=int, action="append", help="Which schedule; repeat it.")
    group.addoption("--faults-keep", help="A folder that is kept, with everybody's logs.")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """These begin first, or a worker ends alone with one; a long run takes as long as it was told."""
    items.sort(key=lambda one: Path(__file__).parent not in one.path.parents)
    minutes: float | None = config.getoption("--faults-minutes", default=None)
    if minutes is not None:
        for item in items:
            item.add_marker(pytest.mark.timeout(minutes * 60 + 600))

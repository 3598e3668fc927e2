"""How many requests a worker keeps in memory changes what it costs, and nothing else."""

from typing import Any

import pytest

import worker
from clearance import ApprovalClient
from cli.settings import Settings
from tests.support import unique


@pytest.mark.parametrize("cache", [0, 1])
async def test_what_a_worker_does_not_keep_in_memory_is_decided_all_the_same(
    settings: Settings, connection: dict[str, Any], approvals: ApprovalClient, cache: int
) -> None:
    small = settings.model_copy(update={"workflow_cache": cache})
    async with worker.running(small, connection, only="approvals"):
        asked = [await approvals.request("Deploy", id=unique("cached")) for _ in range(3)]
        for one in asked:
            await approvals.comment(one.id, "On it", who="ada")
        for one in asked:
            assert (await approvals.approve(one.id, reviewer="ada")).in_effect
        for one in asked:
            assert (await approvals.wait(one.id)).approved


def test_a_cache_of_less_than_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEARANCE_WORKFLOW_CACHE", "-1")
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        Settings()

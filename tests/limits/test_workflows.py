"""As much as one workflow takes, of open requests and of history; nothing of it is lost."""

from functools import partial

import pytest
from temporalio.client import Client

from clearance import ApprovalClient
from cli.settings import Settings
from tests import parents
from tests.agent_runs import Start
from tests.granting import FIRST, pays
from tests.office import DONE, decide, done, policed
from tests.support import eventually, unique
from tests.test_long_runs import executions

from .test_requests import all_of

pytestmark = [pytest.mark.true_size, pytest.mark.timeout(900)]

REQUESTS = 2_100
"""Temporal takes 2,000 children."""

MAX_OPEN = 1_000


@pytest.mark.usefixtures("worker_running")
async def test_all_of_2_100_requests_of_one_workflow_are_answered_a_thousand_at_a_time(
    approvals: ApprovalClient, temporal: Client, settings: Settings
) -> None:
    actions = [f"Deploy {number}?" for number in range(REQUESTS)]
    async with parents.worker_for(temporal, settings.agents_queue):
        args = (settings.agents_queue, actions, settings.approvals_queue)
        parent = await parents.start(temporal, parents.Asks, *args)
        left = [f"{parent.id}.{number}" for number in range(1, REQUESTS + 1)]

        while left:

            async def waiting(first: frozenset[str] = frozenset(left[:MAX_OPEN])) -> bool:
                open_now = {one.id async for one in approvals.pending(run=parent.id)}
                assert len(open_now) <= MAX_OPEN
                return open_now == first

            await eventually(waiting, within=300)
            assert len(await parent.query("pending_approvals")) == min(MAX_OPEN, len(left))
            now, left = left[:550], left[550:]

            async def approve(number: int, ids: list[str] = now) -> None:
                await temporal.get_workflow_handle(ids[number]).signal("approve", True)

            await all_of(range(len(now)), approve)
        outcomes = await parent.result()

    ids = [f"{parent.id}.{number}" for number in range(1, REQUESTS + 1)]
    assert [one.approval_id for one in outcomes] == ids
    assert all(one.approved is True for one in outcomes)


POLICY = """
    default = "allow"

    [[checkpoint]]
    checkpoint_id = "payments"
    action_pattern = "^pay$"
"""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return policed(settings, POLICY)


@pytest.mark.parametrize(
    ("turns", "at_once", "size"), [(16, 100, 1), (12, 1, 100_000)], ids=["of events", "of bytes"]
)
async def test_a_run_with_a_long_history_goes_on_and_each_of_its_calls_is_made_once(
    play: Start, approvals: ApprovalClient, temporal: Client, turns: int, at_once: int, size: int
) -> None:
    """One call waits for a person before the history is long, and one after it."""
    mark, numbers = unique("x" * size), range(turns * at_once)
    calls = [pays(number, f"call-{number}", to=mark, tool="refund") for number in numbers]
    script = [calls[first : first + at_once] for first in numbers[::at_once]]
    async with play([FIRST], *script, [pays(300, "last")], agent="payer", max_turns=100) as (
        run,
        model,
    ):
        id = run.handle.id
        await run.waits_for()
        await decide(approvals, f"{id}.1")
        await eventually(partial(_listed, approvals, f"{id}.2"), within=240)
        assert await executions(temporal, id) >= 1
        await decide(approvals, f"{id}.2")
        result = await run.result()

    assert [one.approval_id for one in result.approvals] == [f"{id}.1", f"{id}.2"]
    assert (result.output, len(model.inputs)) == ("Finished.", turns + 3)
    assert [one["cents"] for one in done(f"{id}.1") + done(f"{id}.2")] == [100, 300]
    refunds = [one.arguments["cents"] for one in DONE if one.arguments.get("to") == mark]
    assert sorted(map(str, refunds)) == sorted(map(str, numbers))


async def _listed(approvals: ApprovalClient, id: str) -> bool:
    return id in [one.id async for one in approvals.pending()]

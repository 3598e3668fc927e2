"""Who decides and by when, from the policy of a run to the request that it makes."""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest

import worker
from clearance import ApprovalClient, contract
from clearance.stages import Stage
from cli.settings import Settings

from .agent_runs import Start, played_by_one, told
from .conftest import Serve
from .office import ADA, GRACE, decide, done, grant, policed, write
from .support import PlayedModel, call

PAY = call("pay", json.dumps({"to": "Ada", "cents": 100}))

POLICY = """
    [[checkpoint]]
    checkpoint_id = "payments"
    action_pattern = "^pay$"
"""

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture(scope="module")
def settings(lasting: Settings) -> Settings:
    return policed(lasting, POLICY)


@pytest.fixture(autouse=True)
def _policy(settings: Settings) -> Iterator[None]:
    yield
    write(settings, POLICY)


@pytest.fixture(scope="module")
async def play(settings: Settings, connection: dict[str, Any]) -> AsyncIterator[Start]:
    async with played_by_one(settings, connection) as start:
        yield start


def says(settings: Settings, *lines: str) -> None:
    write(settings, POLICY + "".join(f"    {line}\n" for line in lines))


async def test_a_request_has_the_terms_of_its_checkpoint(
    settings: Settings, play: Start, approvals: ApprovalClient
) -> None:
    says(
        settings,
        'audience = ["ada@example.com", "grace@example.com", "mary@example.com"]',
        "quorum = 2",
        "reject_quorum = 2",
        'remind_after = ["1h", "2d"]',
        'escalate_to = ["lead@example.com"]',
        'self_approval = ["editor"]',
    )
    async with play([PAY], agent="payer", expires_in=DAY) as (run, _):
        [waiting] = await run.waits_for()
        request = (await approvals.get(waiting.id)).request
        assert (request.quorum, request.reject_quorum, request.expires_in) == (2, 2, DAY)
        assert request.remind_after == (HOUR,), "the run's own deadline comes before the second"
        assert request.escalate_to == ("lead@example.com",)
        assert request.self_approval == ("editor",)
        assert not request.grantable
        await decide(approvals, waiting.id)
        await decide(approvals, waiting.id, reviewer=GRACE)
        await run.result()
    assert len(done(run.handle.id)) == 1


async def test_a_checkpoints_stages_are_those_of_its_request(
    settings: Settings, play: Start, approvals: ApprovalClient
) -> None:
    says(
        settings,
        'deadline = "2h"',
        "[[checkpoint.stage]]",
        'name = "manager"',
        'audience = ["ada@example.com"]',
        "[[checkpoint.stage]]",
        'name = "director"',
        'when = "args.cents > 1000"',
        "[[checkpoint.stage]]",
        'name = "cfo"',
        'deadline = "never"',
        'audience = ["grace@example.com"]',
    )
    async with play([PAY], agent="payer") as (run, _):
        [waiting] = await run.waits_for()
        request = (await approvals.get(waiting.id)).request
        assert request.stages == (
            Stage(name="manager", audience=(ADA,), expires_in=2 * HOUR),
            Stage(name="director", when="args.cents > 1000", expires_in=2 * HOUR),
            Stage(name="cfo", audience=(GRACE,), expires_in=None),
        )
        assert not request.grantable
        await decide(approvals, waiting.id, stage=1)
        await decide(approvals, waiting.id, stage=3, reviewer=GRACE)
        await run.result()
    assert len(done(run.handle.id)) == 1


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        ('audience = ["ADA@example.com"]', "ada@example.com asked for it and may not approve it"),
        ('audience = ["group:finance"]', "group:finance: there are no groups without"),
    ],
)
async def test_where_nobody_could_approve_the_model_learns_that_calling_again_does_not_help(
    settings: Settings, play: Start, terms: str, why: str
) -> None:
    says(settings, terms)  # by now; a worker that starts with such a group says so at once
    async with play([PAY], agent="payer", requester=ADA) as (run, model):
        await run.result()
    said = told(model)["call_1"]
    assert said.startswith(f"Nothing was asked and nothing ran: {why}")
    assert said.endswith(
        "Calling again doesn't help: somebody has to change the policy, or somebody else has to ask."
    )
    assert done(run.handle.id) == []


async def test_a_policy_whose_groups_the_directory_lacks_stops_the_worker_at_start(
    settings: Settings, serve: Serve
) -> None:
    says(settings, 'audience = ["group:finance"]')
    with pytest.raises(worker.CannotServe, match='checkpoint "payments": group:finance: there are'):
        async with serve(PlayedModel()):
            pass
    async with serve(only="approvals"):
        pass  # knows nothing of policies


async def test_what_a_standing_approval_allows_has_no_times_of_its_own(
    settings: Settings, play: Start, approvals: ApprovalClient
) -> None:
    says(
        settings,
        'audience = ["ada@example.com"]',
        'remind_after = ["1h"]',
        'remind_before = ["1h"]',
        'escalate_to = ["grace@example.com"]',
        'escalate_after = "1d"',
    )
    again = PAY.model_copy(update={"call_id": "call_2", "id": "call_2"})
    async with play([PAY], [again], agent="payer") as (run, _):
        [waiting] = await run.waits_for()
        await grant(approvals, waiting.id, max_uses=1)
        await run.result()
        second = await approvals.get(contract.child_id(run.handle.id, 2))
    assert second.decision is not None
    assert second.decision.channel == "grant"
    assert second.request.audience == (ADA,)
    assert len(done(run.handle.id)) == 2

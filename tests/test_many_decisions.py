"""Very many people at once, and what Temporal takes no more of: everybody is told what became of it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

import worker
from clearance import (
    AlreadyDecided,
    ApprovalClient,
    ApprovalRequest,
    Receipt,
    Refused,
    attributes,
    connect,
)
from cli import embedded
from cli.settings import Settings

from .conftest import Serve
from .support import unique

PEOPLE = [f"r{number}@example.com" for number in range(200)]
VOTERS = PEOPLE[:60]
"""More than have room under way at once."""

CROWD = ApprovalRequest(action="Launch", audience=("group:crowd",), quorum=10)

Answer = Receipt | Refused


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """With a directory: its group has more people than an audience may name."""
    names = ", ".join(f'"{name}"' for name in PEOPLE)
    file = tmp_path / "reviewers.toml"
    file.write_text(f"[groups]\ncrowd = [{names}]\n")
    return settings.model_copy(update={"reviewers": file})


def patient(temporal: Client, settings: Settings) -> ApprovalClient:
    """The machine of the tests may be slow: what is tested is who is told what, not how fast."""
    return ApprovalClient(
        temporal, task_queue=settings.approvals_queue, answer_timeout=timedelta(seconds=60)
    )


async def approve(client: ApprovalClient, id: str, reviewer: str, key: str | None = None) -> Answer:
    try:
        return await client.approve(id, reviewer=reviewer, decision_id=key)
    except Refused as error:
        return error


@pytest.mark.parametrize("clients", [1, 5])
async def test_of_sixty_at_once_exactly_the_quorum_counts_and_all_others_hear_why(
    temporal: Client, settings: Settings, serve: Serve, clients: int
) -> None:
    """One client waits its turn; several together have more under way than the server takes."""
    several = [patient(temporal, settings) for _ in range(clients)]
    async with serve():
        asked = await several[0].request(CROWD)
        answers = await asyncio.gather(
            *(
                approve(several[number % clients], asked.id, name)
                for number, name in enumerate(VOTERS)
            )
        )
        view = await several[0].get(asked.id)

    counted = [one for one in answers if isinstance(one, Receipt)]
    assert len(counted) == 10, Counter(str(one)[:80] for one in answers)
    assert all(one.in_effect for one in counted)
    assert sorted(one.approvals for one in counted) == list(range(1, 11))
    told = [one for one in answers if isinstance(one, Refused)]
    assert len(told) == 50
    assert all(isinstance(one, AlreadyDecided) and one.decision == view.decision for one in told)
    approved = [event.who for event in view.events if event.kind == "approved"]
    assert len(set(approved)) == len(approved) == 10


async def test_sixty_decisions_that_each_arrive_twice_count_once_each(
    temporal: Client, settings: Settings, serve: Serve
) -> None:
    one, other = patient(temporal, settings), patient(temporal, settings)
    async with serve():
        asked = await one.request(CROWD)
        answers = await asyncio.gather(
            *(
                approve(client, asked.id, name, f"d{number}")
                for number, name in enumerate(VOTERS)
                for client in (one, other)
            )
        )
        view = await one.get(asked.id)

    approved = {event.who for event in view.events if event.kind == "approved"}
    assert len(approved) == 10
    assert Counter(event.kind for event in view.events)["approved"] == 10
    for number, name in enumerate(VOTERS):
        first, second = answers[2 * number : 2 * number + 2]
        assert isinstance(first, Receipt) is isinstance(second, Receipt) is (name in approved)
        if isinstance(first, Receipt) and isinstance(second, Receipt):
            assert first.recorded_at == second.recorded_at is not None
        else:
            assert isinstance(first, AlreadyDecided)
            assert isinstance(second, AlreadyDecided)


@pytest.fixture(scope="module")
async def scarce() -> AsyncIterator[Client]:
    """A server whose workflows take three updates and six signals, instead of 2,000 and 10,000."""
    limits = ("history.maxTotalUpdates=3", "history.maximumSignalsPerExecution=6")
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=embedded.temporal_command(),
        dev_server_extra_args=[
            *(f"--dynamic-config-value={one}" for one in limits),
            *(f"--search-attribute={pair}" for pair in attributes.cli_types()),
        ],
    ) as environment:
        yield await connect({"target_host": environment.client.service_client.config.target_host})


async def test_when_no_update_is_left_decisions_still_count_or_are_refused(scarce: Client) -> None:
    settings = Settings(approvals_queue=unique("approvals"), agents_queue=unique("agents"))
    client = patient(scarce, settings)
    address = {"target_host": scarce.service_client.config.target_host}
    request = ApprovalRequest(action="Launch", audience=("ada", "bob"), quorum=2)
    async with worker.running(settings, address):
        asked = await client.request(request)
        for _ in range(3):
            with pytest.raises(Refused, match="mallory is not in the audience"):
                await client.approve(asked.id, reviewer="mallory")

        with pytest.raises(Refused, match="mallory is not in the audience"):
            await client.approve(asked.id, reviewer="mallory")
        first = await client.approve(asked.id, reviewer="ada")
        comment = await client.comment(asked.id, "All checked.", who="bob")
        with pytest.raises(Refused, match="mallory is not in the audience"):
            await client.comment(asked.id, "Hello", who="mallory")
        second = await client.approve(asked.id, reviewer="bob")

        assert (first.status, first.approvals, first.in_effect) == ("pending", 1, True)
        assert (comment.status, comment.in_effect) == ("pending", True)
        assert (second.status, second.approvals, second.in_effect) == ("approved", 2, True)
        assert (await client.wait(asked.id)).approved


async def test_when_no_signal_is_left_either_it_is_refused_and_says_so(scarce: Client) -> None:
    settings = Settings(approvals_queue=unique("approvals"), agents_queue=unique("agents"))
    client = ApprovalClient(
        scarce,
        task_queue=settings.approvals_queue,
        answer_timeout=timedelta(milliseconds=200),
    )
    asked = await client.request("Launch")
    handle = scarce.get_workflow_handle(asked.id)
    for _ in range(6):
        await handle.signal("approve", "no boolean")

    with pytest.raises(Refused, match="takes nothing more: exceeded workflow execution limit"):
        await client.approve(asked.id, reviewer="ada")
    with pytest.raises(Refused, match="takes nothing more: exceeded workflow execution limit"):
        await client.viewed(asked.id, who="ada")

    assert (await client.get(asked.id)).status == "pending"

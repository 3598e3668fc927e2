"""What tests of who decides share: a directory that is changed under way, and what a record says."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, Worker

from activities.directory import DirectoryActivities, InProcess
from activities.keeping import KeepingActivities
from clearance import ApprovalClient, ApprovalView
from cli.settings import Settings
from workflows.approval import ApprovalWorkflow

from .raw import Handle

ADA, BOB, CLEO, EVE, GRACE, MARY = (
    f"{name}@example.com" for name in ("ada", "bob", "cleo", "eve", "grace", "mary")
)

PEOPLE = """\
operators = ["group:desk"]

[people."ada@example.com"]
aliases = ["ada"]

[people."bob@example.com"]
[people."cleo@example.com"]
[people."grace@example.com"]
aliases = ["grace", "gh"]

[people."mary@example.com"]
[people."otto@example.com"]

[groups]
finance = ["ada@example.com", "bob@example.com"]
board = ["group:finance", "cleo@example.com"]
desk = ["otto@example.com"]
nobody = []
"""
"""A file of reviewers; ``eve`` is not in it."""


def reviewed(settings: Settings, text: str = PEOPLE) -> Settings:
    """``settings`` with a file of reviewers of this test's own."""
    settings = settings.model_copy(update={"reviewers": settings.state.with_name("reviewers.toml")})
    rewrite(settings, text)
    return settings


def rewrite(settings: Settings, text: str) -> None:
    """Make this the text of the file, at once: as a new file in the place of the old one."""
    assert settings.reviewers is not None
    new = settings.reviewers.with_suffix(".new")
    new.write_text(dedent(text))
    new.replace(settings.reviewers)


def stand_in(principal: str, to: str, since: str, until: str) -> str:
    """A standing delegation, as the file says it."""
    return (
        f'\n[[delegation]]\nfrom = "{principal}"\nto = "{to}"\nsince = {since}\nuntil = {until}\n'
    )


def always(principal: str, to: str) -> str:
    """A standing delegation that holds now."""
    return stand_in(principal, to, "2020-01-01", "2090-01-01")


def told(view: ApprovalView) -> list[tuple[str, str | None]]:
    """Kind and person of every event, in order."""
    assert [event.sequence for event in view.events] == list(range(1, len(view.events) + 1))
    return [(event.kind, event.who) for event in view.events]


def kinds(view: ApprovalView) -> list[str]:
    """The kind of every event, in order."""
    return [kind for kind, _ in told(view)]


async def listed(approvals: ApprovalClient, **filters: Any) -> set[str]:
    """The ids of what waits."""
    return {one.id async for one in approvals.pending(**filters)}


async def replays(handle: Handle) -> None:
    """Fail unless the workflow, as it is stored, runs through the code of today."""
    replayer = Replayer(workflows=[ApprovalWorkflow], data_converter=pydantic_data_converter)
    await replayer.replay_workflow(await handle.fetch_history())


@asynccontextmanager
async def forgetful(client: Client, settings: Settings) -> AsyncIterator[None]:
    """An approvals worker that keeps nothing in memory: each task replays the whole request."""
    path: Path | None = settings.reviewers
    directory = DirectoryActivities(path)
    async with Worker(
        client,
        task_queue=settings.approvals_queue,
        workflows=[ApprovalWorkflow],
        activities=[*directory.activities, *KeepingActivities().activities],
        interceptors=[InProcess(directory)],
        max_cached_workflows=0,
    ):
        yield

"""The worker's answers about people, on a real server: asked by local activities, as the file is."""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

import worker
from activities.directory import DirectoryActivities
from clearance import contract
from clearance.directory import Members, Standing, StandingQuestion
from cli.settings import Settings

from .conftest import Serve
from .support import eventually, unique

NOW = datetime(2026, 12, 5, 12, tzinfo=UTC)
QUESTION = StandingQuestion(
    person="Grace", at=NOW, groups=("group:finance",), principals=("mary@example.com",)
)
TEXT = """\
operators = ["grace"]
[groups]
finance = ["ada", "grace"]
[[delegation]]
from = "ada"
to = "grace"
since = 2026-12-01
until = 2026-12-15
"""


@workflow.defn(sandboxed=False)  # this module imports what no workflow may
class Asks:
    """Asks both questions, as an approval does."""

    @workflow.run
    async def run(self, names: list[str], question: StandingQuestion) -> tuple[Members, Standing]:
        """Both answers."""
        how: dict[str, Any] = {
            "start_to_close_timeout": timedelta(seconds=10),
            "retry_policy": RetryPolicy(
                initial_interval=timedelta(milliseconds=50), backoff_coefficient=1.0
            ),
        }
        members: Members = await workflow.execute_local_activity(
            contract.ACTIVITY_MEMBERS, names, result_type=Members, **how
        )
        standing: Standing = await workflow.execute_local_activity(
            contract.ACTIVITY_STANDING, question, result_type=Standing, **how
        )
        return members, standing


class Asked(DirectoryActivities):
    """Counts how often it found its file broken."""

    broken = 0

    async def _current(self) -> Any:
        try:
            return await super()._current()
        except ApplicationError:
            self.broken += 1
            raise


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of reviewers."""
    path = tmp_path / "reviewers.toml"
    path.write_text(TEXT)
    return path


@pytest.fixture
async def asked(temporal: Client, file: Path) -> AsyncIterator[tuple[str, Asked]]:
    """A queue on which the questions are answered, and by whom."""
    queue, directory = unique("directory"), Asked(file)
    async with Worker(
        temporal, task_queue=queue, workflows=[Asks], activities=directory.activities
    ):
        yield queue, directory


async def ask(client: Client, queue: str) -> tuple[Members, Standing]:
    names = ["GROUP:Finance", "group:ops", "Ada"]
    return await client.execute_workflow(
        Asks.run, args=[names, QUESTION], id=unique("asks"), task_queue=queue
    )


async def test_a_workflow_learns_who_somebody_is(
    temporal: Client, asked: tuple[str, Asked]
) -> None:
    members, standing = await ask(temporal, asked[0])
    assert members == Members(
        directory=True, groups={"group:finance": ("ada", "grace")}, unknown=("group:ops",)
    )
    assert (standing.name, standing.operator, standing.known) == ("grace", True, True)
    assert set(standing.groups) == {"group:finance"}
    assert [one.name for one in standing.stands_in_for] == ["mary@example.com", "ada"]
    assert set(standing.stands_in_for[1].groups) == {"group:finance"}


async def test_while_the_file_is_broken_a_question_waits_and_is_then_answered(
    temporal: Client, asked: tuple[str, Asked], file: Path
) -> None:
    file.write_text("[groups]\nfinance = 'ada'")
    queue, directory = asked
    handle = await temporal.start_workflow(
        Asks.run, args=[["group:finance"], QUESTION], id=unique("asks"), task_queue=queue
    )

    async def tried_again() -> bool:
        return directory.broken > 1

    await eventually(tried_again)
    file.write_text("[groups]\nfinance = ['ada']")
    members, _ = await handle.result()
    assert members.groups == {"group:finance": ("ada",)}


async def test_the_file_is_read_again_when_it_has_changed_and_only_then(file: Path) -> None:
    directory = DirectoryActivities(file)

    async def finance() -> tuple[str, ...]:
        return (await directory.members(["group:finance"])).groups["group:finance"]

    assert await finance() == ("ada", "grace")
    before = file.stat().st_mtime_ns
    file.write_text(TEXT.replace('"ada"', '"eve"'))  # of the same length
    os.utime(file, ns=(before, before))
    assert await finance() == ("ada", "grace"), "nothing shows that it has changed"
    os.utime(file, ns=(before, before + 1))
    assert await finance() == ("eve", "grace")
    other = file.with_name("other.toml")
    other.write_text(TEXT.replace('"ada"', '"bob"'))
    os.utime(other, ns=(before, before + 1))
    other.replace(file)
    assert await finance() == ("bob", "grace"), "another file in its place"


async def test_a_file_that_has_vanished_or_is_broken_is_an_error_to_be_tried_again(
    file: Path,
) -> None:
    directory = DirectoryActivities(file)
    assert directory.problem() is None
    file.write_text("group = 1\npeople = 2")
    with pytest.raises(ApplicationError) as raised:
        await directory.standing(QUESTION)
    assert (raised.value.type, raised.value.non_retryable) == ("BrokenDirectory", False)
    assert directory.problem() == raised.value.message
    assert raised.value.message.splitlines() == [
        f'{file}:1: unknown key "group": did you mean "groups"?',
        f"{file}:2: people: write a table: [people]",
    ]
    file.unlink()
    with pytest.raises(ApplicationError, match="can't be read") as raised:
        await directory.members(["group:finance"])
    assert raised.value.type == "BrokenDirectory"
    file.write_text(TEXT)
    assert (await directory.members(["group:finance"])).unknown == ()


async def test_without_a_file_there_are_no_groups() -> None:
    directory = DirectoryActivities(None)
    assert directory.problem() is None
    assert await directory.members(["group:a"]) == Members(unknown=("group:a",))


async def test_without_a_file_nobody_is_told_of_a_request_that_began_with_one() -> None:
    with pytest.raises(ApplicationError, match="the request began with one") as raised:
        await DirectoryActivities(None).standing(QUESTION)
    assert (raised.value.type, raised.value.non_retryable) == ("BrokenDirectory", False)


async def test_an_answer_stays_small_enough_for_a_history(file: Path) -> None:
    names = [f"{n:0>6}{'n' * 100}" for n in range(10_000)]
    file.write_text(f"[groups]\nall = {names}\n")
    directory = DirectoryActivities(file)
    found = await directory.members(["group:all"])
    assert len(found.model_dump_json()) < 1_200_000
    assert found.groups["group:all"][0] == names[0]
    assert len(found.groups["group:all"]) > 2 * contract.MAX_AUDIENCE
    standing = await directory.standing(
        StandingQuestion(person=names[-1].upper(), at=NOW, groups=("group:all",))
    )
    assert set(standing.groups) == {"group:all"}, "whether told among the members or not"


async def test_a_broken_file_keeps_the_approvals_worker_from_starting(
    settings: Settings, connection: dict[str, Any], file: Path
) -> None:
    mine = settings.model_copy(update={"reviewers": file})
    file.write_text("group = 1\npeople = 2")
    with pytest.raises(worker.CannotServe) as raised:
        async with worker.running(mine, connection):
            pass
    assert [line.split(":")[1] for line in str(raised.value).splitlines()] == ["1", "2"]
    file.write_text(TEXT)
    async with worker.running(mine, connection) as serving:
        assert f"; reviewers {file}; " in serving.line


async def test_without_one_the_worker_starts_and_says_nothing_of_it(serve: Serve) -> None:
    async with serve() as serving:
        assert "reviewers" not in serving.line

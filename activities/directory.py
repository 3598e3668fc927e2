"""Asking the directory who somebody is, at the moment they do something to a request."""

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import Interceptor, WorkflowInterceptorClassInput

from clearance import contract
from clearance.directory import Members, Standing, StandingQuestion
from policy.model import Policy
from policy.reading import BrokenPolicy
from policy.reviewers import NOBODY, Directory, load
from policy.together import mismatches
from policy.watched import WatchedDirectory

_MAX_NAMES_BYTES = 1_000_000
"""Of the members in one answer. A history takes 2 MB an event; a request needs 50 people at most."""

_MAX_ANSWER_BYTES = 1_500_000

_MAX_SAID_BYTES = 500_000
"""Of one person, beside an update: Temporal takes 2 MB, with changed arguments or a second person."""

Answer = TypeVar("Answer", bound=BaseModel)


class DirectoryActivities:
    """Answers from one file, which is read again when it has changed."""

    def __init__(self, path: Path | None) -> None:
        """Read this file; None where there is none."""
        self._path = path
        self.file = WatchedDirectory(path)
        """The file, for whoever else in this process goes by it."""

    def problem(self, policy: Policy | None = None) -> str | None:
        """What is wrong with the file as it is now, or with ``policy`` beside it; None where nothing is.

        A line for each fault.
        """
        try:
            directory = NOBODY if self._path is None else load(self._path)
        except BrokenPolicy as error:
            return str(error)
        return "\n".join(mismatches(policy, directory) if policy else ()) or None

    @property
    def activities(self) -> Sequence[Callable[..., Any]]:
        """What a worker registers; workflows call them as local activities."""
        return [self.members, self.standing]

    @activity.defn(name=contract.ACTIVITY_MEMBERS)
    async def members(self, names: list[str]) -> Members:
        """Whom the names of an audience mean.

        Of groups too large for one answer only so many are told: they serve to see whether enough
        people could decide. Whether somebody is in one, ``standing`` says.

        Raises:
            ApplicationError: type ``BrokenDirectory``, retried: once the file is mended, the request
                goes on.
        """
        found = (await self._current()).members(names)
        room = _MAX_NAMES_BYTES // max(1, len(found.groups))
        groups = {name: _some(people, room) for name, people in found.groups.items()}
        return _carried(found.model_copy(update={"groups": groups}))

    @activity.defn(name=contract.ACTIVITY_STANDING)
    async def standing(self, question: StandingQuestion) -> Standing:
        """Who somebody is at a moment, and for whom they may decide.

        Raises:
            ApplicationError: type ``BrokenDirectory``, retried: decisions wait until it is mended.
        """
        if self._path is None:
            # Asked only of requests that began with a directory: a worker that knows none would take
            # one person's names for several people.
            raise _broken("this worker has no reviewers.toml, and the request began with one")
        return _carried(_standing(await self._current(), question))

    async def _current(self) -> Directory:
        """The file as it is now."""
        try:
            return await self.file.current()
        except BrokenPolicy as error:
            raise _broken(str(error)) from None


class InProcess(Interceptor):
    """Lets workflows ask the directory without an event in their history: what an update says of its
    sender is compared before it is accepted, and never in a replay."""

    def __init__(self, directory: DirectoryActivities) -> None:
        """Answer from the same file."""
        self._file = directory.file
        self._reading: asyncio.Task[None] | None = None

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> None:
        """Let workflows call ``standing``. To be called where an event loop runs."""
        self._loop = asyncio.get_running_loop()
        input.unsafe_extern_functions[contract.DIRECTORY] = self.standing

    def standing(self, question: StandingQuestion) -> Standing | None:
        """As the activity, from a workflow's thread, at once. None: not known just now; where the file
        has to be read, that begins; or too much to be said with an update."""
        directory = None if self._file.path is None else self._file.at_once()
        if directory is not None:
            found = _standing(directory, question)
            # Beside changed arguments, or another one's, an update has to carry it.
            return found if _size(found) <= _MAX_SAID_BYTES else None
        with suppress(RuntimeError):  # the loop is closed: the worker has stopped
            self._loop.call_soon_threadsafe(self._read)
        return None

    def _read(self) -> None:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._current())

    async def _current(self) -> None:
        # A broken file is told by the activity, which decisions that are stored wait for.
        with suppress(BrokenPolicy):
            await self._file.current()


def _standing(directory: Directory, question: StandingQuestion) -> Standing:
    return directory.standing(
        question.person,
        question.at,
        question.groups,
        question.principals,
        vouched=question.vouched,
        lent=question.lent,
    )


def _some(people: tuple[str, ...], room: int) -> tuple[str, ...]:
    """The first of them, as many as that many bytes hold."""
    sizes = accumulate(len(json.dumps(name)) + 1 for name in people)
    return tuple(name for name, size in zip(people, sizes, strict=True) if size <= room)


def _carried(answer: Answer) -> Answer:
    """The answer, if a history can carry it: one that can't be recorded would be no error at all."""
    if (size := _size(answer)) > _MAX_ANSWER_BYTES:
        raise _broken(f"an answer of {size:,} characters: name fewer delegations and groups")
    return answer


def _size(answer: BaseModel) -> int:
    return len(answer.model_dump_json().encode())


def _broken(reason: str) -> ApplicationError:
    # Without the cause: readers of a failure go to the innermost one, and this says it best.
    return ApplicationError(reason, type="BrokenDirectory")

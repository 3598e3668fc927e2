"""Who somebody is to a request: asked of the directory, one after the other, at the moment they act."""

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from clearance import contract, rules
    from clearance.directory import Members, Standing, StandingQuestion
    from clearance.fields import canonical_json
    from clearance.record import Record
    from clearance.stages import folded, is_group
    from workflows.patches import LARGE_REQUESTS_TAKE_TURNS
    from workflows.turns import Turns

_LOOK_UP: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=10),
    # Without end: while the directory can't be read, decisions wait, and nothing is lost. Rarely in
    # the end, because each attempt leaves events behind, and a history takes 50,000.
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(milliseconds=100), maximum_interval=timedelta(minutes=5)
    ),
    "local_retry_threshold": timedelta(seconds=1),
}
"""By local activities: one event in the history each."""


_TASK_BYTES = 256 * 1024
"""Of arguments that decisions were about, in one workflow task."""


class Audience:
    """The directory as one request needs it. Decisions take turns."""

    def __init__(self, record: Record, *, resolves: bool, is_known: bool = False) -> None:
        """For the people of ``record``; nobody is looked up where it doesn't resolve. ``is_known``: the
        record says already whom it means."""
        self._record = record
        self.turns = Turns(self._begin)
        self._ready = not resolves or is_known
        self._asking: asyncio.Task[Any] | None = None
        self.resolves = resolves
        self._weight = len(canonical_json(record.request.arguments))
        self._task = self._done_bytes = 0
        chain = record.request.chain
        self._names = folded(name for one in chain for name in one.audience + one.escalate_to)

    async def resolve(self) -> str | None:
        """Look up whom the request means. Returns why nobody could ever approve it, if so."""
        if self._ready:
            return None
        request = self._record.request
        asked = [*self._names, *folded([request.requester] if request.requester else [])]
        members: Members = await self._look_up(contract.ACTIVITY_MEMBERS, asked, Members)
        self._record.members = members
        self._ready = True
        return rules.refuse_request(request, members)

    async def _begin(self) -> None:
        """Before each turn: wait until the directory has said whom the request means; and go on in
        another workflow task where this one has done its share.

        It has two seconds, or is done again, for ever; the server may have stored many decisions on
        a large request, and hands them over at once.
        """
        # In a turn: whoever waits for the first answer is before a deadline that passed meanwhile.
        if not self._ready:
            await workflow.wait_condition(lambda: self._ready)
        task = _history_length()
        if task != self._task:
            self._task, self._done_bytes = task, 0
        self._done_bytes += self._weight
        if self._done_bytes > _TASK_BYTES and workflow.patched(LARGE_REQUESTS_TAKE_TURNS):
            await workflow.sleep(timedelta(milliseconds=1))
            self._task, self._done_bytes = _history_length(), self._weight

    async def standing(self, name: str, at: datetime, vouched: tuple[str, ...] = ()) -> Standing:
        """What somebody may do at that moment, by the directory, by the groups that their sign-in
        vouches for and by this request's delegations.

        Nobody is looked up where nothing counts any more.
        """
        record = self._record
        if not record.members.directory or record.status != "pending":
            return record.standing(name)
        question = StandingQuestion(
            person=name,
            at=at,
            groups=tuple(filter(is_group, self._names)),
            vouched=vouched,
            principals=record.delegators(name),
            lent=record.lent(name),
        )
        try:
            found: Standing = await self._look_up(contract.ACTIVITY_STANDING, question, Standing)
        except (asyncio.CancelledError, ActivityError):
            if record.status == "pending":
                raise
            return record.standing(name)
        return found

    def end(self) -> None:
        """The request has ended: whoever waits to be looked up goes on, and is told so."""
        self._ready = True
        if self._asking is not None:
            self._asking.cancel()

    async def _look_up(self, activity: str, question: Any, result: type) -> Any:
        self._asking = workflow.start_local_activity(
            activity, question, result_type=result, **_LOOK_UP
        )
        try:
            return await self._asking
        finally:
            self._asking = None

    def listed(self) -> list[str]:
        """By whom lists find the request: who may decide now, and whom it was handed to.

        As many as Temporal's index takes.
        """
        if not self._record.ballot.audience:
            return []
        names = folded(
            [*self._record.ballot.audience, *(one.to for one in self._record.delegations)]
        )
        room = contract.MAX_INDEXED_BYTES - 2
        kept = []
        for name in names:
            room -= len(json.dumps(name)) + 1  # as Temporal measures it
            if room >= 0:
                kept.append(name)
        return kept


def _history_length() -> int:
    """Another one in each workflow task, and in a replay the same."""
    return workflow.info().get_current_history_length()

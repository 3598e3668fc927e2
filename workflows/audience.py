"""Who somebody is to a request: asked of the directory, one after the other, at the moment they act."""

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from clearance import contract, rules
    from clearance.acts import UNSIGNED, Act
    from clearance.directory import Members, Standing, StandingQuestion
    from clearance.fields import canonical_json
    from clearance.models import Decision
    from clearance.record import Record
    from clearance.stages import folded, is_group
    from workflows.looking import look_up, settled
    from workflows.patches import (
        LARGE_REQUESTS_TAKE_TURNS,
        LOOK_UPS_SETTLE,
        STANDING_IS_SAID,
    )
    from workflows.turns import Turns

_SETTLED = 2_000
"""Look-ups that a timer follows, which leaves five events more: who stores more decisions than that would
fill the history."""

_ONE_MORE = "one argument too many: a decision or an act is one object"
_SAY = "say what the directory says of you, too: send the same again with this error's detail beside it"
_BUSY = "the directory is being asked about something that came before: send it again in a moment"

_TASK_BYTES = 256 * 1024
"""Of arguments that decisions were about, in one workflow task."""

_SHARE_BYTES = 2_000_000
"""The same since the last pause, whatever the tasks: what follows a look-up belongs to another one in a
replay than it did, and a request that paused by tasks could never be read again."""


class Audience:
    """The directory as one request needs it. Decisions take turns.

    What comes as a signal is looked up here. What comes as an update brings the answer along, and the
    worker that accepts it compares: Temporal's SDK can't replay a history in which an update is under
    way during a local activity and somebody queries meanwhile (docs/faults.md). So none is accepted then.
    """

    def __init__(self, record: Record, *, resolves: bool, is_known: bool = False) -> None:
        """For the people of ``record``; nobody is looked up where it doesn't resolve. ``is_known``: the
        record says already whom it means."""
        self._record = record
        self._ready = not resolves or is_known
        self._asking: asyncio.Task[Any] | None = None
        self._looked_up = 0
        self._settled: int | None = None
        self.resolves = resolves
        self.is_quiet: Callable[[], bool] = lambda: True
        """Whether no activity is under way beside a look-up: a replay may see its end later than the
        look-up's answer, and would do what follows from both in another order."""
        version = record.request.version
        self.is_said = resolves and (
            version >= 4 or (version == 1 and workflow.patched(STANDING_IS_SAID))
        )
        """Whether updates bring the answer along, and people are told by an activity."""
        self._settles = version >= 5 or (
            version == 1 and self.is_said and workflow.patched(LOOK_UPS_SETTLE)
        )
        self.turns = Turns(self._begin, is_patched=self.is_said)
        info = workflow.info()
        is_reset = info.run_id != info.original_execution_run_id
        self._again = _history_length() if is_reset else None
        if self.is_said:
            workflow.register_random_seed_callback(self._begin_again)
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
        if task != self._task and not self.is_said:
            self._task, self._done_bytes = task, 0
        self._done_bytes += self._weight
        share = _SHARE_BYTES if self.is_said else _TASK_BYTES
        if self._done_bytes > share and (
            self.is_said or workflow.patched(LARGE_REQUESTS_TAKE_TURNS)
        ):
            await workflow.sleep(timedelta(milliseconds=1))
            self._task, self._done_bytes = _history_length(), self._weight

    def admit(self, said: Decision | Act, extra: Sequence[Any]) -> None:
        """Whether an update can be taken now. Reads only, and is never run again in a replay.

        Raises:
            ApplicationError: ``Busy``; or ``StandingRequired``, with what ``extra`` has to be.
        """
        if not self.is_said or len(extra) > 1:
            if extra:
                raise ApplicationError(_ONE_MORE, type=contract.ERROR_REFUSED)
            return
        if self._is_reset:  # see ``brought``
            return
        if not self._ready or self._asking is not None or self.turns.takes_signals:
            raise ApplicationError(_BUSY, type=contract.ERROR_BUSY)
        if not (people := _people(said)) or not self._asks:
            # Where it has ended meanwhile, whoever brings something along is told so.
            if extra and self._record.status == "pending":
                raise ApplicationError(_ONE_MORE, type=contract.ERROR_REFUSED)
            return
        if (forged := self._record.signatures.refuse(said)) is not None:
            if extra:
                raise ApplicationError(forged, type=contract.ERROR_REFUSED)
            return  # it is refused in its turn; who forges it is told nothing of anybody
        known = [self._known(name, vouched) for name, vouched in people]
        if [known] != list(extra):
            raise ApplicationError(_SAY, known, type=contract.ERROR_STANDING)

    def brought(self, extra: Sequence[Any]) -> Sequence[Any] | None:
        """What an update brings along; None: it has to be looked up. To be called when it comes.

        After a reset the server says again, in the first task, what had been said: what was true then may
        not be any more, and what is refused as busy would be lost, for nobody waits for its answer.
        """
        return None if self._is_reset else extra

    @property
    def _is_reset(self) -> bool:
        return self._again == _history_length()

    def _begin_again(self, seed: int) -> None:
        """The SDK gives a workflow another seed where it goes on after a reset, and nowhere else; in a
        replay at the same place."""
        self._again = _history_length()

    def _known(self, name: str, vouched: tuple[str, ...]) -> Any:
        """What the directory of this process says of somebody. Raises ApplicationError: ``Busy``."""
        directory = workflow.extern_functions().get(contract.DIRECTORY)
        found = directory and directory(self._question(name, workflow.now(), vouched))
        if found is None:
            raise ApplicationError(_BUSY, type=contract.ERROR_BUSY)
        return found.model_dump(mode="json")

    async def people(
        self, said: Decision | Act, at: datetime, extra: Sequence[Any] | None = None
    ) -> list[Standing]:
        """Who does it; and of an act that hands it over, to whom.

        Args:
            said: a decision, or an act that isn't anybody's.
            at: the moment.
            extra: what an update brought along; None: it is a signal.
        """
        people = _people(said)
        if extra is None or not self.is_said:
            return [await self._standing(name, at, vouched) for name, vouched in people]
        if not self._asks:
            return [self._record.standing(name) for name, _ in people]
        if not extra:
            raise ApplicationError(rules.CHANGED, type=contract.ERROR_REFUSED)
        return [Standing.model_validate(one) for one in extra[0]]

    def time(self, arrived: datetime) -> datetime:
        """By which something counts. After a look-up, a replay may have another time than there was."""
        return arrived if self.is_said else workflow.now()

    @property
    def _asks(self) -> bool:
        """Whether anybody is looked up: not where nothing counts any more."""
        return self._record.members.directory and self._record.status == "pending"

    def _question(self, name: str, at: datetime, vouched: tuple[str, ...]) -> StandingQuestion:
        return StandingQuestion(
            person=name,
            at=at,
            groups=tuple(filter(is_group, self._names)),
            vouched=vouched,
            principals=self._record.delegators(name),
            lent=self._record.lent(name),
        )

    async def _standing(self, name: str, at: datetime, vouched: tuple[str, ...]) -> Standing:
        """What somebody may do at that moment, by the directory, by the groups that their sign-in
        vouches for and by this request's delegations."""
        record = self._record
        if self.is_said and self._asks:
            await workflow.wait_condition(lambda: self.is_quiet() or not self._asks)
        if not self._asks:
            return record.standing(name)
        question = self._question(name, at, vouched)
        self._looked_up += 1
        settles = self._settles and self._looked_up <= _SETTLED
        try:
            found: Standing = await self._look_up(
                contract.ACTIVITY_STANDING, question, Standing, settles=settles
            )
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

    async def _look_up(
        self, activity: str, question: Any, result: type, *, settles: bool = False
    ) -> Any:
        self._asking = look_up(activity, question, result)
        try:
            if settles:
                await settled(self._asking, lambda: not self._asks)
                self._settled = _history_length()
            return await self._asking
        finally:
            self._asking = None

    @property
    def has_just_settled(self) -> bool:
        """Whether a look-up was taken up in this workflow task. Then it has to have a command: an update
        that follows a task without any is replayed with that one's time."""
        return self._settled == _history_length()

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


def _people(said: Decision | Act) -> list[tuple[str, tuple[str, ...]]]:
    """Whom the directory is asked about, each with the groups that their sign-in vouches for."""
    if isinstance(said, Decision):
        return [(said.reviewer, said.groups)]
    if said.kind in UNSIGNED:
        return []
    return [(said.who, said.groups), *([(said.to, ())] if said.to else [])]


def _history_length() -> int:
    """Another one in each workflow task, and in a replay the same."""
    return workflow.info().get_current_history_length()

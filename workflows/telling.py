"""Whom a request tells of itself, and when: beside the gate, and never in its way."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from clearance import acts, contract
    from clearance.executions import chain
    from clearance.notices import MAX_REASON_CHARS, Notice, NoticeKind
    from clearance.record import Record
    from clearance.stages import folded, is_group
    from clearance.text import one_line, some
    from clearance.views import Event

_TELL: dict[str, Any] = {
    # It only leaves word with the notifiers. A request's end waits for it, so it has not much time.
    # Nor any time to begin in: where the worker is gone in that moment, the next one tells.
    "start_to_close_timeout": timedelta(seconds=5),
    "retry_policy": RetryPolicy(initial_interval=timedelta(milliseconds=100), maximum_attempts=3),
}
"""It begins when Temporal has taken what is told."""

_TELL_IN_PLACE: dict[str, Any] = {
    "schedule_to_close_timeout": timedelta(seconds=5),  # while it runs decisions wait
    "retry_policy": _TELL["retry_policy"],
}
"""By local activities, of requests from before: one event each, but it is told before Temporal has it."""

_ASKS: dict[str, NoticeKind] = {
    "created": "created",
    "advanced": "stage",
    "reminded": "reminded",
    "escalated": "escalated",
    "delegated": "delegated",
}
"""From the events of a record after which somebody is asked to decide."""


class Teller:
    """Follows a record, and has everybody told whom it now concerns."""

    def __init__(
        self,
        record: Record,
        *,
        tells: bool,
        in_place: bool,
        told: dict[str, str] | None = None,
    ) -> None:
        """For this record. Nobody is told, and the history has no event more, where it names nobody,
        where a standing approval answers it, and where the directory names no channel.

        Args:
            record: that.
            tells: whether anybody is told at all.
            in_place: the request is from before, and tells by local activities.
            told: as the attribute of that name was in the execution before, if there was one.
        """
        self._record = record
        self._tells = tells and record.request.grant is None and bool(acts.everyone(record.request))
        self._in_place = in_place
        self._seen = 0 if told is None else len(record.log.events)
        self._telling = False
        self.told: dict[str, str] = dict(told or {})
        """Everybody so far, by their folded name."""
        self._following: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Follow it from here on."""
        if self._tells and self._record.members.reached:
            self._following = asyncio.create_task(self._follow())

    @property
    def is_idle(self) -> bool:
        """Whether nobody is being told just now, or has to be."""
        seen = self._seen == len(self._record.log.events)
        return self._following is None or (seen and not self._telling)

    async def end(self) -> None:
        """It has ended: return when all are told so, and not before because of a cancellation."""
        if self._following is None:
            return
        try:
            await asyncio.shield(self._following)
        except asyncio.CancelledError:  # comes once, and too late: it has ended
            await self._following

    async def _follow(self) -> None:
        record = self._record
        ended = False
        while not ended:
            await workflow.wait_condition(
                lambda: self._seen < len(record.log.events) or record.status != "pending"
            )
            ended = record.status != "pending"
            new = record.log.events[self._seen :]
            self._seen += len(new)
            if notices := [self._ended(new)] if ended else self._asked(new):
                await self._tell([one for one in notices if one.audience])

    async def _tell(self, notices: list[Notice]) -> None:
        if not notices:
            return
        self._telling = True
        try:
            if self._in_place:
                await workflow.execute_local_activity(
                    contract.ACTIVITY_TELL, notices, **_TELL_IN_PLACE
                )
            else:
                await workflow.execute_activity(contract.ACTIVITY_TELL, notices, **_TELL)
        except FailureError as error:
            names = some(folded(name for one in notices for name in one.audience))
            # An activity's own error comes as a cause, a local one's as it is; that its time was over
            # comes as a cause of both.
            own = error.cause if isinstance(error, ActivityError) else error
            reason = own.message if isinstance(own, ApplicationError) else "no answer in time"
            said = one_line(f"could not tell {names}: {reason}", MAX_REASON_CHARS)
            workflow.logger.warning(said)
            self._record.note(said, workflow.now())
        finally:
            self._telling = False

    def _asked(self, new: list[Event]) -> list[Notice]:
        """Of what is new: who is asked now. A stage that is over already asks nobody."""
        begins = [n for n, event in enumerate(new) if event.kind in ("created", "advanced")]
        now = new[begins[-1] if begins else 0 :]
        notices = [self._ask(event, _ASKS[event.kind]) for event in now if event.kind in _ASKS]
        for notice in notices:
            self.told |= {name.casefold(): name for name in notice.audience}
        return notices

    def _ask(self, event: Event, kind: NoticeKind) -> Notice:
        ballot = self._record.ballot
        audience = ballot.audience
        voted: Iterable[str] = ()
        if kind == "delegated":
            audience = (event.to or "",)
        elif kind == "escalated":
            before = folded(ballot.stage.audience)
            audience = tuple(
                name for name in ballot.stage.escalate_to if name.casefold() not in before
            )
        elif kind == "reminded":
            voted = [name for vote in ballot.approvals + ballot.rejections for name in vote.people]
        return self._notice(
            event,
            kind,
            audience=audience,
            without=frozenset(voted),
            deadline=self._record.deadline,
            by=event.who if kind == "delegated" else None,
            reason=one_line(event.reason, MAX_REASON_CHARS),
        )

    def _ended(self, new: list[Event]) -> Notice:
        """How it ended, for everybody who was told before, and who asked for it."""
        record = self._record
        status: Any = record.status
        event = next(one for one in reversed(record.log.events) if one.kind == status)
        if (requester := record.request.requester) and not is_group(requester):
            self.told.setdefault(requester.casefold(), requester)
        decided = record.decided
        return self._notice(
            event,
            status,
            audience=tuple(self.told.values()),
            by=decided.by if decided else event.who,
            reason=one_line(event.reason, MAX_REASON_CHARS),
        )

    def _notice(self, event: Event, kind: NoticeKind, **said: Any) -> Notice:
        record, request = self._record, self._record.request
        stage = None
        if request.stages:
            ballot = record.ballot
            stage = f"{ballot.number} of {len(request.stages)}: {ballot.stage.name}"
        return Notice(
            key=f"{record.approval_id}/{chain()}/{event.sequence}",
            approval_id=record.approval_id,
            requested_at=record.requested_at,
            kind=kind,
            at=event.at,
            action=str(record.listing()["action"])[: contract.MAX_ACTION_CHARS],
            tool=request.tool,
            requester=request.requester,
            run_id=request.run_id,
            risk=request.risk,
            stage=stage,
            **said,
        )

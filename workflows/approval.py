"""``ApprovalWorkflow``: one request, waiting for its decisions, for as long as it takes."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from functools import partial
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    import pydantic

    from clearance import contract
    from clearance.acts import UNSIGNED, Act, ActReceipt
    from clearance.errors import explain
    from clearance.models import Decision, Outcome, Receipt
    from clearance.record import Record
    from clearance.views import ApprovalView
    from tools.conditions import applies
    from tools.examine import examine
    from workflows.asked import read, signatures_of
    from workflows.attempts import Attempts, refusal
    from workflows.audience import Audience
    from workflows.keeping import Keeping
    from workflows.listing import Listing
    from workflows.measuring import Measuring
    from workflows.patches import AUDIENCES_ARE_RESOLVED
    from workflows.resuming import Leaving, State
    from workflows.telling import Teller
    from workflows.waiting import handlers_finished


@workflow.defn(name=contract.APPROVAL_WORKFLOW)
class ApprovalWorkflow:
    """The gate. The record and its rules decide what counts; here are only handlers and timers."""

    @workflow.init
    def __init__(self, request: Any = None, *extra: Any) -> None:
        """Read the request before any handler can run.

        It arrives untyped, in any number of arguments, and is validated here: one that the converter
        refused would fail the workflow *task* again and again, for ever, and nobody would see why.
        """
        self._changed = False
        state = State.received(extra)
        parsed, self._invalid = read([request, *extra] if extra and state is None else request)
        # Where anyone may decide, nobody has to be looked up, and nothing is added to the history.
        named = not parsed.open_to_anyone
        resolves = state.resolves if state else named and workflow.patched(AUDIENCES_ARE_RESOLVED)
        if named and not resolves:
            parsed = parsed.model_copy(update={"self_approval": ("requester", "editor")})
        info = workflow.info()
        self._record = Record(
            parsed,
            approval_id=info.workflow_id,
            requested_at=state.requested_at if state else info.workflow_start_time,
            examine=examine,
            applies=applies,
            signatures=signatures_of(parsed),
        )
        self._attempts = Attempts(self._record)
        if state is not None:
            state.apply(self._record, self._attempts, self._invalid)
        self._is_new = state is None
        self._leaving = Leaving(self._record, self._attempts, resolves=resolves)
        self._audience = Audience(self._record, resolves=resolves, is_known=not self._is_new)
        self._measuring = Measuring(self._record)
        self._keeping = Keeping(parsed, self._record)
        self._listing = Listing(self._record, self._audience, marks_end=self._keeping.hands)
        told = state.told if state else None
        in_place = not self._audience.is_said
        self._teller = Teller(self._record, tells=self._keeping.keeps, in_place=in_place, told=told)
        self._audience.is_quiet = lambda: self._teller.is_idle

    @workflow.run
    async def run(self, request: Any = None, *extra: Any) -> Outcome:
        """Wait for the decisions or the deadline.

        Args:
            request: an ``ApprovalRequest``, or a bare string: its action.
            extra: must be empty; one argument too many makes the request malformed. Where it goes on
                from an execution before, what that has handed over.

        Raises:
            ApplicationError: type ``InvalidRequest``, the request is malformed, or nobody could
                ever approve it.
        """
        record = self._record
        beside: list[asyncio.Task[None]] = []
        try:
            self._invalid = self._invalid or await self._audience.resolve()
            if self._invalid is None:
                self._listing.begin()
                if self._is_new:
                    self._measuring.asked()
                self._teller.begin()
                beside += map(asyncio.create_task, (self._keep_described(), self._leaving.watch()))
                await self._leaving.until_ended(
                    request, self._turn, self._teller, leaves_timer=self._keeping.keeps
                )
        except (asyncio.CancelledError, ActivityError) as error:
            if not is_cancelled_exception(error):
                raise
            # Raised again: a cancellation that is swallowed would look like an answer. Unless the
            # answer came in the same moment, and somebody was told that it counts.
            record.cancel(workflow.now())
            self._audience.end()
            if record.status == "withdrawn":
                await self._end()
                raise
        finally:
            for task in beside:
                task.cancel()
        if (invalid := self._invalid) is None:
            await self._end()
            return record.outcome()
        await handlers_finished()
        raise ApplicationError(invalid, type=contract.ERROR_INVALID_REQUEST, non_retryable=True)

    async def _end(self) -> None:
        """Show how it ended; return when everybody who waits for that is told."""
        shown = self._listing.end()
        self._measuring.ended()
        await self._keeping.keep(shown)
        await self._teller.end()  # which ran beside it
        await handlers_finished()
        self._keeping.hand_over()

    @workflow.signal(dynamic=True, description="approve(bool), record_decision, record_act")
    async def stored(self, name: str, said: Sequence[RawValue]) -> None:
        """``approve``, ``record_decision`` and ``record_act``; what has another name changes nothing.

        Raw on purpose, and of any number of arguments: what a converter refused would be lost, and one
        that is asked for a bool makes one out of ``1`` and ``"true"``. It is read in its turn: the server
        may have stored ten thousand.
        """
        if name in contract.SIGNALS:
            await self._audience.turns.take(said, partial(self._take, name, workflow.now()))

    async def _take(self, name: str, arrived: datetime, said: Any) -> None:
        with self._shown():
            if name == contract.SIGNAL_APPROVE:
                if self._invalid is None:  # counts only where anyone may decide; else it is kept
                    self._record.signal(said, self._audience.time(arrived))
            elif name == contract.SIGNAL_DECIDE:
                decision = self._record.read(said, arrived)
                if isinstance(decision, Decision):
                    # By the sender's clock, which may be wrong: not before there was the request.
                    made_at = min(max(decision.decided_at, self._record.requested_at), arrived)
                    await self._decide(decision, None, arrived, made_at)
            elif isinstance(act := self._record.read_act(said, self._audience.time(arrived)), Act):
                await self._act(act, None, arrived)

    @workflow.update(name=contract.UPDATE_DECIDE)
    async def decide(self, decision: Any = None, *known: Any) -> Receipt:
        """Decide with a ``Decision``; the answer says at once whether it counted.

        The same decision id again returns the same receipt. Untyped like the signals: where the
        converter refuses, the sender is told no more than "Failed decoding arguments".

        Raises:
            ApplicationError: type ``DecisionRefused``, or ``AlreadyDecided`` with the final status
                and the counted decision as details. The attempt is kept in the record.
                ``StandingRequired``, with what to send as ``known``, or ``Busy``: send it again.
        """
        arrived = workflow.now()
        parsed = Decision.model_validate(decision)
        brought = self._audience.brought(known)
        async with self._turn():
            if reason := await self._decide(parsed, brought, arrived, arrived):
                raise refusal(self._record, reason)
            return self._record.receipt(parsed)

    @decide.validator
    def _validate_decide(self, decision: Any = None, *known: Any) -> None:
        """Refuse, without a trace in the history, what is malformed or need not be kept."""
        self._validate(Decision, decision, known)

    @workflow.update(name=contract.UPDATE_ACT)
    async def act(self, act: Any = None, *known: Any) -> ActReceipt:
        """Comment, ask, answer, hand over or withdraw with an ``Act``.

        Raises:
            ApplicationError: as ``decide``.
        """
        arrived = workflow.now()
        parsed = Act.model_validate(act)
        brought = self._audience.brought(known)
        async with self._turn():
            if reason := await self._act(parsed, brought, arrived):
                raise refusal(self._record, reason)
            return self._record.act_receipt(parsed)

    @act.validator
    def _validate_act(self, act: Any = None, *known: Any) -> None:
        """As for a decision."""
        self._validate(Act, act, known)

    @workflow.query(name=contract.QUERY_VIEW)
    def view(self) -> ApprovalView:
        """The whole record, also after the end while the server keeps the history."""
        return self._record.view()

    def _validate(self, model: type[Decision | Act], value: Any, known: Sequence[Any]) -> None:
        if self._invalid is not None:
            raise ApplicationError(self._invalid, type=contract.ERROR_INVALID_REQUEST)
        try:
            parsed = model.model_validate(value)
        except pydantic.ValidationError as error:
            self._measuring.refused("malformed ", "update")
            raise ApplicationError(explain(error), type=contract.ERROR_REFUSED) from error
        if reason := self._attempts.refuse(parsed):
            self._measuring.refused(reason, parsed.channel)
            raise ApplicationError(reason, type=contract.ERROR_REFUSED)
        self._audience.admit(parsed, known)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """One after the other."""
        async with self._audience.turns.turn():
            with self._shown():
                yield

    @contextmanager
    def _shown(self) -> Iterator[None]:
        """What they changed is shown when they are done."""
        try:
            yield
        finally:
            self._changed = True
            self._measuring.turned()

    async def _decide(
        self, decision: Decision, known: Sequence[Any] | None, arrived: datetime, made_at: datetime
    ) -> str | None:
        if reason := self._forged(decision, arrived):
            return reason
        (who,) = await self._audience.people(decision, made_at, known)
        if self._invalid is not None:
            return self._invalid
        reason = self._record.decide(decision, self._audience.time(arrived), who, made_at=made_at)
        self._attempts.note(decision, who, refused=reason is not None)
        return reason

    async def _act(self, act: Act, known: Sequence[Any] | None, arrived: datetime) -> str | None:
        now = self._audience.time(arrived)
        if act.kind in UNSIGNED:  # anybody's
            return self._invalid or self._record.act(act, now)
        if reason := self._forged(act, arrived):
            return reason
        who, *to = await self._audience.people(act, now, known)
        if self._invalid is not None:
            return self._invalid
        reason = self._record.act(act, self._audience.time(arrived), who, *to)
        self._attempts.note(act, who, refused=reason is not None)
        return reason

    def _forged(self, said: Decision | Act, arrived: datetime) -> str | None:
        """Why something isn't signed as it has to be; the directory isn't asked about it."""
        if self._invalid is not None:
            return None
        if reason := self._record.forged(said, self._audience.time(arrived)):
            self._attempts.note(said, None, refused=True)
        return reason

    async def _keep_described(self) -> None:
        """Show what has changed, once for all that arrived together.

        Not in the handlers: the server may have stored hundreds of signals for one workflow task,
        and a task that takes more than two seconds is tried again for ever.
        """
        while True:
            await workflow.wait_condition(lambda: self._changed)
            self._changed = False
            if self._record.status == "pending":  # else ``run`` shows the end
                self._listing.update()

"""A request about which very much is said goes on in another execution, before its history is full.

Temporal takes 2,000 updates and 10,000 signals for each execution, and ends one of 51,200 events or
50 MB. Whoever sends attempts without end can therefore not keep others from deciding.
"""

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pydantic
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from clearance import contract
    from clearance.executions import UNREADABLE, CannotGoOn, HandedOver, starts_again
    from clearance.record import Record
    from clearance.resuming import Fields, plain, restore, resume, state_of
    from workflows.attempts import Attempts
    from workflows.patches import REQUESTS_GO_ON
    from workflows.telling import Teller
    from workflows.waiting import until_ended

_MANY_EVENTS = 10_000
_MANY_BYTES = 20_000_000
"""In a history, before another execution goes on; where the server suggests it, earlier: it counts
updates, too."""

_MAX_BYTES = 1_800_000
"""Of what is handed over, with the request: it travels as one message, of which Temporal takes 2 MB."""

_ATTEMPTS: Fields = {
    **dict.fromkeys(("_refused", "_bytes"), int),
    "_bytes_of": dict[str, int],
    "_outside": set[str],
}


class State(HandedOver):
    """What one execution of a request hands over to the next."""

    requested_at: pydantic.AwareDatetime
    resolves: bool
    """Whether its audience is asked of the directory."""
    record: dict[str, Any]
    attempts: dict[str, Any]
    told: dict[str, str]
    """Everybody who was told of it, by their folded name."""

    def apply(self, record: Record, attempts: Attempts, invalid: str | None) -> None:
        """Make a new record this one. Raises CannotGoOn: it can't be, or the request, which was read
        before, is ``invalid`` here."""
        if invalid is not None:
            raise CannotGoOn(f"{UNREADABLE}: {invalid}")
        try:
            resume(record, self.record)
            restore(attempts, _ATTEMPTS, self.attempts)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise CannotGoOn(UNREADABLE) from None


class Leaving:
    """When another execution has to go on, and with what."""

    def __init__(self, record: Record, attempts: Attempts, *, resolves: bool) -> None:
        """Not yet."""
        self._record = record
        self._attempts = attempts
        self._resolves = resolves
        self.is_due = False

    async def watch(self) -> None:
        """Return when it is time. Requests from before stay where they are, and those that the server
        would start again from their beginning."""
        await workflow.wait_condition(_is_long)
        self.is_due = workflow.patched(REQUESTS_GO_ON) and not starts_again()

    async def until_ended(
        self,
        request: Any,
        turn: Callable[[], AbstractAsyncContextManager[None]],
        teller: Teller,
        *,
        leaves_timer: bool,
    ) -> None:
        """Wait for the end, or go on in another execution: then this never returns.

        Args:
            request: as this execution was started with.
            turn: as ``waiting.until_ended``.
            teller: tells of it; nobody may be told while another execution begins.
            leaves_timer: as ``waiting.until_ended``.
        """
        record = self._record
        while record.status == "pending":
            await until_ended(record, turn, leaves_timer=leaves_timer, is_left=lambda: self.is_due)
            if record.status == "pending":
                await self._leave(request, teller)

    async def _leave(self, request: Any, teller: Teller) -> None:
        """Returns where it has ended meanwhile, or knows too much to be handed over: then it stays, with
        what room is left."""
        record = self._record
        await workflow.wait_condition(
            lambda: (
                record.status != "pending" or (workflow.all_handlers_finished() and teller.is_idle)
            )
        )
        self.is_due = False
        if record.status != "pending":
            return
        state = State(
            execution=workflow.info().first_execution_run_id,
            requested_at=record.requested_at,
            resolves=self._resolves,
            record=state_of(record),
            attempts=plain(self._attempts, _ATTEMPTS),
            told=teller.told,
        ).model_dump(mode="json")
        if len(json.dumps([request, state])) > _MAX_BYTES:
            workflow.logger.warning("a long request knows too much to go on in another execution")
            return
        memo = dict(workflow.memo())  # as it was at the beginning, where it isn't given anew
        if isinstance(shown := memo.get(contract.MEMO_APPROVAL), dict):
            began = record.requested_at.isoformat()
            memo[contract.MEMO_APPROVAL] = {**shown, "requested_at": began}
        workflow.continue_as_new(args=[request, state], memo=memo)


def _is_long() -> bool:
    info = workflow.info()
    many = info.get_current_history_length() > _MANY_EVENTS
    return (
        many or info.get_current_history_size() > _MANY_BYTES or info.is_continue_as_new_suggested()
    )

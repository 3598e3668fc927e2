"""Requests that have ended, wherever they are kept: in the ledger, or as yet only in Temporal."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar, Unpack

from clearance import ApprovalClient, ApprovalView, FinishedApproval, NotFound, Page, history
from clearance.ended import Ended
from clearance.errors import Ambiguous
from clearance.history import Past
from store.engine import NoDatabase

from .breaker import Breaker
from .ledger import Ledger
from .paging import is_ours
from .reading import LedgerAway
from .reconciling import OVERLAP, Progress, not_ended, progress_of
from .source import Execution

T = TypeVar("T")

_LOOKED = 200
"""Of what ended last, how many are looked up in the ledger for a first page."""


@dataclass(frozen=True)
class Found(Generic[T]):
    """What was found, and what somebody should know who reads it."""

    value: T
    warning: str = ""
    """Why it is without the ledger; empty where it isn't, or where there is none."""
    forgotten: bool = False
    """Whether Temporal doesn't know of it any more."""


class Archive:
    """Reads both. Where the ledger is away, or was never reconciled, everything is Temporal's."""

    def __init__(
        self,
        approvals: ApprovalClient,
        queue: str,
        ledger: Breaker | None,
        *,
        whole_ids: bool = False,
    ) -> None:
        """For the requests of one queue.

        Args:
            approvals: reads Temporal.
            queue: the approvals' queue.
            ledger: made with ``create=False``; None for none.
            whole_ids: as ``approvals`` takes them.
        """
        self._approvals = approvals
        self._ended = Ended(approvals.temporal, queue)
        self._queue = queue
        self._ledger = ledger
        self._whole_ids = whole_ids

    async def page(
        self, *, size: int = 50, cursor: str | None = None, **narrowed: Unpack[Past]
    ) -> Found[Page[FinishedApproval]]:
        """What has ended, the latest end first, one page of it; as ``ApprovalClient.history_page``.

        The first page also has what isn't in the ledger yet. The next ones are the ledger's.

        Raises:
            InvalidRequest: as ``history_page``.
            LedgerAway: the cursor is the ledger's, which is away.
        """
        ours = cursor is not None and is_ours(cursor)
        warning = ""
        if cursor is None or ours:
            try:
                if page := await self._kept_page(size, cursor, narrowed):
                    return Found(page)
            except LedgerAway as error:
                if ours:
                    raise
                warning = _told(error)
        cursor = None if ours else cursor
        found = await self._approvals.history_page(size=size, cursor=cursor, **narrowed)
        return Found(found, warning)

    async def listed(
        self, limit: int, **narrowed: Unpack[Past]
    ) -> AsyncIterator[Found[Page[FinishedApproval]]]:
        """The same by the page, until ``limit`` lines are there or nothing is left."""
        cursor = None
        while limit > 0:
            found = await self.page(size=min(limit, 1_000), cursor=cursor, **narrowed)
            yield found
            limit, cursor = limit - len(found.value.items), found.value.cursor
            if cursor is None:
                return

    async def get(self, id: str) -> Found[ApprovalView]:
        """The whole record of a request. Raises as ``ApprovalClient.get``."""
        try:
            return await self.completed(await self._approvals.get(id))
        except NotFound as absent:
            return await self.forgotten(id, absent)

    async def completed(self, view: ApprovalView) -> Found[ApprovalView]:
        """The record of Temporal's, with what only the ledger has of it; all of it where no worker
        told it."""
        if view.status == "pending":
            return Found(view)
        try:
            kept = await self._ask(lambda ledger: ledger.view(view.id))
        except LedgerAway as error:
            return Found(view, _told(error))
        if kept is None or kept.requested_at != view.requested_at:
            return Found(view)
        return Found(_with_later(view, kept) if view.complete else kept)

    async def forgotten(self, id: str, absent: NotFound) -> Found[ApprovalView]:
        """The record of what Temporal has forgotten.

        Raises:
            NotFound: ``absent``, where the ledger has none, either.
            Ambiguous: several begin or end like this.
            LedgerAway: nobody can tell now.
        """
        try:
            kept = await self._ask(lambda ledger: self._find(ledger, id))
        except LedgerAway as error:
            raise LedgerAway(f"{absent}; the ledger may have it, but {error}") from error
        if kept is None:
            raise absent
        return Found(kept, forgotten=True)

    async def _find(self, ledger: Ledger, typed: str) -> ApprovalView | None:
        typed = typed.strip()
        if self._whole_ids or not typed:
            return await ledger.view(typed)
        ids = await ledger.matching(typed)
        if len(ids) > 1:
            raise Ambiguous(f"{typed!r} fits {' and '.join(ids)}, at least. Type more of it", ids)
        return await ledger.view(ids[0]) if ids else None

    async def _kept_page(
        self, size: int, cursor: str | None, narrowed: Past
    ) -> Page[FinishedApproval] | None:
        """A page of the ledger's; None where it can't have everything that has ended."""
        known = await self._ask(lambda ledger: progress_of(ledger, self._queue))
        if known is None:
            return None
        history.past_query(self._queue, narrowed)  # raises for what can be no filter
        new = await self._not_yet(known, narrowed) if cursor is None and size > 1 else []
        new = new[: size - 1]
        page = await self._ask(
            lambda ledger: ledger.finished(
                self._queue, narrowed, size=size - len(new), after=cursor
            )
        )
        if page is None:
            return None
        has = {(one.id, one.requested_at) for one in page.items}
        new = [one for one in new if (one.id, one.requested_at) not in has]
        items = sorted([*new, *page.items], key=lambda one: one.closed_at, reverse=True)
        return page.model_copy(update={"items": tuple(items)})

    async def _not_yet(self, known: Progress, narrowed: Past) -> list[FinishedApproval]:
        """What fits of those that have ended lately, and are not in the ledger."""
        times = [known.complete - OVERLAP, narrowed.get("since")]
        since = max(one for one in times if one is not None)
        ended = self._ended.executions(since=since, until=narrowed.get("until"), limit=_LOOKED)
        found: list[Execution] = [one async for one in ended]
        new = await self._ask(lambda ledger: not_ended(ledger, found)) or []
        return await history.lines(self._approvals.temporal, new, narrowed)  # type: ignore[arg-type]

    async def _ask(self, work: Callable[[Ledger], Awaitable[T]]) -> T | None:
        """None where there is no ledger."""
        if self._ledger is None:
            return None
        try:
            return await self._ledger.ask(work)
        except NoDatabase:
            return None


def _told(error: LedgerAway) -> str:
    return f"This is without the ledger, and so only what Temporal still has: {error}"


def _with_later(view: ApprovalView, kept: ApprovalView) -> ApprovalView:
    """With what was added to the ledger after the end, which the request never learned of."""
    has = [one.model_copy(update={"sequence": 0}) for one in view.events]
    added = [
        one
        for one in kept.events
        if one.kind == "notified" and one.model_copy(update={"sequence": 0}) not in has
    ]
    if not added:
        return view
    events = [
        one.model_copy(update={"sequence": number})
        for number, one in enumerate([*view.events, *added], 1)
    ]
    return view.model_copy(update={"events": events})

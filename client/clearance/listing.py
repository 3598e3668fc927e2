"""Listing requests: what waits and what has ended, one by one, by the page, or only counted."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar, Unpack

from temporalio.client import WorkflowExecution
from temporalio.service import RPCError, RPCStatusCode

from . import filters, history, legible, stored
from .codec import listed_requester
from .cursors import FOREIGN, make_cursor, read_cursor
from .delivery import Delivering
from .errors import InvalidRequest
from .filters import Filters
from .history import Past
from .views import MAX_PAGE, ApprovalSummary, FinishedApproval, Page, check_size

L = TypeVar("L", bound=ApprovalSummary)

_WIDE = 200
"""Executions that one call asks for where few of them may fit."""

_MOST_CALLS = 5
"""Of Temporal's list, for one page, as long as nothing fits: what nobody has must not cost a reading of
everything."""

_UNREADABLE = (RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.UNKNOWN)
"""How servers answer a page token that is none of theirs. Ours are checked before they get there."""


class Listing(Delivering):
    """The methods of ``ApprovalClient`` that list.

    All lists are eventually consistent: a request shows up some milliseconds after its start.
    """

    async def pending(
        self, *, limit: int | None = None, **narrowed: Unpack[Filters]
    ) -> AsyncIterator[ApprovalSummary]:
        """What waits for a person, newest first, a page of the listing at a time.

        Args:
            limit: at most this many.
            narrowed: ``audience``, ``reviewer`` (and ``also``), ``tool``, ``run``, ``risk``,
                ``requester``, ``checkpoint``, ``due_before``; all that are given must fit
                (``clearance.filters.Filters``).

        Raises:
            InvalidRequest: before the first: a time without its zone, a control character.
        """
        left = sys.maxsize if limit is None else limit
        query = self._pending(narrowed)
        if left < 1:
            return
        async for execution in self.temporal.list_workflows(query, page_size=min(left, MAX_PAGE)):
            for summary in await self._waiting([execution], narrowed):
                yield summary
                left -= 1
            if not left:
                return

    async def page(
        self, *, size: int = 50, cursor: str | None = None, **narrowed: Unpack[Filters]
    ) -> Page[ApprovalSummary]:
        """What waits for a person, newest first, one page of it.

        One call of Temporal's list; more, at most five, only as long as none of what came fits, so
        that a page may have fewer than ``size`` lines, or none at all, and a cursor to go on with.
        What is asked or decided between two pages moves none of the others to another page.

        Args:
            size: lines of a page, 1 to 1,000.
            cursor: that of the page before, with the same filters.
            narrowed: as of ``pending``.

        Raises:
            InvalidRequest: a size or a cursor that is none, a cursor of another list, a time
                without its zone, a control character in a filter.
        """
        query = self._pending(narrowed)

        async def lines(executions: Sequence[WorkflowExecution]) -> list[ApprovalSummary]:
            return await self._waiting(executions, narrowed)

        wide = filters.left_over(narrowed)
        items, following = await self._page(query, size, cursor, lines, wide=wide, free=True)
        return Page[ApprovalSummary](items=tuple(items), cursor=following)

    async def count(self, **narrowed: Unpack[Filters]) -> int:
        """How many wait for a person, in one call.

        It is what Temporal's index can tell: a request that was handed over to somebody, or a name
        with a quotation mark, is found by the lists only, and may be counted here though it doesn't
        fit. A request that a standing approval answers is counted for the moment it takes.

        Args:
            narrowed: as of ``pending``.

        Raises:
            InvalidRequest: a time without its zone, a control character.
        """
        query = self._pending(narrowed)
        return (await self.temporal.count_workflows(query)).count

    def history(
        self, *, limit: int | None = None, **narrowed: Unpack[Past]
    ) -> AsyncIterator[FinishedApproval]:
        """What has ended, the latest end first: decided, expired, withdrawn.

        Calls that made use of a standing approval are there too (``decision.channel`` is
        ``grant``). The listing goes back as far as the namespace keeps its workflows.

        Args:
            limit: at most this many; each costs one call.
            narrowed: ``status``, ``reviewer``, ``tool``, ``run``, ``requester``, ``risk``,
                ``checkpoint``, ``since``, ``until``; all that are given must fit
                (``clearance.history.Past``).

        Raises:
            InvalidRequest: before the first: a status that no request ends with, or a time
                without its zone.
        """
        return history.listed(self.temporal, self._queue, limit, narrowed)

    async def history_page(
        self, *, size: int = 50, cursor: str | None = None, **narrowed: Unpack[Past]
    ) -> Page[FinishedApproval]:
        """What has ended, the latest end first, one page of it; each line costs one call besides.

        A page may have fewer than ``size`` lines, or none at all, and a cursor, as of ``page``.

        Args:
            size: lines of a page, 1 to 1,000.
            cursor: that of the page before, with the same filters.
            narrowed: as of ``history``.

        Raises:
            InvalidRequest: as ``history``; a size or a cursor that is none, a cursor of another
                list.
        """
        listed = listed_requester(self.temporal, narrowed.get("requester"))
        query = history.past_query(self._queue, {**narrowed, "listed_requester": listed})

        async def lines(executions: Sequence[WorkflowExecution]) -> list[FinishedApproval]:
            return await history.lines(self.temporal, executions, narrowed)

        # Not so where it is only the reviewer that doesn't fit: each line would have to be read.
        wide = filters.left_over({**narrowed, "reviewer": None})
        items, following = await self._page(query, size, cursor, lines, wide=wide, free=False)
        return Page[FinishedApproval](items=tuple(items), cursor=following)

    def _pending(self, narrowed: Filters) -> str:
        """The query for what waits; names as the index holds them."""
        listed = listed_requester(self.temporal, narrowed.get("requester"))
        asked: Filters = {**narrowed, "listed_requester": listed}
        return filters.pending_query(queue=self._queue, **asked)

    async def _waiting(
        self, executions: Sequence[WorkflowExecution], narrowed: Filters
    ) -> list[ApprovalSummary]:
        """Those of them for which a person is asked, and that fit."""
        found = []
        for execution in executions:
            try:
                summary = await legible.summary_of(self.temporal, execution)
            except InvalidRequest:
                continue  # the workflow itself will refuse it; there is nothing to decide
            if stored.waits(execution) and filters.fits(summary, **narrowed):
                found.append(summary)
        return found

    async def _page(
        self,
        query: str,
        size: int,
        cursor: str | None,
        lines: Callable[[Sequence[WorkflowExecution]], Awaitable[list[L]]],
        *,
        wide: bool,
        free: bool,
    ) -> tuple[list[L], str | None]:
        """The lines of one page, and the cursor of the next one.

        Args:
            query: of the list.
            size: lines of a page.
            cursor: of the page before.
            lines: makes them of what was found, in its order, without what doesn't fit.
            wide: whether much of what the query finds may not fit, which costs nothing to tell.
            free: whether no line costs anything besides.
        """
        check_size(size)
        of = f"{self.temporal.namespace} {query}"
        token = None if cursor is None else read_cursor(cursor, of)
        many = max(size, _WIDE)
        found: list[L] = []
        for call in range(_MOST_CALLS):
            asked = many if wide or (free and call) else size
            executions, following = await self._executions(query, asked, token, cursor)
            found = await lines(executions)
            while len(found) > size:  # a page ends where one of Temporal's does
                last = [one.id for one in executions].index(found[size - 1].id)
                executions, following = await self._executions(query, last + 1, token, cursor)
                found = await lines(executions)
            token = following
            if found or not token:
                break
        return found, make_cursor(token, of) if token else None

    async def _executions(
        self, query: str, size: int, token: bytes | None, cursor: str | None
    ) -> tuple[Sequence[WorkflowExecution], bytes | None]:
        """What one call of Temporal's list finds, and the token of the next."""
        executions = self.temporal.list_workflows(query, page_size=size, next_page_token=token)
        try:
            await executions.fetch_next_page()
        except RPCError as error:
            if cursor is None or error.status not in _UNREADABLE:
                raise
            raise InvalidRequest(FOREIGN) from error
        return executions.current_page or (), executions.next_page_token

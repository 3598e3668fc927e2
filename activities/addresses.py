"""Where a request is seen, for those who are told of it."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from urllib.parse import quote

from sqlalchemy.exc import SQLAlchemyError

from clearance import ClearanceError
from clearance.notices import Notice
from store import Store
from store.links import path_of

from .messages import Told

_LONGEST = timedelta(days=30)
_USUAL = timedelta(days=7)
"""How long a link holds, where the request has no deadline."""

_log = logging.getLogger(__name__)


class Addresses:
    """Makes them, and the signed links among them: these are never returned to a workflow, nor logged."""

    def __init__(self, database: Callable[[], str | None], inbox: Callable[[], str | None]) -> None:
        """Take what is needed when it is needed.

        Args:
            database: the inbox's own, which knows its links; None where it isn't known: there are no
                signed links then.
            inbox: where reviewers reach the inbox at the moment; None where there is none.
        """
        self._database = database
        self._inbox = inbox

    def of(self, notice: Notice) -> str | None:
        """The address of a request in the inbox, for who signs in there; None where there is none."""
        inbox = self._inbox()
        return None if inbox is None else f"{inbox}/requests/{quote(notice.approval_id, safe='')}"

    def told(self, notices: Sequence[Notice]) -> list[Told]:
        """Notices for people who sign in to see them."""
        return [Told(one, self.of(one) or f"clearance show {one.approval_id}") for one in notices]

    async def told_to(self, who: str, notices: Sequence[Notice], now: datetime) -> list[Told]:
        """Notices for one person. Where they are asked to decide, each has a link that opens the request
        as them, without signing in, until its deadline: at most 30 days, and 7 where there is none."""
        plain, inbox, database = self.told(notices), self._inbox(), self._database()
        if inbox is None or database is None or not any(_is_open(one, now) for one in notices):
            return plain
        try:
            async with Store.open(database) as store:
                return [await _linked(store, inbox, who, one, now) for one in plain]
        except (ClearanceError, SQLAlchemyError, OSError) as error:
            # They sign in instead: that is better than not to be told.
            _log.warning("no signed links in messages: %s", type(error).__name__)
            return plain


async def _linked(store: Store, inbox: str, who: str, told: Told, now: datetime) -> Told:
    notice = told.notice
    if not _is_open(notice, now):
        return told
    until = min(notice.deadline, now + _LONGEST) if notice.deadline else now + _USUAL
    link = await store.links.told(notice.approval_id, who, until, asked_at=notice.requested_at)
    if link is None:
        return told
    return Told(notice, inbox + path_of(store.signing_key, link.id))


def _is_open(notice: Notice, now: datetime) -> bool:
    """Whether there is something to decide."""
    return not notice.ends and (notice.deadline is None or now < notice.deadline)

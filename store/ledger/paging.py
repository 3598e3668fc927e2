"""What a page of the history is narrowed to, and where it goes on."""

import base64
import binascii
import hashlib
import json
import re

from sqlalchemy import ColumnElement

from clearance import InvalidRequest, history
from clearance.cursors import FOREIGN
from clearance.history import Past

from .rows import folded, moment
from .table import ledger

_CHECK_BYTES = 16
_MAX_CURSOR = 200
_MARK = "l."
"""How cursors of the ledger begin: Temporal's lists have others."""

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)


def conditions(queue: str, asked: Past) -> list[ColumnElement[bool]]:
    """Of rows that a request ended with, those that fit every given filter.

    Raises:
        InvalidRequest: as ``clearance.history.past_query``.
    """
    history.past_query(queue, asked)
    equal = (
        (ledger.c.tool, asked.get("tool")),
        (ledger.c.run, asked.get("run")),
        (ledger.c.risk, asked.get("risk")),
        (ledger.c.requester, asked.get("requester")),
        (ledger.c.checkpoint, asked.get("checkpoint")),
        (ledger.c.status, asked.get("status")),
        (ledger.c.reviewer, folded(asked.get("reviewer"))),
    )
    found = [ledger.c.queue == queue, ledger.c.closed_at.is_not(None)]
    found += [column == value for column, value in equal if value]
    if (since := asked.get("since")) is not None:
        found.append(ledger.c.closed_at >= moment(since))
    if (until := asked.get("until")) is not None:
        found.append(ledger.c.closed_at < moment(until))
    return found


def is_ours(cursor: str) -> bool:
    """Whether a cursor is one of the ledger's, and not of a list of Temporal's."""
    return cursor.startswith(_MARK)


def make_cursor(last: tuple[str, int], of: str) -> str:
    """The end of a page, bound to the list it is ``of``, as text for a URL."""
    plain = json.dumps(last).encode()
    return _MARK + base64.urlsafe_b64encode(_check(plain, of) + plain).decode().rstrip("=")


def read_cursor(cursor: str, of: str) -> tuple[str, int]:
    """The end of the page before. Raises InvalidRequest: it is no cursor, or of another list."""
    try:
        padded = cursor[:_MAX_CURSOR].removeprefix(_MARK).encode("ascii")
        raw = base64.b64decode(padded + b"=" * (-len(padded) % 4), altchars=b"-_", validate=True)
        check, plain = raw[:_CHECK_BYTES], raw[_CHECK_BYTES:]
        at, position = json.loads(plain)
    except (UnicodeEncodeError, binascii.Error, TypeError, ValueError) as error:
        raise InvalidRequest(FOREIGN) from error
    whole = isinstance(at, str) and _MOMENT.fullmatch(at) and type(position) is int
    if check != _check(plain, of) or not is_ours(cursor) or not whole or position >= 2**63:
        raise InvalidRequest(FOREIGN)
    return at, position


def _check(plain: bytes, of: str) -> bytes:
    """Tells a cursor of another list, and one that was cut; no signature: it opens nothing."""
    return hashlib.sha256(of.encode(errors="surrogatepass") + b"\0" + plain).digest()[:_CHECK_BYTES]

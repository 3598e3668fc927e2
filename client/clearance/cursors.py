"""Where a list goes on: Temporal's page tokens as text, and which of them may be sent back to it."""

import base64
import binascii
import hashlib
import json
import re
from datetime import datetime
from typing import Any

from .errors import InvalidRequest

FOREIGN = "that cursor is not of this list: start again without"

_CHECK_BYTES = 16
_MAX_TOKEN = 2_000

_SQL = frozenset({"CloseTime", "StartTime", "RunID"})
"""What a token has where SQL keeps the index; more in a later version, perhaps."""

_ELASTIC = frozenset({"SearchAfter"})
"""What it has with Elasticsearch: a list of texts and numbers."""

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_PLAIN = re.compile(r"[\w:.+/=|~ -]{0,200}", re.ASCII)
"""Times, ids and sort values; no quotation mark: SQLite's server puts the id into its SQL as it is."""


def make_cursor(token: bytes, of: str) -> str:
    """A page token of Temporal's, bound to the list it is ``of``, as text for a URL."""
    return base64.urlsafe_b64encode(_check(token, of) + token).decode().rstrip("=")


def read_cursor(cursor: str, of: str) -> bytes:
    """The page token in a cursor. Raises InvalidRequest: it is none, or of another list.

    There is no key here to sign one with. But what Temporal can't have made isn't sent to it: it takes
    half a minute to say that it can't read that.
    """
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise InvalidRequest(FOREIGN) from error
    check, token = raw[:_CHECK_BYTES], raw[_CHECK_BYTES:]
    if check != _check(token, of) or not _looks_real(token):
        raise InvalidRequest(FOREIGN)
    return token


def _check(token: bytes, of: str) -> bytes:
    """Tells a cursor of another list, and one that was cut; no signature."""
    return hashlib.sha256(of.encode(errors="surrogatepass") + b"\0" + token).digest()[:_CHECK_BYTES]


def _looks_real(token: bytes) -> bool:
    try:
        plain = json.loads(token) if len(token) <= _MAX_TOKEN else None
    except (RecursionError, ValueError):
        return False
    if not isinstance(plain, dict) or len({name.casefold() for name in plain}) < len(plain):
        return False
    if plain.keys() >= _SQL:
        id, times = plain["RunID"], (plain["CloseTime"], plain["StartTime"])
        return isinstance(id, str) and all(map(_is_time, times)) and _is_plain([*plain.values()])
    return plain.keys() >= _ELASTIC and all(
        isinstance(one, list) and _is_plain(one) for one in plain.values()
    )


def _is_time(value: Any) -> bool:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value[:19])
    except ValueError:
        return False
    return True


def _is_plain(values: list[Any]) -> bool:
    """Whether there is nothing but numbers and short texts without anything odd."""
    return all(
        _PLAIN.fullmatch(one) if isinstance(one, str) else type(one) in (int, float, type(None))
        for one in values
    )

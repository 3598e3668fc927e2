"""What key files hold, for every kind: JSON with keys by id, one of them current.

    {"kind": "clearance-encryption", "current": "2026-11-21-5f0c", "keys": {"2026-11-21-5f0c":
     {"key": "<32 bytes, base64url>", "created": "2026-11-21T10:00:00Z"}}, "names": "<32 bytes>"}

No error and no representation of anything in here holds the bytes of a key.
"""

import base64
import binascii
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from .errors import ClearanceError

KEY_BYTES = 32
"""Of every key: AES-256, Ed25519 and HMAC-SHA256 take as many."""

MAX_KEYS = 100
"""In one file."""

MAX_FILE_BYTES = 65_536
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]{43}=?")


class InvalidKeys(ClearanceError):
    """A key file can't be used, or lacks a key; the text says which file and what to do."""


class Altered(InvalidKeys):
    """What was encrypted is not as it was written, or was by another key of that id."""


@dataclass(frozen=True)
class Kind:
    """What the keys of a file are for."""

    title: str
    """As the file says it."""
    names: bool = False
    """Whether the file has a key besides, by which names are hashed; it never changes."""
    secret: bool = True
    """Whether others must not read the file. A file of public keys has no current one."""


KINDS: dict[str, Kind] = {
    "encryption": Kind("clearance-encryption", names=True),
    "signing": Kind("clearance-signing"),
}
"""By the word that ``clearance keys --kind`` takes."""

DECISION_KEYS = Kind("clearance-decision-keys", secret=False)
"""The public keys of a file of signing keys, for whoever asks for signed decisions."""


@dataclass(frozen=True)
class Key:
    """One key."""

    id: str
    data: bytes = field(repr=False)
    created: datetime


@dataclass(frozen=True)
class KeyRing:
    """What a key file holds."""

    kind: Kind
    current: str | None
    """Id of the key that is used; None in a file of public keys."""
    keys: Mapping[str, Key]
    """By id, the oldest first."""
    names: bytes | None = field(default=None, repr=False)

    @property
    def waiting(self) -> str | None:
        """Id of the key that is known but not used yet: the newest, where it isn't current."""
        newest = list(self.keys)[-1]
        if self.current is None or newest == self.current:
            return None
        return newest if self.keys[newest].created >= self.keys[self.current].created else None


_CALLED = {
    KINDS["encryption"].title: "encryption keys",
    KINDS["signing"].title: "signing keys",
    DECISION_KEYS.title: "public keys, as `clearance keys public` prints them",
}


def new(kind: Kind) -> KeyRing:
    """A ring with one fresh key, in use."""
    key = _fresh({})
    names = secrets.token_bytes(KEY_BYTES) if kind.names else None
    return KeyRing(kind, key.id, {key.id: key}, names)


def rotated(ring: KeyRing, *, now: bool = False) -> KeyRing:
    """The ring with a new key, which waits until every process knows it.

    Args:
        ring: no key of which is lost.
        now: use the key that waits; where none does, a new one at once.

    Raises:
        InvalidKeys: a key waits already, or there are too many.
    """
    if now and ring.waiting:
        return replace(ring, current=ring.waiting)
    if ring.waiting:
        raise InvalidKeys(f"the key {ring.waiting} waits already: put it to use with --now")
    if len(ring.keys) >= MAX_KEYS:
        raise InvalidKeys(f"a key file holds at most {MAX_KEYS} keys: remove one by hand")
    key = _fresh(ring.keys)
    return replace(ring, current=key.id if now else ring.current, keys={**ring.keys, key.id: key})


def _fresh(known: Mapping[str, Key]) -> Key:
    at = datetime.now(UTC).replace(microsecond=0)
    while (id := f"{at:%Y-%m-%d}-{secrets.token_hex(3)}") in known:
        pass
    return Key(id, secrets.token_bytes(KEY_BYTES), at)


def encoded(data: bytes) -> str:
    """Bytes as key files write them: base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: object) -> bytes:
    """The 32 bytes of a key. Raises ValueError, without the text, where it is none."""
    if not isinstance(text, str) or not _BASE64URL.fullmatch(text):
        raise ValueError(f"is no {KEY_BYTES} bytes of base64url")
    try:
        return base64.urlsafe_b64decode(text.rstrip("=") + "=")
    except binascii.Error as error:
        raise ValueError(f"is no {KEY_BYTES} bytes of base64url") from error


def dumped(ring: KeyRing) -> str:
    """The content of a ring's file."""
    plain: dict[str, Any] = {"kind": ring.kind.title}
    if ring.current is not None:
        plain["current"] = ring.current
    plain["keys"] = {
        one.id: {"key": encoded(one.data), "created": one.created.isoformat()}
        for one in ring.keys.values()
    }
    if ring.names is not None:
        plain["names"] = encoded(ring.names)
    return json.dumps(plain, indent=2) + "\n"


def parsed(content: bytes, kinds: tuple[Kind, ...]) -> KeyRing:
    """The ring in a file's content, of one of these kinds.

    Raises:
        ValueError: what is wrong, with nothing of the content in it that could be a key.
    """
    if len(content) > MAX_FILE_BYTES:
        raise ValueError("it is too large")
    try:
        plain = json.loads(content)
    except (ValueError, RecursionError):  # neither text nor JSON; the error would quote it
        raise ValueError("it is no JSON") from None
    titles = " or ".join(one.title for one in kinds)
    found = plain.get("kind") if isinstance(plain, dict) else None
    kind = next((one for one in kinds if one.title == found), None)
    if kind is None and isinstance(found, str) and found in _CALLED:
        wanted = " or ".join(_CALLED[one.title] for one in kinds)
        raise ValueError(f"this is a file of {_CALLED[found]}, and one of {wanted} is needed")
    if kind is None:
        raise ValueError(f'its "kind" is not {titles}')
    if extra := set(plain) - {"kind", "current", "keys", "names"}:
        raise ValueError(f"it has {len(extra)} fields that a key file doesn't have")
    keys = _keys(plain.get("keys"))
    return KeyRing(kind, _current(plain, kind, keys), keys, _names(plain, kind))


def _keys(plain: object) -> dict[str, Key]:
    if not isinstance(plain, dict) or not 1 <= len(plain) <= MAX_KEYS:
        raise ValueError(f'its "keys" are 1 to {MAX_KEYS} keys by their ids')
    found = []
    for number, (id, one) in enumerate(plain.items(), start=1):
        if not _ID.fullmatch(id):
            raise ValueError(f"the id of its key {number} takes letters, digits, dots and dashes")
        if not isinstance(one, dict) or set(one) != {"key", "created"}:
            raise ValueError(f'its key {id} takes "key" and "created"')
        try:
            found.append(Key(id, decoded(one["key"]), _moment(one["created"])))
        except ValueError as error:
            raise ValueError(f"its key {id} {error}") from None
    return {one.id: one for one in sorted(found, key=lambda one: one.created)}


def _moment(text: object) -> datetime:
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ValueError('has no "created" time with its zone')
    return at


def _current(plain: dict[str, Any], kind: Kind, keys: dict[str, Key]) -> str | None:
    if not kind.secret:
        return None
    current = plain.get("current")
    if not isinstance(current, str) or current not in keys:
        raise ValueError('its "current" names none of its keys')
    return current


def _names(plain: dict[str, Any], kind: Kind) -> bytes | None:
    if not kind.names:
        return None
    try:
        return decoded(plain.get("names"))
    except ValueError as error:
        raise ValueError(f'its "names" {error}') from None

"""Signing decisions and acts with Ed25519, and checking it. What is signed: ``clearance.signatures``.

Needs ``cryptography``, the client's extra ``encryption``; so nothing here is imported where nothing is
signed.
"""

import base64
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from .errors import Refused
from .keyfile import KeyFile
from .keys import DECISION_KEYS, KINDS, InvalidKeys, Key, KeyRing, decoded, encoded
from .signatures import MAX_KEYS, UNKNOWN, WRONG, DecisionKey, Signature, Verify, message

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )
except ImportError as error:  # pragma: no cover - tested in an environment without it
    raise InvalidKeys(
        "signed decisions need the package cryptography: install clearance-client[encryption]"
    ) from error

T = TypeVar("T", bound=BaseModel)


class CannotSign(Refused):
    """None of the keys that are here is one of those that a request pins. Nothing was sent."""


def public_ring(ring: KeyRing) -> KeyRing:
    """The public keys of a ring of signing keys: what requests pin."""
    keys = {
        one.id: Key(one.id, _private(one).public_key().public_bytes_raw(), one.created)
        for one in ring.keys.values()
    }
    return KeyRing(DECISION_KEYS, None, keys)


def decision_keys(ring: KeyRing) -> tuple[DecisionKey, ...]:
    """The keys of a file of public ones, as a request pins them: the newest ten."""
    found = [DecisionKey(id=one.id, key=encoded(one.data)) for one in ring.keys.values()]
    return tuple(found[-MAX_KEYS:])


def pinned_from(path: Path) -> Callable[[], tuple[DecisionKey, ...]]:
    """What new requests pin: the keys of this file, as it is when it is called.

    Raises:
        InvalidKeys: it can't be read now.
    """
    file = KeyFile(path, DECISION_KEYS)
    return lambda: decision_keys(file.ring())


class Signer:
    """Signs with the keys of one file."""

    def __init__(self, path: Path) -> None:
        """Read it; again when it changes. Raises InvalidKeys."""
        self._file = KeyFile(path, KINDS["signing"])

    @property
    def current(self) -> DecisionKey:
        """The public key of the one that signs, where requests pin it."""
        ring = self._file.ring()
        key = public_ring(ring).keys[ring.current or ""]
        return DecisionKey(id=key.id, key=encoded(key.data))

    def sign(self, said: T, pinned: Iterable[str], *, approval_id: str, execution: str) -> T:
        """A decision or an act with its signature.

        Args:
            said: whole.
            pinned: ids of the keys that the request pins. Of those the current one signs, or where
                that isn't among them the newest.
            approval_id: of the request.
            execution: the id of its first execution.

        Raises:
            CannotSign: none of the keys is pinned.
        """
        ring = self._file.ring()
        pinned = set(pinned)
        here = [one for one in ring.keys.values() if one.id in pinned]
        if not here:
            raise CannotSign(
                f"this request takes only decisions signed by {', '.join(sorted(pinned))}; "
                f"{self._file.path} has {', '.join(ring.keys)}: decide where that key is"
            )
        key = next((one for one in here if one.id == ring.current), here[-1])
        signed = _private(key).sign(message(said, approval_id=approval_id, execution=execution))
        return said.model_copy(update={"signature": Signature(key=key.id, value=encoded(signed))})


def verifier(keys: Iterable[DecisionKey], *, approval_id: str, execution: str) -> Verify:
    """What judges signatures for one request.

    Args:
        keys: those that it pins.
        approval_id: its id.
        execution: the id of its first execution, which stays when Temporal resets it.
    """
    keys = tuple(keys)

    def verify(said: BaseModel, signature: Signature) -> str | None:
        return refuse(
            keys, signature, lambda: message(said, approval_id=approval_id, execution=execution)
        )

    return verify


def refuse(
    keys: Iterable[DecisionKey], signature: Signature, signed: Callable[[], bytes]
) -> str | None:
    """Why a signature by one of these keys is none of what was ``signed``; None where it fits."""
    pinned = next((one for one in keys if one.id == signature.key), None)
    if pinned is None:
        return UNKNOWN
    try:
        public = Ed25519PublicKey.from_public_bytes(decoded(pinned.key))
        public.verify(base64.urlsafe_b64decode(f"{signature.value}=="), signed())
    except (InvalidSignature, ValueError):  # ValueError: what is pinned is no key
        return WRONG
    return None


def _private(key: Key) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(key.data)

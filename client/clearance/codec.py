"""Encryption of every payload that Temporal keeps: AES-256-GCM, by keys that Temporal never sees."""

import hashlib
import hmac
import json
import os
from collections.abc import Sequence
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.client import Client
from temporalio.converter import PayloadCodec

from .keyfile import KeyFile
from .keys import Altered, InvalidKeys, Key

VARIABLE = "CLEARANCE_ENCRYPTION_KEYS"
"""Names the key file."""

ENCODING = b"binary/encrypted"
KEY_ID = "encryption-key-id"
"""In the metadata of an encrypted payload; the name that Temporal's samples use."""

OVERHEAD = 200
"""Bytes that encryption adds to a payload, at most."""

_FORMAT = b"clearance-payload-1"
"""Bound to each payload with its key's id: neither is anything else to whoever decrypts it."""

_NONCE_BYTES = 12


class Encryption(PayloadCodec):
    """Encrypts by the current key of a file, decrypts by any of it.

    What isn't encrypted is passed on as it is, so that data from before stays readable. Without a
    file nothing is encrypted, and what others have encrypted is told from what is broken.
    """

    def __init__(self, keys: KeyFile | None, *, hash_requester: bool = False) -> None:
        """By the keys of this file.

        Args:
            keys: the file; None to read only what isn't encrypted.
            hash_requester: whether search attributes hold a requester's name only as a hash.

        Raises:
            InvalidKeys: names can't be hashed without keys, or ``cryptography`` isn't installed.
        """
        if hash_requester and keys is None:
            raise InvalidKeys(f"CLEARANCE_HASH_REQUESTER needs {VARIABLE}: set it to a key file")
        if keys is not None:
            _aesgcm()
        self._keys = keys
        self._hashes = hash_requester
        self._ciphers: dict[bytes, Any] = {}

    @property
    def current(self) -> str | None:
        """Id of the key that encrypts now; None where nothing is encrypted."""
        return None if self._keys is None else self._keys.ring().current

    @property
    def hashes(self) -> bool:
        """Whether search attributes hold requesters only as hashes."""
        return self._hashes

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt each payload, metadata and all."""
        if self._keys is None:
            return list(payloads)
        ring = self._keys.ring()
        key = ring.keys[ring.current or ""]
        return [self._encrypted(one, key) for one in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt what is encrypted.

        Raises:
            InvalidKeys: the key is none of ours, or (``Altered``) the payload isn't as it was
                written. A worker tries its task again, so that nothing is lost until the key is
                there.
        """
        return [
            self._decrypted(one) if one.metadata.get("encoding") == ENCODING else one
            for one in payloads
        ]

    def listed(self, requester: str) -> str | None:
        """A requester's name as search attributes hold it; None where they hold it as it is.

        HMAC-SHA256 of the name with capitals aside, as 64 hexadecimal digits: the same for ever, and
        nothing that whoever has a list of names could find out without the key.
        """
        if not self._hashes or self._keys is None:
            return None
        names = self._keys.ring().names or b""
        return hmac.new(names, requester.casefold().encode(), hashlib.sha256).hexdigest()

    def _encrypted(self, payload: Payload, key: Key) -> Payload:
        nonce = os.urandom(_NONCE_BYTES)
        data = self._cipher(key).encrypt(nonce, payload.SerializeToString(), _bound(key.id))
        metadata = {"encoding": ENCODING, KEY_ID: key.id.encode()}
        return Payload(metadata=metadata, data=nonce + data)

    def _decrypted(self, payload: Payload) -> Payload:
        id = payload.metadata.get(KEY_ID, b"").decode(errors="replace")[:64]
        if self._keys is None:
            raise InvalidKeys(
                f"this is encrypted with the key {id!r}: set {VARIABLE} to a key file that has it"
            )
        key = self._keys.ring().keys.get(id)
        if key is None:
            raise InvalidKeys(
                f"this is encrypted with the key {id!r}, which {self._keys.path} lacks: add it there"
            )
        cipher = self._cipher(key)
        nonce, data = payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:]
        try:
            return Payload.FromString(cipher.decrypt(nonce, data, _bound(id)))
        except Exception as error:  # InvalidTag; ValueError where it is too short to be any
            raise Altered(
                f"what was encrypted with the key {id!r} is not as it was written: it was changed, or "
                f"{self._keys.path} has another key by that id"
            ) from error

    def _cipher(self, key: Key) -> Any:
        if key.data not in self._ciphers:
            self._ciphers[key.data] = _aesgcm()(key.data)
        return self._ciphers[key.data]


def _bound(id: str) -> bytes:
    return _FORMAT + b"\0" + id.encode()


def _aesgcm() -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise InvalidKeys(
            f"{VARIABLE} needs the package cryptography: install clearance-client[encryption]"
        ) from error
    return AESGCM


def encryption_of(client: Client) -> Encryption | None:
    """How a client encrypts; None where somebody else's codec is in the way."""
    codec = client.data_converter.payload_codec
    return codec if isinstance(codec, Encryption) else None


def listed_requester(client: Client, requester: str | None) -> str | None:
    """``Encryption.listed``, for whatever client and name there are."""
    encryption = encryption_of(client)
    return encryption.listed(requester) if encryption and requester else None


async def words_of(failure: Failure, codec: PayloadCodec | None) -> str:
    """The innermost message of a failure from a history, which says best what to do; as Temporal shows
    it where its key is missing."""
    while failure.HasField("cause"):
        failure = failure.cause
    if not failure.HasField("encoded_attributes"):
        return failure.message
    try:
        payload = failure.encoded_attributes
        if codec is not None:
            (payload,) = await codec.decode([payload])
        said = json.loads(payload.data)["message"]
    except Exception:  # whatever a codec of somebody's raises, and what is no JSON of ours
        return failure.message
    return said if isinstance(said, str) else failure.message

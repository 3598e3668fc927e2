"""Signed heads: what shows that a ledger's end was cut off, or that all of it was written anew.

Ed25519. A head says: at this time, the row at this position had this hash. Kept where nobody can change
it who can change the ledger, it vouches for all rows up to there.
"""

import asyncio
import base64
import binascii
import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Annotated, Protocol

import pydantic
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from clearance import ClearanceError, InvalidRequest
from clearance.fields import Digest, canonical_json

from .reading import Head
from .rows import moment

_CONTEXT = "clearance-ledger-head\n"
"""Before what is signed, so that no signature made for something else is one of a head."""

_TORN = " (torn)"
"""Behind what is left of a line that was cut off while it was written, once another one follows."""


class Shortened(ClearanceError):
    """The ledger is not what was signed before; nothing was signed."""


class SignedHead(BaseModel):
    """One line of a file of heads."""

    model_config = ConfigDict(frozen=True)

    position: Annotated[int, Field(ge=0)]
    hash: Digest
    at: str
    """When it was signed: UTC."""
    key_id: str
    signature: Annotated[str, StringConstraints(max_length=200)]
    """Over ``clearance-ledger-head``, a line feed and canonical JSON of the others; base64."""


class Heads(Protocol):
    """Of a ledger, what is signed."""

    async def head(self) -> Head:
        """The last row."""

    async def hash_at(self, position: int) -> str | None:
        """The hash of the row there; None for none."""


def new_key(path: Path) -> str:
    """Make a private key in a file that only its owner may read. Returns the public one.

    Raises:
        InvalidRequest: there is such a file already, or it can't be written.
    """
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise InvalidRequest(f"{path} is there already: a key is never overwritten") from error
    except OSError as error:
        raise InvalidRequest(f"{path}: {error.strerror or error}") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
    return public_text(key.public_key())


def load_key(path: Path) -> Ed25519PrivateKey:
    """A private key: PEM, PKCS 8, as ``clearance audit key`` makes it.

    Raises:
        InvalidRequest: it can't be read, others may read it, or it is no such key.
    """
    try:
        pem, mode = path.read_bytes(), path.stat().st_mode
    except OSError as error:
        raise InvalidRequest(f"{path}: {error.strerror or error}") from error
    if mode & 0o077:
        raise InvalidRequest(f"{path}: others may read this private key: chmod 600 {path}")
    try:
        key = load_pem_private_key(pem, password=None)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise InvalidRequest(f"{path} is no key: make one with `clearance audit key`") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidRequest(f"{path} is no Ed25519 key: make one with `clearance audit key`")
    return key


def public_text(key: Ed25519PublicKey) -> str:
    """A public key in one line: base64 of its 32 bytes."""
    return base64.b64encode(key.public_bytes_raw()).decode()


def load_public(text: str) -> Ed25519PublicKey:
    """A public key from such a line. Raises InvalidRequest: it is none."""
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text.strip(), validate=True))
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest("that is no public key: `clearance audit key` printed it") from error


def key_id(key: Ed25519PublicKey) -> str:
    """What tells keys apart: 16 hexadecimal digits of the SHA-256 of its 32 bytes."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def sign(head: Head, key: Ed25519PrivateKey, *, now: datetime | None = None) -> SignedHead:
    """This head, signed now."""
    plain: dict[str, pydantic.JsonValue] = {
        "position": head.position,
        "hash": head.hash,
        "at": moment(now or datetime.now(UTC)),
        "key_id": key_id(key.public_key()),
    }
    signature = base64.b64encode(key.sign(_signed(plain))).decode()
    return SignedHead.model_validate({**plain, "signature": signature})


def check(head: SignedHead, keys: Sequence[Ed25519PublicKey]) -> bool:
    """Whether one of these keys has signed it."""
    said = _signed(head.model_dump(exclude={"signature"}))
    for key in keys:
        try:
            key.verify(base64.b64decode(head.signature, validate=True), said)
        except (binascii.Error, InvalidSignature, ValueError):
            continue
        return True
    return False


def _signed(plain: dict[str, pydantic.JsonValue]) -> bytes:
    return (_CONTEXT + canonical_json(plain)).encode()


def read(path: Path) -> list[SignedHead]:
    """All heads of a file, a JSON object a line; what was cut off while it was written is left out.

    Raises:
        InvalidRequest: it can't be read, or a line is no head.
    """
    try:
        lines = path.read_text().splitlines(keepends=True)
    except OSError as error:
        raise InvalidRequest(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise InvalidRequest(f"{path} has no signed heads") from error
    return _parsed(path, lines)


def _parsed(path: Path, lines: Iterable[str]) -> list[SignedHead]:
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.endswith(f"{_TORN}\n"):
            continue
        try:
            found.append(SignedHead.model_validate_json(line))
        except pydantic.ValidationError as error:
            if line.endswith("\n"):
                raise InvalidRequest(f"{path}, line {number}: that is no signed head") from error
    return found


async def sign_head(ledger: Heads, key_path: Path, heads_path: Path) -> SignedHead | None:
    """Sign the ledger's head and append it to a file; None where nothing is new since its last line.

    Raises:
        InvalidRequest: the key or the file can't be used.
        Shortened: the ledger has lost or changed what the file's last line says.
        LedgerAway: the database fails.
    """
    key = await asyncio.to_thread(load_key, key_path)
    before = await asyncio.to_thread(_last, heads_path)
    head = await ledger.head()
    signed_to = before.position if before else 0
    if before and signed_to and await ledger.hash_at(signed_to) != before.hash:
        raise Shortened(
            f"the ledger ends at {head.position}, and is not what was signed at {before.at} up to "
            f"{signed_to}: clearance audit verify"
        )
    if head.position == signed_to:
        return None
    signed = sign(head, key)
    await asyncio.to_thread(_append, heads_path, signed)
    return signed


def _last(path: Path) -> SignedHead | None:
    heads = read(path) if path.exists() else []
    return heads[-1] if heads else None


def _append(path: Path, head: SignedHead) -> None:
    """On a line of its own, on the disk before this returns; else the file stays as it was."""
    line = canonical_json(head.model_dump(mode="json")) + "\n"
    try:
        with path.open("a+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            before = file.readall()
            _write(file, _ending(before) + line.encode(), len(before))
    except OSError as error:
        raise InvalidRequest(f"{path}: {error.strerror or error}") from error


def _write(file: FileIO, added: bytes, size: int) -> None:
    """Add this to a file of that size."""
    try:
        if file.write(added) != len(added):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file.fileno())
    except OSError:
        with contextlib.suppress(OSError):  # some can only be appended to
            file.truncate(size)
        raise


def _ending(before: bytes) -> bytes:
    """What a file needs so that the next line is one: nothing, unless its last one has no end."""
    last = before.rpartition(b"\n")[2]
    if not last:
        return b""
    try:
        SignedHead.model_validate_json(last)
    except pydantic.ValidationError:
        return f"{_TORN}\n".encode()
    return b"\n"

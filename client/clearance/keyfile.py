"""Key files on disk: read with care, written whole, rotated, and read again when they change."""

import contextlib
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .keys import (
    DECISION_KEYS,
    KINDS,
    MAX_FILE_BYTES,
    InvalidKeys,
    KeyRing,
    Kind,
    dumped,
    parsed,
    rotated,
)


def read(path: Path, *kinds: Kind) -> KeyRing:
    """The ring in a file, of one of these kinds; of any known one where none is named.

    Raises:
        InvalidKeys: there is no such file, others may read its secrets, or what it holds is wrong.
    """
    kinds = kinds or (*KINDS.values(), DECISION_KEYS)
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InvalidKeys(f"the key file {path} can't be read: {error.strerror}") from error
    try:
        ring = parsed(content, kinds)
    except ValueError as error:
        raise InvalidKeys(f"the key file {path}: {error}") from None
    if ring.kind.secret and mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise InvalidKeys(f"others may read or change the key file {path}: chmod 600 it")
    return ring


def create(path: Path, ring: KeyRing) -> None:
    """Write a new file that only its owner reads. Raises InvalidKeys: it exists, or can't be written."""
    _write(path, ring, os.link)


def change(path: Path, *, now: bool = False, kinds: tuple[Kind, ...] = ()) -> KeyRing:
    """Rotate the keys of a file, and return what it holds then. Raises like ``read`` and ``rotated``."""
    with _alone(path):
        ring = rotated(read(path, *(kinds or KINDS.values())), now=now)
        _write(path, ring, os.replace)
    return ring


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Two that rotate at once would lose a key of one of them."""
    try:
        folder = os.open(path.parent, os.O_RDONLY)
    except OSError as error:
        raise InvalidKeys(f"the folder of {path} can't be read: {error.strerror}") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _write(path: Path, ring: KeyRing, put: Any) -> None:
    """Whole or not at all: a key that is half written is lost, with all that it encrypted."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w") as out:
            out.write(dumped(ring))
            out.flush()
            os.fsync(out.fileno())
        put(beside, path)
    except FileExistsError as error:
        raise InvalidKeys(f"{path} exists: nothing was written") from error
    except OSError as error:
        raise InvalidKeys(f"{path} can't be written: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)


class KeyFile:
    """A key file that a process uses: read again when it changed, so that a rotation needs no restart."""

    def __init__(self, path: Path, kind: Kind) -> None:
        """Read it. Raises InvalidKeys."""
        self.path = path
        self.kind = kind
        self._seen = self._stamp()
        self._ring = read(path, kind)

    def ring(self) -> KeyRing:
        """What it holds now; what it held last, while it can't be read."""
        if (stamp := self._stamp()) != self._seen:
            with contextlib.suppress(InvalidKeys):
                self._ring = read(self.path, self.kind)
            self._seen = stamp
        return self._ring

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

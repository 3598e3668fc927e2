"""``reviewers.toml`` as it is now: read again when it has changed."""

import asyncio
from pathlib import Path

from clearance.text import one_line

from .directory import NOBODY, Directory
from .reading import BrokenPolicy
from .reviewers import load


class WatchedDirectory:
    """One file. Whoever asks while it is read waits for the same reading."""

    def __init__(self, path: Path | None) -> None:
        """Read this file; None where there is none, and so nobody in it."""
        self.path = path
        self._directory = NOBODY
        self._seen: tuple[int, ...] | None = None
        self._turn = asyncio.Lock()

    def at_once(self) -> Directory | None:
        """The directory, if its file is as it was read last; None: it has to be read. Never waits."""
        if self.path is None:
            return NOBODY
        try:
            return self._directory if self._state(self.path) == self._seen else None
        except (OSError, ValueError):
            return None

    async def current(self) -> Directory:
        """The directory as its file is now.

        Raises:
            BrokenPolicy: it can't be read, or is wrong; a line for each fault.
        """
        if self.path is None:
            return NOBODY
        async with self._turn:
            try:
                # Before the file is read: what changes in between is seen the next time.
                seen = self._state(self.path)
                if seen != self._seen:
                    # In a thread: 10,000 people take a second, and nobody else waits for it.
                    self._directory = await asyncio.to_thread(load, self.path)
                    self._seen = seen
            except (OSError, ValueError) as error:
                said = f"{one_line(str(self.path))}: can't be read: {error}"
                raise BrokenPolicy([said]) from error
            return self._directory

    @staticmethod
    def _state(path: Path) -> tuple[int, ...]:
        file = path.stat()
        return file.st_mtime_ns, file.st_size, file.st_ino

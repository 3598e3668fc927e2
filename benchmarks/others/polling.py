"""A table in SQLite that every waiting agent looks into each five seconds.

As a program, ``python -m benchmarks.others.polling DATABASE SECONDS`` is the process in which they wait.
"""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.contenders import Contender
from benchmarks.measuring import moment

from . import Apart, apart, lines

EVERY = 5.0
"""Seconds between two looks."""

_TABLE = "CREATE TABLE requests (id TEXT PRIMARY KEY, approved INTEGER)"
_ASKED = "SELECT approved FROM requests WHERE id = ?"


class Polling:
    """Loops in a process of their own, and whoever decides in the same table."""

    name = f"polling each {EVERY:.0f} s"

    def __init__(self, process: Apart, database: sqlite3.Connection) -> None:
        """With the process that polls, and its table."""
        self._process = process
        self._database = database

    async def ask(self, id: str) -> None:
        """As ``Contender``."""
        self._database.execute("INSERT INTO requests VALUES (?, NULL)", (id,))
        self._process.begin(id)

    async def waits(self, id: str) -> None:
        """As ``Contender``: it does since it was asked."""

    async def decide(self, id: str) -> None:
        """As ``Contender``."""
        self._database.execute("UPDATE requests SET approved = 1 WHERE id = ?", (id,))

    async def resumed(self, id: str) -> int:
        """As ``Contender``."""
        return await self._process.resumed(id)


def _opened(path: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=NORMAL")
    return database


@asynccontextmanager
async def contender(folder: Path, every: float = EVERY) -> AsyncIterator[Contender]:
    """With a database in the folder; seconds between two looks."""
    path = str(folder / "polled.db")
    database = _opened(path)
    database.execute(_TABLE)
    async with apart("benchmarks.others.polling", path, f"{every}") as process:
        yield Polling(process, database)
    database.close()


async def main(path: str, every: float) -> None:
    """Let loops wait as they are asked for."""
    database = _opened(path)

    async def wait(id: str) -> None:
        approved = None
        while not approved:
            await asyncio.sleep(every)
            (approved,) = database.execute(_ASKED, (id,)).fetchone()
        print(id, moment(), flush=True)

    waiting = set()
    print("ready", flush=True)
    async for id in lines():
        task = asyncio.create_task(wait(id))
        waiting.add(task)
        task.add_done_callback(waiting.discard)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))

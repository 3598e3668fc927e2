"""The ledger's PostgreSQL, to be killed and started again."""

import asyncio
import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.web.databases import postgresql

from .programs import run


class PostgreSQL:
    """The ledger's server, found by its folder."""

    def __init__(self, url: str) -> None:
        """Of one that ``tests.web.databases`` runs, which ends it."""
        self._folder = Path(url.partition("?host=")[2])
        self._pid = self._folder / "data" / "postmaster.pid"
        words = self._pid.read_text().splitlines()
        process = Path(f"/proc/{words[0]}")
        self._command = [one for one in (process / "cmdline").read_text().split("\0") if one]
        self._as_root = os.geteuid() == 0

    async def kill(self) -> None:
        """``kill -9`` of it and of what serves its connections."""
        server = self._server()
        if server is None:
            return
        family = (server, *server.children())
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        while any(map(_lives, family)):
            await asyncio.sleep(0.05)
        self._pid.unlink(missing_ok=True)  # whoever reaps it may take its time

    async def start(self) -> None:
        """Start it, unless it runs; return when it takes connections."""
        control = str(Path(self._command[0]).with_name("pg_ctl"))
        data = str(self._folder / "data")
        before = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
        as_user = before if self._as_root else ()
        if self._server() is not None:
            return
        options = f"-c listen_addresses= -c unix_socket_directories={self._folder} -c fsync=off"
        start = (control, "start", "--wait", "--pgdata", data, "--log", f"{data}/../log")
        for _ in range(20):  # what the killed one has left ends within a moment
            code, said = await run(
                *as_user, *start, "-o", options, cwd=self._folder, environment={}
            )
            if code == 0:
                return
            await asyncio.sleep(0.5)
        raise AssertionError(f"PostgreSQL doesn't start: {said}")

    def _server(self) -> psutil.Process | None:
        """The one that runs."""
        try:
            server = psutil.Process(int(self._pid.read_text().splitlines()[0]))
        except (OSError, psutil.NoSuchProcess):
            return None
        return server if _lives(server) else None


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


@contextmanager
def killable() -> Iterator[tuple[PostgreSQL, str]]:
    """One of our own, and the address of a database in it."""
    with postgresql() as url:
        yield PostgreSQL(url), url.format(name="postgres")

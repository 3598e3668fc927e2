"""Processes that are killed and started again."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import sysconfig
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from tests import warm

CLEARANCE = (sys.executable, f"{sysconfig.get_path('scripts')}/clearance")
"""Our command, before its words."""

READY = 60.0
"""Seconds that a process may take to be ready, on a busy machine."""

_TIED = ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()
"""What runs so is killed by the kernel when this process ends, however it does; only on Linux."""


class Program:
    """One command, in a process group of its own; what it says goes to a file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        cwd: Path,
        environment: Mapping[str, str] | None = None,
        ready: Callable[[str], Awaitable[bool]] | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
            name: for messages.
            command: what is run. Python is forked with all imported, where it need not be loaded anew.
            log: where its output is appended.
            cwd: where it runs.
            environment: what it has besides ours.
            ready: whether it does its work, told what it has said since its start; asked until it does.
                None where that doesn't matter.
        """
        self.name, self.log = name, log
        self._command, self._cwd = list(command), cwd
        self._environment, self._ready = dict(environment or {}), ready
        self._process: warm.Process | None = None
        self._before = 0
        self._turn = asyncio.Lock()  # two who start it at once would start two
        self.is_held = False
        """Whether it was killed, and not started since: nobody is to start it but who killed it."""

    @property
    def is_running(self) -> bool:
        """Whether it was started, and neither killed nor ended by itself."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it, unless it runs."""
        self.is_held = False
        async with self._turn:
            if self.is_running:
                return
            self._before = self.log.stat().st_size if self.log.exists() else 0
            with self.log.open("ab") as output:
                files = (output.fileno(), output.fileno())
                self._process = await _begun(self._command, self._cwd, self._environment, files)

    async def is_ready(self) -> None:
        """Return when it does its work. Raises AssertionError with its last words if it doesn't."""
        end = time.monotonic() + READY
        while self._ready is not None:
            said = self.log.read_bytes()[self._before :].decode(errors="replace")
            with contextlib.suppress(OSError):
                if await self._ready(said):
                    return
            words = said[-2_000:]
            assert self.is_running, f"{self.name} ended: {words}"
            assert time.monotonic() < end, f"{self.name} isn't ready after {READY} s: {words}"
            await asyncio.sleep(0.1)

    async def kill(self) -> None:
        """``kill -9``, it and what it started."""
        self.is_held = True
        async with self._turn:
            if self._process is None:
                return
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()


async def run(*command: str, cwd: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a command to its end: its exit code, and what it printed, its errors after that."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = await _begun(command, cwd, environment, (out.fileno(), err.fileno()))
        try:
            code = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        said, complained = (os.pread(one.fileno(), 1 << 20, 0).decode() for one in (out, err))
    return code, said or complained


async def _begun(
    command: Sequence[str], cwd: Path, environment: Mapping[str, str], files: tuple[int, int]
) -> warm.Process:
    """Without input, in a session of its own."""
    env = {**os.environ, **environment}
    with tempfile.TemporaryFile() as nothing:
        if command[0] == sys.executable and "LD_PRELOAD" not in env:
            numbers = (nothing.fileno(), *files)
            return await warm.start(command[1:], env=env, cwd=cwd, files=numbers)
        return await asyncio.create_subprocess_exec(
            *(*_TIED, *command),
            cwd=cwd,
            env=env,
            stdin=nothing,
            stdout=files[0],
            stderr=files[1],
            start_new_session=True,
        )

"""Processes that are killed and started again."""

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

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
            command: what is run.
            log: where its output is appended.
            cwd: where it runs.
            environment: what it has besides ours.
            ready: whether it does its work, told what it has said since its start; asked until it does.
                None where that doesn't matter.
        """
        self.name, self.log = name, log
        self._command, self._cwd = list(command), cwd
        self._environment, self._ready = dict(environment or {}), ready
        self._process: asyncio.subprocess.Process | None = None
        self._before = 0
        self.is_held = False
        """Whether it was killed, and not started since: nobody is to start it but who killed it."""

    @property
    def is_running(self) -> bool:
        """Whether it was started, and neither killed nor ended by itself."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it, unless it runs."""
        self.is_held = False
        if self.is_running:
            return
        self._before = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *_TIED,
                *self._command,
                cwd=self._cwd,
                env={**os.environ, **self._environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

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
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()


async def run(*command: str, cwd: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a command to its end: its exit code, and what it printed, its errors after that."""
    process = await asyncio.create_subprocess_exec(
        *_TIED,
        *command,
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode() or err.decode()

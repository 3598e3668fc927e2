"""The installed command as people run it: its own process, a clean environment, a real terminal."""

import asyncio
import contextlib
import io
import json
import os
import pty
import re
import signal
import sys
import sysconfig
import termios
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil
import pytest
from pexpect import EOF, fdpexpect
from temporalio.client import Client
from temporalio.runtime import Runtime

from clearance import CannotConnect, connect
from cli import app, embedded
from cli.settings import EmbeddedServer, Settings
from tests import warm
from tests.support import eventually, unique

SCRIPTS = Path(sysconfig.get_path("scripts"))
COMMAND = str(SCRIPTS / "clearance")
REPOSITORY = Path(__file__).parents[2]
NOWHERE = "127.0.0.1:1"
"""An address where no Temporal answers."""

PATIENCE = 90.0
"""Seconds until a process that does not do what it should fails the test."""


@dataclass(frozen=True)
class Ended:
    """How a process ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its standard output, parsed."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Running:
    """A process under way, its output going to files."""

    process: warm.Process
    out: Path
    err: Path

    @property
    def pid(self) -> int:
        """Of the command itself."""
        return self.process.pid

    async def says(self, pattern: str) -> re.Match[str]:
        """Wait until it has written this, to either stream."""

        async def probe() -> re.Match[str] | None:
            found = re.search(pattern, self.out.read_text() + self.err.read_text())
            assert found or self.process.returncode is None, self.err.read_text()
            return found

        found = await eventually(probe, within=PATIENCE)
        assert found
        return found

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    async def ends(self) -> Ended:
        """Wait for its end."""
        async with asyncio.timeout(PATIENCE):
            code = await self.process.wait()
        return Ended(code, self.out.read_text(), self.err.read_text())


class Terminal:
    """A command that has a terminal of its own: what is typed here are keys there."""

    def __init__(self, process: warm.Process, keyboard: int) -> None:
        """Watch the other end of its terminal."""
        self.process = process
        self._screen = fdpexpect.fdspawn(keyboard, encoding="utf-8", timeout=PATIENCE)

    async def shows(self, pattern: str) -> str:
        """Wait until it shows this; return everything new up to there."""
        await asyncio.to_thread(self._screen.expect, pattern)
        return str(self._screen.before + self._screen.after)

    def types(self, line: str) -> None:
        """Type a line and Enter."""
        self._screen.sendline(line)

    def keys(self, keys: str) -> None:
        """Type these keys and no Enter."""
        self._screen.send(keys)

    def interrupts(self) -> None:
        """Type Ctrl-C."""
        self.keys("\x03")

    async def ends(self) -> Ended:
        """Wait for its end; ``out`` is everything new on the screen."""
        await asyncio.to_thread(self._screen.expect, EOF)
        async with asyncio.timeout(PATIENCE):
            code = await self.process.wait()
        return Ended(code, str(self._screen.before), "")


@dataclass
class Shell:
    """Runs commands in one folder with one environment."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    imported: bool = True
    """Whether what it starts has been imported already."""

    def cold(self) -> "Shell":
        """The same for a test to which it matters how Python itself starts a command."""
        return Shell(self.folder, self.env, imported=False)

    def having(self, **changes: str | None) -> "Shell":
        """The same with other variables; None removes one."""
        env = {**self.env, **{k: v for k, v in changes.items() if v is not None}}
        kept = {k: v for k, v in env.items() if changes.get(k, v) is not None}
        return Shell(self.folder, kept, self.imported)

    async def __call__(self, *arguments: str, stdin: str = "") -> Ended:
        """Run ``clearance`` with these arguments to its end."""
        async with self.start(*arguments, stdin=stdin) as running:
            return await running.ends()

    async def inside(self, *arguments: str) -> Ended:
        """The same in this process, in a fraction of the time: for variants of what a process proves.

        One at a time, and nothing can be typed.
        """
        given, out, err = io.StringIO(), io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            for name in os.environ.keys() - self.env.keys():
                patch.delenv(name)
            for name, value in self.env.items():
                patch.setenv(name, value)
            patch.chdir(self.folder)
            for name, stream in (("stdin", given), ("stdout", out), ("stderr", err)):
                patch.setattr(sys, name, stream)
            patch.setattr(Runtime, "set_default", lambda *_, **__: None)  # the tests have theirs
            code = await asyncio.to_thread(app._run, list(arguments))
        return Ended(code, out.getvalue(), err.getvalue())

    def _files(self, stdin: str) -> tuple[Path, Path, Path]:
        stem = self.folder / unique("output")
        given, out, err = (stem.with_suffix(suffix) for suffix in (".in", ".out", ".err"))
        given.write_text(stdin)
        out.touch()
        err.touch()
        return given, out, err

    async def script(self, text: str) -> Ended:
        """Run a bash script to its end."""
        async with self.start("-c", text, command="/bin/bash") as running:
            return await running.ends()

    @asynccontextmanager
    async def start(
        self, *arguments: str, stdin: str = "", command: str = COMMAND, cwd: Path | None = None
    ) -> AsyncIterator[Running]:
        """Start a command; leaving the context stops it if it still runs."""
        given, out, err = self._files(stdin)
        with given.open() as i, out.open("w") as o, err.open("w") as e:
            process = await self._begin((command, *arguments), (i, o, e), cwd or self.folder)
        try:
            yield Running(process, out, err)
        finally:
            if process.returncode is None:
                process.terminate()
                async with asyncio.timeout(PATIENCE):
                    await process.wait()

    async def _begin(
        self, command: tuple[str, ...], files: tuple[IO[str], IO[str], IO[str]], cwd: Path
    ) -> warm.Process:
        given, out, err = files
        if self.imported and command[0] in (COMMAND, sys.executable):
            script = command[command[0] == sys.executable :]
            numbers = (given.fileno(), out.fileno(), err.fileno())
            return await warm.start(script, env=self.env, cwd=cwd, files=numbers)
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=given,
            stdout=out,
            stderr=err,
            cwd=cwd,
            env=self.env,
            start_new_session=True,
        )

    @asynccontextmanager
    async def terminal(self, *arguments: str) -> AsyncIterator[Terminal]:
        """Start ``clearance`` on a terminal; leaving the context closes it if it still runs."""
        keyboard, its_end = pty.openpty()
        termios.tcsetwinsize(its_end, (50, 120))
        process = await warm.start(
            (COMMAND, *arguments),
            env={**self.env, "TERM": "xterm-256color"},
            cwd=self.folder,
            files=(its_end, its_end, its_end),
        )
        os.close(its_end)
        try:
            yield Terminal(process, keyboard)
        finally:
            os.close(keyboard)  # hangs up, as closing the window does
            async with asyncio.timeout(PATIENCE):
                await process.wait()


def _left_over(home: Path) -> list[psutil.Process]:
    left = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("HOME") == str(home):
                left.append(process)
    return left


@asynccontextmanager
async def alone_in(folder: Path) -> AsyncIterator[Shell]:
    """A shell on a machine that has nothing of ours yet: no Temporal, no settings, no model.

    Fails if something of what it started still runs a while after.
    """
    env = {"PATH": f"{SCRIPTS}:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8"}
    yield Shell(folder, {**env, "CLEARANCE_REVIEWER": "ada@example.com"})

    async def all_gone() -> bool:
        return not _left_over(folder)

    try:
        await eventually(all_gone, within=30)
    finally:
        for process in _left_over(folder):
            process.kill()


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[Shell]:
    """Such a shell in this test's folder."""
    async with alone_in(tmp_path) as shell:
        yield shell


@pytest.fixture
def cli(alone: Shell, server: EmbeddedServer, settings: Settings) -> Shell:
    """A shell on this session's Temporal and this test's queues."""
    return alone.having(
        TEMPORAL_ADDRESS=server.address,
        CLEARANCE_APPROVALS_QUEUE=settings.approvals_queue,
        CLEARANCE_AGENTS_QUEUE=settings.agents_queue,
        CLEARANCE_STATE=str(settings.state),
        CLEARANCE_RECONCILE_EVERY="never",
    )


@pytest.fixture
def beside(alone: Shell, server: EmbeddedServer, settings: Settings) -> Shell:
    """A shell in whose folder an embedded server runs already, which is this session's."""
    announced = EmbeddedServer.path(alone.folder / ".clearance")
    announced.parent.mkdir()
    announced.write_text(server.model_dump_json())
    return alone.having(
        CLEARANCE_APPROVALS_QUEUE=settings.approvals_queue, CLEARANCE_RECONCILE_EVERY="never"
    )


@pytest.fixture
async def untouched(alone: Shell) -> AsyncIterator[Client]:
    """A client on a Temporal of its own that nobody has prepared for us, and that is up."""
    async with AsyncExitStack() as stack:

        async def up() -> Client | None:
            # Between finding a free port and listening on it, another test's server may take it.
            if tried[-1].process.returncode is not None:
                await begin()
            try:
                return await connect({"target_host": f"127.0.0.1:{ports[-1]}"}, timeout=5)
            except CannotConnect:
                return None

        async def begin() -> None:
            ports.append(embedded.free_port(0))
            flags = ("--headless", f"--port={ports[-1]}", "--log-level=error")
            server = alone.start("server", "start-dev", *flags, command=embedded.temporal_command())
            tried.append(await stack.enter_async_context(server))

        ports: list[int] = []
        tried: list[Running] = []
        await begin()
        client = await eventually(up, within=PATIENCE)
        assert client
        yield client


@pytest.fixture
def bare(alone: Shell, untouched: Client) -> Shell:
    """A shell on that Temporal."""
    return alone.having(TEMPORAL_ADDRESS=untouched.service_client.config.target_host)


def only_line(ended: Ended, code: int) -> str:
    """Assert that a command failed with this code and one line, nothing else; return the line."""
    assert (ended.code, ended.out) == (code, ""), ended
    assert re.fullmatch(r"clearance: [^\n]+\n", ended.err), ended.err
    return ended.err

"""Starts Python programs without waiting for their imports, which take most of a short one's time.

As a program, ``python -m tests.warm SOCKET``: it has imported all of ours already and forks for each
call, so that every program still is a process of its own, with its own environment, folder and files.
What depends on how Python starts (its imports, its command line) has to be started by Python.
It ends when its standard input does.
"""

import asyncio
import atexit
import contextlib
import ctypes
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class Forked:
    """A process of the program below, as asyncio has its own."""

    def __init__(self, pid: int, said: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Watch for its end, which ``said`` tells."""
        self.pid = pid
        self.returncode: int | None = None
        self._writer = writer
        self._end = asyncio.ensure_future(self._ended(said))

    async def _ended(self, said: asyncio.StreamReader) -> int:
        code = await said.read()
        self._writer.close()
        self.returncode = int(code or b"-9")  # nothing said: its parent was killed, and it with it
        return self.returncode

    async def wait(self) -> int:
        """Its exit code, once it has ended; negative where a signal ended it."""
        return await asyncio.shield(self._end)

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


Process = asyncio.subprocess.Process | Forked

DOOR = "TESTS_WARM_DOOR"
"""What names the socket of a program that serves this process, and that another one ends."""

_opening = threading.Lock()


@functools.cache
def begin() -> str:
    """Start the program below, which runs until this process ends; return where its socket will be."""
    folder = tempfile.mkdtemp(prefix="warm-")
    door = f"{folder}/door"
    program = subprocess.Popen(
        [sys.executable, "-m", __name__, door],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
    )

    def close() -> None:
        assert program.stdin is not None
        program.stdin.close()
        try:
            program.wait(10)
        except subprocess.TimeoutExpired:
            program.kill()
        shutil.rmtree(folder)

    atexit.register(close)
    return door


@functools.cache
def _opened() -> str:
    door = os.environ.get(DOOR) or begin()
    for _ in range(1_800):
        if Path(door).exists():
            return door
        time.sleep(0.1)
    raise TimeoutError("the program that starts others did not come up")


def _door() -> str:
    with _opening:
        return _opened()


async def start(
    command: Sequence[str], *, env: Mapping[str, str], cwd: Path, files: tuple[int, int, int]
) -> Forked:
    """Start a program.

    Args:
        command: what Python would be given: the path of a script or ``-m`` and a module, then what
            it is told.
        env: its whole environment.
        cwd: its folder.
        files: its input, its output and its errors. If the first is a terminal, it is its own.
    """
    call = {"command": list(command), "env": dict(env), "cwd": str(cwd)}
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(await asyncio.to_thread(_door))
    socket.send_fds(connection, [b"\n"], files)
    reader, writer = await asyncio.open_unix_connection(sock=connection)
    writer.write(json.dumps(call).encode() + b"\n")
    await writer.drain()
    return Forked(int(await reader.readline()), reader, writer)


def _serve(door: str) -> None:
    _import_all()
    gc.freeze()  # a collection in a fork would copy every page of what is imported
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{door}.new")
        listening.listen(256)
        Path(f"{door}.new").rename(door)  # there once it can be connected to
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            ready, _, _ = select.select([listening, sys.stdin], [], [])
            if sys.stdin in ready:
                return
            connection, _ = listening.accept()
            if os.fork() == 0:
                _end_with_the_parent()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listening.close()
                _answer(connection)
            connection.close()


def _import_all() -> None:
    for room in ("cli", "web", "workflows", "activities", "tools", "policy", "store"):
        package = importlib.import_module(room)
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            if not module.name.startswith("store.migrations."):
                importlib.import_module(module.name)
    for name in ("worker", "temporalio.openai_agents.testing", "tests.processes", "httpcore2"):
        importlib.import_module(name)
    from temporalio.worker._worker import load_default_build_id

    from tests import sparing

    sparing.begin()
    sparing.prepare()
    load_default_build_id()  # each worker would read again and hash all that is imported


def _end_with_the_parent() -> None:
    """Nothing outlives the tests, and keeps their output open, however they end. Only on Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _answer(connection: socket.socket) -> None:
    _, files, _, _ = socket.recv_fds(connection, 1, 3)
    call = json.loads(connection.makefile().readline())
    if (program := os.fork()) == 0:
        _end_with_the_parent()
        connection.close()
        _become(call, files)
    for file in files:
        os.close(file)
    connection.sendall(f"{program}\n".encode())
    _, status = os.waitpid(program, 0)
    connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _become(call: Any, files: Sequence[int]) -> None:
    os.setsid()
    os.chdir(call["cwd"])
    os.environ.clear()
    os.environ.update(call["env"])
    time.tzset()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    if os.isatty(0):
        import fcntl
        import termios

        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
    sys.path[:0] = [one for one in os.environ.get("PYTHONPATH", "").split(":") if one]
    os._exit(_run(call["command"]))


def _run(command: list[str]) -> int:
    try:
        if command[0] == "-m":
            sys.argv = command[1:]
            runpy.run_module(command[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = command
            runpy.run_path(command[0], run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    _serve(sys.argv[1])

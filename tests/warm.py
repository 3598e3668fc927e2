"""Starts ``clearance`` without waiting for its imports, which take most of a short command's time.

As a program, ``python -m tests.cli.warm SOCKET``: it has imported the command already and forks for
each call, so that every command still is a process of its own, with its own environment and folder.
"""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


async def run(
    door: Path,
    arguments: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    files: Sequence[Path],
) -> int:
    """Run a command to its end; its exit code.

    Args:
        door: the socket of the program below.
        arguments: of ``clearance``.
        env: its whole environment.
        cwd: its folder.
        files: what it reads, and where its output and its errors go.
    """
    reader, writer = await asyncio.open_unix_connection(door)
    call = {
        "arguments": arguments,
        "env": dict(env),
        "cwd": str(cwd),
        "files": list(map(str, files)),
    }
    writer.write(json.dumps(call).encode() + b"\n")
    try:
        return int(await reader.read())
    finally:
        writer.close()


def _serve(door: str) -> None:
    from typer.main import get_command

    from cli.app import app, main

    for command in get_command(app).commands.values():  # type: ignore[attr-defined]
        command.load()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(door)
        listening.listen(64)
        print("ready", flush=True)  # noqa: T201
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            connection, _ = listening.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listening.close()
                _answer(connection, main)
            connection.close()


def _answer(connection: socket.socket, main: Any) -> None:
    call = json.loads(connection.makefile().readline())
    if (command := os.fork()) == 0:
        os.setsid()
        os.chdir(call["cwd"])
        os.environ.clear()
        os.environ.update(call["env"])
        for number, (path, mode) in enumerate(
            zip(call["files"], (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY), strict=True)
        ):
            os.dup2(os.open(path, mode), number)
        connection.close()
        main(call["arguments"])
    _, status = os.waitpid(command, 0)
    connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


if __name__ == "__main__":
    _serve(sys.argv[1])

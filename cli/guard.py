"""Run a command that must not outlive whoever started it, however that one ends.

``python guard.py COMMAND...`` with a pipe on standard input: when the pipe closes (the starter
ended, was killed or crashed), the command is asked to stop, and killed if it doesn't. Imports
nothing but the standard library, so that it starts in a few milliseconds with ``python -I -S``.
"""

import os
import signal
import subprocess
import sys
import threading

_PATIENCE = 10.0
"""Seconds the command has between SIGTERM and SIGKILL."""


def main(command: list[str]) -> int:
    """Run the command until it ends or standard input closes; return its exit code."""
    # Ctrl-C reaches the whole terminal group; the starter decides when to stop, by closing the pipe.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    child = subprocess.Popen(  # noqa: S603 - the command comes from our own caller
        command, stdin=subprocess.DEVNULL, start_new_session=True
    )

    def stop_with_the_pipe() -> None:
        while os.read(0, 1024):
            pass
        child.terminate()
        try:
            child.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()

    threading.Thread(target=stop_with_the_pipe, daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A PostgreSQL of the tests' own: Debian's binaries, a cluster in a temporary folder."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import missing

_USER = "nobody"
"""PostgreSQL refuses to run as root, as tests in a container often do."""


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        missing("PostgreSQL", "apt-get install -y --no-install-recommends postgresql")
    return found[-1].parent


@contextmanager
def postgresql() -> Iterator[str]:
    """Run one that only a socket in its folder leads to; its address, without a database's name."""
    binaries = _binaries()
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path has at most 107 bytes
    as_root = os.geteuid() == 0
    before = ["setpriv", f"--reuid={_USER}", "--regid=nogroup", "--clear-groups"] if as_root else []

    def run(*command: str) -> None:
        done = subprocess.run(
            [*before, *command], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    if as_root:
        shutil.chown(folder, _USER, "nogroup")
    data, log = folder / "data", folder / "log"
    control = (str(binaries / "pg_ctl"), "--pgdata", str(data))
    run(
        *(str(binaries / "initdb"), "--pgdata", str(data), "--username=clearance"),
        *("--auth=trust", "--encoding=UTF8", "--no-sync"),
    )
    options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
    run(*control, "start", "--wait", "--log", str(log), "-o", options)
    try:
        yield f"postgresql://clearance@/{{name}}?host={folder}"
    finally:
        run(*control, "stop", "--mode=immediate")
        shutil.rmtree(folder)

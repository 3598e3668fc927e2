"""A small disk of its own that can be filled, and a clock that can be put wrong."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
"""Of the Debian package ``libfaketime``."""

_NAME = "clearance-faults-"
"""What is mounted is called so, and by the id of who mounted it."""


class Disk:
    """A folder, on a file system of its own where one may be mounted."""

    def __init__(self, folder: Path, *, mounted: bool) -> None:
        """Of a folder that is there."""
        self.folder, self.mounted = folder, mounted

    def fill(self) -> None:
        """Leave no byte free."""
        with (self.folder / "ballast").open("ab", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                try:
                    while file.write(b"x" * size) == size:
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        """Take away what filled it."""
        (self.folder / "ballast").unlink(missing_ok=True)


@contextmanager
def disk(folder: Path, megabytes: int) -> Iterator[Disk]:
    """One of that size; a plain folder, which nobody fills, where mounting isn't permitted."""
    folder.mkdir()
    _unmount_leftovers()
    name, size = f"{_NAME}{os.getpid()}", f"size={megabytes}m,mode=755"
    mount = ("mount", "-t", "tmpfs", "-o", size, name, str(folder))
    permitted = shutil.which("mount") is not None
    permitted = (
        permitted and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    )
    try:
        yield Disk(folder, mounted=permitted)
    finally:
        if permitted:
            subprocess.run(("umount", "--lazy", str(folder)), check=True)


def _unmount_leftovers() -> None:
    """Those of runs that were killed."""
    mounts = Path("/proc/self/mounts")
    for line in mounts.read_text().splitlines() if mounts.exists() else ():
        name, folder = line.split()[:2]
        if name.startswith(_NAME) and not psutil.pid_exists(int(name.removeprefix(_NAME))):
            subprocess.run(("umount", "--lazy", folder), capture_output=True, check=False)


class Clock:
    """By which the processes go that were started with ``environment``."""

    def __init__(self, file: Path, *, stepped: bool) -> None:
        """Right at first; and always, unless ``stepped``."""
        self._file = file
        self.available = stepped and FAKETIME.exists()
        self.set(0)

    def set(self, seconds: int) -> None:
        """Put it so much ahead, or back where that is negative; they see it within a second."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.replace(self._file)

    @property
    def environment(self) -> dict[str, str]:
        """Of a process that shall go by it; empty where the library isn't there."""
        if not self.available:
            return {}
        return {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

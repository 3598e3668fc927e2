"""What the checker knows: everything that was acknowledged, and each fault, in the order it happened."""

import json
import time
from pathlib import Path
from typing import Any

Entry = dict[str, Any]


class Journal:
    """Lines of JSON, each on disk before whoever wrote it goes on."""

    def __init__(self, path: Path) -> None:
        """Append to this file; it need not be there."""
        self.path = path

    def note(self, what: str, **said: Any) -> None:
        """Write one line: ``what`` happened, and now."""
        append(self.path, what=what, **said)

    def entries(self) -> list[Entry]:
        """All of it."""
        return lines(self.path)


def append(path: Path, **said: Any) -> None:
    """Append a line with the time; in one write, so that a process killed meanwhile leaves none half."""
    with path.open("ab", buffering=0) as file:
        file.write(json.dumps({"at": time.time(), **said}).encode() + b"\n")


def lines(path: Path) -> list[Entry]:
    """What was appended to a file; nothing where there is none."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]

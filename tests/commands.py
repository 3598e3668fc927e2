"""Every command of ``clearance``, as it is typed."""

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from cli.commands import Deferred, app

APP: Any = get_command(app)


def every_command(group: Any = APP, *path: str) -> Iterator[tuple[str, Any]]:
    """Each with its words, also those of groups: ``policy check``."""
    for name, listed in group.commands.items():
        command = listed.load() if isinstance(listed, Deferred) else listed
        if hasattr(command, "commands"):
            yield from every_command(command, *path, name)
        else:
            yield " ".join((*path, name)), command

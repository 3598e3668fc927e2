"""Whether the worker in this container polls its queues: exit 0, or 1 and the reason.

``approvals`` or ``agents`` as an argument, where it serves one of them alone. Asks Temporal, not the
process: one that runs but no longer polls is not healthy.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from temporalio.client import Client
from temporalio.service import RPCError

from clearance import ClearanceError, connect
from clearance.workers import pollers
from cli.settings import Settings, temporal_settings

SILENT = timedelta(seconds=150)
"""A poll lasts 60 s at most; no new one for this long means that there won't be one."""


async def polls(client: Client, queue: str) -> bool:
    """Whether a worker on this host asked for work of this queue lately."""
    since = datetime.now(UTC) - SILENT
    here = f"@{socket.gethostname()}"  # the SDK identifies a worker as pid@host
    return any(
        poller.identity.endswith(here) and poller.last_access_time.ToDatetime(UTC) > since
        for poller in await pollers(client, queue)
    )


async def unserved(only: Sequence[str]) -> list[str]:
    """The queues that this container is asked to serve and that it doesn't poll.

    Args:
        only: what it was told to serve alone; empty for all that its settings ask for.
    """
    settings = Settings()
    every = {"approvals": settings.approvals_queue, "agents": settings.agents_queue}
    asked = only or ["approvals", *(["agents"] if settings.has_model else [])]
    queues = [every[one] for one in asked]
    client = await connect(temporal_settings(settings))
    return [queue for queue in queues if not await polls(client, queue)]


def main() -> int:
    """Say what is wrong, if anything, and return the exit code."""
    try:
        silent = asyncio.run(unserved(sys.argv[1:]))
    except (ClearanceError, RPCError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if silent:
        sys.stderr.write(f"this worker does not poll {', '.join(silent)}\n")
    return 1 if silent else 0


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # past the interpreter's shutdown, which can abort after a Temporal client

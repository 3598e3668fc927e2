"""Whether the worker in this container polls its queues: exit 0, or 1 and the reason.

Asks Temporal, not the process: one that runs but no longer polls is not healthy.
"""

import asyncio
import os
import socket
import sys
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


async def unserved() -> list[str]:
    """The queues that this container's settings ask it to serve and that it doesn't poll."""
    settings = Settings()
    queues = [settings.approvals_queue, *([settings.agents_queue] if settings.has_model else [])]
    client = await connect(temporal_settings(settings))
    return [queue for queue in queues if not await polls(client, queue)]


def main() -> int:
    """Say what is wrong, if anything, and return the exit code."""
    try:
        silent = asyncio.run(unserved())
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

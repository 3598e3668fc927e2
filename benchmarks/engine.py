"""The embedded server, on a file as ``clearance up`` runs it, and workers in processes of their own."""

import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client

from clearance import connect
from cli import embedded

from .running import process


@dataclass(frozen=True)
class Engine:
    """A running server, and what serves on it."""

    address: str
    client: Client
    folder: Path
    """For whatever should be gone afterwards."""
    stack: AsyncExitStack

    async def serve(
        self, module: str, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> None:
        """Run ``python -m module`` until the server stops, from when it says ``ready``."""
        known = {
            "TEMPORAL_ADDRESS": self.address,
            "CLEARANCE_STATE": str(self.folder / "state"),
            "CLEARANCE_RECONCILE_EVERY": "never",  # it would work at a time of its own choice
        }
        command = (sys.executable, "-m", module, *arguments)
        running = process(*command, says="ready", environment={**known, **(environment or {})})
        await self.stack.enter_async_context(running)


@asynccontextmanager
async def engine(tuning: Sequence[str] = embedded.TUNING) -> AsyncIterator[Engine]:
    """Run one in a folder of its own, with these further arguments."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        starting = embedded.server(folder / "state", ports=(0, 0), tuning=tuning)
        server = await stack.enter_async_context(starting)
        client = await connect({"target_host": server.address})
        yield Engine(server.address, client, folder, stack)

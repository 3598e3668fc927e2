"""DBOS on PostgreSQL: ``DBOS.recv`` waits, ``DBOSClient.send`` decides.

PostgreSQL has ``fsync`` off: a decision outlives a killed process, not a power cut, just as on the
embedded server, whose SQLite is told the same. As a program, ``python -m benchmarks.others.on_dbos
DATABASE`` is the process in which the workflows wait.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.contenders import SOON, Contender, there
from benchmarks.measuring import moment

from . import Apart, apart, lines

_TOPIC = "decision"
_BINARIES = Path("/usr/lib/postgresql")


class OnDBOS:
    """A DBOS workflow in a process of its own, and a client that decides."""

    name = "DBOS on PostgreSQL"

    def __init__(self, process: Apart, address: str) -> None:
        """With the process that runs the workflows, and their database."""
        from dbos import DBOSClient

        self._process = process
        self.client = DBOSClient(system_database_url=address)

    async def ask(self, id: str) -> None:
        """As ``Contender``."""
        self._process.begin(id)

    async def waits(self, id: str) -> None:
        """As ``Contender``. Nothing tells that a workflow has come to wait; the time it takes does."""
        while await self.client.list_workflows_async(workflow_ids=[id]) == []:
            await asyncio.sleep(SOON)
        await asyncio.sleep(0.1)

    async def decide(self, id: str) -> None:
        """As ``Contender``."""
        from dbos import error

        await there(
            lambda: self.client.send_async(id, True, _TOPIC), error.DBOSNonExistentWorkflowError
        )

    async def resumed(self, id: str) -> int:
        """As ``Contender``."""
        return await self._process.resumed(id)


@asynccontextmanager
async def contender(folder: Path) -> AsyncIterator[Contender]:
    """With a PostgreSQL and a process of its own."""
    from tests.web.databases import postgresql

    with postgresql() as server:
        address = server.format(name="postgres")
        async with apart("benchmarks.others.on_dbos", address) as process:
            dbos = OnDBOS(process, address)
            try:
                yield dbos
            finally:
                dbos.client.destroy()


def lacks() -> list[str]:
    """By which command PostgreSQL is installed, unless Debian's is."""
    return [] if any(_BINARIES.glob("*/bin/initdb")) else ["apt-get install postgresql"]


async def main(address: str) -> None:
    """Let workflows wait as they are asked for."""
    from dbos import DBOS, DBOSConfig, SetWorkflowID

    DBOS(config=DBOSConfig(name="benchmark", system_database_url=address, log_level="ERROR"))

    @DBOS.workflow()
    async def wait(id: str) -> None:
        approved = await DBOS.recv_async(_TOPIC, timeout_seconds=600)
        now = moment()
        assert approved is True
        print(id, now, flush=True)

    DBOS.launch()
    print("ready", flush=True)
    async for id in lines():
        with SetWorkflowID(id):
            await DBOS.start_workflow_async(wait, id)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

"""Record the golden history of a request with more stored signals than one workflow task takes:
``python -m tests.stored_history``. Compressed: it has a thousand of them. What exists stays as it is."""

import asyncio
import gzip
import json
import re
import tempfile
from pathlib import Path

from clearance import ApprovalClient, connect
from cli import embedded
from cli.settings import Settings

from .played import FOLDER, studio
from .raw import decision
from .record_histories import plain
from .studio import WIRE

FILE = FOLDER / "approval-many-signals.json.gz"

SIGNALS = 1_001


async def main() -> None:
    """Record it, unless it is recorded."""
    if FILE.exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(state=Path(folder))
        async with embedded.server(settings.state, in_memory=True, ports=(0, 0)) as server:
            client = await connect({"target_host": server.address})
            queue = settings.approvals_queue
            asked = await ApprovalClient(client, task_queue=queue).request(WIRE, id=FILE.name[:-8])
            handle = client.get_workflow_handle(asked.id)
            for _ in range(SIGNALS):
                await handle.signal("approve", "x")
            await handle.signal("record_decision", decision(WIRE))
            async with studio(settings, server.address):
                await handle.result()
            text = json.dumps(plain((await handle.fetch_history()).to_json_dict()), sort_keys=True)
    text = re.sub(r'"\d+@[\w.-]+"', '"worker@host"', text)  # sticky queues name the machine
    FILE.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{FILE.name}: {FILE.stat().st_size / 1024:.0f} KB")  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main())

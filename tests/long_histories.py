"""Record golden histories of what goes on in another execution: ``python -m tests.long_histories``.

By a server that suggests it after a few events, so that a recording stays small. Of each workflow two:
``-goes-on`` ends by handing everything over, ``-went-on`` begins with that. What exists stays as it is.
"""

import asyncio
import json
import re
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from temporalio.openai_agents.testing import TestModelProvider

import worker
from cli import embedded
from cli.settings import Settings

from .agent_runs import EachItsOwn
from .raw import Handle
from .record_histories import plain
from .studio import ADA, WIRE, Studio
from .support import call, eventually, says

FOLDER = Path(__file__).parent / "histories"

_SUGGESTED = "--dynamic-config-value=limit.historyCount.suggestContinueAsNew=40"
_ORDER = json.dumps({"order_id": "A-1001"})
_REFUND = json.dumps({"order_id": "A-1001", "cents": 100})

Case = Callable[[Studio, str], Awaitable[Handle]]


async def approval(studio: Studio, id: str) -> Handle:
    """Commented upon until it goes on, then voted on, and left with one of two votes."""
    people = (ADA, "grace@example.com", "linus@example.com")
    wire = WIRE.model_copy(update={"audience": people, "quorum": 2})
    handle = await studio.ask(wire, id)
    for number in range(12):
        await studio.approvals.comment(handle.id, f"Number {number}", who=ADA)
    await eventually(partial(_has_gone_on, handle))
    await studio.approvals.approve(handle.id, reviewer=ADA)
    return handle


async def agent(studio: Studio, id: str) -> Handle:
    """Looks an order up until the run goes on, then refunds what a person allows."""
    looks = [[call("look_up_order", _ORDER, f"call_{number}")] for number in range(5)]
    handle = await studio.run("refund", id, *looks, [call("issue_refund", _REFUND)], [says("Done")])
    await studio.decide(f"{id}.1", True)
    await handle.result()
    return handle


CASES: dict[str, Case] = {"approval": approval, "agent": agent}


async def _has_gone_on(handle: Handle) -> bool:
    description = await handle.describe()
    first = description.raw_description.workflow_execution_info.first_run_id
    return bool(description.run_id != first)


async def record(studio: Studio, name: str) -> None:
    """Both histories of a case into their files."""
    handle = await CASES[name](studio, f"{name}-long")
    temporal = studio.client
    runs: list[str] = []

    async def listed() -> bool:
        found = temporal.list_workflows(f"WorkflowId = '{name}-long'")
        runs[:] = [one.run_id async for one in found]
        return len(runs) > 1

    await eventually(listed)
    for run_id, part in ((runs[0], "went-on"), (runs[-1], "goes-on")):
        latest: Any = temporal.get_workflow_handle(handle.id, run_id=run_id)
        history = plain((await latest.fetch_history()).to_json_dict())
        text = json.dumps(history, indent=1, sort_keys=True) + "\n"
        text = re.sub(r'"\d+@[\w.-]+"', '"worker@host"', text)  # sticky queues name the machine
        (FOLDER / f"{name}-{part}.json").write_text(text)
        print(f"{name}-{part}: {len(text) / 1024:.0f} KB")  # noqa: T201


async def main() -> None:
    """Record what isn't recorded yet."""
    missing = [name for name in CASES if not (FOLDER / f"{name}-went-on.json").exists()]
    usual, model = embedded.server_arguments, EachItsOwn()
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "server_arguments", lambda *how: [*usual(*how), _SUGGESTED])
        settings = Settings(state=Path(folder))
        async with embedded.server(settings.state, in_memory=True, ports=(0, 0)) as server:
            connection = {"target_host": server.address}
            provider = TestModelProvider(model)
            async with worker.running(settings, connection, model_provider=provider) as serving:
                studio = Studio(settings, serving.client, model)
                for name in missing:
                    await record(studio, name)


if __name__ == "__main__":
    asyncio.run(main())

"""The recorded cases, played again: which commands each workflow gives the server, and in which order."""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from temporalio.client import WorkflowFailureError
from temporalio.openai_agents.testing import TestModelProvider

import worker
from cli.settings import Settings

from .agent_runs import EachItsOwn
from .raw import Handle
from .studio import Record, Studio

FOLDER = Path(__file__).parent / "histories"

REVIEWERS = Path("tests/histories/reviewers.toml")

POLICY = Path("tests/histories/checkpoints.toml")
"""Relative: a run keeps the path as it was given, and a history names no machine."""

_AT_ONCE = 12

_NOT_COMMANDS: Final = frozenset(
    f"EVENT_TYPE_{one}"
    for one in (
        *("WORKFLOW_EXECUTION_STARTED", "WORKFLOW_EXECUTION_SIGNALED"),
        "WORKFLOW_EXECUTION_CANCEL_REQUESTED",
        *(f"WORKFLOW_TASK_{end}" for end in ("SCHEDULED", "STARTED", "COMPLETED")),
        *(f"WORKFLOW_TASK_{end}" for end in ("FAILED", "TIMED_OUT")),
        *(f"ACTIVITY_TASK_{end}" for end in ("STARTED", "COMPLETED", "FAILED", "CANCELED")),
        "TIMER_FIRED",
        *(f"CHILD_WORKFLOW_EXECUTION_{end}" for end in ("STARTED", "COMPLETED", "FAILED")),
        *(f"CHILD_WORKFLOW_EXECUTION_{end}" for end in ("CANCELED", "TERMINATED")),
        # These end when their handler does, in whichever task that is.
        "WORKFLOW_EXECUTION_UPDATE_COMPLETED",
    )
)
"""What happened to a workflow; all else it asked for."""


def commands(history: dict[str, Any]) -> list[str]:
    """What a workflow asked for: kinds of events with the names in them, no ids, no times."""
    return [_command(e) for e in history["events"] if e["eventType"] not in _NOT_COMMANDS]


def _command(event: dict[str, Any]) -> str:
    kind = event["eventType"].removeprefix("EVENT_TYPE_")
    [of] = (value for key, value in event.items() if key.endswith("EventAttributes"))
    names: dict[str, Callable[[], str]] = {
        "ACTIVITY_TASK_SCHEDULED": lambda: of["activityType"]["name"],
        "START_CHILD_WORKFLOW_EXECUTION_INITIATED": lambda: of["workflowType"]["name"],
        "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED": lambda: of["signalName"],
        "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES": lambda: _keys(of["searchAttributes"]["indexedFields"]),
        "WORKFLOW_PROPERTIES_MODIFIED": lambda: _keys(of["upsertedMemo"]["fields"]),
        "WORKFLOW_EXECUTION_UPDATE_ACCEPTED": lambda: of["acceptedRequest"]["input"]["name"],
        "MARKER_RECORDED": lambda: _marked(of),
    }
    return f"{kind} {names[kind]()}" if kind in names else kind


def _keys(fields: Iterable[str]) -> str:
    return ", ".join(sorted(fields))


def _marked(of: dict[str, Any]) -> str:
    """Of a marker its kind, and the name of the patch or of the local activity."""
    for key, named in (("patch-data", "id"), ("data", "activity_type")):
        if key in of.get("details", {}):
            data = base64.b64decode(of["details"][key]["payloads"][0]["data"])
            return f"{of['markerName']} {json.loads(data)[named]}"
    return str(of["markerName"])


def differs(case: str, history: dict[str, Any]) -> str | None:
    """Which commands of a case are others than in its newest recording; None where none are.

    In any order: it varies where several things happen at the same moment, and what isn't allowed
    to change fails to replay anyway. Of a notifier only which there are, as it tries by the clock; and
    whether it stops waiting is a matter of what it hears meanwhile, from other cases as well.
    """
    if not (recorded := recordings(case)):
        return "never recorded"
    now, then = (Counter(commands(one)) for one in (history, json.loads(recorded[-1].read_text())))
    if case.startswith("notifier-"):
        now, then = (Counter(set(one) - {"TIMER_CANCELED"}) for one in (now, then))
    changes = [*(f"+ {one}" for one in now - then), *(f"- {one}" for one in then - now)]
    return ", ".join(changes) or None


def recordings(case: str) -> list[Path]:
    """The histories of a case, oldest first: ``case.json``, ``case.2.json`` and so on."""
    numbered = sorted(FOLDER.glob(f"{case}.*.json"), key=lambda path: int(path.name.split(".")[1]))
    return [path for path in (FOLDER / f"{case}.json", *numbered) if path.exists()]


@asynccontextmanager
async def studio(settings: Settings, address: str) -> AsyncIterator[Studio]:
    """Workers with a played model, to play cases on; the queues and the state are of ``settings``."""
    model = EachItsOwn()
    settings = settings.model_copy(
        update={
            "policy": POLICY,
            "reviewers": REVIEWERS,
            "notify_digest": timedelta(seconds=1),
            "reconcile_every": None,
        }
    )
    connection = {"target_host": address}
    provider = TestModelProvider(model)
    async with worker.running(settings, connection, model_provider=provider) as serving:
        yield Studio(settings, serving.client, model)


async def play(
    cases: dict[str, Record], on: Studio, then: Callable[[str, dict[str, Any]], None]
) -> None:
    """Play cases, several at a time.

    Args:
        cases: by name.
        on: the workers.
        then: told of each, as it ends: its name and its history.
    """
    several = asyncio.Semaphore(_AT_ONCE)

    async def one(name: str) -> None:
        async with several:
            handle = await cases[name](on)
            await _settled(name, handle)
            then(name, (await handle.fetch_history()).to_json_dict())

    async with asyncio.TaskGroup() as group:
        for name in cases:
            group.create_task(one(name))


async def _settled(name: str, handle: Handle) -> None:
    """Its end, or, for one that stays open, that it has nothing to do now."""
    if name.endswith("-pending"):
        while True:
            described = (await handle.describe()).raw_description
            if not described.HasField("pending_workflow_task"):
                return
            await asyncio.sleep(0.05)
    expected = (WorkflowFailureError,) if name.endswith(("-cancel", "-stopped")) else ()
    with suppress(*expected):
        await handle.result()

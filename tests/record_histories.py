"""Record golden histories: ``python -m tests.record_histories``, in the folder of the repository.
For a release, ``--release VERSION`` notes which of them are that version's.

Each is one workflow as the current code runs it on a real server, pending or finished, in
``tests/histories/<workflow>-<case>.json``. ``test_replay`` runs all of them through the code of the
day. Record a new case when a workflow learns something new. A history that exists stays as it is for
as long as a workflow recorded like it may still be open: where the commands of a case have changed
since, it is recorded again as ``<workflow>-<case>.2.json``, and so on.
"""

import asyncio
import json
import re
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from clearance import Refused
from cli import embedded
from cli.settings import Settings

from . import audience_histories, handover_histories, policy_histories, telling_histories
from .played import FOLDER, differs, play, recordings, studio
from .raw import Handle, decision, is_taken
from .studio import ADA, WIRE, Record, Studio, into, waits_for
from .support import call, eventually, says

VERSIONS = FOLDER / "versions.json"
"""Of each released version the names of its recordings."""

CASES: dict[str, Record] = {}

case = into(CASES)


@case
async def approval_pending(studio: Studio) -> Handle:
    return await studio.ask(WIRE, "approval-pending")


@case
async def approval_approved_by_update(studio: Studio) -> Handle:
    handle = await studio.ask(WIRE, "approval-approved-by-update")
    await studio.approvals.approve(handle.id, reviewer=ADA, reason="Fine")
    return handle


@case
async def approval_rejected_by_stored_signal(studio: Studio) -> Handle:
    handle = await studio.ask(WIRE, "approval-rejected-by-stored-signal")
    await handle.signal("record_decision", decision(WIRE, approved=False, reason="Not ours"))
    return handle


@case
async def approval_approved_by_bare_signal(studio: Studio) -> Handle:
    handle = await studio.ask("Deploy?", "approval-approved-by-bare-signal")
    await handle.signal("approve", True)
    return handle


@case
async def approval_expired(studio: Studio) -> Handle:
    soon = WIRE.model_copy(update={"expires_in": timedelta(milliseconds=500)})
    return await studio.ask(soon, "approval-expired")


@case
async def approval_withdrawn_by_cancel(studio: Studio) -> Handle:
    handle = await studio.ask(WIRE, "approval-withdrawn-by-cancel")
    await handle.cancel()
    return handle


async def _refused(studio: Studio, id: str) -> Handle:
    handle = await studio.ask(WIRE, id)
    for malformed in (True, "rejected", {"ok": False}, None):
        await handle.signal("approve", malformed)
    await handle.signal("record_decision", decision("Something else?"))
    try:
        await studio.approvals.approve(handle.id, reviewer="bob@example.com")
    except Refused:
        return handle
    raise AssertionError("bob is not in the audience")


@case
async def approval_refused_attempts_pending(studio: Studio) -> Handle:
    return await _refused(studio, "approval-refused-attempts-pending")


@case
async def approval_refused_attempts_approved(studio: Studio) -> Handle:
    handle = await _refused(studio, "approval-refused-attempts-approved")
    await studio.approvals.approve(handle.id, reviewer=ADA)
    return handle


@case
async def approval_bare_string(studio: Studio) -> Handle:
    handle = await studio.client.start_workflow(
        "ApprovalWorkflow",
        "Deploy?",
        id="approval-bare-string",
        task_queue=studio.settings.approvals_queue,
    )
    await eventually(lambda: is_taken(handle))
    await handle.signal("approve", False)
    return handle


@case
async def agent_pending(studio: Studio) -> Handle:
    handle = await studio.run("assistant", "agent-pending", [asks("Wire the money")])
    await eventually(lambda: waits_for(handle, 1))
    return handle


@case
async def agent_approved(studio: Studio) -> Handle:
    handle = await studio.run(
        "assistant", "agent-approved", [asks("Wire the money")], [says("Wired")]
    )
    await studio.decide("agent-approved.1", True)
    return handle


@case
async def agent_rejected(studio: Studio) -> Handle:
    handle = await studio.run(
        "assistant", "agent-rejected", [asks("Wire the money")], [says("Not wired")]
    )
    await studio.decide("agent-rejected.1", False, "Wrong account")
    return handle


@case
async def agent_expired(studio: Studio) -> Handle:
    turns = [[asks("Wire the money")], [says("Nobody answered")]]
    return await studio.run("assistant", "agent-expired", *turns, expires_in=timedelta(seconds=1))


@case
async def agent_two_parallel(studio: Studio) -> Handle:
    handle = await studio.run(
        "assistant",
        "agent-two-parallel",
        [asks("First", "call_1"), asks("Second", "call_2")],
        [says("Half of it")],
    )
    await studio.decide("agent-two-parallel.2", True)
    await studio.decide("agent-two-parallel.1", False)
    return handle


@case
async def agent_gated_tool(studio: Studio) -> Handle:
    handle = await studio.run(
        "refund",
        "agent-gated-tool",
        [call("look_up_order", json.dumps({"order_id": "A-1001"}))],
        [call("issue_refund", json.dumps({"order_id": "A-1001", "cents": 100}), "call_2")],
        [says("Refunded")],
    )
    await studio.decide("agent-gated-tool.1", True)
    return handle


CASES |= policy_histories.CASES | audience_histories.CASES | telling_histories.CASES
CASES |= handover_histories.CASES


def asks(action: str, call_id: str = "call_1") -> Any:
    return call("wait_for_confirmation", json.dumps({"action": action}), call_id)


def plain(history: Any) -> Any:
    """Without what differs between machines: who worked on it, and paths in stack traces."""
    if isinstance(history, list):
        return [plain(one) for one in history]
    if not isinstance(history, dict):
        return history
    return {
        key: "" if key in ("identity", "stackTrace") else plain(value)
        for key, value in history.items()
    }


def write(name: str, history: dict[str, Any]) -> Path:
    """The next recording of a case, in a file of its own."""
    text = json.dumps(plain(history), indent=1, sort_keys=True) + "\n"
    text = re.sub(r'"\d+@[\w.-]+"', '"worker@host"', text)  # sticky queues name the machine
    number = len(recordings(name)) + 1
    file = FOLDER / (f"{name}.json" if number == 1 else f"{name}.{number}.json")
    file.write_text(text)
    return file


def keep(name: str, history: dict[str, Any]) -> None:
    """Record a case where its commands are others than when it was recorded last."""
    if change := differs(name, history):
        file = write(name, history)
        print(f"{file.name}: {file.stat().st_size / 1024:.0f} KB ({change})")  # noqa: T201


async def main() -> None:
    """Play every case, and record what has changed or isn't recorded yet."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(state=Path(folder))
        async with (
            embedded.server(settings.state, in_memory=True, ports=(0, 0)) as server,
            studio(settings, server.address) as on,
        ):
            await play(CASES, on, keep)


def release(version: str) -> None:
    """Note which recordings are those of a released version: of each case the newest."""
    released = json.loads(VERSIONS.read_text()) if VERSIONS.exists() else {}
    if version in released:
        raise SystemExit(f"{version} is released already: its histories stay as they are")
    released[version] = sorted(recordings(name)[-1].name for name in CASES)
    VERSIONS.write_text(json.dumps(released, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--release"]:
        release(sys.argv[2])
    else:
        asyncio.run(main())

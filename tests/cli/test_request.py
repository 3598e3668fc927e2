"""``clearance request``: a gate in any shell script."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from clearance import ApprovalClient, ApprovalSummary, ApprovalView
from cli import embedded
from cli.settings import Settings
from tests.processes import server_process, worker_process
from tests.support import eventually, unique

from .conftest import NOWHERE, Ended, Shell, only_line
from .test_pending import SUMMARY

_OUTCOME = {"approval_id", "status", "digest", "decision", "edit", "grant", "explanation"}

# What a deployment script looks like: one step, the gate, the step that needs it.
_SCRIPT = """
set -e
echo built
clearance request "Deploy v2.4" --wait {flags}
echo deployed
"""
_BRANCHES = """
clearance request "Deploy v2.4" --wait {flags} && echo deployed || echo "kept back: $?"
"""


async def _asked(approvals: ApprovalClient) -> ApprovalSummary:
    """The one request that waits."""

    async def waiting() -> list[ApprovalSummary]:
        return [one async for one in approvals.pending()]

    (one,) = await eventually(waiting, within=60)
    return one


async def _whole(approvals: ApprovalClient, said: str) -> ApprovalView:
    return await approvals.get(said.strip())


async def test_approved_goes_on(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    async with cli.start("-c", _SCRIPT.format(flags=""), command="/bin/bash") as running:
        asked = await _asked(approvals)
        await running.says(f"clearance approve {asked.id}")
        await approvals.approve(asked.id, reviewer="ada", reason="go")
        ended = await running.ends()
    assert (ended.code, ended.out) == (0, f"built\n{asked.id} is approved: go\ndeployed\n")


async def test_rejected_goes_no_further_and_a_script_can_tell_it_from_the_rest(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    async def rejected(script: str, id: str) -> Ended:
        text = script.format(flags=f"--id {id}")
        async with cli.start("-c", text, command="/bin/bash") as running:
            await running.says(f"clearance approve {id}")
            await approvals.reject(id, reviewer="ada", reason="not on a Friday")
            return await running.ends()

    one, other = unique("deploy"), unique("deploy")
    strict, branches = await asyncio.gather(rejected(_SCRIPT, one), rejected(_BRANCHES, other))
    assert (strict.code, strict.out) == (1, f"built\n{one} is rejected: not on a Friday\n")
    assert branches.out == f"{other} is rejected: not on a Friday\nkept back: 1\n"


async def test_expired_exits_3(cli: Shell, worker_running: object) -> None:
    ended = await cli("request", "Deploy v2.4", "--wait", "--expires-in", "1s")
    assert ended.code == 3
    assert ended.out.endswith("is expired: nobody decided in time\n")


async def test_withdrawn_exits_4(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    async with cli.start("request", "Deploy v2.4", "--wait") as running:
        asked = await _asked(approvals)
        await approvals.temporal.get_workflow_handle(asked.id).terminate()
        ended = await running.ends()
    assert ended.code == 4
    assert ended.out.endswith("is withdrawn: the request was withdrawn\n")


@pytest.mark.parametrize(
    ("environment", "flags", "code"),
    [
        ({"TEMPORAL_NAMESPACE": "elsewhere"}, [], 5),
        ({}, ["--risk", "huge"], 2),
        ({}, ["--bogus"], 2),
        ({"CLEARANCE_MODEL_API": "telepathy"}, [], 2),
    ],
)
async def test_every_error_has_its_code_and_says_nothing_to_a_script(
    cli: Shell, environment: dict[str, Any], flags: list[str], code: int
) -> None:
    ended = await cli.having(**environment)("request", "Deploy v2.4", "--wait", *flags)
    assert (ended.code, ended.out) == (code, "")


async def test_no_error_opens_the_gate(alone: Shell) -> None:
    shell = alone.having(TEMPORAL_ADDRESS=NOWHERE)
    strict, branches = await asyncio.gather(
        *(shell.script(script.format(flags="")) for script in (_SCRIPT, _BRANCHES))
    )
    assert (strict.code, strict.out) == (5, "built\n")
    assert branches.out == "kept back: 5\n"


async def test_a_server_that_goes_away_meanwhile_does_not_open_the_gate(
    alone: Shell, settings: Settings, tmp_path: Path
) -> None:
    port, database = embedded.free_port(0), tmp_path / "temporal.db"
    address = f"127.0.0.1:{port}"
    shell = alone.having(
        TEMPORAL_ADDRESS=address, CLEARANCE_APPROVALS_QUEUE=settings.approvals_queue
    )
    script = _BRANCHES.format(flags="--id deploy-1")
    async with AsyncExitStack() as stack:
        async with server_process(port, database):
            assert (await shell("setup")).code == 0
            gate = await stack.enter_async_context(shell.start("-c", script, command="/bin/bash"))
            await gate.says("Waiting for a person")
        assert (await shell("approve", "deploy-1")).code == 5
        assert (gate.process.returncode, gate.out.read_text()) == (None, "")

        async with server_process(port, database), worker_process(settings, address):
            assert (await shell("approve", "deploy-1")).code == 0
            ended = await gate.ends()
    assert (ended.code, ended.out) == (0, "deploy-1 is approved\ndeployed\n")


async def test_ctrl_c_leaves_the_request_waiting_and_exits_130(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    async with cli.terminal("request", "Deploy", "--wait") as terminal:
        await terminal.shows("Waiting for a person")
        terminal.interrupts()
        ended = await terminal.ends()
    assert ended.code == 130
    assert "Traceback" not in ended.out
    assert (await _asked(approvals)).status == "pending"


async def test_without_wait_it_prints_the_id_and_leaves(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    said = await cli("request", "Deploy")
    assert (said.code, said.err) == (0, "")
    assert said.out == f"{(await _asked(approvals)).id}\n"


async def test_json_without_wait_is_the_summary(cli: Shell, worker_running: object) -> None:
    said = await cli.inside("request", "Deploy", "--json", "--expires-in", "never")
    assert (said.code, said.err, set(said.json)) == (0, "", SUMMARY)
    assert (said.json["action"], said.json["deadline"]) == ("Deploy", None)


async def test_json_with_wait_is_the_outcome(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    async with cli.start("request", "Deploy", "--wait", "--json") as running:
        await approvals.reject((await _asked(approvals)).id, reviewer="ada", reason="no")
        ended = await running.ends()
    assert (ended.code, set(ended.json)) == (1, _OUTCOME)
    assert ended.json["decision"]["reason"] == "no"


async def test_a_request_carries_all_that_was_said(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    id = unique("pay")
    said = await cli.inside(
        *("request", "Pay", "--tool", "pay", "--args", '{"cents": 8000, "to": {"iban": "DE02"}}'),
        *("--risk", "critical", "--audience", "bob", "--audience", "eve", "--expires-in", "2h"),
        *("--as", "grace", "--details", "Invoice 7", "--id", id),
    )
    view = await _whole(approvals, said.out)
    assert view.id == id
    assert (view.request.tool, view.request.details) == ("pay", "Invoice 7")
    assert view.request.arguments == {"cents": 8000, "to": {"iban": "DE02"}}
    assert (view.request.risk, view.request.requester) == ("critical", "grace")
    assert view.request.audience == ("bob", "eve")
    assert view.deadline is not None
    assert (view.deadline - view.requested_at).total_seconds() == 7_200


async def test_details_come_from_a_file_or_from_the_input(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    (cli.folder / "notes.md").write_text("# Größe\n12 → 13\n")
    from_file = await cli("request", "Deploy", "--details", "@notes.md")
    assert (await _whole(approvals, from_file.out)).request.details == "# Größe\n12 → 13\n"
    from_input = await cli("request", "Deploy", "--details", "-", stdin="12 → 13\n")
    assert (await _whole(approvals, from_input.out)).request.details == "12 → 13\n"


async def test_the_same_id_asks_once(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    id = unique("deploy")
    first = await cli("request", "Deploy", "--id", id, "--json")
    assert await cli("request", "Deploy", "--id", id, "--json") == first
    async with cli.start("request", "Deploy", "--id", id, "--wait") as running:
        await running.says("Waiting for a person")
        await approvals.approve(id, reviewer="ada")
        assert (await running.ends()).code == 0
    executions = approvals.temporal.list_workflows(f"WorkflowId = '{id}'")
    assert len([one async for one in executions]) == 1


async def test_an_id_in_use_for_something_else_is_refused(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request("Deploy")
    assert asked.id in only_line(
        await cli.inside("request", "Delete", "--id", asked.id, "--wait"), 2
    )
    await approvals.approve(asked.id, reviewer="ada")
    await approvals.wait(asked.id)
    assert asked.id in only_line(
        await cli.inside("request", "Deploy", "--id", asked.id, "--wait"), 2
    )


async def test_without_a_worker_it_is_stored_and_says_so(
    cli: Shell, approvals: ApprovalClient
) -> None:
    said = await cli.inside("request", "Deploy", "--json")
    assert said.code == 0
    assert "the request is stored and waits" in said.err
    assert json.loads(said.out)["id"] == (await _asked(approvals)).id

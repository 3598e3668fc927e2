"""``clearance audit reconcile``; and what Temporal has forgotten is read from the ledger."""

import worker
from clearance import ApprovalClient, ApprovalRequest, connect
from cli.settings import EmbeddedServer, Settings
from tests.ledgers import ended, forget
from tests.support import eventually, unique

from .conftest import Shell, only_line
from .test_mcp import assistant, says

ADA = "ada@example.com"


async def _terminated(approvals: ApprovalClient, settings: Settings, id: str) -> None:
    await approvals.request(ApprovalRequest(action="Drop it", tool="sql"), id=id)
    await approvals.temporal.get_workflow_handle(id).terminate(reason="its run has ended")

    async def listed() -> bool:
        return id in {one.id async for one in ended(approvals, settings).executions()}

    await eventually(listed)


async def test_it_says_what_was_missing_and_that_nobody_could_tell_it_without_a_worker(
    cli: Shell, approvals: ApprovalClient, settings: Settings
) -> None:
    await _terminated(approvals, settings, unique("gone"))

    alone = await cli("audit", "reconcile")

    assert (alone.code, alone.out) == (1, "1 requests were missing; 0 events were written.\n")
    assert f"No worker serves {settings.approvals_queue}" in alone.err
    assert "clearance worker" in alone.err


async def test_what_temporal_has_forgotten_is_listed_and_shown_whole(
    cli: Shell, forgetting: EmbeddedServer, settings: Settings
) -> None:
    there = {"target_host": forgetting.address}
    cli = cli.having(TEMPORAL_ADDRESS=forgetting.address)
    approvals = ApprovalClient(await connect(there), task_queue=settings.approvals_queue)
    run = unique("run")
    ids = [f"{run}.{number}" for number in (1, 2, 3)]
    async with worker.running(settings, there):
        for id in ids[:2]:
            await approvals.request(ApprovalRequest(action=f"Pay {id}", tool="pay"), id=id)
            await approvals.approve(id, reviewer=ADA, reason="as agreed")
        await _terminated(approvals, settings, ids[2])
        before = await cli.inside("show", ids[0], "--json")
        listed = await cli.inside("history", "--json")
        done = await cli.inside("audit", "reconcile", "--json")
    first = await cli.inside("history", "--json")
    await forget(approvals, *ids)

    kept = await cli.inside("history", "--json")
    narrowed = await cli.inside("history", "--json", "--tool", "sql")
    shown = await cli.inside("show", ids[0], "--json")
    async with assistant(cli) as client:
        told = await says(client, "history", reviewer=ADA)
        whole = await says(client, "get_request", id=ids[0])
    panel = await cli.inside("show", ids[0])
    by_its_end = await cli.inside("show", f"{run[-5:]}.3")
    ambiguous = await cli.inside("show", run)
    unknown = await cli.inside("show", "nobody-has-this")
    doctor = await cli.inside("doctor")
    verified = await cli.inside("audit", "verify")

    assert (done.code, done.json["missing"], done.json["left"]) == (0, 1, 0)
    assert [one["id"] for one in listed.json] == [one["id"] for one in first.json] == ids[::-1]
    assert (kept.json, kept.err) == (first.json, "")
    assert [one["id"] for one in narrowed.json] == [ids[2]]
    assert (shown.json, shown.err) == (before.json, "")
    assert "in the ledger; Temporal no longer has it" in panel.out
    assert [one["written_by_others"]["id"] for one in told["requests"]] == ids[1::-1]
    assert whole["request"]["written_by_others"]["decision"]["reason"] == "as agreed"
    assert (told["warning"], whole["warning"]) == ("", "")
    assert (by_its_end.code, "Drop it" in by_its_end.out) == (0, True)
    assert "fits" in only_line(ambiguous, ambiguous.code)
    assert "nothing has the id" in only_line(unknown, unknown.code)
    assert "ok  ledger: 6 rows" in doctor.out
    assert "nothing that has ended is missing" in doctor.out
    assert (verified.code, "6 rows" in verified.out) == (0, True)


async def test_where_the_ledger_is_away_a_line_says_so_and_the_rest_is_temporals(
    cli: Shell,
    approvals: ApprovalClient,
    settings: Settings,
    worker_running: object,
) -> None:
    await approvals.request("Pay", id=(id := unique("pay")))
    await approvals.approve(id, reviewer=ADA)

    async def listed() -> bool:
        return bool([one async for one in approvals.history()])

    await eventually(listed)
    away = cli.having(CLEARANCE_LEDGER_URL="postgresql://clearance:hunter2@127.0.0.1:1/ledger")

    history = await away.inside("history")
    shown = await away.inside("show", id)
    unknown = await away.inside("show", "nobody-has-this")
    doctor = await away.inside("doctor")

    for said in (history, shown):
        assert (said.code, "Pay" in said.out) == (0, True)
        [warning] = said.err.splitlines()
        assert warning.startswith("This is without the ledger")
    assert "the ledger may have it" in only_line(unknown, unknown.code)
    assert "!!  ledger" in doctor.out
    assert "hunter2" not in history.err + shown.err + unknown.err + doctor.out

"""``clearance approve`` and ``clearance reject``."""

import pytest

from clearance import ApprovalClient, ApprovalRequest, Status
from tests.conftest import Serve
from tests.support import eventually, unique

from .conftest import Shell, only_line

_RECEIPT = {
    *("approval_id", "status", "decision_id", "recorded_at", "approvals", "quorum", "counted"),
    *("rejections", "reject_quorum", "stage", "next_stage"),
}
_VERDICTS: dict[str, Status] = {"approve": "approved", "reject": "rejected"}

both = pytest.mark.parametrize("command", ["approve", "reject"])


async def _two_listed(approvals: ApprovalClient, stem: str) -> tuple[str, str]:
    """Two waiting requests whose ids begin alike."""
    ids = (f"{stem}-one", f"{stem}-two")
    for id in ids:
        await approvals.request("Deploy", id=id)

    async def listed() -> bool:
        return len([one async for one in approvals.pending()]) == 2

    await eventually(listed)
    return ids


@both
async def test_a_decision_takes_effect_and_is_on_record(
    cli: Shell, approvals: ApprovalClient, worker_running: object, command: str
) -> None:
    asked = await approvals.request("Deploy")
    said = await cli(command, asked.id, "--as", "grace", "--reason", "as agreed on Monday")
    assert (said.code, said.err) == (0, "")
    assert said.out == f"{asked.id} is {_VERDICTS[command]}.\n"
    outcome = await approvals.wait(asked.id)
    assert outcome.status == _VERDICTS[command]
    assert outcome.decision is not None
    assert outcome.decision.reviewer == "grace"
    assert (outcome.decision.reason, outcome.decision.channel) == ("as agreed on Monday", "cli")


@both
async def test_json_carries_the_receipt(
    cli: Shell, approvals: ApprovalClient, worker_running: object, command: str
) -> None:
    asked = await approvals.request("Deploy")
    said = await cli.inside(command, asked.id, "--json")
    assert (said.code, said.err) == (0, "")
    assert set(said.json) == _RECEIPT
    assert (said.json["approval_id"], said.json["status"]) == (asked.id, _VERDICTS[command])
    assert said.json["recorded_at"] is not None


async def test_who_decides_is_the_reviewer_setting_unless_said(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request(ApprovalRequest(action="Pay", audience=("bob",)))
    said = only_line(await cli.inside("approve", asked.id), 1)
    assert "ada@example.com is not in the audience (bob)" in said
    assert (await cli.having(CLEARANCE_REVIEWER="bob").inside("approve", asked.id)).code == 0


async def test_an_empty_name_decides_as_nobody(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request("Deploy")
    assert "reviewer" in only_line(await cli.inside("approve", asked.id, "--as", ""), 2)
    assert (await approvals.get(asked.id)).status == "pending"


async def test_an_id_may_be_any_beginning_or_end(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    stem = unique("deploy")
    one, two = await _two_listed(approvals, stem)
    assert (await cli.inside("approve", f"{stem}-o")).out == f"{one} is approved.\n"
    assert (await cli.inside("reject", two[4:])).out == f"{two} is rejected.\n"


@both
async def test_an_ambiguous_id_lists_what_it_fits(
    cli: Shell, approvals: ApprovalClient, worker_running: object, command: str
) -> None:
    stem = unique("deploy")
    one, two = await _two_listed(approvals, stem)
    said = only_line(await cli.inside(command, stem), 2)
    assert one in said
    assert two in said
    assert {(await approvals.get(id)).status for id in (one, two)} == {"pending"}


@both
async def test_an_unknown_id_lists_the_nearest(
    cli: Shell, approvals: ApprovalClient, command: str
) -> None:
    stem = unique("deploy")
    one, _ = await _two_listed(approvals, stem)
    assert one in only_line(await cli.inside(command, f"{stem}-onne"), 2)


@both
async def test_what_is_decided_stays_so_and_says_by_whom_and_when(
    cli: Shell, approvals: ApprovalClient, worker_running: object, command: str
) -> None:
    asked = await approvals.request("Deploy")
    receipt = await approvals.reject(asked.id, reviewer="grace", reason="not today")
    said = only_line(await cli.inside(command, asked.id), 1)
    assert receipt.recorded_at is not None
    when = receipt.recorded_at.strftime("%Y-%m-%d %H:%M:%S UTC")
    assert f"already decided: rejected by grace at {when}" in said
    assert (await approvals.wait(asked.id)).status == "rejected"


async def test_what_was_withdrawn_takes_no_decision(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request("Deploy")
    await approvals.temporal.get_workflow_handle(asked.id).terminate()
    assert "withdrawn" in only_line(await cli.inside("approve", asked.id), 1)


@both
async def test_a_decision_on_another_digest_is_refused(
    cli: Shell, approvals: ApprovalClient, worker_running: object, command: str
) -> None:
    asked = await approvals.request("Deploy")
    said = only_line(await cli.inside(command, asked.id, "--digest", "0" * 64), 1)
    assert "read it again" in said
    assert (await approvals.get(asked.id)).status == "pending"
    assert (await cli.inside(command, asked.id, "--digest", asked.digest)).code == 0


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--digest", "abc"], "digest"),
        (["--reason", "r" * 4_001], "at most 4000 characters"),
        (["--as", "a" * 201], "at most 200 characters"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
async def test_a_malformed_decision_is_not_sent(
    cli: Shell, approvals: ApprovalClient, worker_running: object, flags: list[str], says: str
) -> None:
    asked = await approvals.request("Deploy")
    assert says in only_line(await cli.inside("approve", asked.id, *flags), 2)
    assert (await approvals.get(asked.id)).status == "pending"


@both
async def test_without_a_worker_a_decision_is_recorded_and_takes_effect_later(
    cli: Shell, approvals: ApprovalClient, serve: Serve, command: str
) -> None:
    asked = await approvals.request("Deploy")
    said = await cli(command, asked.id)
    assert (said.code, said.err) == (0, "")
    assert asked.id in said.out
    assert "is recorded; it takes effect when a worker is back" in said.out
    assert [one.id async for one in approvals.pending()] == [asked.id]
    async with serve():
        assert (await approvals.wait(asked.id)).status == _VERDICTS[command]


async def test_without_a_worker_json_says_that_it_is_not_yet_in_effect(
    cli: Shell, approvals: ApprovalClient
) -> None:
    asked = await approvals.request("Deploy")
    said = await cli.inside("approve", asked.id, "--json")
    assert (said.json["status"], said.json["recorded_at"]) == ("pending", None)

"""``clearance show``: one request whole."""

import asyncio
import re

import pytest

from clearance import ApprovalClient, ApprovalRequest, ApprovalSummary, contract
from tests.conftest import Serve
from tests.support import eventually

from .conftest import Shell, only_line

_KEYS = {
    "id",
    "status",
    "request",
    "digest",
    "requested_at",
    "deadline",
    "decision",
    "approvals",
    "rejections",
    "stage",
    "stages",
    "delegations",
    "explanation",
    "edit",
    "events",
    "refusals_uncounted",
    "complete",
}

_REFUND = ApprovalRequest(
    action="Refund Ada 129.00",
    details="She sent it back.\nIt arrived on Monday.",
    tool="issue_refund",
    arguments={"order_id": "A-1001", "cents": 12_900},
    risk="high",
    requester="grace",
    audience=("ada@example.com",),
)


@pytest.fixture
async def refund(approvals: ApprovalClient) -> ApprovalSummary:
    """A request that says everything a request can say."""
    return await approvals.request(_REFUND)


def _lines(out: str) -> list[str]:
    return [line.strip(" │╭╮╰╯─") for line in out.splitlines()]


async def test_a_pending_request_is_shown_whole(
    cli: Shell, refund: ApprovalSummary, worker_running: object
) -> None:
    shown = await cli("show", refund.id)
    assert (shown.code, shown.err) == (0, "")
    lines = _lines(shown.out)
    assert refund.id in lines[0]
    assert lines[1] == _REFUND.action
    facts = {m[1]: m[2] for line in lines if (m := re.match(r"(\w+) {2,}(.+)", line))}
    assert facts["Status"] == "pending"
    assert facts["Risk"] == "high"
    assert facts["Tool"] == "issue_refund"
    assert facts["Requester"] == "grace"
    assert facts["Audience"] == "ada@example.com"
    assert facts["Digest"] == refund.digest
    assert "(in 6 d 23 h)" in facts["Deadline"]
    assert {"She sent it back.", "It arrived on Monday."} < set(lines)
    assert {'order_id: "A-1001"', "cents: 12900"} < set(lines)
    assert re.fullmatch(r"1 .+ created by grace \(engine\)", lines[-2])


async def test_json_carries_the_whole_record(
    cli: Shell, refund: ApprovalSummary, worker_running: object
) -> None:
    shown = await cli.inside("show", "--json", refund.id)
    assert (shown.code, shown.err) == (0, "")
    view = shown.json
    assert set(view) == _KEYS
    assert view["request"] == {**_REFUND.model_dump(mode="json"), "version": contract.VERSION}
    assert (view["status"], view["decision"], view["complete"]) == ("pending", None, True)
    assert [event["kind"] for event in view["events"]] == ["created"]


async def test_a_decided_request_says_who_decided_and_what_was_refused_before(
    cli: Shell, approvals: ApprovalClient, refund: ApprovalSummary, worker_running: object
) -> None:
    handle = approvals.temporal.get_workflow_handle(refund.id)
    await handle.signal("approve", True)
    await approvals.reject(refund.id, reviewer="ada@example.com", reason="too much")
    shown = await cli.inside("show", refund.id)
    assert "rejected by ada@example.com at" in shown.out
    record = shown.out.split("Record")[1]
    assert re.search(
        r"1 .+ created .+ 2 .+ refused .+ 3 .+ rejected .+ too much", record, re.DOTALL
    )


async def test_a_request_whose_asker_ended_is_withdrawn(
    cli: Shell, approvals: ApprovalClient, refund: ApprovalSummary, worker_running: object
) -> None:
    await approvals.temporal.get_workflow_handle(refund.id).terminate()
    assert (await cli.inside("show", "--json", refund.id)).json["status"] == "withdrawn"
    shown = await cli.inside("show", refund.id)
    assert shown.code == 0
    assert re.search(r"Status +withdrawn", shown.out)


async def test_without_a_worker_the_stored_request_is_shown(
    cli: Shell, refund: ApprovalSummary
) -> None:
    shown, as_json = await asyncio.gather(cli("show", refund.id), cli("show", "--json", refund.id))
    assert shown.code == 0
    assert shown.err.startswith("No worker serves ")
    assert _REFUND.action in shown.out
    assert "no worker answered" in shown.out
    view = as_json.json
    assert (view["status"], view["events"], view["complete"]) == ("pending", [], False)


async def test_a_request_that_ended_is_shown_without_a_worker_too(
    cli: Shell, approvals: ApprovalClient, refund: ApprovalSummary, serve: Serve
) -> None:
    async with serve():
        await approvals.approve(refund.id, reviewer="ada@example.com", reason="fine")
        await approvals.wait(refund.id)
    shown = await cli.inside("show", refund.id)
    assert "approved by ada@example.com at" in shown.out
    assert ": fine" in shown.out


async def test_an_id_may_be_cut_at_either_end(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request("Deploy")

    async def listed() -> bool:
        return asked.id in [one.id async for one in approvals.pending()]

    await eventually(listed)
    for part in (asked.id[:-1], asked.id[1:], f" {asked.id} "):
        assert (await cli.inside("show", "--json", part)).json["id"] == asked.id


async def test_an_unknown_id_lists_the_nearest(cli: Shell, approvals: ApprovalClient) -> None:
    asked = await approvals.request("Deploy")

    async def offered() -> bool:
        mistyped = asked.id[:-3] + "zz" + asked.id[-2:]
        return asked.id in only_line(await cli.inside("show", mistyped), 2)

    await eventually(offered)


async def test_why_it_is_asked_and_how_to_decide_it_are_shown_as_somebody_elses_words(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request(
        _REFUND.model_copy(
            update={
                "checkpoint": "refunds",
                "policy_digest": "ab" * 32,
                "impact": "The money leaves today.",
                "user_prompt": "Refund Ada\nStatus   approved",
                "agent_message": "She sent it back.",
                "arguments": {"cents": 12_900, "password": "hunter2", "note": "[masked]"},
                "editable": ("cents",),
                "confirm_phrase": "{cents}",
                "quorum": 2,
                "audience": ("ada@example.com", "bob"),
            }
        )
    )
    shown = await cli.inside("show", asked.id)
    assert (shown.code, shown.err) == (0, "")
    facts = dict(re.findall(r"^│ (\w[\w ]*?) {2,}(.+?) *│$", shown.out, re.MULTILINE))
    assert facts["Status"] == "pending (0 of 2)"
    assert (facts["Checkpoint"], facts["Policy"]) == ("refunds", "abababababab")
    assert (facts["To approve"], facts["Editable"]) == ("type '12900'", "cents")
    assert facts["Masked"] == "/password"
    assert {"password: [masked]", 'note: "[masked]"'} < set(_lines(shown.out))
    assert "hunter2" not in shown.out
    told = shown.out.split("Why: what the agent was told")[1]
    assert "│     Status   approved" in told  # set off from the left, so no line of ours
    assert shown.out.count("She sent it back.") == 2  # the details, and what the agent said


async def test_an_edit_too_long_to_be_compared_says_so_and_shows_what_runs(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    rows = "\n".join(f"row {n},{'kept' if n % 2 else 'old'}" for n in range(2_000))
    asked = await approvals.request(
        ApprovalRequest(action="Send", tool="send", arguments={"body": rows}, editable=True)
    )
    await approvals.approve(asked.id, reviewer="ada", changes={"body": rows.replace("old", "new")})

    shown = await cli.inside("show", asked.id)

    assert (shown.code, shown.err) == (0, "")
    assert "too long to be compared here: before 2,000 lines" in shown.out
    assert "row 1998,new" in shown.out
    assert "row 1998,old" not in shown.out
    assert "cut here" not in shown.out

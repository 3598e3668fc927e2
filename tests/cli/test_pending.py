"""``clearance pending``: what waits for a person."""

import pytest

from clearance import ApprovalClient, ApprovalRequest
from tests.support import eventually, unique

from .conftest import Shell, only_line

SUMMARY = {
    "id",
    "status",
    "action",
    "tool",
    "run_id",
    "requester",
    "checkpoint",
    "risk",
    "audience",
    "quorum",
    "approvals",
    "delegates",
    "stage",
    "stages",
    "attempt",
    "due",
    "digest",
    "requested_at",
    "expires_in",
    "deadline",
}


async def _listed(approvals: ApprovalClient, count: int) -> bool:
    return len([one async for one in approvals.pending()]) == count


@pytest.fixture
async def three(approvals: ApprovalClient) -> dict[str, str]:
    """Three requests that differ in everything one can filter by; their ids by name."""
    run = unique("run")
    requests = {
        "refund": ApprovalRequest(action="Refund Ada", tool="issue_refund", risk="high"),
        "mail": ApprovalRequest(action="Mail Bob", tool="send_email", audience=("bob",)),
        "drop": ApprovalRequest(
            action="Drop a table", risk="critical", audience=("ada@example.com", "bob")
        ),
    }
    ids = {name: f"{run}.{number}" for number, name in enumerate(requests, 1)}
    for name, request in requests.items():
        await approvals.request(request.model_copy(update={"run_id": run}), id=ids[name])
    await eventually(lambda: _listed(approvals, 3))
    return {**ids, "run": run}


async def test_what_waits_is_listed_newest_first_with_what_one_needs_to_choose(
    cli: Shell, three: dict[str, str]
) -> None:
    shown = await cli("pending")
    assert shown.code == 0
    assert shown.err.startswith("No worker serves ")  # which keeps nobody from reading
    header, *lines = shown.out.splitlines()
    assert header.split() == ["ID", "ACTION", "RISK", "TOOL", "ASKED", "BY", "AGE", "LEFT"]
    assert [line.split()[0] for line in lines] == [three["drop"], three["mail"], three["refund"]]
    assert "Drop a table" in lines[0]
    assert "critical" in lines[0]
    assert "6 d 23 h" in lines[0]
    assert "send_email" in lines[1]


async def test_json_carries_the_whole_summary(cli: Shell, three: dict[str, str]) -> None:
    shown = await cli("pending", "--json")
    assert shown.code == 0
    newest = shown.json[0]
    assert set(newest) == SUMMARY
    assert (newest["id"], newest["status"]) == (three["drop"], "pending")
    assert (newest["risk"], newest["audience"]) == ("critical", ["ada@example.com", "bob"])
    assert newest["requested_at"] < newest["deadline"]


_FILTERS: list[tuple[list[str], list[str]]] = [
    (["--tool", "send_email"], ["mail"]),
    (["--risk", "high"], ["refund"]),
    (["--audience", "bob"], ["drop", "mail"]),
    (["--audience", "bob", "--risk", "critical"], ["drop"]),
    (["--tool", "it's \\ unknown"], []),
    (["--mine"], ["drop", "refund"]),
    (["--mine", "--tool", "send_email"], []),
]


async def test_a_filter_keeps_what_fits(cli: Shell, three: dict[str, str]) -> None:
    for flags, found in _FILTERS:
        shown = await cli.inside("pending", "--json", *flags)
        assert [one["id"] for one in shown.json] == [three[name] for name in found], flags


async def test_the_run_filter_keeps_that_run_s_requests(
    cli: Shell, approvals: ApprovalClient, three: dict[str, str]
) -> None:
    await approvals.request("Something else", id=f"{three['run']}0.1")
    await eventually(lambda: _listed(approvals, 4))
    shown = await cli.inside("pending", "--json", "--run", three["run"])
    assert len(shown.json) == 3


async def test_mine_goes_by_the_reviewer_setting(cli: Shell, three: dict[str, str]) -> None:
    shown = await cli.having(CLEARANCE_REVIEWER="bob").inside("pending", "--mine", "--json")
    assert [one["id"] for one in shown.json] == [three["drop"], three["mail"], three["refund"]]


async def test_what_is_decided_or_withdrawn_waits_no_more(
    cli: Shell, approvals: ApprovalClient, three: dict[str, str], worker_running: object
) -> None:
    await approvals.reject(three["mail"], reviewer="bob")
    await approvals.temporal.get_workflow_handle(three["drop"]).terminate()
    await eventually(lambda: _listed(approvals, 1))
    shown = await cli.inside("pending", "--json")
    assert [one["id"] for one in shown.json] == [three["refund"]]


async def test_nothing_waiting_is_said_beside_the_results(cli: Shell) -> None:
    shown = await cli.inside("pending")
    assert (shown.code, shown.out) == (0, "")
    assert shown.err == "Nothing waits for a person.\n"


async def test_nothing_waiting_is_an_empty_list_for_programs(cli: Shell) -> None:
    shown = await cli.inside("pending", "--json")
    assert (shown.code, shown.json, shown.err) == (0, [], "")


async def test_watch_shows_what_comes_and_goes_until_ctrl_c(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    async with cli.terminal("pending", "--watch") as terminal:
        await terminal.shows("ACTION")
        first = await approvals.request("Open the valve")
        await terminal.shows("Open the valve")
        await approvals.approve(first.id, reviewer="ada")
        await approvals.request("Close the valve")
        assert "Open the valve" not in (await terminal.shows("Close the valve")).split("ACTION")[-1]
        terminal.interrupts()
        ended = await terminal.ends()
    assert ended.code == 130
    assert "Traceback" not in ended.out
    assert "\x1b[?1049l" in ended.out, "the screen from before is back"


async def test_watch_without_a_screen_is_refused(cli: Shell) -> None:
    assert "--watch draws a screen" in only_line(await cli.inside("pending", "--watch"), 2)

"""``clearance history``: what has ended, who decided, when and why."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import typer

from clearance import ApprovalClient, ApprovalRequest
from cli.history import moment_of
from tests.support import eventually, unique

from .conftest import Shell, only_line
from .test_pending import SUMMARY

NOW = datetime(2026, 11, 21, 10, 30, tzinfo=UTC)


@pytest.fixture
async def four(approvals: ApprovalClient, worker_running: object) -> dict[str, str]:
    """Four requests that ended each in its own way; their ids by how."""
    run = unique("run")
    asked = {
        "approved": ApprovalRequest(action="Refund Ada", tool="refund", risk="high"),
        "rejected": ApprovalRequest(action="Mail Bob", tool="send_email", requester="grace"),
        "changes": ApprovalRequest(action="Mail Eve", tool="send_email"),
        "withdrawn": ApprovalRequest(action="Drop a table", requester="grace", checkpoint="sql"),
    }
    ids = {name: f"{run}.{number}" for number, name in enumerate(asked, 1)}
    for name, request in asked.items():
        await approvals.request(request.model_copy(update={"run_id": run}), id=ids[name])
    await approvals.approve(ids["approved"], reviewer="ada@example.com", reason="as agreed")
    await approvals.reject(ids["rejected"], reviewer="bob", reason="not today")
    await approvals.request_changes(ids["changes"], reviewer="bob", feedback="shorter")
    await approvals.withdraw(ids["withdrawn"], who="grace", reason="too late")

    async def listed() -> bool:
        return len([one async for one in approvals.history()]) == 4

    await eventually(listed)
    return {**ids, "run": run}


async def test_what_has_ended_is_listed_newest_first_with_who_when_and_why(
    cli: Shell, four: dict[str, str]
) -> None:
    shown = await cli("history")

    assert (shown.code, shown.err) == (0, "")
    header, *lines = shown.out.splitlines()
    assert header.split() == ["ID", "ACTION", "STATUS", "BY", "WHEN", "REASON"]
    assert [line.split()[0] for line in lines] == [
        four[name] for name in ("withdrawn", "changes", "rejected", "approved")
    ]
    when = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \w+"
    assert re.search(rf"Refund Ada +approved +ada@example\.com +{when} +as agreed", lines[3])
    assert re.search(rf"Mail Eve +rejected +bob +{when} +changes requested: shorter", lines[1])
    assert re.search(rf"Drop a table +withdrawn +- +{when} +withdrawn by grace: too late", lines[0])


async def test_json_carries_the_whole_line(cli: Shell, four: dict[str, str]) -> None:
    shown = await cli.inside("history", "--json", "--limit", "1")

    assert (shown.code, shown.err) == (0, "")
    [one] = shown.json
    assert set(one) == SUMMARY | {"closed_at", "decision", "reason"}
    assert (one["id"], one["status"]) == (four["withdrawn"], "withdrawn")


_FILTERS: list[tuple[list[str], list[str]]] = [
    (["--status", "rejected"], ["changes", "rejected"]),
    (["--reviewer", "BOB"], ["changes", "rejected"]),
    (["--tool", "refund"], ["approved"]),
    (["--requester", "grace"], ["withdrawn", "rejected"]),
    (["--risk", "high"], ["approved"]),
    (["--checkpoint", "sql"], ["withdrawn"]),
    (["--status", "rejected", "--requester", "grace"], ["rejected"]),
    (["--since", "1h", "--risk", "high"], ["approved"]),
    (["--until", "1h"], []),
    (["--since", "2020-01-01", "--until", "2020-12-31"], []),
    (["--since", "0001-01-02", "--until", "9999-12-30", "--limit", "1"], ["withdrawn"]),
    (["--limit", "2"], ["withdrawn", "changes"]),
]


async def test_a_filter_keeps_what_fits(cli: Shell, four: dict[str, str]) -> None:
    for flags, found in _FILTERS:
        shown = await cli.inside("history", "--json", *flags)
        assert [one["id"] for one in shown.json] == [four[name] for name in found], flags


async def test_the_run_filter_keeps_that_run_s(cli: Shell, four: dict[str, str]) -> None:
    assert len((await cli.inside("history", "--json", "--run", four["run"])).json) == 4
    assert (await cli.inside("history", "--json", "--run", four["run"][:-1])).json == []


async def test_where_nothing_has_ended_it_says_so(cli: Shell) -> None:
    shown = await cli.inside("history")
    assert (shown.code, shown.out, shown.err) == (0, "", "Nothing has ended yet.\n")
    assert (await cli.inside("history", "--risk", "low")).err == "Nothing that has ended fits.\n"
    assert (await cli.inside("history", "--json")).json == []


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--status", "pending"], "--status takes approved, rejected, expired, withdrawn"),
        (["--risk", "huge"], "the risks are low, medium, high and critical"),
        (["--since", "yesterday"], "--since yesterday: write a date (2026-11-01)"),
        (["--until", "never"], "--until never: write a date"),
        (["--since", "1h", "--until", "2h"], "--since is not before --until"),
        (["--limit", "0"], "greater than or equal to 1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
async def test_a_bad_filter_says_what_to_write(cli: Shell, flags: list[str], says: str) -> None:
    assert says in only_line(await cli.inside("history", *flags), 2)


@pytest.mark.parametrize(
    ("given", "at"),
    [
        ("2026-11-01T09:30Z", datetime(2026, 11, 1, 9, 30, tzinfo=UTC)),
        ("2026-11-01T09:30+02:00", datetime(2026, 11, 1, 7, 30, tzinfo=UTC)),
        ("7d", NOW - timedelta(days=7)),
        ("90s", NOW - timedelta(seconds=90)),
        ("0s", NOW),
    ],
)
def test_a_time_is_a_moment_or_an_age(given: str, at: datetime) -> None:
    assert moment_of(given, "--since", NOW) == at


def test_a_date_is_the_reader_s_own_day_from_its_beginning_or_to_its_end() -> None:
    here = datetime(2026, 11, 1).astimezone()

    assert moment_of("2026-11-01", "--since", NOW) == here
    end = moment_of("2026-11-01", "--until", NOW, whole_day=True)
    assert end == datetime(2026, 11, 2).astimezone()
    assert moment_of("2026-11-01T00:00", "--until", NOW, whole_day=True) == here
    assert moment_of(None, "--until", NOW) is None


@pytest.mark.parametrize(
    "given",
    [
        "",
        "7",
        "d",
        "-7d",
        "7y",
        "never",
        "99999999w",
        "2026-13-01",
        "0001-01-01T00:00+23:00",
        "x\n",
    ],
)
def test_what_is_no_time_is_refused(given: str) -> None:
    with pytest.raises(typer.BadParameter, match="write a date"):
        moment_of(given, "--since", NOW)

"""What people do to a request besides deciding it: comment, ask, answer, delegate, withdraw."""

import asyncio
import re

import pytest

from clearance import ApprovalClient, ApprovalRequest
from tests.conftest import Serve

from .conftest import Ended, Shell, only_line

_RECEIPT = {"approval_id", "status", "act_id", "recorded_at"}
_REFUND = ApprovalRequest(
    action="Refund Ada", requester="grace", audience=("ada@example.com", "bob")
)


async def _recorded(approvals: ApprovalClient, id: str) -> list[tuple[str, str | None, str]]:
    """Kind, person and text of everything that happened after the request was made."""
    events = (await approvals.get(id)).events[1:]
    assert {event.channel for event in events} <= {"cli"}
    return [(event.kind, event.who, event.reason) for event in events]


def _record(shown: Ended) -> str:
    return shown.out.split("Record")[1]


async def test_comments_questions_and_answers_are_in_the_record_and_decide_nothing(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request(_REFUND)
    (cli.folder / "why.txt").write_text("She sent it back.\nTwice.")

    said = [
        await cli("comment", asked.id, "I look at it tomorrow."),
        await cli("ask", asked.id, "-", stdin="Why so much?\n"),
        await cli("answer", asked.id, "@why.txt", "--as", "grace"),
    ]

    assert [(one.code, one.err) for one in said] == [(0, "")] * 3
    assert [one.out for one in said] == [
        f"Your {what} is in the record of {asked.id}.\n"
        for what in ("comment", "question", "answer")
    ]
    assert await _recorded(approvals, asked.id) == [
        ("commented", "ada@example.com", "I look at it tomorrow."),
        ("asked", "ada@example.com", "Why so much?\n"),
        ("answered", "grace", "She sent it back.\nTwice."),
    ]
    record = _record(await cli("show", asked.id))
    assert re.search(r"4 .+ answered by grace \(cli\): *│\n│ +She sent it back\. *│\n", record)
    assert re.search(r"│ {30,}Twice\. ", record)


async def test_whoever_stands_in_decides_for_whom_it_was_handed_over_by(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request(_REFUND)

    early = only_line(await cli.inside("approve", asked.id, "--as", "eve"), 1)
    said = await cli.inside("delegate", asked.id, "--to", "eve", "--reason", "on leave")
    assert (said.code, said.err) == (0, "")
    assert said.out == f"eve may decide {asked.id} for you.\n"
    shown = await cli.inside("show", asked.id)
    done = await cli.inside("approve", asked.id, "--as", "eve")

    assert "eve is not in the audience" in early
    assert re.search(r"Standing in +eve for ada@example\.com", shown.out)
    assert done.out == f"{asked.id} is approved.\n"
    after = await cli.inside("show", asked.id)
    assert "approved by eve for ada@example.com at" in after.out
    assert "delegated by ada@example.com to eve (cli): on leave" in _record(after)


async def test_who_asked_withdraws_and_nobody_else(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request(_REFUND)

    refused = only_line(await cli.inside("withdraw", asked.id), 1)
    said = await cli("withdraw", asked.id, "--as", "grace", "--reason", "she kept it")
    late = only_line(await cli.inside("comment", asked.id, "Good."), 1)

    assert "ada@example.com neither asked for this nor is an operator" in refused
    assert (said.code, said.out) == (0, f"{asked.id} is withdrawn.\n")
    outcome = await approvals.wait(asked.id)
    assert (outcome.status, outcome.reason) == ("withdrawn", "withdrawn by grace: she kept it")
    assert "withdrawn" in late
    shown = await cli.inside("show", asked.id)
    assert re.search(r"Status +withdrawn by grace: she kept it", shown.out)
    assert "refused ada@example.com (cli): ada@example.com neither asked" in _record(shown)


async def test_json_carries_the_receipt(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request(_REFUND)

    said = await cli.inside("comment", asked.id, "Fine.", "--json")

    assert (said.code, said.err, set(said.json)) == (0, "", _RECEIPT)
    assert (said.json["approval_id"], said.json["status"]) == (asked.id, "pending")
    assert said.json["recorded_at"] is not None


async def test_without_a_worker_it_is_recorded_and_takes_effect_later(
    cli: Shell, approvals: ApprovalClient, serve: Serve
) -> None:
    asked = await approvals.request(_REFUND)

    said = await asyncio.gather(
        cli("comment", asked.id, "Soon."),
        cli("delegate", asked.id, "--to", "eve"),
    )

    assert [one.out for one in said] == [
        f"Your {what} {asked.id} is recorded; it takes effect when a worker is back.\n"
        for what in ("comment on", "delegation of")
    ]
    async with serve():
        kinds = {kind for kind, *_ in await _recorded(approvals, asked.id)}
    assert kinds == {"commented", "delegated"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["comment", "ID", " \n"], "the text is empty: say something"),
        (["comment", "ID", "x" * 4_001], "at most 4000 characters"),
        (["comment", "ID", "@nowhere.txt"], "TEXT: @nowhere.txt can't be read"),
        (["ask", "ID", "Why?", "--as", ""], "who"),
        (["delegate", "ID", "--to", "a\x1b[2J"], "control character"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
async def test_what_is_malformed_is_not_sent(
    cli: Shell, approvals: ApprovalClient, worker_running: object, words: list[str], says: str
) -> None:
    asked = await approvals.request(_REFUND)

    said = await cli.inside(*(asked.id if word == "ID" else word for word in words))

    assert says in only_line(said, 2)
    assert await _recorded(approvals, asked.id) == []


async def test_reading_a_request_is_recorded_once_and_never_fails_the_command(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request(_REFUND)

    await cli.inside("show", asked.id, "--json")
    await cli.inside("show", asked.id)
    await cli.inside("show", asked.id)
    nameless = await cli.having(CLEARANCE_REVIEWER="x" * 201).inside("show", asked.id)

    assert await _recorded(approvals, asked.id) == [("viewed", "ada@example.com", "")]
    assert (nameless.code, nameless.err) == (0, "")


async def test_what_people_write_forges_no_line_of_the_record(
    cli: Shell, approvals: ApprovalClient, worker_running: object
) -> None:
    asked = await approvals.request(_REFUND)
    forged = "Fine\n9  2026-11-21 10:00:00 UTC  approved by cfo (cli)\x1b[2J"

    await cli.inside("comment", asked.id, forged, "--as", "bob")
    record = _record(await cli.inside("show", asked.id))

    [line] = [one for one in record.splitlines() if "approved by cfo" in one]
    assert re.match(r"│ {30,}9  2026", line)
    assert "\x1b" not in record

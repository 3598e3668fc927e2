"""``clearance demo``: the story in one terminal, its effect looked up in the world."""

import re
import sqlite3
from contextlib import closing
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import httpx
import pytest

from .conftest import Shell, Terminal

PROMPT = r"\[r\]eject: "
_SCRIPTED = "no model key is set, so a scripted model plays the agent.\n"


def mails(folder: Path) -> list[EmailMessage]:
    """What lies in the outbox."""
    files = sorted((folder / ".clearance" / "demo").glob("outbox/*"))
    assert all(file.suffix == ".eml" for file in files)
    return [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]


def rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    """What the shop's database answers."""
    with closing(sqlite3.connect(folder / ".clearance" / "demo" / "shop.db")) as db:
        return db.execute(query).fetchall()


async def rejects(terminal: Terminal, reason: str) -> None:
    """Answer the prompt."""
    terminal.types("r")
    await terminal.shows(r"Why not\? ")
    terminal.types(reason)


async def test_an_approved_mail_is_sent(alone: Shell) -> None:
    async with alone.terminal("demo") as terminal:
        shown = await terminal.shows(PROMPT)
        assert mails(alone.folder) == []
        terminal.types("a")
        ended = await terminal.ends()
    assert shown.splitlines()[0] == f"Clearance demo, email: {_SCRIPTED.strip()}"
    assert "Send “Your order A-1001 has shipped” to ada@example.com" in shown
    assert "your difference engine left our warehouse" in shown
    assert ended.code == 0
    assert "is approved by ada@example.com." in ended.out
    (mail,) = mails(alone.folder)
    assert (mail["To"], mail["Subject"]) == ("ada@example.com", "Your order A-1001 has shipped")
    assert "your difference engine left our warehouse" in mail.get_content()
    assert "outbox" in ended.out


async def test_a_rejected_mail_is_not_sent_and_the_agent_says_why(alone: Shell) -> None:
    async with alone.terminal("demo", "email") as terminal:
        await terminal.shows(PROMPT)
        await rejects(terminal, "she moved to Oslo")
        ended = await terminal.ends()
    assert ended.code == 0
    assert "is rejected by ada@example.com." in ended.out
    assert "The agent: I did not do it, because it was rejected: she moved to Oslo" in ended.out
    assert "nothing was sent" in ended.out
    assert mails(alone.folder) == []


async def test_an_approved_refund_is_written_once(alone: Shell) -> None:
    async with alone.terminal("demo", "refund") as terminal:
        shown = await terminal.shows(PROMPT)
        assert rows(alone.folder, "SELECT * FROM refunds") == []
        terminal.types("approve")
        ended = await terminal.ends()
    assert "Refund 12900 cents for order A-1001" in shown
    assert ended.code == 0
    assert "Refunds in the ledger: 1 " in ended.out
    assert rows(alone.folder, "SELECT order_id, cents FROM refunds") == [("A-1001", 12_900)]
    # The worker has it open from before the shop is made anew.
    with closing(sqlite3.connect(alone.folder / ".clearance" / "demo" / "ledger.db")) as ledger:
        assert ledger.execute("SELECT count(*) FROM ledger").fetchone() > (0,)
    assert "Traceback" not in ended.out


async def test_a_rejected_refund_is_not_written(alone: Shell) -> None:
    async with alone.terminal("demo", "refund") as terminal:
        await terminal.shows(PROMPT)
        await rejects(terminal, "over 100")
        ended = await terminal.ends()
    assert (ended.code, rows(alone.folder, "SELECT * FROM refunds")) == (0, [])
    assert "The agent: I did not do it, because it was rejected: over 100" in ended.out


async def test_an_approved_cleanup_deletes_what_was_shown(alone: Shell) -> None:
    async with alone.terminal("demo", "cleanup") as terminal:
        shown = await terminal.shows(PROMPT)
        assert len(rows(alone.folder, "SELECT * FROM customers")) == 5
        terminal.types("yes")
        ended = await terminal.ends()
    for name in ("Charles Babbage", "Mary Somerville", "Alan Turing"):
        assert name in shown
    assert (ended.code, rows(alone.folder, "SELECT id FROM customers")) == (0, [(1,), (4,)])


async def test_a_rejected_cleanup_deletes_nothing(alone: Shell) -> None:
    async with alone.terminal("demo", "cleanup") as terminal:
        await terminal.shows(PROMPT)
        await rejects(terminal, "")
        ended = await terminal.ends()
    assert (ended.code, len(rows(alone.folder, "SELECT * FROM customers"))) == (0, 5)
    assert "The agent: I did not do it, because it was rejected: no reason given" in ended.out


@pytest.mark.parametrize(("answer", "refunds"), [("approve", 1), ("reject", 0)])
async def test_an_answer_given_in_advance_needs_no_terminal(
    alone: Shell, answer: str, refunds: int
) -> None:
    ended = await alone("demo", "refund", "--answer", answer)
    assert ended.code == 0
    assert f"\nRefunds in the ledger: {refunds} " in ended.out
    assert len(rows(alone.folder, "SELECT * FROM refunds")) == refunds


async def test_only_a_clear_answer_counts(alone: Shell) -> None:
    async with alone.terminal("demo", "refund") as terminal:
        for unclear in ("", "maybe", "approved?", "a a", "\x1b[A"):
            await terminal.shows(PROMPT)
            terminal.types(unclear)
        await terminal.shows(PROMPT)
        assert rows(alone.folder, "SELECT * FROM refunds") == []
        terminal.types(" R ")
        await terminal.shows(r"Why not\? ")
        terminal.types("unclear")
        assert (await terminal.ends()).code == 0
    assert rows(alone.folder, "SELECT * FROM refunds") == []


async def test_each_demo_starts_from_a_fresh_shop(alone: Shell) -> None:
    for _ in range(2):
        ended = await alone("demo", "refund", "--answer", "approve")
        assert "\nRefunds in the ledger: 1 " in ended.out


async def signed_in_at(shown: str) -> httpx.Response:
    """What the inbox shows to whoever opens the link on the screen."""
    found = re.search(r"Inbox: +(http://127\.0\.0\.1:\d+/sign-in/\S+)", shown)
    assert found, shown
    async with httpx.AsyncClient(follow_redirects=True) as browser:
        return await browser.get(found[1])


async def test_the_inbox_comes_up_beside_the_question_and_has_the_request(alone: Shell) -> None:
    async with alone.terminal("demo", "refund") as terminal:
        await terminal.shows(PROMPT)
        page = await signed_in_at(await terminal.shows(PROMPT))
        assert "Refund 12900 cents for order A-1001" in page.text
        assert "Signed in as ada@example.com" in page.text
        terminal.types("a")
        ended = await terminal.ends()
    assert ended.code == 0
    assert len(rows(alone.folder, "SELECT * FROM refunds")) == 1


async def test_the_demo_goes_on_where_its_inbox_cannot_start(alone: Shell) -> None:
    shell = alone.having(CLEARANCE_DATABASE_URL="sqlite:////dev/null/clearance.db")
    async with shell.terminal("demo", "refund") as terminal:
        await terminal.shows(PROMPT)
        assert "The inbox can't be started: " in await terminal.shows(PROMPT)
        terminal.types("a")
        ended = await terminal.ends()
    assert ended.code == 0
    assert len(rows(shell.folder, "SELECT * FROM refunds")) == 1

"""``clearance demo``: the story in one terminal, its effect looked up in the world."""

import re
import sqlite3
from contextlib import closing
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import httpx

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


async def rejects(terminal: Terminal, reason: str, *, by: str = "r") -> None:
    """Answer the prompt."""
    terminal.types(by)
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


async def test_a_rejected_mail_is_not_sent_and_the_agent_says_why(beside: Shell) -> None:
    async with beside.terminal("demo", "email") as terminal:
        await terminal.shows(PROMPT)
        await rejects(terminal, "she moved to Oslo")
        ended = await terminal.ends()
    assert ended.code == 0
    assert "is rejected by ada@example.com." in ended.out
    assert "The agent: I did not do it, because it was rejected: she moved to Oslo" in ended.out
    assert "nothing was sent" in ended.out
    assert mails(beside.folder) == []


async def signed_in_at(shown: str) -> httpx.Response:
    """What the inbox shows to whoever opens the link on the screen."""
    found = re.search(r"Inbox: +(http://127\.0\.0\.1:\d+/sign-in/\S+)", shown)
    assert found, shown
    async with httpx.AsyncClient(follow_redirects=True) as browser:
        return await browser.get(found[1])


async def test_only_a_clear_answer_counts_and_each_demo_starts_from_a_fresh_shop(
    beside: Shell,
) -> None:
    """Approved, rejected, and approved in advance; with the inbox beside the question."""
    async with beside.terminal("demo", "refund") as terminal:
        assert "Refund 12900 cents for order A-1001" in await terminal.shows(PROMPT)
        page = await signed_in_at(await terminal.shows(PROMPT))
        assert "Refund 12900 cents for order A-1001" in page.text
        assert "Signed in as ada@example.com" in page.text
        for unclear in ("", "maybe", "approved?", "a a", "\x1b[A"):
            terminal.types(unclear)
            await terminal.shows(PROMPT)
        assert rows(beside.folder, "SELECT * FROM refunds") == []
        terminal.types("approve")
        ended = await terminal.ends()
    assert ended.code == 0
    assert "Refunds in the ledger: 1 " in ended.out
    assert "Traceback" not in ended.out
    assert rows(beside.folder, "SELECT order_id, cents FROM refunds") == [("A-1001", 12_900)]

    async with beside.terminal("demo", "refund") as terminal:
        await terminal.shows(PROMPT)
        assert rows(beside.folder, "SELECT * FROM refunds") == []
        await rejects(terminal, "", by=" R ")
        ended = await terminal.ends()
    assert (ended.code, rows(beside.folder, "SELECT * FROM refunds")) == (0, [])
    assert "The agent: I did not do it, because it was rejected: no reason given" in ended.out

    ended = await beside("demo", "refund", "--answer", "approve")
    assert ended.code == 0
    assert "\nRefunds in the ledger: 1 " in ended.out
    assert len(rows(beside.folder, "SELECT * FROM refunds")) == 1
    # The worker has it open from before the shop is made anew.
    with closing(sqlite3.connect(beside.folder / ".clearance" / "demo" / "ledger.db")) as ledger:
        assert ledger.execute("SELECT count(*) FROM ledger").fetchone() > (0,)


async def test_an_approved_cleanup_deletes_what_was_shown_also_where_the_inbox_cannot_start(
    beside: Shell,
) -> None:
    shell = beside.having(CLEARANCE_DATABASE_URL="sqlite:////dev/null/clearance.db")
    async with shell.terminal("demo", "cleanup") as terminal:
        shown = await terminal.shows(PROMPT)
        assert "The inbox can't be started: " in await terminal.shows(PROMPT)
        assert len(rows(shell.folder, "SELECT * FROM customers")) == 5
        terminal.types("yes")
        ended = await terminal.ends()
    for name in ("Charles Babbage", "Mary Somerville", "Alan Turing"):
        assert name in shown
    assert (ended.code, rows(shell.folder, "SELECT id FROM customers")) == (0, [(1,), (4,)])


async def test_a_cleanup_rejected_in_advance_deletes_nothing(beside: Shell) -> None:
    ended = await beside("demo", "cleanup", "--answer", "reject")
    assert (ended.code, len(rows(beside.folder, "SELECT * FROM customers"))) == (0, 5)
    assert "The agent: I did not do it, because it was rejected: no reason given" in ended.out
    assert "Customers in the table: 5 of 5" in ended.out

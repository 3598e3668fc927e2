"""A demo that waits: decided from elsewhere, interrupted, closed, killed, gone on with."""

import os
import re
import signal

import psutil

from tests.support import eventually

from .conftest import Shell, Terminal
from .test_demo import PROMPT, rows


def asked(shown: str) -> str:
    """The id of the request on the screen."""
    found = re.search(r"From another terminal here: clearance approve (\S+)", shown)
    assert found, shown
    return found[1]


async def _at_the_prompt(terminal: Terminal) -> str:
    return asked(await terminal.shows(PROMPT))


def refunds(shell: Shell) -> int:
    """How many are in the ledger."""
    return len(rows(shell.folder, "SELECT * FROM refunds"))


async def test_a_second_terminal_decides_while_the_prompt_waits(beside: Shell) -> None:
    async with beside.terminal("demo", "refund") as terminal:
        id = await _at_the_prompt(terminal)
        assert [one["id"] for one in (await beside("pending", "--json")).json] == [id]
        assert (await beside("approve", id, "--as", "grace")).out == f"{id} is approved.\n"
        ended = await terminal.ends()
    assert ended.code == 0
    assert f"{id} is approved by grace." in ended.out
    assert refunds(beside) == 1


async def test_a_second_terminal_rejects_while_the_reason_is_typed(beside: Shell) -> None:
    async with beside.terminal("demo", "refund") as terminal:
        id = await _at_the_prompt(terminal)
        terminal.types("r")
        await terminal.shows(r"Why not\? ")
        await beside("reject", id, "--as", "grace", "--reason", "I was first")
        ended = await terminal.ends()
    assert (ended.code, refunds(beside)) == (0, 0)
    assert f"{id} is rejected by grace." in ended.out
    assert "because it was rejected: I was first" in ended.out


async def test_ctrl_d_at_the_prompt_leaves_the_decision_to_others(beside: Shell) -> None:
    async with beside.terminal("demo", "refund") as terminal:
        id = await _at_the_prompt(terminal)
        terminal.keys("\x04")
        await terminal.shows("Nobody answers here")
        await beside("reject", id)
        assert (await terminal.ends()).code == 0
    assert refunds(beside) == 0


async def test_however_a_demo_ends_it_decides_nothing_and_the_next_one_goes_on_with_the_same(
    alone: Shell,
) -> None:
    """Ctrl-C, a closed terminal, SIGKILL, SIGTERM; at last it waits for somebody elsewhere."""
    async with alone.terminal("demo", "refund") as terminal:
        id = await _at_the_prompt(terminal)
        terminal.interrupts()
        ended = await terminal.ends()
    left = f"The run {id.rpartition('.')[0]} was left waiting"
    assert ended.code == 130
    assert f"{id.rpartition('.')[0]} is left waiting" in ended.out
    assert "Traceback" not in ended.out
    assert refunds(alone) == 0

    async with alone.terminal("demo", "refund") as terminal:
        shown = await terminal.shows(PROMPT)
        assert (left in shown, asked(shown), refunds(alone)) == (True, id, 0)

    async with alone.terminal("demo", "refund") as terminal:
        shown = await terminal.shows(PROMPT)
        assert (left in shown, asked(shown), refunds(alone)) == (True, id, 0)
        family = psutil.Process(terminal.process.pid).children(recursive=True)
        assert family
        os.kill(terminal.process.pid, signal.SIGKILL)

        async def gone() -> bool:
            return not any(process.is_running() for process in family)

        await eventually(gone, within=60)

    async with alone.start("demo", "refund") as demo:
        await demo.says("Nobody answers here")
        assert (left in demo.out.read_text(), asked(demo.err.read_text())) == (True, id)
        demo.signal(signal.SIGTERM)
        ended = await demo.ends()
    assert ended.code == 130
    assert "Traceback" not in ended.err
    assert refunds(alone) == 0

    async with alone.start("demo", "refund") as demo:
        await demo.says("Nobody answers here; waiting for a decision from elsewhere")
        assert (left in demo.out.read_text(), asked(demo.err.read_text())) == (True, id)
        assert refunds(alone) == 0
        assert (await alone("approve", id)).code == 0
        ended = await demo.ends()
    assert ended.code == 0
    assert "Traceback" not in ended.err
    assert refunds(alone) == 1

"""A demo that waits: decided from elsewhere, interrupted, closed, killed, gone on with."""

import os
import re
import signal

import psutil

from tests.support import eventually

from .conftest import Shell, Terminal, only_line
from .test_demo import PROMPT, rows


def _asked(shown: str) -> str:
    """The id of the request on the screen."""
    found = re.search(r"From another terminal here: clearance approve (\S+)", shown)
    assert found, shown
    return found[1]


async def _at_the_prompt(terminal: Terminal) -> str:
    return _asked(await terminal.shows(PROMPT))


def _refunds(shell: Shell) -> int:
    return len(rows(shell.folder, "SELECT * FROM refunds"))


async def test_a_second_terminal_decides_while_the_prompt_waits(alone: Shell) -> None:
    async with alone.terminal("demo", "refund") as terminal:
        id = await _at_the_prompt(terminal)
        assert (await alone("pending", "--json")).json[0]["id"] == id
        assert (await alone("approve", id, "--as", "grace")).out == f"{id} is approved.\n"
        ended = await terminal.ends()
    assert ended.code == 0
    assert f"{id} is approved by grace." in ended.out
    assert _refunds(alone) == 1


async def test_a_second_terminal_rejects_while_the_reason_is_typed(alone: Shell) -> None:
    async with alone.terminal("demo", "refund") as terminal:
        id = await _at_the_prompt(terminal)
        terminal.types("r")
        await terminal.shows(r"Why not\? ")
        await alone("reject", id, "--as", "grace", "--reason", "I was first")
        ended = await terminal.ends()
    assert (ended.code, _refunds(alone)) == (0, 0)
    assert f"{id} is rejected by grace." in ended.out
    assert "because it was rejected: I was first" in ended.out


async def _goes_on(alone: Shell, id: str) -> None:
    """The next demo has the same run and request, and approving it has the effect once."""
    async with alone.terminal("demo", "refund") as again:
        shown = await again.shows(PROMPT)
        assert f"The run {id.rpartition('.')[0]} was left waiting" in shown
        assert _asked(shown) == id
        assert _refunds(alone) == 0
        again.types("a")
        assert (await again.ends()).code == 0
    assert _refunds(alone) == 1


async def test_ctrl_c_at_the_prompt_decides_nothing_and_the_next_demo_goes_on(
    alone: Shell,
) -> None:
    async with alone.terminal("demo", "refund") as terminal:
        id = await _at_the_prompt(terminal)
        terminal.interrupts()
        ended = await terminal.ends()
    assert ended.code == 130
    assert f"{id.rpartition('.')[0]} is left waiting" in ended.out
    assert "Traceback" not in ended.out
    assert _refunds(alone) == 0
    await _goes_on(alone, id)


async def test_a_closed_terminal_decides_nothing_and_the_next_demo_goes_on(alone: Shell) -> None:
    async with alone.terminal("demo", "refund") as terminal:
        id = await _at_the_prompt(terminal)
    await _goes_on(alone, id)


async def test_a_killed_demo_leaves_no_server_and_the_next_one_goes_on(alone: Shell) -> None:
    async with alone.terminal("demo", "refund") as terminal:
        id = await _at_the_prompt(terminal)
        family = psutil.Process(terminal.process.pid).children(recursive=True)
        assert family
        os.kill(terminal.process.pid, signal.SIGKILL)

        async def ended() -> bool:
            return not any(process.is_running() for process in family)

        await eventually(ended, within=60)
    await _goes_on(alone, id)


async def test_with_nobody_at_the_keyboard_it_waits_for_a_decision_from_elsewhere(
    alone: Shell,
) -> None:
    async with alone.start("demo", "refund") as demo:
        await demo.says("Nobody answers here; waiting for a decision from elsewhere")
        id = _asked(demo.err.read_text())
        assert _refunds(alone) == 0
        assert (await alone("approve", id)).code == 0
        ended = await demo.ends()
    assert ended.code == 0
    assert "Traceback" not in ended.err
    assert _refunds(alone) == 1


async def test_ctrl_d_at_the_prompt_leaves_the_decision_to_others(alone: Shell) -> None:
    async with alone.terminal("demo", "refund") as terminal:
        id = await _at_the_prompt(terminal)
        terminal.keys("\x04")
        await terminal.shows("Nobody answers here")
        await alone("reject", id)
        assert (await terminal.ends()).code == 0
    assert _refunds(alone) == 0


async def test_sigterm_ends_it_without_a_decision(alone: Shell) -> None:
    async with alone.start("demo", "refund") as demo:
        await demo.says("Nobody answers here")
        id = _asked(demo.err.read_text())
        demo.signal(signal.SIGTERM)
        ended = await demo.ends()
    assert ended.code == 130
    assert "Traceback" not in ended.err
    assert _refunds(alone) == 0
    await _goes_on(alone, id)


async def test_a_demo_beside_up_uses_its_server_and_leaves_it_running(alone: Shell) -> None:
    async with alone.start("up") as up:
        address = (await up.says(r"Temporal: +(\S+),"))[1]
        await up.says("Ready")
        async with alone.terminal("demo", "refund") as terminal:
            shown = await terminal.shows(PROMPT)
            assert f"Temporal runs at {address}" in shown
            only_line(await alone("up"), 1)
            terminal.types("a")
            assert (await terminal.ends()).code == 0
        assert _refunds(alone) == 1
        assert (await alone("show", _asked(shown), "--json")).json["status"] == "approved"

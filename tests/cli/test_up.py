"""``clearance up``: the embedded server, the worker and the inbox, state kept."""

import asyncio
import contextlib
import re
import signal
import socket
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import aiohttp
import httpx
import psutil
import pytest

from tests.support import eventually

from .conftest import NOWHERE, Running, Shell, alone_in, only_line
from .test_demo import PROMPT
from .test_demo_waiting import asked, refunds


async def _ready(up: Running) -> tuple[str, str]:
    """Address and UI of an ``up`` that serves."""
    found = await up.says(r"Temporal: +(\S+), its UI (\S+)\n")
    await up.says("Ready")
    return found[1], found[2]


def _family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


async def _ends(processes: list[psutil.Process]) -> None:
    async def ended() -> bool:
        return not any(process.is_running() for process in processes)

    await eventually(ended, within=60)


async def _listens(listener: socket.socket, port: int) -> bool:
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen()
    except OSError:  # another test's, which will end
        return False
    return True


@pytest.fixture(scope="module")
async def shell(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shell]:
    """A shell for all tests that look at the same ``up``."""
    async with alone_in(tmp_path_factory.mktemp("up")) as shell:
        yield shell


@pytest.fixture(scope="module")
async def up(shell: Shell) -> AsyncIterator[Running]:
    """One that serves, started by Python itself.

    When it starts, the usual ports are ours; and other commands are configured to go elsewhere.
    """
    with contextlib.ExitStack() as ports:
        for port in (7233, 8233):
            listener = ports.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Where somebody's own server keeps it, it is taken already.
            with contextlib.suppress(AssertionError):
                await eventually(partial(_listens, listener, port), within=10)
        async with shell.cold().having(TEMPORAL_ADDRESS=NOWHERE).start("up") as running:
            await _ready(running)
            ports.close()
            yield running


async def test_it_says_where_temporal_and_its_ui_are_and_others_here_find_it(
    shell: Shell, up: Running
) -> None:
    address, ui = await _ready(up)
    assert re.fullmatch(r"127\.0\.0\.1:(?!7233$)\d+", address)
    assert re.fullmatch(r"http://127\.0\.0\.1:(?!8233$)\d+", ui)
    await up.says(f"Other commands reach {NOWHERE}.*TEMPORAL_ADDRESS={address}\n")
    async with aiohttp.ClientSession() as http, http.get(ui) as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
    found = (await shell("doctor", "--json")).json[0]
    assert found == {
        "check": "temporal",
        "ok": True,
        "finding": f"{address} (embedded), namespace default",
    }
    request = await shell("request", "Deploy", "--id", "deploy-1")
    assert (request.code, request.err) == (0, "")
    assert (await shell("approve", "deploy-1")).out == "deploy-1 is approved.\n"
    elsewhere = shell.having(TEMPORAL_ADDRESS=NOWHERE)
    assert (await elsewhere("pending")).code == 5, "the environment comes first"


async def test_a_second_one_here_is_refused(shell: Shell, up: Running) -> None:
    address, _ = await _ready(up)
    said = only_line(await shell("up"), 1)
    assert address in said
    assert "CLEARANCE_STATE" in said
    assert (await shell("pending")).code == 0


async def test_its_inbox_has_what_waits(shell: Shell, up: Running) -> None:
    link = (await up.says(r"Inbox: +(http://127\.0\.0\.1:\d+/sign-in/\S+)"))[1]
    await shell("request", "Deploy the new thing")
    another = (await shell("sign-in")).out.strip()
    async with httpx.AsyncClient(follow_redirects=True) as browser:
        assert "Deploy the new thing" in (await browser.get(link)).text
        browser.cookies.clear()
        assert "Deploy the new thing" in (await browser.get(another)).text
    # What it answered is in the state folder, without what opens it.
    log = (shell.folder / ".clearance" / "inbox.log").read_text()
    assert "GET /sign-in/{token} 303" in log
    assert link.rpartition("/")[2] not in log


async def test_a_demo_beside_it_uses_its_server_and_leaves_it_running(
    shell: Shell, up: Running
) -> None:
    address, _ = await _ready(up)
    none = await shell("runs")
    assert (none.code, none.out, none.err) == (0, "", "No agent has run yet.\n")
    assert (await shell("runs", "--json")).json == []
    async with shell.terminal("demo", "refund") as terminal:
        shown = await terminal.shows(PROMPT)
        assert f"Temporal runs at {address}" in shown
        terminal.types("a")
        assert (await terminal.ends()).code == 0
    assert refunds(shell) == 1
    assert (await shell("show", asked(shown), "--json")).json["status"] == "approved"


async def test_of_two_started_here_at_once_one_serves_and_one_elsewhere_has_its_own_server(
    alone: Shell,
) -> None:
    elsewhere = alone.having(CLEARANCE_STATE="elsewhere")
    async with (
        alone.start("up") as one,
        alone.start("up") as other,
        elsewhere.start("up") as there,
    ):
        ends = {asyncio.create_task(up.process.wait()): up for up in (one, other)}
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED, timeout=60)
        (loser,) = (ends[task] for task in done)
        only_line(await loser.ends(), 1)
        here = other if loser is one else one
        assert not set(await _ready(here)) & set(await _ready(there))
        await alone("request", "Deploy", "--id", "deploy-1")
        assert [one["id"] for one in (await alone("pending", "--json")).json] == ["deploy-1"]
        assert (await elsewhere("pending", "--json")).json == []


async def test_however_it_ends_nothing_is_left_running_and_the_next_one_has_everything(
    alone: Shell,
) -> None:
    """Ctrl-C, SIGTERM, a closed terminal, SIGKILL; at last it is the server that dies."""
    async with alone.terminal("up") as terminal:
        await terminal.shows("Ready")
        await alone("request", "Deploy", "--id", "deploy-1", "--details", "v2.4")
        family = _family(terminal.process.pid)
        terminal.interrupts()
        ended = await terminal.ends()
    assert (ended.code, "Traceback" in ended.out) == (0, False)
    assert not [process for process in family if process.is_running()]

    for number in (signal.SIGTERM, signal.SIGHUP):
        async with alone.start("up") as up:
            await _ready(up)
            assert (await alone("show", "deploy-1", "--json")).json["request"]["details"] == "v2.4"
            family = _family(up.pid)
            up.signal(number)
            ended = await up.ends()
        assert ended.code == 0
        assert "what waits goes on waiting" in ended.err.splitlines()[-1]
        assert not [process for process in family if process.is_running()]

    async with alone.start("up") as up:
        await _ready(up)
        family = _family(up.pid)
        assert any("temporal" in process.name() for process in family)
        up.process.kill()
        await up.ends()
        await _ends(family)

    async with alone.start("up") as up:
        await _ready(up)
        assert (await alone("show", "deploy-1", "--json")).json["status"] == "pending"
        assert (await alone("approve", "deploy-1")).out == "deploy-1 is approved.\n"
        (server,) = (p for p in _family(up.pid) if Path(p.exe()).name == "temporal")
        server.kill()
        ended = await up.ends()
    assert ended.code == 1
    assert ended.err.splitlines()[-1].startswith("clearance: the embedded server ended")


async def test_a_database_that_is_none_is_one_line(alone: Shell) -> None:
    (alone.folder / ".clearance").mkdir()
    (alone.folder / ".clearance" / "temporal.db").write_text("no database " * 1000)
    assert "the embedded server ended" in only_line(await alone("up"), 1)


async def test_a_state_folder_that_cannot_be_used_is_one_line(alone: Shell) -> None:
    (alone.folder / "file").touch()
    shell = alone.having(CLEARANCE_STATE="file/state")
    assert "the state folder can't be used" in only_line(await shell("up"), 1)


async def test_a_broken_agents_module_ends_it_and_its_server(alone: Shell) -> None:
    shell = alone.having(CLEARANCE_AGENTS="missing", OPENAI_BASE_URL="http://127.0.0.1:1/v1")
    ended = await shell("up")
    assert (ended.code, ended.out) == (1, "")
    assert re.fullmatch("clearance: missing: importing it fails.*", ended.err.splitlines()[-1])


async def test_an_inbox_that_cannot_start_ends_it_with_the_reason(alone: Shell) -> None:
    ended = await alone.having(CLEARANCE_DATABASE_URL="mysql://host/db")("up")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines()[-1].startswith("clearance: mysql: the databases are")

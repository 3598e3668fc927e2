"""``clearance up``: the embedded server and the worker, state kept."""

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

from .conftest import NOWHERE, Running, Shell, only_line

_STOPS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])


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


async def test_it_says_where_temporal_and_its_ui_are_and_others_here_find_it(alone: Shell) -> None:
    async with alone.cold().start("up") as up:
        address, ui = await _ready(up)
        async with aiohttp.ClientSession() as http, http.get(ui) as answer:
            assert (answer.status, answer.content_type) == (200, "text/html")
        found = (await alone("doctor", "--json")).json[0]
        assert found == {
            "check": "temporal",
            "ok": True,
            "finding": f"{address} (embedded), namespace default",
        }
        asked = await alone("request", "Deploy", "--id", "deploy-1")
        assert (asked.code, asked.err) == (0, "")
        assert (await alone("approve", "deploy-1")).out == "deploy-1 is approved.\n"
        elsewhere = alone.having(TEMPORAL_ADDRESS=NOWHERE)
        assert (await elsewhere("pending")).code == 5, "the environment comes first"


async def test_where_other_commands_are_configured_to_go_elsewhere_it_says_so(
    alone: Shell,
) -> None:
    async with alone.having(TEMPORAL_ADDRESS=NOWHERE).start("up") as up:
        found = await up.says(r"Temporal: +(\S+),")
        await up.says(f"Other commands reach {NOWHERE}.*TEMPORAL_ADDRESS={found[1]}\n")
        await up.says("Ready")


@pytest.fixture
async def usual_ports_taken() -> AsyncIterator[None]:
    """We listen where Temporal and its UI usually do."""
    with contextlib.ExitStack() as stack:
        for port in (7233, 8233):
            listener = stack.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Where somebody's own server keeps it, it is taken already.
            with contextlib.suppress(AssertionError):
                await eventually(partial(_listens, listener, port), within=10)
        yield


async def _listens(listener: socket.socket, port: int) -> bool:
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen()
    except OSError:  # another test's, which will end
        return False
    return True


async def test_taken_ports_are_left_alone(alone: Shell, usual_ports_taken: None) -> None:
    async with alone.start("up") as up:
        address, ui = await _ready(up)
        assert address.startswith("127.0.0.1:")
        assert not address.endswith(":7233")
        assert not ui.endswith(":8233")
        assert (await alone("pending", "--json")).json == []


async def test_a_second_one_here_is_refused(alone: Shell) -> None:
    async with alone.start("up") as up:
        address, _ = await _ready(up)
        said = only_line(await alone("up"), 1)
        assert address in said
        assert "CLEARANCE_STATE" in said
        assert (await alone("pending")).code == 0


async def test_of_two_started_here_at_once_one_serves(
    alone: Shell, usual_ports_taken: None
) -> None:
    async with alone.start("up") as one, alone.start("up") as other:
        ends = {asyncio.create_task(up.process.wait()): up for up in (one, other)}
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED, timeout=60)
        (loser,) = (ends[task] for task in done)
        only_line(await loser.ends(), 1)
        await _ready(other if loser is one else one)


async def test_two_started_at_once_in_different_folders_serve_two_servers(alone: Shell) -> None:
    elsewhere = alone.having(CLEARANCE_STATE="elsewhere")
    async with alone.start("up") as here, elsewhere.start("up") as there:
        assert not set(await _ready(here)) & set(await _ready(there))
        await alone("request", "Deploy", "--id", "deploy-1")
        assert [one["id"] for one in (await alone("pending", "--json")).json] == ["deploy-1"]
        assert (await elsewhere("pending", "--json")).json == []


@_STOPS
async def test_stopped_it_leaves_nothing_running_and_what_waits_is_there_again(
    alone: Shell, number: signal.Signals
) -> None:
    async with alone.start("up") as up:
        await _ready(up)
        await alone("request", "Deploy", "--id", "deploy-1", "--details", "v2.4")
        family = _family(up.pid)
        up.signal(number)
        ended = await up.ends()
    assert ended.code == 0
    assert "what waits goes on waiting" in ended.err.splitlines()[-1]
    assert not [process for process in family if process.is_running()]
    async with alone.start("up") as up:
        await _ready(up)
        assert (await alone("show", "deploy-1", "--json")).json["request"]["details"] == "v2.4"
        assert (await alone("approve", "deploy-1")).out == "deploy-1 is approved.\n"


async def test_ctrl_c_stops_it_cleanly(alone: Shell) -> None:
    async with alone.terminal("up") as terminal:
        await terminal.shows("Ready")
        terminal.interrupts()
        ended = await terminal.ends()
    assert ended.code == 0
    assert "Traceback" not in ended.out


async def test_killed_its_server_ends_too_and_the_next_one_has_everything(alone: Shell) -> None:
    async with alone.start("up") as up:
        await _ready(up)
        await alone("request", "Deploy", "--id", "deploy-1")
        family = _family(up.pid)
        assert any("temporal" in process.name() for process in family)
        up.process.kill()
        await up.ends()
        await _ends(family)
    async with alone.start("up") as up:
        await _ready(up)
        assert (await alone("show", "deploy-1", "--json")).json["status"] == "pending"
        assert (await alone("reject", "deploy-1")).out == "deploy-1 is rejected.\n"


async def test_a_server_that_dies_ends_it_with_the_reason(alone: Shell) -> None:
    async with alone.start("up") as up:
        await _ready(up)
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


async def test_its_inbox_has_what_waits(alone: Shell) -> None:
    async with alone.start("up") as up:
        await _ready(up)
        link = (await up.says(r"Inbox: +(http://127\.0\.0\.1:\d+/sign-in/\S+)"))[1]
        await alone("request", "Deploy the new thing")
        another = (await alone("sign-in")).out.strip()
        async with httpx.AsyncClient(follow_redirects=True) as browser:
            assert "Deploy the new thing" in (await browser.get(link)).text
            browser.cookies.clear()
            assert "Deploy the new thing" in (await browser.get(another)).text
        # What it answered is in the state folder, without what opens it.
        log = (alone.folder / ".clearance" / "inbox.log").read_text()
        assert "GET /sign-in/{token} 303" in log
        assert link.rpartition("/")[2] not in log


async def test_an_inbox_that_cannot_start_ends_it_with_the_reason(alone: Shell) -> None:
    ended = await alone.having(CLEARANCE_DATABASE_URL="mysql://host/db")("up")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines()[-1].startswith("clearance: mysql: the databases are")

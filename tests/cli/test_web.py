"""``clearance web`` and ``sign-in``: the inbox as a process, and the ways in that commands print."""

import asyncio
import re
import signal
import socket
import sqlite3
from contextlib import closing

import httpx
import pytest

from cli import embedded

from .conftest import NOWHERE, Running, Shell, only_line

_STOPS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])


@pytest.fixture
def shell(cli: Shell) -> Shell:
    """On this session's Temporal, with a port of its own for the inbox."""
    return cli.having(CLEARANCE_WEB_PORT=str(embedded.free_port(0)))


async def link(process: Running) -> str:
    """The address that it prints once it serves."""
    found = await process.says(r"Inbox: +(https?://\S+)")
    await process.says("Ready")
    return found[1]


async def signs_in(address: str) -> str:
    """Open a link as a browser does; whose name the page then shows at its top."""
    async with httpx.AsyncClient(follow_redirects=True) as browser:
        answer = await browser.get(address)
        found = re.search(r'title="Signed in as ([^"]+)"', answer.text)
        assert found, answer.text
        return found[1]


async def test_it_prints_a_link_that_signs_the_reviewer_in_once(shell: Shell) -> None:
    async with shell.start("web") as web:
        address = await link(web)
        assert address.startswith(f"http://127.0.0.1:{shell.env['CLEARANCE_WEB_PORT']}/sign-in/")
        assert await signs_in(address) == "ada@example.com"
        async with httpx.AsyncClient() as browser:
            again = await browser.get(address)
        assert again.status_code == 403


async def test_sign_in_prints_another_link_for_whoever_is_named(shell: Shell) -> None:
    async with shell.start("web") as web:
        await link(web)
        mine, grace = await shell("sign-in"), await shell("sign-in", "--as", "grace@example.com")
        assert (mine.code, mine.err) == (0, "")
        assert await signs_in(mine.out.strip()) == "ada@example.com"
        assert await signs_in(grace.out.strip()) == "grace@example.com"


async def test_sign_in_says_where_no_inbox_runs(shell: Shell) -> None:
    said = await shell("sign-in")
    assert said.code == 0
    assert said.out.startswith(f"http://127.0.0.1:{shell.env['CLEARANCE_WEB_PORT']}/sign-in/")
    assert "No inbox runs with this state folder" in said.err


@pytest.mark.parametrize("name", ["", " ", "group:finance", "a\nb", "x" * 201])
async def test_a_name_that_is_none_is_refused(shell: Shell, name: str) -> None:
    only_line(await shell.inside("sign-in", "--as", name), 2)


async def test_a_public_address_is_the_one_that_is_printed(shell: Shell) -> None:
    shell = shell.having(CLEARANCE_PUBLIC_URL="https://approvals.example.com/")
    async with shell.start("web") as web:
        assert (await link(web)).startswith("https://approvals.example.com/sign-in/")


@_STOPS
async def test_stopped_it_ends_at_once_though_somebody_listens(
    shell: Shell, number: signal.Signals
) -> None:
    async with shell.start("web") as web:
        address = await link(web)
        async with httpx.AsyncClient(follow_redirects=True) as browser:
            page = await browser.get(address)
            (live,) = re.findall(r'hx-sse:connect="([^"]+)"', page.text)
            stream = browser.build_request("GET", str(httpx.URL(address).join(live)))
            answer = await browser.send(stream, stream=True)
            lines = answer.aiter_lines()
            assert await anext(lines)
            web.signal(number)
            async for _ in lines:
                pass
        ended = await web.ends()
    assert (ended.code, ended.out) == (0, "")
    assert "Traceback" not in ended.err
    assert "Cancel" not in ended.err


async def test_what_opens_something_is_in_no_line_of_its_log(shell: Shell) -> None:
    token = (await shell("token", "create", "--name", "ci", "--scopes", "read")).out.strip()
    async with shell.start("web") as web:
        address = await link(web)
        await signs_in(address)
        async with httpx.AsyncClient(base_url=httpx.URL(address).join("/")) as service:
            await service.get(
                "/api/v1/requests?tool=secret-query",
                headers={"Authorization": f"Bearer {token}", "Cookie": "clearance=secret-cookie"},
            )
            await service.get("/l/secret-link")
            await service.get("/secret-path")
        log = (await web.says(r"GET - 404 \d+ms -\n")).string
    assert re.search(r"GET /sign-in/\{token\} 303 \d+ms -\n", log)
    assert re.search(r"GET / 200 \d+ms person\n", log)
    assert re.search(r"GET /l/\{token\} 403 \d+ms -\n", log)
    without_the_banner = log.replace(address, "")
    for secret in (address.rpartition("/")[2], token, "secret-"):
        assert secret not in without_the_banner


async def test_a_taken_port_is_one_line(shell: Shell) -> None:
    with closing(socket.create_server(("127.0.0.1", int(shell.env["CLEARANCE_WEB_PORT"])))):
        assert "can't listen on 127.0.0.1" in only_line(await shell("web"), 1)


async def test_an_unreachable_temporal_is_one_line(shell: Shell) -> None:
    only_line(await shell.having(TEMPORAL_ADDRESS=NOWHERE)("web"), 5)


async def test_beyond_this_machine_it_wants_to_know_who_somebody_is(shell: Shell) -> None:
    beyond = shell.having(CLEARANCE_WEB_HOST="0.0.0.0")  # noqa: S104 - is refused
    said = only_line(await beyond("web"), 2)
    assert "CLEARANCE_OIDC_ISSUER" in said
    assert "clearance token create" in said

    await beyond("token", "create", "--name", "gone", "--scopes", "read")
    await beyond("token", "revoke", "gone")
    only_line(await beyond("web"), 2)

    await beyond("token", "create", "--name", "ci", "--scopes", "read")
    async with beyond.start("web") as web:
        assert "/sign-in/" not in await link(web), "nobody signs in by a link there"
        only_line(await beyond("sign-in"), 2)


async def test_with_a_provider_no_command_signs_anybody_in(shell: Shell) -> None:
    shell = shell.having(
        CLEARANCE_OIDC_ISSUER="https://id.example.com", CLEARANCE_OIDC_CLIENT_ID="clearance"
    )
    async with shell.start("web") as web:
        assert "/sign-in/" not in await link(web)
        assert "open http://127.0.0.1" in only_line(await shell("sign-in"), 2)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CLEARANCE_PUBLIC_URL", "approvals.example.com"),
        ("CLEARANCE_PUBLIC_URL", "https://approvals.example.com/inbox"),
        ("CLEARANCE_PUBLIC_URL", "https://a:b@approvals.example.com"),
        ("CLEARANCE_WEB_PORT", "eighty"),
        ("CLEARANCE_WEB_PORT", "70000"),
        ("CLEARANCE_TRUSTED_PROXIES", "10.0.0.1, proxy"),
        ("CLEARANCE_OIDC_ISSUER", "http://id.example.com"),
        ("CLEARANCE_OIDC_CLIENT_ID", "only-this"),
    ],
)
async def test_a_setting_that_makes_no_sense_is_named(
    shell: Shell, variable: str, value: str
) -> None:
    assert variable in only_line(await shell.having(**{variable: value}).inside("web"), 2)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://root@host/db",
        "sqlite",
        "sqlite:////dev/null/x.db",
        "postgresql://u:pw@127.0.0.1:1/x",
    ],
)
async def test_a_database_that_cannot_be_used_is_one_line_without_its_password(
    shell: Shell, url: str
) -> None:
    said = only_line(await shell.having(CLEARANCE_DATABASE_URL=url)("web"), 1)
    assert ":pw@" not in said


async def test_a_file_that_is_no_database_is_one_line(shell: Shell) -> None:
    (shell.folder / "no.db").write_text("no database " * 100)
    shell = shell.having(CLEARANCE_DATABASE_URL="sqlite:///no.db")
    assert "sqlite:///no.db can't be used" in only_line(await shell("web"), 1)


async def test_the_database_is_for_nobody_else_and_keeps_no_secret_as_it_is(shell: Shell) -> None:
    signs = (await shell("sign-in")).out.strip().rpartition("/")[2]
    token = (await shell("token", "create", "--name", "ci", "--scopes", "read")).out.strip()
    (file,) = shell.folder.glob("state/clearance.db")
    assert file.stat().st_mode & 0o077 == 0
    with closing(sqlite3.connect(file)) as db:
        dump = "\n".join(db.iterdump())
    assert "api_tokens" in dump
    assert signs not in dump
    assert token.rpartition("_")[2] not in dump


async def test_two_inboxes_on_one_folder_share_who_is_signed_in(shell: Shell) -> None:
    other = shell.having(CLEARANCE_WEB_PORT=str(embedded.free_port(0)))
    async with shell.start("web") as one, other.start("web") as two:
        first, second = await asyncio.gather(link(one), link(two))
        async with httpx.AsyncClient(follow_redirects=True) as browser:
            await browser.get(first)
            assert (await browser.get(httpx.URL(second).join("/"))).status_code == 200

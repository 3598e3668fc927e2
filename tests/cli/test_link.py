"""``clearance link``: one person's way to one request, made and revoked from a terminal."""

import re
from pathlib import Path

import httpx
import pytest

from cli import embedded
from cli.settings import Settings

from .conftest import Shell, only_line

pytestmark = pytest.mark.usefixtures("worker_running")

CFO = "cfo@example.com"


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """With a group, for the worker and for the commands in this folder."""
    file = tmp_path / "reviewers.toml"
    file.write_text(f'[groups]\nfinance = ["{CFO}"]\n')
    return settings.model_copy(update={"reviewers": file})


@pytest.fixture
def shell(cli: Shell) -> Shell:
    """On this session's Temporal, with a port of its own for the inbox."""
    return cli.having(CLEARANCE_WEB_PORT=str(embedded.free_port(0)))


async def asked(shell: Shell, *more: str) -> str:
    """A request that waits for the CFO; its id."""
    return (await shell.inside("request", "Wire the money", "--audience", CFO, *more)).out.strip()


async def test_a_link_opens_the_request_until_it_is_revoked(shell: Shell) -> None:
    id = await asked(shell)
    async with shell.start("web") as web, httpx.AsyncClient() as browser:
        await web.says("Ready")
        made = await shell("link", id[:-2], "--for", CFO)
        address = made.out.strip()
        page = await browser.get(address)
        assert (made.code, page.status_code) == (0, 200)
        assert "Wire the money" in page.text
        assert f"opens {id} as {CFO}, until" in made.err
        assert "Only this machine" in made.err

        ended = await shell("link", id, "--revoke")
        assert ended.out == f"1 link to {id} revoked: {CFO}.\n"
        assert (await browser.get(address)).status_code == 410


async def test_revoking_one_persons_links_leaves_the_others(shell: Shell) -> None:
    id = await asked(shell, "--audience", "mary@example.com")
    for who in (CFO, CFO, "mary@example.com"):
        await shell.inside("link", id, "--for", who)

    assert (await shell.inside("link", id, "--revoke", "--for", CFO)).out.startswith("2 links to ")
    nothing = await shell.inside("link", id, "--revoke", "--for", CFO)
    assert (nothing.code, nothing.out) == (0, "")
    assert "holds" in nothing.err
    assert (await shell.inside("link", id, "--revoke")).out.endswith(
        " revoked: mary@example.com.\n"
    )


async def test_its_address_is_the_public_one(shell: Shell) -> None:
    shell = shell.having(CLEARANCE_PUBLIC_URL="https://approvals.example.com")
    made = await shell.inside("link", await asked(shell), "--for", CFO)
    assert re.fullmatch(r"https://approvals\.example\.com/l/[\w.-]+\n", made.out)
    assert "Only this machine" not in made.err


async def test_a_request_that_has_ended_gets_no_link(shell: Shell) -> None:
    id = await asked(shell)
    await shell.inside("reject", id, "--as", CFO)
    assert f"{id} is rejected already" in only_line(await shell.inside("link", id, "--for", CFO), 2)


async def test_who_cannot_decide_gets_no_link(shell: Shell) -> None:
    id = await asked(shell)
    said = only_line(await shell.inside("link", id, "--for", "eve@example.com"), 2)
    assert f"eve@example.com is not among those who may decide {id}: {CFO}" in said


async def test_where_anybody_may_decide_everybody_gets_a_link(shell: Shell) -> None:
    id = (await shell.inside("request", "Deploy")).out.strip()
    assert (await shell.inside("link", id, "--for", "eve@example.com")).code == 0


async def test_members_of_a_group_get_a_link_and_others_none(shell: Shell) -> None:
    id = (await shell.inside("request", "Pay", "--audience", "group:finance")).out.strip()
    assert (await shell.inside("link", id, "--for", CFO)).code == 0
    assert "not among those" in only_line(await shell.inside("link", id, "--for", "eve"), 2)


async def test_where_no_file_says_who_is_in_a_group_anybody_gets_a_link(shell: Shell) -> None:
    id = (await shell.inside("request", "Pay", "--audience", "group:finance")).out.strip()
    (shell.folder / "reviewers.toml").unlink()
    assert (await shell.inside("link", id, "--for", "eve@example.com")).code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--for NAME"),
        (("--for", ""), "is no name"),
        (("--for", "group:finance"), "is a group"),
        (("--for", CFO, "--expires", "never"), "after at most 90d"),
        (("--for", CFO, "--expires", "91d"), "after at most 90d"),
        (("--for", CFO, "--expires", "0s"), "after at most 90d"),
        (("--for", CFO, "--expires", "tomorrow"), "is no duration"),
    ],
)
async def test_what_makes_no_sense_makes_no_link(
    shell: Shell, arguments: tuple[str, ...], said: str
) -> None:
    assert said in only_line(await shell.inside("link", "any", *arguments), 2)


async def test_an_unknown_request_gets_no_link(shell: Shell) -> None:
    only_line(await shell.inside("link", "no-such-request", "--for", CFO), 2)

"""``clearance token``: made once, shown once, listed, revoked."""

import re

import pytest

from .conftest import NOWHERE, Shell, only_line


@pytest.fixture
def shell(alone: Shell) -> Shell:
    """Tokens need no Temporal."""
    return alone.having(TEMPORAL_ADDRESS=NOWHERE)


async def test_a_token_is_printed_once_and_alone(shell: Shell) -> None:
    made = await shell("token", "create", "--name", "ci", "--scopes", "request, read")

    assert made.code == 0
    assert re.fullmatch(r"clr_[0-9a-f]{12}_[\w-]{43}\n", made.out)
    assert "ci (read, request) holds until" in made.err
    assert made.out.strip() not in (await shell("token", "list")).out


async def test_the_list_says_what_each_is_for_and_whether_it_holds(shell: Shell) -> None:
    create = ("token", "create", "--name")
    await shell.inside(*create, "ci", "--scopes", "request,read", "--expires", "never")
    await shell.inside(
        *create, "bot", "--scopes", "decide-as:cfo@example.com,read", "--expires", "30d"
    )
    await shell.inside(*create, "old", "--scopes", "read")
    assert (await shell("token", "revoke", "old")).out == "old is revoked.\n"

    ci, bot, old = (await shell.inside("token", "list", "--json")).json
    shown = await shell.inside("token", "list")

    assert (ci["scopes"], ci["expires_at"], ci["status"]) == (["read", "request"], None, "holds")
    assert (bot["scopes"], bot["decides_as"]) == (["decide", "read"], "cfo@example.com")
    assert (old["status"], old["revoked_at"] is None) == ("revoked", False)
    assert not {"secret", "secret_hash", "token"} & ci.keys()
    for word in ("ci", "bot", "cfo@example.com", "never", "revoked"):
        assert word in shown.out


async def test_an_empty_list_says_so(shell: Shell) -> None:
    said = await shell.inside("token", "list")
    assert (said.code, said.out, said.err) == (0, "", "There are no tokens.\n")
    assert (await shell.inside("token", "list", "--json")).json == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--scopes", "admin"), "'admin'"),
        (("--scopes", ""), "''"),
        (("--scopes", "read:cfo@example.com"), "'read:cfo@example.com'"),
        (("--scopes", "decide-as:"), "'decide-as:'"),
        (("--scopes", "decide"), "decide needs --as"),
        (("--scopes", "read", "--as", "cfo@example.com"), "goes with the scope decide"),
        (("--scopes", "decide", "--as", "group:finance"), "is a group"),
        (("--scopes", "decide", "--as", ""), "is no name"),
        (("--scopes", "decide-as:a@example.com", "--as", "b@example.com"), "as one person"),
        (("--scopes", "read", "--expires", "soon"), "'soon' is no duration"),
        (("--scopes", "read", "--expires", "0d"), "has to hold"),
    ],
)
async def test_what_makes_no_sense_makes_no_token(
    shell: Shell, arguments: tuple[str, ...], said: str
) -> None:
    assert said in only_line(await shell.inside("token", "create", "--name", "ci", *arguments), 2)
    assert (await shell.inside("token", "list", "--json")).json == []


@pytest.mark.parametrize("name", ["", "a\nb", "\x1b[2J", "x" * 201])
async def test_a_token_needs_a_name_of_one_line(shell: Shell, name: str) -> None:
    only_line(await shell.inside("token", "create", "--name", name, "--scopes", "read"), 2)


async def test_a_name_is_used_once_also_after_its_token_was_revoked(shell: Shell) -> None:
    await shell.inside("token", "create", "--name", "ci", "--scopes", "read")
    await shell.inside("token", "revoke", "ci")

    again = await shell.inside("token", "create", "--name", "ci", "--scopes", "read")

    assert "there is a token 'ci' already" in only_line(again, 2)


async def test_revoking_what_there_is_not_is_one_line(shell: Shell) -> None:
    assert "no token 'ci'" in only_line(await shell.inside("token", "revoke", "ci"), 2)


async def test_asking_for_others_goes_with_asking(alone: Shell) -> None:
    made = await alone.inside("token", "create", "--name", "app", "--scopes", "request,request-for")
    refused = await alone.inside("token", "create", "--name", "b", "--scopes", "read,request-for")

    assert made.code == 0, made.err
    assert "request, request-for" in made.err
    assert "request-for goes with the scope request" in only_line(refused, 2)

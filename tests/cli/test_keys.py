"""``clearance keys``: new, rotate, list."""

import json

import pytest

from clearance import keyfile, keys

from .conftest import Shell, only_line


async def test_keys_are_made_rotated_and_listed_and_never_shown(alone: Shell) -> None:
    made = await alone("keys", "new", "keys.json")
    path = alone.folder / "keys.json"
    first = keyfile.read(path).current
    assert (made.code, made.out, made.err) == (0, f"keys.json has the key {first}.\n", "")
    refused = await alone("keys", "new", "keys.json")
    assert only_line(refused, 2) == "clearance: keys.json exists: nothing was written\n"

    added = await alone("keys", "rotate", "keys.json")
    second = keyfile.read(path).waiting
    assert added.out == f"keys.json has the key {second}, and still uses {first}.\n"
    assert "clearance keys rotate keys.json --now" in added.err
    assert f"the key {second} waits already" in only_line(
        await alone("keys", "rotate", "keys.json"), 2
    )
    listed = await alone("keys", "list", "keys.json", "--json")
    assert [(one["id"], one["use"]) for one in listed.json] == [
        (first, "current"),
        (second, "waits"),
    ]
    used = await alone("keys", "rotate", "keys.json", "--now")
    assert used.out == f"keys.json uses the key {second}; the others stay readable.\n"
    shown = await alone("keys", "list", "keys.json")
    assert [line.split()[-1] for line in shown.out.splitlines()] == ["USE", "kept", "current"]

    said = "".join(one.out + one.err for one in (made, refused, added, listed, used, shown))
    plain = json.loads(path.read_text())
    assert not [one["key"] for one in plain["keys"].values() if one["key"] in said]
    assert plain["names"] not in said


@pytest.mark.parametrize("command", ["rotate", "list"])
async def test_what_is_no_key_file_is_refused(alone: Shell, command: str) -> None:
    (alone.folder / "mine.json").write_text("{}")
    line = only_line(await alone("keys", command, "mine.json"), 2)
    assert line.startswith('clearance: the key file mine.json: its "kind" is not ')
    await alone("keys", "new", "encrypting.json")
    line = only_line(await alone("keys", "public", "encrypting.json"), 2)
    assert "this is a file of encryption keys, and one of signing keys is needed" in line


async def test_a_kind_that_there_is_not_is_refused(alone: Shell) -> None:
    line = only_line(await alone("keys", "new", "keys.json", "--kind", "house"), 2)
    assert f"they are {', '.join(keys.KINDS)}" in line

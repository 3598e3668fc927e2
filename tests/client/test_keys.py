"""Key files: what is refused, how they rotate, and that nothing tells what a key is."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clearance import keyfile, keys
from clearance.keyfile import KeyFile
from clearance.keys import InvalidKeys, KeyRing

ENCRYPTION = keys.KINDS["encryption"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    keyfile.create(path, keys.new(ENCRYPTION))
    return path


def secrets(ring: KeyRing) -> list[str]:
    found = [one.data for one in ring.keys.values()] + ([ring.names] if ring.names else [])
    return [form for data in found for form in (keys.encoded(data), repr(data), data.hex())]


def test_a_new_file_is_only_its_owners_and_is_read_as_it_was_written(path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
    ring = keyfile.read(path, ENCRYPTION)
    assert keys.dumped(ring) == path.read_text()
    assert list(ring.keys) == [ring.current]
    assert ring.waiting is None
    assert [len(one.data) for one in ring.keys.values()] == [32]
    assert list(path.parent.iterdir()) == [path]


def test_nothing_is_overwritten(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(InvalidKeys, match="exists: nothing was written"):
        keyfile.create(path, keys.new(ENCRYPTION))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_new_key_waits_until_it_is_put_to_use_and_no_key_is_lost(path: Path) -> None:
    first = keyfile.read(path)
    added = keyfile.change(path)
    assert added.current == first.current
    assert added.waiting is not None
    with pytest.raises(InvalidKeys, match=f"the key {added.waiting} waits already"):
        keyfile.change(path)
    used = keyfile.change(path, now=True)
    assert (used.current, used.waiting) == (added.waiting, None)
    at_once = keyfile.change(path, now=True)
    assert len(at_once.keys) == 3
    assert at_once.current not in used.keys
    assert at_once.names == first.names
    for id, key in first.keys.items():
        assert at_once.keys[id] == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert keyfile.read(path) == at_once


def test_of_many_that_rotate_at_once_none_loses_a_key(path: Path) -> None:
    rotating = [
        threading.Thread(target=keyfile.change, args=(path,), kwargs={"now": True})
        for _ in range(8)
    ]
    for one in rotating:
        one.start()
    for one in rotating:
        one.join()
    assert len(keyfile.read(path).keys) == 9


def test_a_running_process_sees_a_changed_file_and_keeps_what_it_had_while_that_is_broken(
    path: Path,
) -> None:
    file = KeyFile(path, ENCRYPTION)
    before = file.ring()
    assert file.ring() is before
    after = keyfile.change(path, now=True)
    assert file.ring() == after
    path.write_text("{")
    assert file.ring() == after
    path.unlink()
    assert file.ring() == after
    keyfile.create(path, before)
    assert file.ring() == before


def with_key(**change: Any) -> Callable[[dict[str, Any]], None]:
    def apply(plain: dict[str, Any]) -> None:
        [key] = plain["keys"].values()
        key.update(change)

    return apply


def without(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda plain: plain.pop(name)


def having(**change: Any) -> Callable[[dict[str, Any]], None]:
    return lambda plain: plain.update(change)


GOOD = keys.encoded(b"k" * 32)

WRONG = (
    (having(kind="clearance-other"), 'its "kind" is not clearance-encryption'),
    (having(kind=["clearance-encryption"]), 'its "kind" is not clearance-encryption'),
    (without("kind"), 'its "kind" is not clearance-encryption'),
    (having(current="other"), 'its "current" names none of its keys'),
    (having(current=7), 'its "current" names none of its keys'),
    (without("current"), 'its "current" names none of its keys'),
    (without("keys"), 'its "keys" are 1 to 100 keys'),
    (having(keys={}), 'its "keys" are 1 to 100 keys'),
    (having(keys=[GOOD]), 'its "keys" are 1 to 100 keys'),
    (having(keys={"a b": {}}), "the id of its key 1 takes letters"),
    (having(keys={"a": GOOD}), 'its key a takes "key" and "created"'),
    (with_key(key=keys.encoded(b"k" * 31)), "is no 32 bytes of base64url"),
    (with_key(key=keys.encoded(b"k" * 33)), "is no 32 bytes of base64url"),
    (with_key(key="+" * 43), "is no 32 bytes of base64url"),
    (with_key(key=7), "is no 32 bytes of base64url"),
    (with_key(key=""), "is no 32 bytes of base64url"),
    (with_key(created="yesterday"), 'has no "created" time with its zone'),
    (with_key(created="2026-11-21T10:00:00"), 'has no "created" time with its zone'),
    (without("names"), 'its "names" is no 32 bytes of base64url'),
    (having(secret="x"), "it has 1 fields that a key file doesn't have"),
)


@pytest.mark.parametrize(("change", "said"), WRONG)
def test_what_is_wrong_with_a_file_is_said_in_a_line_without_its_keys(
    path: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    ring = keyfile.read(path)
    plain = json.loads(path.read_text())
    change(plain)
    path.write_text(json.dumps(plain))
    with pytest.raises(InvalidKeys) as raised:
        keyfile.read(path, ENCRYPTION)
    text = str(raised.value)
    assert text.startswith(f"the key file {path}: ")
    assert said in text
    assert "\n" not in text
    assert not [one for one in secrets(ring) if one in text]
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is no JSON"),
        (b"\xff\xfe", "it is no JSON"),
        (b'["' + b"[" * 5_000, "it is no JSON"),
        (b"[" * 20_000, "it is no JSON"),
        (b"[]", 'its "kind" is not'),
        (b" " * 70_000, "it is too large"),
    ],
)
def test_what_is_no_key_file_is_refused(path: Path, content: bytes, said: str) -> None:
    path.write_bytes(content)
    with pytest.raises(InvalidKeys, match=said):
        keyfile.read(path)


@pytest.mark.parametrize("mode", [0o604, 0o606, 0o644, 0o620, 0o601])
def test_a_file_that_others_read_or_change_is_refused(path: Path, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(InvalidKeys, match="chmod 600"):
        keyfile.read(path)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o440, 0o640])
def test_a_group_may_read_a_file_that_it_was_given(path: Path, mode: int) -> None:
    path.chmod(mode)
    assert keyfile.read(path).current


def test_a_file_that_is_missing_or_a_folder_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(InvalidKeys, match=f"the key file {path} can't be read"):
            keyfile.read(path)
    with pytest.raises(InvalidKeys, match="can't be read"):
        keyfile.change(tmp_path / "none" / "keys.json")
    with pytest.raises(InvalidKeys, match="can't be written"):
        keyfile.create(tmp_path / "none" / "keys.json", keys.new(ENCRYPTION))


def test_no_representation_holds_a_key(path: Path) -> None:
    ring = keyfile.read(path)
    shown = repr(ring) + str(list(ring.keys.values()))
    assert not [one for one in secrets(ring) if one in shown]

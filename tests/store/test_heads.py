"""Signed heads, their key, and the file they are kept in."""

import asyncio
import errno
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from clearance import InvalidRequest
from store.ledger import Head, Ledger, heads, sign_head
from store.ledger.heads import Shortened

from .asked import kept_by
from .tampering import change, unguarded


def test_a_head_is_of_whoever_signed_it_and_of_nothing_else() -> None:
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    signed = heads.sign(Head(7, "ab" * 32), key)
    assert heads.check(signed, [other.public_key(), key.public_key()])
    assert not heads.check(signed, [other.public_key()])
    assert not heads.check(signed, [])
    for change_ in ({"position": 6}, {"hash": "cd" * 32}, {"at": "2026"}, {"signature": "ü"}):
        assert not heads.check(signed.model_copy(update=change_), [key.public_key()])


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    public = heads.new_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert heads.public_text(heads.load_key(path).public_key()) == public
    assert heads.public_text(heads.load_public(public + "\n")) == public
    with pytest.raises(InvalidRequest, match="never overwritten"):
        heads.new_key(path)
    with pytest.raises(InvalidRequest, match="No such file"):
        heads.new_key(tmp_path / "none" / "key.pem")


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    heads.new_key(path)
    path.chmod(0o640)
    with pytest.raises(InvalidRequest, match=r"others may read this private key: chmod 600"):
        heads.load_key(path)
    path.chmod(0o600)
    path.write_bytes(b"-----BEGIN NOTHING-----")
    with pytest.raises(InvalidRequest, match="is no key"):
        heads.load_key(path)
    curve = generate_private_key(SECP256R1())
    path.write_bytes(curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(InvalidRequest, match="no Ed25519 key"):
        heads.load_key(path)
    with pytest.raises(InvalidRequest, match="No such file"):
        heads.load_key(tmp_path / "none")
    for text in ("", "AAAA", "no base 64", "ü"):
        with pytest.raises(InvalidRequest, match="no public key"):
            heads.load_public(text)


async def test_a_head_is_signed_where_there_is_something_new(tmp_path: Path) -> None:
    key, file = tmp_path / "key.pem", tmp_path / "heads.jsonl"
    heads.new_key(key)
    async with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        assert await sign_head(ledger, key, file) is None
        await ledger.append([kept_by("ada")])
        first = await sign_head(ledger, key, file)
        assert await sign_head(ledger, key, file) is None
        await ledger.append([kept_by("ada", id="pay.2")])
        second = await sign_head(ledger, key, file)
        assert heads.read(file) == [first, second]
        assert (await ledger.verify(heads.read(file))).count == 0


async def test_a_ledger_that_lost_what_was_signed_is_not_signed_again(tmp_path: Path) -> None:
    key, file, path = (tmp_path / name for name in ("key.pem", "heads.jsonl", "ledger.db"))
    heads.new_key(key)
    async with Ledger.open(f"sqlite:///{path}") as ledger:
        await ledger.append([kept_by("ada", id=f"pay.{number}") for number in range(3)])
        await sign_head(ledger, key, file)
        await asyncio.to_thread(unguarded, path)
        await asyncio.to_thread(change, path, "DELETE FROM ledger WHERE position > 4")
        with pytest.raises(Shortened, match=r"ends at 4, .* up to 6: clearance audit verify"):
            await sign_head(ledger, key, file)
        await ledger.append([kept_by("eve", id="pay.9")])
        with pytest.raises(Shortened):
            await sign_head(ledger, key, file)
    assert len(heads.read(file)) == 1


async def test_a_disk_that_fills_while_a_head_is_signed_ends_no_signing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, file = tmp_path / "key.pem", tmp_path / "heads.jsonl"
    heads.new_key(key)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        await ledger.append([kept_by("ada")])
        first = await sign_head(ledger, key, file)
        before = await asyncio.to_thread(file.read_bytes)
        await ledger.append([kept_by("ada", id="pay.2")])
        with monkeypatch.context() as disk:
            disk.setattr(os, "fsync", full)
            with pytest.raises(InvalidRequest, match="No space left"):
                await sign_head(ledger, key, file)
        assert await asyncio.to_thread(file.read_bytes) == before

        torn = before + before[:50]  # by a crash: nobody could take it back
        await asyncio.to_thread(file.write_bytes, torn)
        assert heads.read(file) == [first]
        second = await sign_head(ledger, key, file)
        assert heads.read(file) == [first, second]
        assert (await asyncio.to_thread(file.read_bytes)).startswith(torn)  # it is only appended to
        await ledger.append([kept_by("ada", id="pay.3")])
        copied = (
            await asyncio.to_thread(file.read_bytes)
        ).rstrip()  # whole, without its line's end
        await asyncio.to_thread(file.write_bytes, copied)
        third = await sign_head(ledger, key, file)
        assert heads.read(file) == [first, second, third]


async def test_a_file_of_heads_that_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "heads.jsonl"
    for line in ("{}", "no", '{"position": -1}'):
        file.write_text(f"\n{line}\n")
        with pytest.raises(InvalidRequest, match="line 2: that is no signed head"):
            heads.read(file)
    file.write_bytes(b"\xff")
    with pytest.raises(InvalidRequest, match="no signed heads"):
        heads.read(file)
    with pytest.raises(InvalidRequest, match="No such file"):
        heads.read(tmp_path / "none")
    key = tmp_path / "key.pem"
    heads.new_key(key)
    async with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        await ledger.append([kept_by("ada")])
        with pytest.raises(InvalidRequest, match="No such file"):
            await sign_head(ledger, key, tmp_path / "none" / "heads.jsonl")

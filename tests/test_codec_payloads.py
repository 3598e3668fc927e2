"""The codec itself: what it encrypts, what it refuses to decrypt, and how a client comes by it."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DefaultFailureConverterWithEncodedAttributes
from temporalio.exceptions import ApplicationError
from temporalio.openai_agents import OpenAIAgentsPlugin
from temporalio.openai_agents.testing import TestModelProvider

from clearance import attributes, connect, keyfile, keys
from clearance.codec import ENCODING, KEY_ID, OVERHEAD, Encryption, encryption_of, words_of
from clearance.keyfile import KeyFile
from clearance.keys import InvalidKeys

from .support import PlayedModel

ENCRYPTION = keys.KINDS["encryption"]
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"zebrafish"')


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    keyfile.create(path, keys.new(ENCRYPTION))
    return path


@pytest.fixture
def codec(path: Path) -> Encryption:
    return Encryption(KeyFile(path, ENCRYPTION))


async def test_a_payload_comes_back_as_it_was_and_nothing_of_it_shows(codec: Encryption) -> None:
    [one, other] = await codec.encode([PLAIN, PLAIN])
    assert one.metadata["encoding"] == ENCODING
    assert one.metadata[KEY_ID] == (codec.current or "").encode()
    assert b"zebrafish" not in one.SerializeToString()
    assert b"json/plain" not in one.SerializeToString()
    assert one.data[:12] != other.data[:12]
    assert await codec.decode([one, PLAIN, other]) == [PLAIN] * 3


@pytest.mark.parametrize("size", [0, 2_000_000])
async def test_encryption_adds_few_bytes_whatever_the_size(codec: Encryption, size: int) -> None:
    payload = Payload(metadata={"encoding": b"binary/plain"}, data=b"x" * size)
    [encrypted] = await codec.encode([payload])
    assert encrypted.ByteSize() - payload.ByteSize() <= OVERHEAD
    assert await codec.decode([encrypted]) == [payload]


async def test_what_was_changed_is_refused(codec: Encryption) -> None:
    [good] = await codec.encode([PLAIN])
    for place in (0, 12, len(good.data) // 2, len(good.data) - 1):
        changed = bytearray(good.data)
        changed[place] ^= 1
        await refuses(codec, bytes(changed), "is not as it was written")
    for data in (b"", good.data[:11], good.data[:12], good.data[:-1], good.data + b"x"):
        await refuses(codec, data, "is not as it was written")


async def refuses(codec: Encryption, data: bytes, said: str, id: str | None = None) -> None:
    metadata = {"encoding": ENCODING, KEY_ID: (id or codec.current or "").encode()}
    with pytest.raises(InvalidKeys, match=re.escape(said)):
        await codec.decode([Payload(metadata=metadata, data=data)])


async def test_the_id_of_the_key_is_bound_to_what_it_encrypted(
    codec: Encryption, path: Path
) -> None:
    [good] = await codec.encode([PLAIN])
    ring = keyfile.read(path)
    [key] = ring.keys.values()
    path.unlink()  # the same key by another id: the id in a payload can't be exchanged
    keyfile.create(path, replace(ring, keys={**ring.keys, "twin": replace(key, id="twin")}))
    await refuses(codec, good.data, "is not as it was written", id="twin")
    for id in ("gone", "", "../../etc/passwd", "x" * 5_000, "a\nb"):
        unknown = Payload(metadata={"encoding": ENCODING, KEY_ID: id.encode()}, data=good.data)
        with pytest.raises(InvalidKeys) as raised:
            await codec.decode([unknown])
        assert f"{path} lacks: add it there" in str(raised.value)
        assert len(str(raised.value)) < 500
        assert "\n" not in str(raised.value)


async def test_data_of_an_old_key_is_readable_after_a_rotation_and_new_data_has_the_new_key(
    codec: Encryption, path: Path
) -> None:
    [old] = await codec.encode([PLAIN])
    keyfile.change(path)
    [between] = await codec.encode([PLAIN])
    assert between.metadata[KEY_ID] == old.metadata[KEY_ID]
    rotated = keyfile.change(path, now=True)
    [new] = await codec.encode([PLAIN])
    assert new.metadata[KEY_ID].decode() == rotated.current
    assert new.metadata[KEY_ID] != old.metadata[KEY_ID]
    assert await codec.decode([old, between, new]) == [PLAIN] * 3


async def test_the_words_of_a_failure_are_encrypted_and_told_with_the_key(
    codec: Encryption,
) -> None:
    from temporalio.converter import PayloadConverter

    failure = Failure()
    converter = DefaultFailureConverterWithEncodedAttributes()
    error = ApplicationError("zebrafish", {"reason": "zebrafish"}, type="Refused")
    converter.to_failure(error, PayloadConverter.default, failure)
    await codec.encode_failure(failure)
    assert b"zebrafish" not in failure.SerializeToString()
    assert failure.application_failure_info.type == "Refused"
    assert await words_of(failure, codec) == "zebrafish"
    assert await words_of(failure, Encryption(None)) == "Encoded failure"
    assert await words_of(Failure(message="Plain", cause=failure), codec) == "zebrafish"
    assert await words_of(Failure(message="Plain"), codec) == "Plain"


async def test_every_client_encrypts_by_the_file_that_the_environment_names(
    connection: dict[str, Any], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEARANCE_ENCRYPTION_KEYS", str(path))
    plugin = OpenAIAgentsPlugin(model_provider=TestModelProvider(PlayedModel()))
    for plugins in ([], [plugin]):
        client = await connect(connection, plugins=plugins)
        [payload] = await client.data_converter.encode(["zebrafish"])
        assert payload.metadata["encoding"] == ENCODING
        assert await client.data_converter.decode([payload]) == ["zebrafish"]
        expected = DefaultFailureConverterWithEncodedAttributes
        assert client.data_converter.failure_converter_class is expected
        found = encryption_of(client)
        assert found is not None
        assert found.listed("ada@example.com") is None


async def test_a_setting_that_is_wrong_keeps_a_client_from_connecting(
    connection: dict[str, Any], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEARANCE_HASH_REQUESTER", "true")
    with pytest.raises(
        InvalidKeys, match="CLEARANCE_HASH_REQUESTER needs CLEARANCE_ENCRYPTION_KEYS"
    ):
        await connect(connection)
    monkeypatch.setenv("CLEARANCE_HASH_REQUESTER", "perhaps")
    with pytest.raises(InvalidKeys, match="CLEARANCE_HASH_REQUESTER is true or false"):
        await connect(connection, keys=path)
    monkeypatch.delenv("CLEARANCE_HASH_REQUESTER")
    monkeypatch.setenv("CLEARANCE_ENCRYPTION_KEYS", str(path.with_name("none")))
    with pytest.raises(InvalidKeys, match="can't be read"):
        await connect(connection)


def test_a_hashed_name_is_the_same_whatever_its_capitals_and_another_by_other_keys(
    path: Path, tmp_path: Path
) -> None:
    codec = Encryption(KeyFile(path, ENCRYPTION), hash_requester=True)
    held = codec.listed("Ada@Example.com")
    assert held == codec.listed("ada@example.COM") != codec.listed("grace@example.com")
    keyfile.change(path, now=True)
    assert codec.listed("ada@example.com") == held
    other = tmp_path / "other.json"
    keyfile.create(other, keys.new(ENCRYPTION))
    elsewhere = Encryption(KeyFile(other, ENCRYPTION), hash_requester=True)
    assert elsewhere.listed("ada@example.com") != held


def test_without_the_package_it_says_what_to_install(path: Path) -> None:
    program = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from pathlib import Path\n"
        "from clearance import keyfile, keys\n"
        "from clearance.codec import Encryption\n"
        "Encryption(None)\n"
        "Encryption(keyfile.KeyFile(Path(sys.argv[1]), keys.KINDS['encryption']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines()[-1].endswith(
        "CLEARANCE_ENCRYPTION_KEYS needs the package cryptography: install "
        "clearance-client[encryption]"
    )


def test_every_search_attribute_is_documented_with_what_it_holds() -> None:
    said = (Path(__file__).parents[1] / "docs" / "encryption.md").read_text()
    documented = re.findall(r"^\| `(Approval\w+)` \|", said, re.MULTILINE)
    assert documented == [key.name for key in attributes.KEYS]

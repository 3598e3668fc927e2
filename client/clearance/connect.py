"""One way to reach Temporal: settings in, connected client out, one data converter for everybody."""

import asyncio
import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import temporalio.service
from temporalio.client import Client, Plugin
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes
from temporalio.envconfig import ClientConfigProfile

from .codec import VARIABLE, Encryption
from .errors import CannotConnect
from .keyfile import KeyFile
from .keys import KINDS, InvalidKeys
from .text import one_line

DEFAULT_ADDRESS = "localhost:7233"

_HASHES = "CLEARANCE_HASH_REQUESTER"


def load_settings(default_address: str = DEFAULT_ADDRESS) -> dict[str, Any]:
    """What ``temporalio.envconfig`` finds: environment over TOML profile over ``default_address``.

    Raises:
        CannotConnect: the configuration file can't be read or names no such profile.
    """
    try:
        found = ClientConfigProfile.load().to_client_connect_config()
    except RuntimeError as error:
        said = one_line(str(error))  # a TOML error draws where it is, over several lines
        raise CannotConnect(f"the Temporal configuration can't be read: {said}") from error
    settings: dict[str, Any] = {"target_host": default_address, **found}
    if "://" in settings["target_host"]:
        raise CannotConnect(
            f"TEMPORAL_ADDRESS takes host:port, not a URL: {settings['target_host']}"
        )
    return settings


async def connect(
    settings: Mapping[str, Any] | None = None,
    *,
    plugins: Sequence[Plugin] = (),
    timeout: float = 10.0,
    keys: Path | None = None,
    hash_requester: bool | None = None,
) -> Client:
    """Connect to Temporal.

    Args:
        settings: keyword arguments of ``Client.connect``; ``load_settings()`` when left out.
        plugins: client plugins. One that brings its own payload converter (the OpenAI Agents
            plugin does) gets the default converter to replace; everybody else gets pydantic's.
        timeout: seconds until a server that does not answer counts as unreachable.
        keys: the key file by which payloads are encrypted; CLEARANCE_ENCRYPTION_KEYS when left
            out, and without that nothing is.
        hash_requester: whether search attributes hold a requester only as a hash;
            CLEARANCE_HASH_REQUESTER when left out.

    Raises:
        CannotConnect: no answer, refused credentials or unknown namespace; the text says which.
        InvalidKeys: the key file can't be used.
    """
    settings = dict(load_settings() if settings is None else settings)
    converter = _encrypting(
        DataConverter.default if plugins else pydantic_data_converter, keys, hash_requester
    )
    address = settings["target_host"]
    try:
        async with asyncio.timeout(timeout):
            client = await Client.connect(
                **settings, data_converter=converter, plugins=list(plugins)
            )
            await client.count_workflows("WorkflowId = '-'")  # the namespace exists and is ours
            return client
    except temporalio.service.RPCError as error:
        raise CannotConnect(f"Temporal at {address} refused: {error.message}") from error
    except (RuntimeError, TimeoutError, ValueError) as error:  # ValueError: no address at all
        raise CannotConnect(
            f"cannot reach Temporal at {address}: start one with `clearance up`, "
            "or set TEMPORAL_ADDRESS"
        ) from error


def _encrypting(
    converter: DataConverter, keys: Path | None, hash_requester: bool | None
) -> DataConverter:
    """The converter with our codec. Without keys it is there to say what can't be read, and why."""
    named = os.environ.get(VARIABLE)
    path = keys or (Path(named) if named else None)
    hashes = _hashes() if hash_requester is None else hash_requester
    file = KeyFile(path, KINDS["encryption"]) if path else None
    codec = Encryption(file, hash_requester=hashes)
    if file is None:
        return dataclasses.replace(converter, payload_codec=codec)
    return dataclasses.replace(
        converter,
        payload_codec=codec,
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


def _hashes() -> bool:
    said = os.environ.get(_HASHES, "").strip().lower()
    if said not in ("", "0", "1", "false", "true", "no", "yes", "off", "on"):
        raise InvalidKeys(f"{_HASHES} is true or false")
    return said in ("1", "true", "yes", "on")

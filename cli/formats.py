"""How settings are written, where they are more than a word: lists, lengths of time, names."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from policy.durations import duration
from web.config import Networks

_LONGEST_DIGEST = timedelta(hours=1)
_SHORTEST_PERIOD = timedelta(minutes=1)


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _digest(value: object) -> object:
    if not isinstance(value, str) or value == "0s":
        return timedelta() if value == "0s" else value
    length = duration(value)
    if length is None or length > _LONGEST_DIGEST:
        raise ValueError(f"{value!r}: write 0s, or at most 1h")
    return length


def _period(value: object) -> object:
    if not isinstance(value, str):
        return value
    length = duration(value)
    if length is not None and length < _SHORTEST_PERIOD:
        raise ValueError(f"{value!r}: at least 1m, or never")
    return length


def _database(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().startswith(("sqlite://", "postgres")):
        raise ValueError("write sqlite:///path or postgresql://user@host/name")
    return value


def _deployment(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", value):
        raise ValueError("write at most 100 letters, digits, - and _")
    return value


def _build(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}", value):
        raise ValueError("write at most 100 letters, digits, ., _, + and -, like 1.4.0 or a commit")
    return value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Names, separated by commas."""
Proxies = Annotated[Networks, NoDecode, BeforeValidator(_split)]
"""Addresses or networks, separated by commas."""
Digest = Annotated[timedelta, BeforeValidator(_digest)]
"""``0s``, or at most ``1h``."""
Period = Annotated[timedelta | None, BeforeValidator(_period)]
"""At least ``1m``, or ``never``."""
Database = Annotated[SecretStr, AfterValidator(_database)]
"""``sqlite:///path`` or ``postgresql://user@host/name``."""
DeploymentName = Annotated[str, AfterValidator(_deployment)]
"""Letters, digits, ``-`` and ``_``: Temporal writes a version as ``name.build``."""
BuildId = Annotated[str, AfterValidator(_build)]
"""A release, a commit, the tag of an image: what says which code this is."""

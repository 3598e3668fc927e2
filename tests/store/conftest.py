"""A new ledger for each test: in a SQLite file, and in a real PostgreSQL."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from store import migrating
from store.ledger import Ledger
from tests import sparing
from tests.support import unique
from tests.web import databases


@pytest.fixture(autouse=True)
def migrated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every database here is really migrated."""
    monkeypatch.setattr(migrating, "_upgrade", sparing.MIGRATES)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A server; ``format(name=...)`` makes the address of one of its databases."""
    with databases.postgresql() as address:
        yield address


@pytest.fixture
def on_postgresql(postgresql: str) -> str:
    """Of a new database there."""
    name = unique("ledger").replace("-", "_")
    create = ("psql", postgresql.format(name="postgres"), "--command", f"CREATE DATABASE {name}")
    subprocess.run(create, check=True, capture_output=True)
    return postgresql.format(name=name)


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a new database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    found: str = request.getfixturevalue("on_postgresql")
    return found


@pytest.fixture
async def ledger(address: str) -> AsyncIterator[Ledger]:
    """Open there."""
    async with Ledger.open(address) as opened:
        yield opened


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """A SQLite file with a ledger of three requests, ten rows, that anybody may change."""
    from .asked import kept_by
    from .tampering import unguarded

    path = tmp_path / "ledger.db"
    async with Ledger.open(f"sqlite:///{path}") as opened:
        await opened.append([kept_by("ada", id=f"pay.{number}") for number in (1, 2)])
        await opened.append([kept_by("ada", "bob", id="pay.3", quorum=2)])
    await asyncio.to_thread(unguarded, path)
    return path

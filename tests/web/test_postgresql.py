"""What an inbox remembers, on both databases: a SQLite file and a real PostgreSQL."""

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from clearance import ApprovalClient, InvalidRequest, NotFound
from cli.settings import Settings
from store import Store
from store.engine import CannotStore
from tests.support import eventually, unique
from web.config import WebConfig
from web.server import running

from . import databases

DAY = timedelta(days=1)
PAST = timedelta(seconds=-1)
ASKED = datetime(2026, 11, 1, 9, 30, 0, 123_456, tzinfo=UTC)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """A server; ``format(name=...)`` makes the address of one of its databases."""
    with databases.postgresql() as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a new database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'clearance.db'}"
    server: str = request.getfixturevalue("postgresql")
    name = unique("inbox").replace("-", "_")
    create = ("psql", server.format(name="postgres"), "--command", f"CREATE DATABASE {name}")
    subprocess.run(create, check=True, capture_output=True)
    return server.format(name=name)


@pytest.fixture
async def store(address: str) -> AsyncIterator[Store]:
    """Open on it."""
    async with Store.open(address) as opened:
        yield opened


async def test_a_token_is_known_by_itself_only(store: Store) -> None:
    token, made = await store.tokens.create(
        "ci", ["read", "decide", "read"], decides_as="cfo@example.com", lasts=DAY
    )

    found = await store.tokens.find(token)

    assert found == made
    assert (made.scopes, made.decides_as) == (("decide", "read"), "cfo@example.com")
    assert made.expires_at is not None
    assert made.expires_at.utcoffset() == timedelta(0)
    prefix, id, secret = token.split("_", 2)
    wrong = (secret, f"{prefix}_{id}_", f"x_{id}_{secret}", f"{prefix}_0_{secret}", token[:-1], "")
    assert [await store.tokens.find(one) for one in wrong] == [None] * len(wrong)


async def test_a_token_ends_by_its_time_and_by_being_revoked(store: Store) -> None:
    expired, _ = await store.tokens.create("old", ["read"], lasts=PAST)
    forever, _ = await store.tokens.create("ci", ["read"], lasts=None)

    assert await store.tokens.find(expired) is None
    assert await store.tokens.find(forever) is not None
    first = await store.tokens.revoke("ci")
    assert await store.tokens.find(forever) is None
    assert (await store.tokens.revoke(first.id)).revoked_at == first.revoked_at
    assert [one.name for one in await store.tokens.all()] == ["old", "ci"]


async def test_a_token_that_another_instance_revoked_is_let_in_for_a_second_at_most(
    address: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.tokens._LATELY", 0.1)
    token, _ = await store.tokens.create("ci", ["read"], lasts=None)
    assert await store.tokens.find(token) is not None

    async with Store.open(address) as another:
        await another.tokens.revoke("ci")

    async def refused() -> bool:
        return await store.tokens.find(token) is None

    await eventually(refused)


async def test_two_tokens_have_two_names(store: Store) -> None:
    await store.tokens.create("ci", ["read"], lasts=None)

    with pytest.raises(InvalidRequest, match="there is a token 'ci' already"):
        await store.tokens.create("ci", ["read"], lasts=None)
    with pytest.raises(NotFound, match="no token 'cd'"):
        await store.tokens.revoke("cd")


async def test_of_twenty_who_follow_a_sign_in_link_at_once_one_is_signed_in(store: Store) -> None:
    token = await store.sessions.invite("ada@example.com")

    answers = await asyncio.gather(*(store.sessions.redeem(token) for _ in range(20)))

    assert sorted(answers, key=str) == [None] * 19 + ["ada@example.com"]


async def test_a_sign_in_link_ends(store: Store) -> None:
    old = await store.sessions.invite("ada@example.com", PAST)

    assert await store.sessions.redeem(old) is None
    assert await store.sessions.redeem("") is None
    assert await store.sessions.redeem("made up") is None


async def test_a_session_keeps_who_it_is_and_ends(store: Store) -> None:
    groups = ("group:finance", "group:büro")
    secret, session = await store.sessions.begin("Ada Łovelace", groups)
    old, _ = await store.sessions.begin("ada@example.com", lasts=PAST)

    found = await store.sessions.find(secret)

    assert found == session
    assert (session.who, session.groups) == ("Ada Łovelace", groups)
    assert await store.sessions.find(session.id) is None, "what forms carry continues nothing"
    assert await store.sessions.find(old) is None
    await store.sessions.end(secret)
    assert await store.sessions.find(secret) is None
    await store.sessions.end(secret)


async def test_links_are_found_listed_and_revoked_by_request_and_person(store: Store) -> None:
    cfo = await store.links.create("wire/1", "cfo@example.com", DAY, asked_at=ASKED)
    mary = await store.links.create("wire/1", "mary@example.com", DAY, asked_at=ASKED)
    other = await store.links.create("wire/2", "cfo@example.com", DAY, asked_at=ASKED)
    old = await store.links.create("wire/1", "cfo@example.com", PAST, asked_at=ASKED)
    now = datetime.now(UTC)

    assert cfo.asked_at == ASKED
    assert await store.links.find(cfo.id) == cfo
    assert await store.links.find("none") is None
    assert (cfo.holds(now), old.holds(now)) == (True, False)
    assert [one.id for one in await store.links.revoke("wire/1", "cfo@example.com")] == [cfo.id]
    assert [one.id for one in await store.links.revoke("wire/1")] == [mary.id]
    assert await store.links.revoke("wire/1") == []
    ended = await store.links.find(cfo.id)
    assert ended is not None
    assert not ended.holds(now)
    assert [one.id for one in await store.links.of("wire/1")] == [cfo.id, mary.id, old.id]
    assert await store.links.find(other.id) == other


async def test_instances_that_start_at_once_share_tables_and_key(address: str) -> None:
    async def opened() -> bytes:
        async with Store.open(address) as store:
            return store.signing_key

    keys = await asyncio.gather(*(opened() for _ in range(5)))

    assert len(set(keys)) == 1
    assert len(keys[0]) == 32


async def test_what_one_instance_writes_another_reads_at_once(address: str) -> None:
    async with Store.open(address) as one, Store.open(address) as two:
        secret, session = await one.sessions.begin("ada@example.com")
        assert await two.sessions.find(secret) == session
        await two.sessions.end(secret)
        assert await one.sessions.find(secret) is None
        token = await one.sessions.invite("ada@example.com")
        both = await asyncio.gather(*(store.sessions.redeem(token) for store in (one, two) * 10))
        assert sorted(map(bool, both)) == [False] * 19 + [True]


async def test_it_is_all_there_again(address: str) -> None:
    async with Store.open(address) as store:
        token, known = await store.tokens.create("ci", ["read"], lasts=None)
        key = store.signing_key
    async with Store.open(address) as store:
        assert (await store.tokens.find(token), store.signing_key) == (known, key)


async def test_two_inboxes_on_one_database_are_one_for_whoever_is_signed_in(
    address: str, settings: Settings, approvals: ApprovalClient
) -> None:
    config = WebConfig(port=0, database=address, approvals_queue=settings.approvals_queue)
    async with (
        running(config, approvals) as one,
        running(config, approvals) as two,
        httpx.AsyncClient() as browser,
    ):
        invitation = await two.store.sessions.invite("ada@example.com")
        assert (await browser.get(f"{one.url}/sign-in/{invitation}")).status_code == 303
        page = await browser.get(f"{two.url}/history")
        csrf = re.findall(r'name="csrf" value="([^"]+)"', page.text)[0]
        assert (await browser.get(f"{two.url}/sign-in/{invitation}")).status_code == 403
        out = await browser.post(f"{one.url}/sign-out", data={"csrf": csrf})
        assert (page.status_code, out.status_code) == (200, 303)
        assert (await browser.get(f"{two.url}/history")).status_code == 303


async def test_a_server_that_is_away_is_told_without_the_password() -> None:
    with pytest.raises(CannotStore) as refused:
        async with Store.open("postgresql://ada:geheim@127.0.0.1:1/inbox"):
            pass
    assert re.match(
        r"postgresql://ada:\*\*\*@127\.0\.0\.1:1/inbox can't be used: ", str(refused.value)
    )
    assert "geheim" not in str(refused.value)


async def test_names_that_differ_by_capitals_are_one_name(store: Store) -> None:
    await store.tokens.create("Agent", ["read"], lasts=None)

    with pytest.raises(InvalidRequest, match="there is a token 'agent' already"):
        await store.tokens.create("agent", ["read"], lasts=None)
    assert (await store.tokens.revoke("AGENT")).name == "Agent"

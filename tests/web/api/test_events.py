"""``GET /api/v1/events``."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.support import eventually
from web.context import Context

from .conftest import Asked

EVENTS = "/api/v1/events"

Told = asyncio.Queue[tuple[str, Any]]


@asynccontextmanager
async def listening(client: httpx.AsyncClient) -> AsyncIterator[Told]:
    """What the stream tells, as (event, data)."""
    told: Told = asyncio.Queue()

    async def listen() -> None:
        async with client.stream("GET", EVENTS, timeout=60) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            kind = ""
            async for line in answer.aiter_lines():
                field, _, value = line.partition(": ")
                if field == "event":
                    kind = value
                elif field == "data":
                    told.put_nowait((kind, json.loads(value)))
        told.put_nowait(("end", None))

    task = asyncio.create_task(listen())
    try:
        yield told
    finally:
        task.cancel()
        await asyncio.wait([task])


async def the(told: Told, kind: str, id: str) -> dict[str, Any]:
    """The first event of that kind about that request."""
    async with asyncio.timeout(30):
        while True:
            event, data = await told.get()
            if event == kind and data["id"] == id:
                found: dict[str, Any] = data
                return found


async def test_what_is_asked_and_what_ends_is_told(
    asked: Asked, agent: httpx.AsyncClient, cfo: httpx.AsyncClient, inbox: Context
) -> None:
    async with listening(cfo) as told:
        async with asyncio.timeout(30):
            assert await told.get() == ("resync", {})
            assert await told.get() == ("resync", {})  # from now on, nothing is missed
        made = await asked()
        created = await the(told, "created", made["id"])
        await agent.post(f"/api/v1/requests/{made['id']}/withdrawal", json={})
        ended = await the(told, "ended", made["id"])

    assert created["action"] == made["action"]
    assert created["digest"] == made["digest"]
    assert ended["status"] == "withdrawn"

    async def nobody_listens() -> bool:
        return not inbox.live._listeners

    await eventually(nobody_listens)


async def test_the_stream_ends_when_the_inbox_stops(cfo: httpx.AsyncClient, inbox: Context) -> None:
    async with listening(cfo) as told, asyncio.timeout(30):
        assert await told.get() == ("resync", {})
        inbox.live.close()
        while (await told.get())[0] != "end":
            pass


async def test_a_token_that_is_revoked_hears_nothing_more(
    asked: Asked, cfo: httpx.AsyncClient, inbox: Context
) -> None:
    async with listening(cfo) as told, asyncio.timeout(30):
        assert await told.get() == ("resync", {})
        assert await told.get() == ("resync", {})
        [token] = [one for one in await inbox.store.tokens.all() if one.decides_as]
        await inbox.store.tokens.revoke(token.name)
        await asked()

        assert await told.get() == ("end", None)

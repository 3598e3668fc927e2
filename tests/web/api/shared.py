"""Like ``tests.web.shared``, with the two services."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.web import shared
from tests.web.shared import approvals, inbox, settings, web_config, worker_running
from web.context import Context

from .conftest import agent_of, cfo_of

__all__ = [
    "Own",
    "agent",
    "approvals",
    "cfo",
    "inbox",
    "settings",
    "web_config",
    "worker_running",
]


@pytest.fixture(scope="module")
async def agent(inbox: Context) -> AsyncIterator[httpx.AsyncClient]:
    """A service that asks, also for others, and reads what became of it."""
    async with agent_of(inbox) as client:
        yield client


@pytest.fixture(scope="module")
async def cfo(inbox: Context) -> AsyncIterator[httpx.AsyncClient]:
    """A service that brings the decisions of ``CFO``."""
    async with cfo_of(inbox) as client:
        yield client


class Own(shared.Own):
    """All tests of the class share what is this class's own."""

    @pytest.fixture(scope="class")
    @classmethod
    async def agent(cls, inbox: Context) -> AsyncIterator[httpx.AsyncClient]:
        async with agent_of(inbox) as client:
            yield client

    @pytest.fixture(scope="class")
    @classmethod
    async def cfo(cls, inbox: Context) -> AsyncIterator[httpx.AsyncClient]:
        async with cfo_of(inbox) as client:
            yield client

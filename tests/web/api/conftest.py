"""Services with tokens: one that asks, one that decides."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest

from clearance import ApprovalRequest
from store.tokens import Scope
from tests.web.shared import OFTEN
from web.config import WebConfig
from web.context import Context

CFO = "cfo@example.com"

PAYMENT: dict[str, Any] = {
    "action": "Pay Ada 80 euros",
    "tool": "pay",
    "arguments": {"to": "Ada", "euros": 80},
}


@pytest.fixture
def web_config(web_config: WebConfig) -> WebConfig:
    """For services that may try as often as a test does."""
    return web_config.model_copy(update={"rates": OFTEN})


def patient(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client that waits for a busy machine."""
    client.timeout = httpx.Timeout(60)
    return client


@asynccontextmanager
async def _service(
    inbox: Context, name: str, *scopes: Scope, decides_as: str | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    token, _ = await inbox.store.tokens.create(name, scopes, decides_as=decides_as, lasts=None)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=inbox.url, headers=headers, timeout=60) as client:
        yield client


Service = AbstractAsyncContextManager[httpx.AsyncClient]


def agent_of(inbox: Context) -> Service:
    """``agent``, who asks, also for others, and reads what became of it."""
    return _service(inbox, "agent", "request", "request-for", "read")


def cfo_of(inbox: Context) -> Service:
    """``cfo``, who brings the decisions of ``CFO``."""
    return _service(inbox, "cfo", "decide", "read", decides_as=CFO)


@pytest.fixture
async def agent(inbox: Context) -> AsyncIterator[httpx.AsyncClient]:
    """A service that asks, also for others, and reads what became of it."""
    async with agent_of(inbox) as client:
        yield client


@pytest.fixture
async def cfo(inbox: Context) -> AsyncIterator[httpx.AsyncClient]:
    """A service that brings the decisions of ``CFO``."""
    async with cfo_of(inbox) as client:
        yield client


Asked = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def asked(agent: httpx.AsyncClient, worker_running: object) -> Asked:
    """``await asked(risk="high")``: a payment that waits, as the answer to ``POST /requests``."""

    async def ask(**fields: Any) -> dict[str, Any]:
        answer = await agent.post("/api/v1/requests", json={**PAYMENT, **fields})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    return ask


@pytest.fixture
def approved(asked: Asked, cfo: httpx.AsyncClient) -> Asked:
    """``await approved()``: a payment that the CFO has approved as it was asked."""

    async def ask(**fields: Any) -> dict[str, Any]:
        made = await asked(**fields)
        said = {"approved": True, "digest": made["digest"]}
        answer = await cfo.post(f"/api/v1/requests/{made['id']}/decision", json=said)
        assert answer.json()["status"] == "approved", answer.text
        return made

    return ask


def is_problem(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    """The members of a problem of that kind; fails the test where the answer is none."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["type"] == f"urn:clearance:problem:{kind}", found
    assert found["status"] == status
    assert found["title"]
    assert found["detail"]
    return found


def digest(of: dict[str, Any]) -> str:
    """That of a request, as anybody can tell it from the fields."""
    return ApprovalRequest.model_validate(of).digest


SHORT = timedelta(seconds=1)
"""For a worker that isn't there to answer."""

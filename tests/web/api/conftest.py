"""Services with tokens: one that asks, one that decides."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from clearance import ApprovalRequest
from tests.web.conftest import WithToken
from web.config import Rates, WebConfig

CFO = "cfo@example.com"

PAYMENT: dict[str, Any] = {
    "action": "Pay Ada 80 euros",
    "tool": "pay",
    "arguments": {"to": "Ada", "euros": 80},
}


@pytest.fixture
def web_config(web_config: WebConfig) -> WebConfig:
    """For services that may try as often as a test does."""
    often = Rates(failed_token="100000/minute", act="100000/minute")
    return web_config.model_copy(update={"rates": often})


def patient(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client that waits for a busy machine."""
    client.timeout = httpx.Timeout(60)
    return client


@pytest.fixture
async def agent(with_token: WithToken) -> httpx.AsyncClient:
    """A service that asks, also for others, and reads what became of it."""
    return patient(await with_token("request", "request-for", "read"))


@pytest.fixture
async def cfo(with_token: WithToken) -> httpx.AsyncClient:
    """A service that brings the decisions of ``CFO``."""
    return patient(await with_token("decide", "read", as_=CFO))


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

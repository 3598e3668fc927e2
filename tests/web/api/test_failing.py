"""What a service is told when something behind the API fails."""

import sqlite3

import httpx
import pytest
from fastapi import FastAPI
from temporalio.service import RPCError, RPCStatusCode

from clearance import NotFound
from tests.web.conftest import WithToken
from web.config import WebConfig
from web.context import Context
from web.errors import handle_errors, status_of
from web.guard import with_headers

from .conftest import PAYMENT, is_problem


async def test_without_its_database_the_api_says_so_and_nothing_of_it(
    inbox: Context, with_token: WithToken
) -> None:
    client = await with_token("request")
    with sqlite3.connect(inbox.config.database.removeprefix("sqlite:///")) as database:
        database.execute("ALTER TABLE api_tokens RENAME TO gone")
    database.close()

    answer = await client.post("/api/v1/requests", json=PAYMENT)

    found = is_problem(answer, 503, "away")
    assert "api_tokens" not in found["detail"]
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (RPCStatusCode.UNAVAILABLE, 503),
        (RPCStatusCode.DEADLINE_EXCEEDED, 503),
        (RPCStatusCode.PERMISSION_DENIED, 503),
        (RPCStatusCode.RESOURCE_EXHAUSTED, 429),
        (RPCStatusCode.INVALID_ARGUMENT, 422),
        (RPCStatusCode.NOT_FOUND, 404),
    ],
)
def test_an_error_of_temporal_has_a_status(said: RPCStatusCode, status: int) -> None:
    assert status_of(RPCError("said by the server", said, b"")) == status


async def test_a_fault_of_ours_is_told_without_its_words() -> None:
    app = FastAPI()
    handle_errors(app)

    @app.get("/api/v1/broken")
    async def broken() -> None:
        raise RuntimeError("the password is hunter2")

    served = with_headers(app, WebConfig(database="sqlite://"))
    transport = httpx.ASGITransport(served, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://inbox") as client:
        answer = await client.get("/api/v1/broken")

    assert "hunter2" not in is_problem(answer, 500, "failed")["detail"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


async def test_what_a_stranger_wrote_is_made_visible_in_an_error() -> None:
    app = FastAPI()
    handle_errors(app)

    @app.get("/api/v1/missing")
    async def missing() -> None:
        raise NotFound("nothing has the id \u202e\ud800\x1b[31m")

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://inbox") as client:
        answer = await client.get("/api/v1/missing")

    found = is_problem(answer, 404, "not-found")
    assert found["detail"] == "nothing has the id \\u202e\\ud800\\x1b[31m"

"""Whether a service gets in, and with which rights."""

from datetime import timedelta

import httpx
import pytest

from cli.settings import Settings
from tests.web.conftest import WithToken
from tests.web.shared import config_of
from web.config import Rates, WebConfig
from web.context import Context

from . import shared
from .conftest import PAYMENT, is_problem, patient

agent, cfo = shared.agent, shared.cfo
inbox, web_config = shared.inbox, shared.web_config
approvals, settings = shared.approvals, shared.settings
worker_running = shared.worker_running

READ, ASK = "/api/v1/requests", "/api/v1/requests"


async def test_without_a_token_nothing_is_read(browser: httpx.AsyncClient) -> None:
    answer = await browser.get(READ)

    assert "Authorization: Bearer" in is_problem(answer, 401, "token-needed")["detail"]
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "given",
    ["Bearer", "Bearer clr_", "Bearer clr_abc_def", "Basic YTpi", "clr_a_b", "Bearer x y"],
)
async def test_what_is_no_token_is_refused(browser: httpx.AsyncClient, given: str) -> None:
    answer = await browser.get(READ, headers={"Authorization": given})

    is_problem(answer, 401, "token-needed")
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_token_that_is_too_old_or_was_revoked_is_refused(
    inbox: Context, browser: httpx.AsyncClient
) -> None:
    old, _ = await inbox.store.tokens.create("old", ["read"], lasts=timedelta(0))
    gone, _ = await inbox.store.tokens.create("gone", ["read"], lasts=None)
    await inbox.store.tokens.revoke("gone")

    for token in (old, gone):
        answer = await browser.get(READ, headers={"Authorization": f"Bearer {token}"})
        is_problem(answer, 401, "token-needed")
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_the_secret_of_one_token_does_not_open_another(
    inbox: Context, browser: httpx.AsyncClient
) -> None:
    one, _ = await inbox.store.tokens.create("one", ["read"], lasts=None)
    _, other = await inbox.store.tokens.create("other", ["read"], lasts=None)
    forged = f"clr_{other.id}_{one.rpartition('_')[2]}"

    answer = await browser.get(READ, headers={"Authorization": f"Bearer {forged}"})

    is_problem(answer, 401, "token-needed")


@pytest.mark.parametrize(
    ("scope", "method", "path", "missing"),
    [
        ("request", "GET", "/requests", "read"),
        ("request", "GET", "/history", "read"),
        ("request", "GET", "/requests/x", "read"),
        ("request", "GET", "/events", "read"),
        ("request", "POST", "/requests/x/decision", "decide"),
        ("request", "POST", "/requests/x/comment", "decide"),
        ("request", "POST", "/requests/x/question", "decide"),
        ("request", "POST", "/requests/x/delegation", "decide"),
        ("read", "POST", "/requests", "request"),
        ("read", "POST", "/requests/x/answer", "request or decide"),
        ("read", "POST", "/requests/x/withdrawal", "request or decide"),
        ("read", "POST", "/requests/x/consumption", "request"),
        ("read", "POST", "/requests/x/consumption/outcome", "request"),
        ("decide", "GET", "/requests/x/outcome", "read or request"),
    ],
)
async def test_a_token_is_good_for_its_scopes_only(
    with_token: WithToken, scope: str, method: str, path: str, missing: str
) -> None:
    client = await with_token(scope, as_="cfo@example.com" if scope == "decide" else None)

    answer = await client.request(method, f"/api/v1{path}", json={})

    assert missing in is_problem(answer, 403, "scope-missing")["detail"]
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("path", ["/pending", "/approve/x"])
async def test_the_classic_routes_take_the_same_tokens(
    with_token: WithToken, browser: httpx.AsyncClient, path: str
) -> None:
    reader = await with_token("read")

    is_problem(await browser.post(path, json={}), 401, "token-needed")
    is_problem(await reader.post(path, json={}), 403, "scope-missing")


async def test_a_token_that_decides_as_nobody_decides_nothing(
    with_token: WithToken, worker_running: object
) -> None:
    client = patient(await with_token("request", "read", "decide"))
    made = (await client.post(ASK, json=PAYMENT)).json()

    said = {"approved": True, "digest": made["digest"]}
    answer = await client.post(f"/api/v1/requests/{made['id']}/decision", json=said)

    is_problem(answer, 403, "scope-missing")
    assert (await client.get(f"/api/v1/requests/{made['id']}")).json()["status"] == "pending"


async def test_a_session_of_the_inbox_opens_no_api(
    inbox: Context, browser: httpx.AsyncClient
) -> None:
    token = await inbox.store.sessions.invite("ada@example.com")
    assert (await browser.get(f"/sign-in/{token}")).status_code == 303

    is_problem(await browser.get(READ), 401, "token-needed")
    is_problem(await browser.post("/pending", json={}), 401, "token-needed")


async def test_the_log_tells_the_route_and_that_a_service_called_but_no_id_and_no_token(
    agent: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "clearance.access"):
        await agent.get(f"{READ}/a%2Fsecret%20id")

    (line,) = [one.getMessage() for one in caplog.records if one.name == "clearance.access"]
    assert line.startswith("GET /api/v1/requests/{id} 404 ")
    assert line.endswith(" token")
    assert "clr_" not in line


class TestTooOften(shared.Own):
    """Whoever tries too often is told to wait."""

    @pytest.fixture(scope="class")
    @classmethod
    def web_config(cls, settings: Settings) -> WebConfig:
        few = Rates(failed_token="2/minute", act="2/minute")
        return config_of(settings).model_copy(update={"rates": few})

    async def test_wrong_tokens_are_slowed_down_and_right_ones_are_not(
        self, browser: httpx.AsyncClient, agent: httpx.AsyncClient
    ) -> None:
        wrong = {"Authorization": "Bearer clr_a_b"}
        codes = [(await browser.get(READ, headers=wrong)).status_code for _ in range(2)]
        third = await browser.get(READ, headers=wrong)

        assert codes == [401, 401]
        is_problem(third, 429, "too-many-requests")
        assert int(third.headers["retry-after"]) > 0
        assert (await agent.get(READ)).status_code == 200

    async def test_a_token_changes_so_much_a_minute(
        self, agent: httpx.AsyncClient, cfo: httpx.AsyncClient
    ) -> None:
        codes = [(await agent.post(ASK, json={})).status_code for _ in range(3)]

        assert codes == [422, 422, 429]
        assert (await agent.get(READ)).status_code == 200
        assert (await cfo.post(f"{READ}/x/comment", json={})).status_code == 422

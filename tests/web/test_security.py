"""What somebody would try who may not: forged forms, names, tokens, links, paths and headers."""

import logging
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from clearance import ApprovalClient, ApprovalRequest
from store import sessions
from store.links import path_of
from tests.support import unique
from web.context import Context

from . import shared
from .conftest import SignedIn, WithToken

inbox, web_config = shared.inbox, shared.web_config
approvals, settings = shared.approvals, shared.settings
worker_running = shared.worker_running

pytestmark = pytest.mark.usefixtures("worker_running")

ADA, CFO = "ada@example.com", "cfo@example.com"
DAY = timedelta(days=1)

CROSS = [{"Sec-Fetch-Site": site} for site in ("cross-site", "same-site", "odd")]


@pytest.fixture
async def id(approvals: ApprovalClient) -> str:
    """A request that anybody may decide."""
    request = ApprovalRequest(action="Wire 80,000 EUR", risk="low", checkpoint="wires")
    return (await approvals.request(request, id=unique("wire"))).id


@pytest.fixture
async def ada(signed_in: SignedIn) -> httpx.AsyncClient:
    """Ada's browser."""
    return await signed_in(ADA)


async def csrf(client: httpx.AsyncClient) -> str:
    """What the forms of that browser carry."""
    found = re.search(r'name="csrf" value="([^"]+)"', (await client.get("/history")).text)
    assert found
    return found[1]


async def form(client: httpx.AsyncClient, id: str) -> dict[str, str]:
    """The fields with which that browser would approve a request."""
    page = (await client.get(f"/requests/{id}")).text
    (found,) = re.findall(r'<form id="approve".*?</form>', page, re.DOTALL)
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', found))


async def test_a_form_that_is_none_of_ours_does_nothing(
    approvals: ApprovalClient, ada: httpx.AsyncClient, signed_in: SignedIn, id: str
) -> None:
    fields = await form(ada, id)
    grace = await signed_in("grace@example.com")
    again = await signed_in(ADA)
    forged = ["", "made up", fields["csrf"][:-1], await csrf(grace), await csrf(again)]

    for path in (f"/requests/{id}", "/bulk", "/sign-out"):
        for token in forged:
            answer = await ada.post(path, data={**fields, "csrf": token})
            assert answer.status_code == 403, (path, token)
        for headers in CROSS:
            answer = await ada.post(path, data=fields, headers=headers)
            assert answer.status_code == 403, (path, headers)
        bare = {name: value for name, value in fields.items() if name != "csrf"}
        assert (await ada.post(path, data=bare)).status_code == 403

    assert (await approvals.get(id)).status == "pending"
    own = await ada.post(f"/requests/{id}", data=fields, headers={"Sec-Fetch-Site": "same-origin"})
    assert own.status_code == 303
    assert (await approvals.get(id)).status == "approved"


async def test_a_form_of_a_session_that_has_ended_does_nothing(
    approvals: ApprovalClient, ada: httpx.AsyncClient, id: str
) -> None:
    fields, secret = await form(ada, id), ada.cookies["clearance"]
    await ada.post("/sign-out", data={"csrf": fields["csrf"]})

    answer = await ada.post(
        f"/requests/{id}", data=fields, headers={"Cookie": f"clearance={secret}"}
    )

    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2F")
    assert (await approvals.get(id)).status == "pending"


async def test_whoever_the_form_names_it_is_who_is_signed_in_that_decides(
    approvals: ApprovalClient, ada: httpx.AsyncClient, id: str
) -> None:
    claimed = {"reviewer": CFO, "who": CFO, "as": CFO, "groups": "group:cfo", "channel": "cli"}

    await ada.post(f"/requests/{id}", params=claimed, data={**await form(ada, id), **claimed})

    decision = (await approvals.get(id)).decision
    assert decision is not None
    assert (decision.by, decision.channel) == (ADA, "inbox")


async def test_naming_somebody_of_the_audience_does_not_put_anybody_in_it(
    approvals: ApprovalClient, ada: httpx.AsyncClient
) -> None:
    request = ApprovalRequest(action="Wire", audience=(CFO,))
    id = (await approvals.request(request, id=unique("wire"))).id
    view = await approvals.get(id)
    fields = {"csrf": await csrf(ada), "do": "approve", "digest": view.digest}

    answer = await ada.post(f"/requests/{id}", data={**fields, "reviewer": CFO, "who": CFO})

    assert answer.status_code == 403
    assert (await approvals.get(id)).status == "pending"


async def test_a_service_decides_as_whom_its_token_names_whatever_it_sends(
    approvals: ApprovalClient, with_token: WithToken, id: str
) -> None:
    service = await with_token("decide", as_=CFO)
    body = {"approved": True, "digest": (await approvals.get(id)).digest}

    forged = await service.post(f"/api/v1/requests/{id}/decision", json={**body, "reviewer": ADA})
    assert forged.status_code in (200, 422)
    await service.post(f"/api/v1/requests/{id}/decision", json=body, headers={"X-Reviewer": ADA})

    decision = (await approvals.get(id)).decision
    assert decision is not None
    assert (decision.by, decision.channel) == (CFO, "api")


async def test_a_token_opens_what_it_is_for_and_nothing_else(
    inbox: Context, approvals: ApprovalClient, with_token: WithToken, id: str
) -> None:
    reads, asks = await with_token("read"), await with_token("request")
    decision = {"approved": True, "digest": (await approvals.get(id)).digest}
    ask = {"action": "Deploy"}

    assert (await reads.get("/api/v1/requests")).status_code == 200
    assert (await reads.post("/api/v1/requests", json=ask)).status_code == 403
    for service in (reads, asks):
        refused = await service.post(f"/api/v1/requests/{id}/decision", json=decision)
        assert refused.status_code == 403
        assert refused.headers["content-type"] == "application/problem+json"
    assert (await asks.get(f"/api/v1/requests/{id}")).status_code == 403
    assert (await reads.get("/")).status_code == 303, "a token is no session"
    assert (await approvals.get(id)).status == "pending"


async def test_a_token_that_ended_or_is_none_opens_nothing(
    inbox: Context, browser: httpx.AsyncClient
) -> None:
    revoked, _ = await inbox.store.tokens.create("one", ["read"], lasts=None)
    await inbox.store.tokens.revoke("one")
    expired, _ = await inbox.store.tokens.create("two", ["read"], lasts=timedelta(seconds=-1))
    holds, _ = await inbox.store.tokens.create("three", ["read"], lasts=None)
    ways = [f"Bearer {one}" for one in (revoked, expired, holds[:-1], holds + "x", "clr__", "x")]

    for way in (*ways, holds, f"Basic {holds}", f"Bearer {holds} {holds}"):
        answer = await browser.get("/api/v1/requests", headers={"Authorization": way})
        assert answer.status_code == 401, way
        assert answer.headers["www-authenticate"].startswith("Bearer")
    in_the_address = await browser.get("/api/v1/requests", params={"token": holds})
    assert in_the_address.status_code == 401


async def test_a_cookie_is_no_token(ada: httpx.AsyncClient, id: str) -> None:
    assert (await ada.get("/api/v1/requests")).status_code == 401
    for path in ("/api/v1/requests", f"/approve/{id}", "/pending"):
        assert (await ada.post(path, json={"decision": "approved"})).status_code == 401


@pytest.fixture
async def short(
    monkeypatch: pytest.MonkeyPatch, inbox: Context
) -> AsyncIterator[httpx.AsyncClient]:
    """A browser whose session has run out."""
    secret, _ = await inbox.store.sessions.begin(ADA, lasts=timedelta(seconds=-1))
    async with httpx.AsyncClient(base_url=inbox.url, cookies={"clearance": secret}) as client:
        yield client


async def test_a_session_that_ran_out_reads_and_does_nothing(
    short: httpx.AsyncClient, id: str
) -> None:
    for path in ("/", "/history", f"/requests/{id}", "/runs"):
        answer = await short.get(path)
        assert answer.status_code == 303, path
        assert answer.headers["location"].startswith("/sign-in?next=")
    assert (await short.post(f"/requests/{id}", data={"do": "approve"})).status_code == 303


def test_a_session_ends_within_a_working_day() -> None:
    assert timedelta(hours=12) >= sessions.SESSION_LASTS
    assert timedelta(minutes=10) >= sessions.SIGN_IN_LASTS


@pytest.mark.parametrize(
    "path",
    [
        "/static/../config.py",
        "/static/..%2fconfig.py",
        "/static/%2e%2e/config.py",
        "/static/%2e%2e%2f%2e%2e%2fpyproject.toml",
        "/static/..\\config.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/vendor/../../app.py",
        "/static/%00",
        "/static/",
        "/static/vendor",
    ],
)
async def test_only_what_is_meant_to_be_public_is_served(inbox: Context, path: str) -> None:
    url = httpx.URL(inbox.url)
    async with httpx.AsyncClient() as browser:
        # As bytes: clients would tidy the path up themselves.
        answer = await browser.get(url.copy_with(raw_path=path.encode()))
    assert answer.status_code in (400, 404), answer.text
    assert "import" not in answer.text
    assert "root:" not in answer.text


@pytest.mark.parametrize(
    "id",
    [
        "../../etc/passwd",
        "..%2f..",
        "%00",
        "a/../b",
        "' OR ''='",
        "x' AND ExecutionStatus='Running",
    ],
)
async def test_an_id_that_is_none_finds_nothing(ada: httpx.AsyncClient, id: str) -> None:
    path = httpx.URL(ada.base_url).copy_with(raw_path=b"/requests/" + _quoted(id))
    answer = await ada.get(path)
    assert answer.status_code in (404, 422), answer.text


def _quoted(id: str) -> bytes:
    return quote(id, safe="").encode()


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example/x",
        "/%0d%0aSet-Cookie:%20a=b",
        "/requests/%0d%0aLocation:%20https:%2f%2fevil.example",
        "/history?%0d%0aX-Injected:%201",
        "/%5cevil.example",
    ],
)
async def test_no_address_puts_a_header_in_an_answer_or_leads_elsewhere(
    inbox: Context, path: str
) -> None:
    async with httpx.AsyncClient() as browser:
        answer = await browser.get(httpx.URL(inbox.url).copy_with(raw_path=path.encode()))

    assert not {"x-injected", "set-cookie"} & answer.headers.keys()
    location = answer.headers.get("location", "/sign-in")
    assert location.startswith("/sign-in"), location
    assert "\r" not in location


@pytest.mark.parametrize(
    "to",
    [
        "https://evil.example",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "/a\r\nSet-Cookie: a=b",
        "x" * 3_000,
    ],
)
async def test_the_page_to_sign_in_leads_on_to_nobody_else(
    browser: httpx.AsyncClient, to: str
) -> None:
    answer = await browser.get("/sign-in", params={"next": to})

    assert answer.status_code in (200, 422)
    assert "evil.example" not in answer.text
    assert "set-cookie" not in answer.headers


async def test_ids_with_everything_in_them_stay_ids(
    approvals: ApprovalClient, ada: httpx.AsyncClient
) -> None:
    odd = unique("a/..b?c=d#e%2f%0d%0a&<b>\"'`{{7*7}} ünï\\")
    await approvals.request("Deploy", id=odd)

    page = await ada.get(f"/requests/{_quoted(odd).decode()}")
    done = await ada.post(
        f"/requests/{_quoted(odd).decode()}",
        data={**_hidden(page.text), "reason": "fine"},
    )

    assert page.status_code == 200
    assert done.status_code == 303
    assert done.headers["location"].startswith(f"/requests/{_quoted(odd).decode()}")
    assert (await approvals.get(odd)).status == "approved"


def _hidden(page: str) -> dict[str, Any]:
    (found,) = re.findall(r'<form id="approve".*?</form>', page, re.DOTALL)
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', found))


async def test_methods_that_a_route_does_not_take_do_nothing(
    approvals: ApprovalClient, ada: httpx.AsyncClient, id: str
) -> None:
    for method in ("PUT", "PATCH", "DELETE", "TRACE", "OPTIONS"):
        answer = await ada.request(method, f"/requests/{id}")
        assert answer.status_code == 405, method
    fields = await form(ada, id)
    override = {"X-HTTP-Method-Override": "POST"}
    assert (await ada.get(f"/requests/{id}", params=fields, headers=override)).status_code == 200
    assert (await approvals.get(id)).status == "pending"


async def test_no_log_of_a_whole_walk_through_has_what_opens_something(
    inbox: Context,
    approvals: ApprovalClient,
    browser: httpx.AsyncClient,
    id: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for client in ("httpx", "httpcore"):  # of the test itself
        caplog.set_level(logging.WARNING, logger=client)
    caplog.set_level(logging.INFO)
    invitation = await inbox.store.sessions.invite(ADA)
    token, _ = await inbox.store.tokens.create("ci", ["read", "decide"], decides_as=CFO, lasts=None)
    asked_at = (await inbox.approvals.summary(id)).requested_at
    made = await inbox.store.links.create(id, CFO, DAY, asked_at=asked_at)
    link = path_of(inbox.store.signing_key, made.id)

    await browser.get(f"/sign-in/{invitation}")
    await browser.get(f"/sign-in/{invitation}")
    await browser.get("/static/base.css")
    secret, fields = browser.cookies["clearance"], await form(browser, id)
    await browser.get(link)
    await browser.get("/api/v1/requests", headers={"Authorization": f"Bearer {token}"})
    await browser.post("/approve/none", headers={"Authorization": f"Bearer {token}x"}, json={})
    await browser.post(link, data=fields)
    await browser.post(f"/requests/{id}", data={**fields, "csrf": "forged"})
    await browser.post(f"/requests/{id}", data={**fields, "reason": "private words"})
    await browser.get(link)
    await browser.post("/sign-out", data=fields)

    lines = [f"{one.name} {one.getMessage()} {one.exc_text or ''}" for one in caplog.records]
    access = [one for one in lines if one.startswith("clearance.access ")]
    assert len(access) >= 10
    assert not [one for one in access if "GET - " in one or "static" in one]
    assert any(
        re.match(r"clearance\.access GET /l/\{token\} 200 \d+ms link", one) for one in access
    )
    assert any(
        re.match(r"clearance\.access GET /api/v1/requests 200 .* token", one) for one in access
    )
    secrets = (invitation, token.rpartition("_")[2], link, secret, fields["csrf"], "private", id)
    for line in lines:
        assert not [one for one in secrets if one in line], line

"""Signing in by a real OpenID Connect provider."""

import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.async_api import Browser

import worker
from clearance import ApprovalClient, ApprovalRequest
from cli import embedded
from cli.settings import Settings
from tests.support import unique
from web.config import Oidc, WebConfig
from web.context import Context
from web.server import running

from . import shared
from .idp import logs_in, provider, way_back

inbox = shared.inbox
approvals, settings = shared.approvals, shared.settings

SECRET = "a secret of the tests"


def of(issuer: str, **changes: str) -> Oidc:
    """How an inbox is registered at the provider."""
    return Oidc.model_validate(
        {"issuer": issuer, "client_id": "clearance", "client_secret": SECRET, **changes}
    )


@pytest.fixture(scope="module")
def web_config(settings: Settings, issuer: str) -> WebConfig:
    """With that provider."""
    return shared.config_of(settings).model_copy(update={"oidc": of(issuer)})


@pytest.fixture
async def signed_out(inbox: Context) -> AsyncIterator[httpx.AsyncClient]:
    """Another browser than ``browser``."""
    async with httpx.AsyncClient(base_url=inbox.url, timeout=60) as client:
        yield client


async def session_of(inbox: Context, browser: httpx.AsyncClient) -> tuple[str, tuple[str, ...]]:
    """Who is signed in there."""
    session = await inbox.store.sessions.find(browser.cookies["clearance"])
    assert session is not None
    return session.who, session.groups


async def refusal(browser: httpx.AsyncClient, answer: httpx.Response, code: int) -> str:
    """Assert that an answer is a page that refuses, and nobody is signed in; return its text."""
    assert (answer.status_code, answer.headers["content-type"]) == (
        code,
        "text/html; charset=utf-8",
    )
    assert "clearance" not in browser.cookies
    assert (await browser.get("/history")).status_code == 303
    return answer.text


async def test_who_the_provider_vouches_for_is_signed_in_with_their_groups(
    inbox: Context, browser: httpx.AsyncClient
) -> None:
    answer = await logs_in(browser, "ada", to="/history?status=approved")

    assert (answer.status_code, answer.headers["location"]) == (303, "/history?status=approved")
    assert await session_of(inbox, browser) == ("ada@example.com", ("group:finance", "group:leads"))
    assert "clearance-oidc" not in browser.cookies, "what the way there needed is gone"


async def test_the_way_there_is_bound_by_pkce_state_and_nonce(browser: httpx.AsyncClient) -> None:
    there = urlsplit((await browser.get("/sign-in/oidc")).headers["location"])
    asked = parse_qs(there.query)

    assert asked["response_type"] == ["code"]
    assert asked["code_challenge_method"] == ["S256"]
    assert len(asked["code_challenge"][0]) == 43
    assert len(asked["state"][0]) >= 20
    assert len(asked["nonce"][0]) >= 20
    assert asked["scope"] == ["openid profile email groups"]


async def test_who_brings_no_groups_is_in_none(inbox: Context, browser: httpx.AsyncClient) -> None:
    assert (await logs_in(browser, "mary")).status_code == 303
    assert await session_of(inbox, browser) == ("mary@example.com", ())


async def test_a_group_that_stands_alone_is_one_group(
    inbox: Context, browser: httpx.AsyncClient
) -> None:
    assert (await logs_in(browser, "sole")).status_code == 303
    assert await session_of(inbox, browser) == ("sole@example.com", ("group:finance",))


@pytest.mark.parametrize(
    ("login", "why"),
    [
        ("grace", "does not say that it has verified your email"),
        ("quiet", "does not say that it has verified your email"),
        ("nameless", "does not say your email"),
        ("crowd", "is the name of a group"),
        ("lines", "is no name of a person"),
        ("strange", "groups is no list of names"),
        ("numbers", "groups is no list of names"),
        ("many", "lists more than 200"),
    ],
)
async def test_claims_that_are_missing_or_strange_sign_nobody_in(
    browser: httpx.AsyncClient, login: str, why: str
) -> None:
    answer = await logs_in(browser, login)

    assert why in await refusal(browser, answer, 403)


async def test_a_provider_that_verifies_nothing_may_be_believed(
    inbox: Context, approvals: ApprovalClient, issuer: str
) -> None:
    believing = Oidc(issuer=issuer, client_id="public", accept_unverified=True)
    config = inbox.config.model_copy(update={"oidc": believing})
    async with (
        running(config, approvals) as other,
        httpx.AsyncClient(base_url=other.url, timeout=60) as browser,
    ):
        assert (await logs_in(browser, "quiet")).status_code == 303
        assert await session_of(other, browser) == ("quiet@example.com", ())


async def test_our_page_says_nothing_that_a_link_of_somebody_elses_does(
    browser: httpx.AsyncClient,
) -> None:
    said = {"error": "trouble", "error_description": "Call 0900 1234"}

    answer = await browser.get("/sign-in/oidc/callback", params=said)

    assert answer.status_code == 403
    assert "0900" not in answer.text
    assert "started elsewhere or too long ago" in answer.text


async def test_the_name_may_come_from_another_claim(
    inbox: Context, approvals: ApprovalClient, issuer: str
) -> None:
    config = inbox.config.model_copy(
        update={"oidc": Oidc(issuer=issuer, client_id="public", name_claim="sub")}
    )
    async with (
        running(config, approvals) as other,
        httpx.AsyncClient(base_url=other.url, timeout=60) as browser,
    ):
        assert (await logs_in(browser, "grace")).status_code == 303
        assert await session_of(other, browser) == ("grace", ("group:finance",))


async def test_an_answer_for_one_browser_does_not_sign_another_in(
    browser: httpx.AsyncClient, signed_out: httpx.AsyncClient
) -> None:
    address = await way_back(browser, "ada")

    stolen = await signed_out.get(address)

    assert "started elsewhere or too long ago" in await refusal(signed_out, stolen, 403)
    assert (await browser.get(address)).status_code == 303


async def test_an_answer_is_taken_once(browser: httpx.AsyncClient) -> None:
    address = await way_back(browser, "ada")
    assert (await browser.get(address)).status_code == 303

    again = await browser.get(address)

    assert again.status_code == 403
    assert "started elsewhere" in again.text


async def test_a_changed_state_is_refused(browser: httpx.AsyncClient) -> None:
    address = httpx.URL(await way_back(browser, "ada"))

    forged = await browser.get(address.copy_set_param("state", "chosen by somebody"))

    assert "started elsewhere" in await refusal(browser, forged, 403)


async def test_a_made_up_code_is_refused_with_the_providers_reason(
    browser: httpx.AsyncClient,
) -> None:
    address = httpx.URL(await way_back(browser, "ada"))

    forged = await browser.get(address.copy_set_param("code", "made-up"))

    assert "invalid_grant" in await refusal(browser, forged, 403)


async def test_who_gives_up_at_the_provider_is_told_so(browser: httpx.AsyncClient) -> None:
    left = await browser.get("/sign-in/oidc")
    state = parse_qs(urlsplit(left.headers["location"]).query)["state"][0]

    answer = await browser.get(
        "/sign-in/oidc/callback",
        params={"error": "access_denied", "error_description": "<b>no</b>", "state": state},
    )

    said = await refusal(browser, answer, 403)
    assert "access was denied" in said
    assert "<b>" not in said


async def test_what_a_provider_says_of_an_error_is_dead_text(browser: httpx.AsyncClient) -> None:
    left = await browser.get("/sign-in/oidc")
    [state] = parse_qs(urlsplit(left.headers["location"]).query)["state"]
    said_there = {"error": "odd\x1b", "error_description": "<script>alert(1)</script>"}

    answer = await browser.get("/sign-in/oidc/callback", params={**said_there, "state": state})

    said = await refusal(browser, answer, 403)
    assert "&lt;script&gt;" in said
    assert "<script>alert" not in said


@pytest.mark.parametrize(
    "to",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/a\r\nX: y",
        "javascript:1",
        "/" + "ü" * 1_900,
    ],
)
async def test_it_leads_nowhere_else(browser: httpx.AsyncClient, to: str) -> None:
    answer = await logs_in(browser, "mary", to=to)

    assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_a_provider_that_is_away_is_told(
    approvals: ApprovalClient, web_config: WebConfig
) -> None:
    nowhere = f"http://127.0.0.1:{embedded.free_port(0)}"
    config = web_config.model_copy(update={"oidc": of(nowhere)})
    async with (
        running(config, approvals) as inbox,
        httpx.AsyncClient(base_url=inbox.url, timeout=60) as browser,
    ):
        said = await refusal(browser, await browser.get("/sign-in/oidc"), 502)
    assert "can&#39;t be used now" in said


async def test_a_provider_that_goes_away_in_between_is_told(
    approvals: ApprovalClient, web_config: WebConfig
) -> None:
    async with provider() as issuer:
        config = web_config.model_copy(update={"oidc": of(issuer)})
        server = running(config, approvals)
        inbox = await server.__aenter__()
        browser = httpx.AsyncClient(base_url=inbox.url, timeout=60)
        address = await way_back(browser, "ada")
    try:
        said = await refusal(browser, await browser.get(address), 502)
        assert "can&#39;t be used now" in said
    finally:
        await browser.aclose()
        await server.__aexit__(None, None, None)


async def test_a_provider_that_calls_itself_otherwise_is_not_believed(
    approvals: ApprovalClient, web_config: WebConfig, issuer: str
) -> None:
    config = web_config.model_copy(update={"oidc": of(f"{issuer}/")})
    async with (
        running(config, approvals) as inbox,
        httpx.AsyncClient(base_url=inbox.url, timeout=60) as browser,
    ):
        said = await refusal(browser, await browser.get("/sign-in/oidc"), 502)
    assert f"the provider calls itself {issuer}" in said


async def test_a_wrong_secret_is_refused(
    approvals: ApprovalClient, web_config: WebConfig, issuer: str
) -> None:
    config = web_config.model_copy(update={"oidc": of(issuer, client_secret="another")})
    async with (
        running(config, approvals) as inbox,
        httpx.AsyncClient(base_url=inbox.url, timeout=60) as browser,
    ):
        said = await refusal(browser, await logs_in(browser, "ada"), 403)
    assert "invalid_client" in said


async def test_a_link_of_a_command_signs_nobody_in_where_there_is_a_provider(
    inbox: Context, browser: httpx.AsyncClient
) -> None:
    token = await inbox.store.sessions.invite("ada@example.com")

    assert (await browser.get(f"/sign-in/{token}")).status_code == 403
    assert "clearance" not in browser.cookies


async def test_without_a_provider_there_is_no_such_way(
    approvals: ApprovalClient, web_config: WebConfig
) -> None:
    config = web_config.model_copy(update={"oidc": None})
    async with (
        running(config, approvals) as inbox,
        httpx.AsyncClient(base_url=inbox.url, timeout=60) as browser,
    ):
        assert (await browser.get("/sign-in/oidc")).status_code == 404
        assert (await browser.get("/sign-in/oidc/callback")).status_code == 404


@pytest.fixture
def reviewed(settings: Settings) -> Settings:
    """Workers that know of a group whose members a sign-in vouches for."""
    path = settings.state.with_name("reviewers.toml")
    path.write_text('[groups]\nfinance = []\n\n[sign_in]\ngroups = ["finance"]\n')
    return settings.model_copy(update={"reviewers": path})


async def test_a_group_of_the_sign_in_decides_what_waits_for_it(
    reviewed: Settings,
    connection: dict[str, Any],
    approvals: ApprovalClient,
    inbox: Context,
    browser: httpx.AsyncClient,
    signed_out: httpx.AsyncClient,
) -> None:
    async with worker.running(reviewed, connection, only="approvals"):
        request = ApprovalRequest(action="Pay ACME", audience=("group:finance",))
        id = (await approvals.request(request, id=unique("pay"))).id
        outsider, path = signed_out, f"/requests/{id}"
        await logs_in(browser, "ada")
        await logs_in(outsider, "mary")
        fields = hidden((await browser.get(path)).text, "approve")
        of_mary = {**fields, "csrf": hidden((await outsider.get("/history")).text, "")["csrf"]}

        refused = await outsider.post(path, data=of_mary)
        assert (await approvals.get(id)).status == "pending"
        done = await browser.post(path, data=fields)

        assert (refused.status_code, done.status_code) == (403, 303)
        view = await approvals.get(id)
        assert (view.status, view.decision and view.decision.by) == ("approved", "ada@example.com")


def hidden(page: str, form: str) -> dict[str, str]:
    """The hidden fields of a page, or of one of its forms."""
    part = page.partition(f'<form id="{form}"')[2].partition("</form>")[0] if form else page
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', part))


async def test_a_person_signs_in_with_a_real_browser(inbox: Context, chromium: Browser) -> None:
    context = await chromium.new_context(base_url=inbox.url)
    page = await context.new_page()
    await page.goto("/history")
    await page.get_by_role("link", name="Continue to sign in").click()
    await page.get_by_placeholder("Enter any login").fill("ada")
    await page.get_by_placeholder("and password").fill("any")
    await page.get_by_role("button", name="Sign-in").click()
    await page.get_by_role("button", name="Continue").click()
    await page.wait_for_url("**/history")

    assert "ada@example.com" in await page.locator("header").inner_text()
    await page.get_by_role("button", name="Sign out").click()
    await page.wait_for_url("**/sign-in")
    await page.goto("/history")
    assert page.url.endswith("/sign-in?next=%2Fhistory")
    await context.close()

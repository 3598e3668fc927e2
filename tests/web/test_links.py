"""Signed links: one person's way to one request, by e-mail for instance."""

import html
import re
from datetime import timedelta
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser

from clearance import ApprovalClient, ApprovalRequest
from store import Link
from store.links import path_of
from tests.support import unique
from web.config import Rates, WebConfig
from web.context import Context
from web.server import running

from . import axe, shared
from .asking import words

inbox, web_config = shared.inbox, shared.web_config
approvals, settings = shared.approvals, shared.settings
worker_running = shared.worker_running

pytestmark = pytest.mark.usefixtures("worker_running")

WHO = "cfo@example.com"


async def asked(approvals: ApprovalClient, **changes: object) -> str:
    """A request that waits for the CFO; its id."""
    request = {"action": "Wire 80,000 EUR to ACME", "audience": (WHO,), **changes}
    return (await approvals.request(ApprovalRequest.model_validate(request), id=unique("wire"))).id


async def made(inbox: Context, id: str, who: str = WHO, lasts: timedelta = timedelta(1)) -> str:
    """The path of a new link to it."""
    asked_at = (await inbox.approvals.summary(id)).requested_at
    link: Link = await inbox.store.links.create(id, who, lasts, asked_at=asked_at)
    return path_of(inbox.store.signing_key, link.id)


def form(page: str, do: str) -> dict[str, str]:
    """The hidden fields of one of a page's forms."""
    (found,) = re.findall(rf'<form id="{do}".*?</form>', page, re.DOTALL)
    hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', found)
    return {name: html.unescape(value) for name, value in hidden}


async def test_a_link_shows_one_request_as_one_person_and_decides_it(
    inbox: Context, approvals: ApprovalClient, browser: httpx.AsyncClient
) -> None:
    id = await asked(approvals)
    path = await made(inbox, id)

    page = await browser.get(path)
    done = await browser.post(path, data={**form(page.text, "approve"), "reason": "as agreed"})

    assert page.status_code == 200
    assert "Wire 80,000 EUR to ACME" in page.text
    assert WHO in page.text
    assert (done.status_code, done.headers["location"]) == (303, path)
    view = await approvals.get(id)
    assert view.status == "approved"
    assert view.decision is not None
    assert (view.decision.by, view.decision.channel) == (WHO, "link")


async def test_a_link_rejects_with_a_reason(
    inbox: Context, approvals: ApprovalClient, browser: httpx.AsyncClient
) -> None:
    id = await asked(approvals)
    path = await made(inbox, id)
    page = await browser.get(path)

    await browser.post(path, data={**form(page.text, "reject"), "reason": "twice the price"})

    view = await approvals.get(id)
    assert (view.status, view.decision and view.decision.reason) == ("rejected", "twice the price")


async def test_opening_a_link_decides_nothing_and_leaves_no_trace(
    inbox: Context, approvals: ApprovalClient, browser: httpx.AsyncClient
) -> None:
    id = await asked(approvals)
    path = await made(inbox, id)
    before = (await approvals.get(id)).events

    for query in ({}, {"do": "approve"}, {"decision": "approve"}):
        assert (await browser.get(path, params=query)).status_code == 200
    head = await browser.request("HEAD", path)

    assert head.status_code in (200, 405)
    view = await approvals.get(id)
    assert (view.status, view.events) == ("pending", before)


async def test_nobody_learns_the_links_address_and_it_signs_nobody_in(
    inbox: Context, approvals: ApprovalClient, browser: httpx.AsyncClient
) -> None:
    page = await browser.get(await made(inbox, await asked(approvals)))

    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    assert "set-cookie" not in page.headers
    assert 'aria-label="Main"' not in page.text, "no way to other pages"
    assert (await browser.get("/")).status_code == 303


async def test_it_opens_no_other_request(
    inbox: Context, approvals: ApprovalClient, browser: httpx.AsyncClient
) -> None:
    one, other = await asked(approvals), await asked(approvals)
    path = await made(inbox, one)
    of_other = await browser.get(await made(inbox, other))

    crossed = await browser.post(path, data=form(of_other.text, "approve"))
    beyond = await browser.get(f"{path}/{other}")

    assert crossed.status_code == 403
    assert beyond.status_code == 404
    assert {(await approvals.get(id)).status for id in (one, other)} == {"pending"}


@pytest.mark.parametrize(
    ("do", "more"),
    [("delegate", {"to": "eve@example.com"}), ("withdraw", {}), ("", {}), ("destroy", {})],
)
async def test_what_is_no_decision_of_its_own_is_not_done_by_a_link(
    inbox: Context,
    approvals: ApprovalClient,
    browser: httpx.AsyncClient,
    do: str,
    more: dict[str, str],
) -> None:
    id = await asked(approvals)
    path = await made(inbox, id)
    fields = form((await browser.get(path)).text, "approve")

    answer = await browser.post(path, data={**fields, **more, "do": do})

    assert answer.status_code == 422
    view = await approvals.get(id)
    assert (view.status, view.delegations) == ("pending", [])


async def test_a_form_without_its_token_or_from_another_site_is_refused(
    inbox: Context, approvals: ApprovalClient, browser: httpx.AsyncClient
) -> None:
    id = await asked(approvals)
    path = await made(inbox, id)
    fields = form((await browser.get(path)).text, "approve")

    bare = await browser.post(path, data={**fields, "csrf": ""})
    sent = await browser.post(path, data=fields, headers={"Sec-Fetch-Site": "cross-site"})

    assert (bare.status_code, sent.status_code) == (403, 403)
    assert (await approvals.get(id)).status == "pending"


async def test_a_name_in_the_form_changes_nothing(
    inbox: Context, approvals: ApprovalClient, browser: httpx.AsyncClient
) -> None:
    id = await asked(approvals, audience=())
    path = await made(inbox, id, "mary@example.com")
    fields = form((await browser.get(path)).text, "approve")

    await browser.post(path, data={**fields, "reviewer": WHO, "who": WHO, "channel": "cli"})

    view = await approvals.get(id)
    assert view.decision is not None
    assert (view.decision.by, view.decision.channel) == ("mary@example.com", "link")


async def test_who_is_not_in_the_audience_is_told_and_decides_nothing(
    inbox: Context, approvals: ApprovalClient, browser: httpx.AsyncClient
) -> None:
    id = await asked(approvals)
    mine = form((await browser.get(await made(inbox, id))).text, "approve")
    path = await made(inbox, id, "eve@example.com")
    page = await browser.get(path)
    (csrf,) = set(re.findall(r'name="csrf" value="([^"]+)"', page.text)) or {""}

    answer = await browser.post(path, data={**mine, "csrf": csrf})

    assert "not in the audience" in page.text
    assert answer.status_code == 403
    assert (await approvals.get(id)).status == "pending"


async def test_a_link_dies_with_its_request_and_says_how_that_ended(
    inbox: Context, approvals: ApprovalClient, browser: httpx.AsyncClient
) -> None:
    id = await asked(approvals)
    path = await made(inbox, id)
    fields = form((await browser.get(path)).text, "approve")
    await approvals.reject(id, reviewer=WHO, reason="called them")

    page = await browser.get(path)
    late = await browser.post(path, data=fields)

    assert (page.status_code, late.status_code) == (410, 409)
    for answer in (page, late):
        assert "Rejected You rejected this request" in words(answer)
        assert "<form" not in answer.text
        for kept in ("Wire 80,000", "called them", id):
            assert kept not in answer.text
    assert (await approvals.get(id)).status == "rejected"


async def test_a_link_to_what_nobody_decided_says_so_in_a_sentence(
    inbox: Context, approvals: ApprovalClient, browser: httpx.AsyncClient
) -> None:
    withdrawn = await asked(approvals, requester="mary@example.com")
    expired = await asked(approvals, expires_in=timedelta(milliseconds=200))
    decided = await asked(approvals, audience=())
    back = await asked(approvals, audience=())
    await approvals.withdraw(withdrawn, who="mary@example.com", reason="not needed")
    await approvals.wait(expired, timedelta(seconds=20))
    await approvals.approve(decided, reviewer="bob@example.com", reason="fine")
    await approvals.request_changes(back, reviewer="bob@example.com", feedback="half of it")

    said = {}
    for id in (withdrawn, expired, decided, back):
        page = await browser.get(await made(inbox, id))
        assert page.status_code == 410
        said[id] = words(page)
        assert not [one for one in ("not needed", "fine", "half of it") if one in said[id]]

    assert "This request was withdrawn by mary@example.com , 2" in said[withdrawn]
    assert said[expired].count("nobody decided in time") == 1
    assert "This request was approved by bob@example.com , 2" in said[decided]
    assert "This request was sent back for changes by bob@example.com" in said[back]


async def test_a_link_rejects_only_with_a_reason(
    inbox: Context, approvals: ApprovalClient, browser: httpx.AsyncClient
) -> None:
    id = await asked(approvals)
    path = await made(inbox, id)
    page = await browser.get(path)

    silent = await browser.post(path, data={**form(page.text, "reject"), "reason": " "})

    assert silent.status_code == 422
    assert "Say why not" in words(silent)
    assert (await approvals.get(id)).status == "pending"


async def test_a_click_that_is_sent_twice_is_one_decision(
    inbox: Context, approvals: ApprovalClient, browser: httpx.AsyncClient
) -> None:
    id = await asked(approvals)
    path = await made(inbox, id)
    fields = form((await browser.get(path)).text, "approve")

    assert [(await browser.post(path, data=fields)).status_code for _ in "12"] == [303, 303]

    assert len([one for one in (await approvals.get(id)).events if one.kind == "approved"]) == 1


async def test_a_link_that_expired_or_was_revoked_says_which_and_what_to_do(
    inbox: Context, approvals: ApprovalClient, browser: httpx.AsyncClient
) -> None:
    id = await asked(approvals)
    old = await made(inbox, id, lasts=timedelta(seconds=-1))
    ended = await made(inbox, id)
    await inbox.store.links.revoke(id)

    for path, said in ((old, "has expired"), (ended, "was revoked")):
        for answer in (await browser.get(path), await browser.post(path, data={"do": "approve"})):
            assert answer.status_code == 410
            assert said in answer.text
            assert "Ask whoever sent it" in answer.text
            assert "Wire 80,000" not in answer.text
    assert (await approvals.get(id)).status == "pending"


async def test_a_link_that_was_changed_or_cut_off_opens_nothing(
    inbox: Context, approvals: ApprovalClient, browser: httpx.AsyncClient
) -> None:
    path = await made(inbox, await asked(approvals))
    foreign = path_of(b"another key, of 32 bytes in all..", "0" * 16)

    for wrong in (path[:-1], path + "A", path.replace("/l/", "/l/x"), "/l/x", foreign):
        answer = await browser.get(wrong)
        assert (answer.status_code, "no link of this inbox" in answer.text) == (403, True), wrong


async def test_who_tries_links_is_stopped(web_config: WebConfig, approvals: ApprovalClient) -> None:
    config = web_config.model_copy(update={"rates": Rates()})
    async with (
        running(config, approvals) as inbox,
        httpx.AsyncClient(base_url=inbox.url) as browser,
    ):
        answers = [await browser.get(f"/l/guess-{number}") for number in range(25)]

    assert [one.status_code for one in answers] == [403] * 20 + [429] * 5
    assert int(answers[-1].headers["retry-after"]) in range(1, 62)


async def test_changed_arguments_are_shown_before_they_are_approved(
    inbox: Context, approvals: ApprovalClient, browser: httpx.AsyncClient
) -> None:
    wire = {"tool": "wire", "arguments": {"cents": 8_000_000}, "editable": True}
    id = await asked(approvals, audience=(), **wire)
    path = await made(inbox, id)
    page = await browser.get(path)
    fields = form(page.text, "edit")
    (name,) = re.findall(r'name="(arg[^"]*)"', page.text)

    preview = await browser.post(path, data={**fields, name: "7000000"})
    done = await browser.post(path, data=form(preview.text, "approve"))

    assert "Approve with these changes" in preview.text
    assert done.status_code == 303, done.text
    view = await approvals.get(id)
    assert (view.status, view.current.arguments) == ("approved", {"cents": 7_000_000})


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
async def test_two_clicks_in_a_real_browser(
    inbox: Context, approvals: ApprovalClient, chromium: Browser, scripts: bool
) -> None:
    id = await asked(approvals)
    phone: Any = {"viewport": {"width": 360, "height": 740}, "java_script_enabled": scripts}
    # A window of its own: a browser logs that the link is gone then.
    async with await chromium.new_context(base_url=inbox.url, **phone) as window:
        page = await window.new_page()
        await page.goto(await made(inbox, id))
        await page.locator("form#approve button.good").click()
        await page.get_by_role("heading", name="Approved").wait_for()

        assert (await approvals.get(id)).status == "approved"
        assert "You approved this request" in await page.inner_text("main")
        box = await page.locator("body").bounding_box()
        assert box is not None
        assert box["width"] <= 360
        if scripts:
            await axe.check(page)

"""The list in a real browser: live, by the keyboard, on a telephone, without JavaScript."""

from datetime import timedelta

from playwright.async_api import Browser, Page, Route, expect

from clearance import ApprovalClient
from tests.directory import ADA, BOB
from tests.support import eventually
from web.context import Context

from . import axe
from .asking import ask, ask_many, over
from .conftest import OpenPage

expect.set_options(timeout=20_000)  # a busy machine takes its time

LOW = {"risk": "low", "checkpoint": "small-refunds", "tool": "refund"}
HOSTILE = "<img src=x onerror=alert(1)></a><script>alert(2)</script>"


async def is_live(page: Page) -> None:
    await expect(page.locator("#stream")).to_contain_class("on")


async def focused(page: Page) -> str:
    """What the row says that has the focus."""
    return str(await page.evaluate("document.activeElement.textContent.trim()"))


async def test_a_new_request_arrives_by_itself_as_amber_as_the_others_and_a_decided_one_leaves(
    open_page: OpenPage, approvals: ApprovalClient, worker_running: None
) -> None:
    first = await ask(approvals, "First")
    page = await open_page("/")
    await is_live(page)
    assert await page.title() == "(1) Clearance"

    await ask(approvals, "Second")

    await expect(page.locator(".row")).to_have_count(2)
    await expect(page.locator(".row").first).to_contain_text("Second")
    await expect(page.locator(".row").first).to_have_attribute("data-kept-new", "")
    await expect(page.locator(".row").last).not_to_have_attribute("data-kept-new", "")
    await expect(page).to_have_title("(2) Clearance")
    await expect(page.locator("#said")).to_have_text("New request: Second")
    colours = "[...document.querySelectorAll('.badge')].map((one) => getComputedStyle(one).color)"
    new, old = await page.evaluate(colours)
    assert new == old

    await approvals.approve(first, reviewer=BOB)

    await expect(page.locator(".row")).to_have_count(1)
    await expect(page).to_have_title("(1) Clearance")
    await expect(page.locator("#said")).to_have_text("1 request has left the list")


async def test_the_list_comes_alive_from_nothing_with_only_what_is_in_the_view(
    open_page: OpenPage, approvals: ApprovalClient
) -> None:
    page = await open_page("/")
    await is_live(page)
    await expect(page.locator("#empty")).to_be_visible()

    await ask(approvals, "For somebody else", audience=(BOB,))
    await ask(approvals, "Out of nothing", audience=(ADA,))

    await expect(page.locator(".row")).to_have_count(1)
    await expect(page.locator(".row")).to_contain_text("Out of nothing")
    await expect(page.locator("#empty")).to_have_count(0)


async def test_it_is_live_however_late_its_scripts_come(
    inbox: Context, chromium: Browser, approvals: ApprovalClient
) -> None:
    async def late(route: Route) -> None:
        await eventually(lambda: page.evaluate("Boolean(window.htmx)"))
        await page.evaluate("new Promise((done) => setTimeout(done, 50))")  # which would be enough
        await route.continue_()

    async with await chromium.new_context(base_url=inbox.url) as window:
        page = await window.new_page()
        await page.route("**/hx-sse.min.js", late)
        await page.route("**/inbox.js", late)
        await page.goto(f"/sign-in/{await inbox.store.sessions.invite(ADA)}")

        await is_live(page)
        await ask(approvals, "Out of nothing")
        await expect(page.locator(".row")).to_have_count(1)


async def test_a_refresh_takes_nothing_from_who_is_at_work(
    open_page: OpenPage, approvals: ApprovalClient
) -> None:
    for number in range(3):
        await ask(approvals, f"Refund {number}", **LOW)
    page = await open_page("/")
    await is_live(page)
    await page.locator(".row").nth(1).locator("input").check()
    await page.locator("#bulk-reason").fill("Because")
    await page.locator("#q").fill("half a wor")

    await ask(approvals, "Newcomer", risk="high")

    await expect(page.locator(".row")).to_have_count(4)
    assert await page.evaluate("document.activeElement.id") == "q"
    assert await page.locator("#q").input_value() == "half a wor"
    assert await page.locator("#bulk-reason").input_value() == "Because"
    checked = page.locator(".row:has(:checked)")
    await expect(checked).to_have_count(1)
    await expect(checked).to_contain_text("Refund 1")
    await expect(page.locator("#picked-count")).to_have_text("1 selected")


async def test_the_focus_goes_to_the_next_row_when_its_own_is_decided_elsewhere(
    open_page: OpenPage, approvals: ApprovalClient, worker_running: None
) -> None:
    ids = [await ask(approvals, f"Action {number}") for number in range(3)]
    page = await open_page("/")
    await is_live(page)
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    assert await focused(page) == "Action 1"

    await approvals.reject(ids[1], reviewer=BOB)

    await expect(page.locator(".row")).to_have_count(2)
    assert await focused(page) == "Action 0"


def hang_up(inbox: Context) -> None:
    """End what is open now, as the inbox does after ten minutes."""
    for one in inbox.live._listeners:
        one.put_nowait(None)


async def test_a_dropped_connection_is_told_and_found_again_and_so_is_being_signed_out_elsewhere(
    inbox: Context, chromium: Browser, approvals: ApprovalClient
) -> None:
    window = await chromium.new_context(base_url=inbox.url)
    page = await window.new_page()
    await page.goto(f"/sign-in/{await inbox.store.sessions.invite(ADA)}")
    await is_live(page)

    # What is open stays open when a browser goes offline, until it ends at the other side.
    await window.set_offline(True)
    hang_up(inbox)
    await expect(page.locator(".live-off")).to_be_visible(timeout=15_000)
    await ask(approvals, "Meanwhile")
    await window.set_offline(False)

    await expect(page.locator(".live-on")).to_be_visible(timeout=30_000)
    await expect(page.locator(".row")).to_contain_text("Meanwhile")

    secret = next(one for one in await window.cookies() if one["name"] == "clearance")

    await inbox.store.sessions.end(secret["value"])
    hang_up(inbox)

    await expect(page.locator(".live-out")).to_be_visible(timeout=60_000)
    await window.close()


async def test_keys_move_open_and_decide(open_page: OpenPage, approvals: ApprovalClient) -> None:
    ids = [await ask(approvals, f"Action {number}", **LOW) for number in range(3)]
    page = await open_page("/")

    await page.keyboard.press("j")
    assert await focused(page) == "Action 2"
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    assert await focused(page) == "Action 0"
    await page.keyboard.press("k")
    assert await focused(page) == "Action 1"
    for key, part in (("a", "approve"), ("r", "reject"), ("e", "edit")):
        row = page.locator(".row", has_text="Action 1")
        await row.locator(".title").focus()
        async with page.expect_request(f"**/requests/{ids[1]}"):
            await page.keyboard.press(key)
        await page.wait_for_url(f"**/requests/{ids[1]}#{part}")
        await page.go_back()
    await page.locator(".row", has_text="Action 1").locator(".title").focus()
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/requests/{ids[1]}")


async def test_keys_search_select_and_help_but_never_in_a_field(
    open_page: OpenPage, approvals: ApprovalClient
) -> None:
    await ask(approvals, "Refund", **LOW)
    page = await open_page("/")

    await page.keyboard.press("j")
    await page.keyboard.press("x")
    await expect(page.locator("#picked")).to_be_visible()
    await expect(page.locator("#picked-count")).to_have_text("1 selected")
    await page.keyboard.press("Escape")
    await expect(page.locator("#picked")).to_be_hidden()

    await page.keyboard.press("/")
    await page.keyboard.type("jxk?/")
    assert await page.locator("#q").input_value() == "jxk?/"
    await expect(page.locator("#help")).to_be_hidden()
    await page.keyboard.press("Escape")
    assert await page.evaluate("document.activeElement === document.body")

    await page.keyboard.press("?")
    await expect(page.locator("#help")).to_be_visible()
    await page.keyboard.press("j")
    await axe.check(page)
    await page.keyboard.press("Escape")
    await expect(page.locator("#help")).to_be_hidden()


async def test_several_are_approved_at_once_in_the_browser(
    open_page: OpenPage, approvals: ApprovalClient, worker_running: None
) -> None:
    ids = [await ask(approvals, f"Refund {number}", **LOW) for number in range(3)]
    page = await open_page("/")
    await page.locator(".pick input").nth(0).check()
    await page.locator(".pick input").nth(2).check()

    await page.get_by_role("button", name="Approve").click()

    await expect(page.locator("h1")).to_have_text("Approved")
    await axe.check(page)
    statuses = [(await approvals.get(id)).status for id in ids]
    assert statuses == ["approved", "pending", "approved"]


async def test_only_what_goes_together_can_be_ticked_together(
    open_page: OpenPage, approvals: ApprovalClient
) -> None:
    await ask(approvals, "Refund", **LOW)
    await ask(approvals, "Mail", **{**LOW, "checkpoint": "mails"})
    page = await open_page("/")
    mail, refund = page.locator(".pick input").nth(0), page.locator(".pick input").nth(1)

    await refund.check()
    await expect(mail).to_be_disabled()
    await expect(page.locator("#picked-hint")).to_contain_text("of small-refunds")

    await is_live(page)
    await ask(approvals, "Another mail", **{**LOW, "checkpoint": "mails"})
    await expect(page.locator(".row")).to_have_count(3)
    await expect(page.locator(".pick input:disabled")).to_have_count(2)
    await expect(page.locator(".row:has(:checked)")).to_contain_text("Refund")

    await page.locator(".row:has(:checked) input").uncheck()
    await expect(page.locator(".pick input:disabled")).to_have_count(0)


async def test_rejecting_several_asks_for_a_reason_and_approving_does_not(
    open_page: OpenPage, approvals: ApprovalClient, worker_running: None
) -> None:
    id = await ask(approvals, "Refund", **LOW)
    page = await open_page("/")
    await page.locator(".pick input").check()

    await page.get_by_role("button", name="Reject").click()
    assert await page.evaluate("document.activeElement.id") == "bulk-reason"
    assert (await approvals.get(id)).status == "pending"

    await page.get_by_role("button", name="Approve").click()
    await expect(page.locator("h1")).to_have_text("Approved")


async def test_escape_ends_a_search(open_page: OpenPage, approvals: ApprovalClient) -> None:
    await ask(approvals, "Refund")
    await ask(approvals, "Mail")
    page = await open_page("/?q=mail")
    await expect(page.locator(".row")).to_have_count(1)

    await page.locator("#q").focus()
    await page.keyboard.press("Escape")

    await expect(page.locator(".row")).to_have_count(2)
    assert await page.locator("#q").input_value() == ""


async def test_it_is_read_searched_and_decided_without_javascript(
    inbox: Context, chromium: Browser, approvals: ApprovalClient, worker_running: None
) -> None:
    id = await ask(approvals, "Refund Ann", **LOW)
    await ask(approvals, "Mail Bob", risk="high")
    # Not ``open_page``: that something is refused is an error in a browser's console.
    window = await chromium.new_context(base_url=inbox.url, java_script_enabled=False)
    page = await window.new_page()
    await page.goto(f"/sign-in/{await inbox.store.sessions.invite(ADA)}")

    await expect(page.locator(".row")).to_have_count(2)
    await expect(page.get_by_role("link", name="Refresh")).to_be_visible()
    await expect(page.locator("#stream")).to_be_hidden()
    await page.locator("#q").fill("ann")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.locator(".row")).to_have_count(1)
    await page.locator(".pick input").check()
    await page.get_by_role("button", name="Reject").click()
    await expect(page.get_by_role("alert")).to_contain_text("To reject, say why")
    await expect(page.locator(".pick input")).to_be_checked()
    await page.locator("#bulk-reason").fill("Not this one")
    await page.get_by_role("button", name="Reject").click()

    await expect(page.locator(".badge")).to_have_text("Rejected")
    assert (await approvals.get(id)).status == "rejected"
    await window.close()


async def test_nothing_is_wider_than_a_small_telephone(
    open_page: OpenPage, approvals: ApprovalClient, worker_running: None
) -> None:
    wide = {"tool": "mail", "audience": (ADA, BOB), "quorum": 2}
    await ask(approvals, "W" * 300, requester="x" * 180, risk="critical", **wide)
    done = await ask(approvals, "m" * 300, **LOW)
    await approvals.reject(done, reviewer=BOB, reason="n" * 500)
    await over(approvals, done)
    await ask(approvals, "Refund", expires_in=timedelta(minutes=59), **LOW)

    width = "document.documentElement.scrollWidth"
    low = "[...document.querySelectorAll('.row .title, .pick input, button, summary')]"
    low += ".filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 22)"
    page = await open_page("/", viewport={"width": 360, "height": 740}, has_touch=True)
    for path in ("/history", "/?view=all&sort=risk&tool=mail", "/"):
        await page.goto(path)
        assert await page.locator(".row").count(), path
        assert await page.evaluate(width) == 360, path
        assert await page.evaluate(f"{low}.map((one) => one.outerHTML)") == [], path
        await axe.check(page)
    await page.locator(".pick input").first.check()
    await expect(page.get_by_role("button", name="Approve")).to_be_in_viewport()
    assert await page.evaluate(width) == 360
    assert await page.evaluate(f"{low}.map((one) => one.outerHTML)") == []
    await axe.check(page)


async def test_axe_finds_nothing_grave_by_day_and_by_night(
    open_page: OpenPage, approvals: ApprovalClient, worker_running: None
) -> None:
    await ask(approvals, "Trade", risk="critical", tool="trade", expires_in=timedelta(minutes=5))
    await ask(approvals, "Refund", expires_in=timedelta(hours=5), **LOW)
    for verdict in (True, False):
        id = await ask(approvals, "Mail")
        await approvals.decide(id, approved=verdict, reviewer=BOB, reason="So it is")
        await over(approvals, id)
    page = await open_page("/nope", code=404)
    await axe.check_both(page)
    for path in ("/", "/?view=groups", "/?q=nothing&tool=x", "/history"):
        await page.goto(path)
        if path == "/":
            await page.locator(".pick input").first.check()
        await axe.check_both(page)


async def test_hostile_words_are_shown_dead(
    open_page: OpenPage, approvals: ApprovalClient, worker_running: None
) -> None:
    hostile = {"tool": HOSTILE, "requester": HOSTILE, "checkpoint": HOSTILE, "risk": "low"}
    await ask(approvals, f"{HOSTILE}\u202e\x1b[2J", **hostile)
    done = await ask(approvals, "Over", tool=HOSTILE)
    await approvals.reject(done, reviewer=HOSTILE, reason=HOSTILE)
    await over(approvals, done)

    page = await open_page("/")
    for path in ("/", "/?q=%3Cscript%3E", "/history", f"/?tool={HOSTILE}"):
        await page.goto(path)
        text = await page.locator("main").inner_text()
        assert "<script>alert(2)</script>" in text or "Nothing" in text
        assert "\u202e" not in await page.content()
        assert await page.locator("main img, main script").count() == 0


async def test_older_pages_stay_where_they_are_when_something_arrives(
    open_page: OpenPage, approvals: ApprovalClient
) -> None:
    await ask_many(approvals, 55)
    page = await open_page("/")
    await page.get_by_role("link", name="Older").click()
    await expect(page.locator(".row")).to_have_count(5)
    await expect(page).to_have_title("(50+) Clearance")
    await is_live(page)
    before = await page.locator(".title").all_inner_texts()

    async with page.expect_response(lambda answer: "hx-request" in answer.request.headers):
        await ask(approvals, "Newcomer")

    assert await page.locator(".title").all_inner_texts() == before

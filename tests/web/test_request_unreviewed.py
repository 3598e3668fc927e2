"""Changes that nobody has reviewed yet: no approval drops them in silence."""

import pytest
from playwright.async_api import expect

from clearance import ApprovalClient, ApprovalRequest
from tests.directory import ADA, BOB, CLEO
from web.pages import editing

from . import shared
from .asking import words
from .conftest import OpenPage, SignedIn
from .pressing import forms, opened, path, press

PAY = ApprovalRequest(
    action="Pay 100 to Ada",
    tool="pay",
    arguments={"to": "Ada", "cents": 100},
    editable=True,
)
CENTS = editing._field("cents", 100).key
PHONE = {"width": 360, "height": 740}

inbox, web_config = shared.inbox, shared.web_config
approvals, settings = shared.approvals, shared.settings
worker_running = shared.worker_running

pytestmark = pytest.mark.usefixtures("worker_running")


async def test_while_a_change_is_not_reviewed_nothing_approves_what_stood_before(
    approvals: ApprovalClient, open_page: OpenPage
) -> None:
    asked = await approvals.request(PAY)
    page = await open_page(path(asked.id), viewport=PHONE)
    approve = page.locator("#approve button.good")
    bar = page.locator(".thumb a").last
    await expect(approve).to_be_enabled()

    await page.keyboard.press("e")
    await page.get_by_label("cents").fill("80")

    await expect(approve).to_be_disabled()
    await expect(page.locator(".unreviewed")).to_contain_text("You have changes: review them")
    await expect(bar).to_have_text("Review changes")
    await page.locator("#approve-reason").focus()
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("#edit :focus")).to_have_count(1)
    assert (await approvals.get(asked.id)).status == "pending"

    await page.locator(".unreviewed").get_by_role("button", name="Discard changes").click()
    await expect(page.locator(".unreviewed")).to_be_hidden()
    await expect(bar).to_have_text("Approve")
    await page.keyboard.press("Control+Enter")
    await page.wait_for_selector(".outcome")
    view = await approvals.get(asked.id)
    assert (view.status, view.edit) == ("approved", None)


async def test_a_change_after_the_review_is_reviewed_again(
    approvals: ApprovalClient, open_page: OpenPage
) -> None:
    asked = await approvals.request(PAY)
    page = await open_page(path(asked.id))
    await page.keyboard.press("e")
    await page.get_by_label("cents").fill("80")
    await page.get_by_role("button", name="Review changes").click()
    await page.wait_for_selector(".draft")

    await page.keyboard.press("e")
    await page.get_by_label("cents").fill("70")
    await expect(page.locator("#approve button.good")).to_be_disabled()
    await page.get_by_role("button", name="Review changes").click()
    await expect(page.locator(".draft")).to_contain_text("70")
    await page.locator("#approve button.good").click()

    await page.wait_for_selector(".outcome")
    assert (await approvals.get(asked.id)).current.arguments["cents"] == 70


async def test_without_scripts_changing_has_a_page_of_its_own_that_approves_nothing(
    approvals: ApprovalClient, open_page: OpenPage
) -> None:
    asked = await approvals.request(PAY)
    page = await open_page(path(asked.id), java_script_enabled=False)
    assert await page.locator("#approve").is_visible()
    assert not await page.get_by_label("cents").is_visible()

    await page.get_by_role("link", name="Change it before approving").click()

    await expect(page.locator("#approve")).to_have_count(0)
    await page.get_by_label("cents").fill("80")
    await page.get_by_role("button", name="Review changes").click()
    await page.get_by_role("button", name="Approve with these changes").click()
    await expect(page.locator(".outcome")).to_contain_text("Approved with changes")


async def test_what_could_not_be_reviewed_is_not_approved_past_either(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    asked = await approvals.request(PAY.model_copy(update={"audience": (ADA, BOB, CLEO)}))
    client = await signed_in(ADA)
    page = await opened(client, asked.id)

    misfit = await press(client, page, "edit", **{CENTS: "eighty"})
    shown = await press(client, misfit, "edit", **{CENTS: "80"})
    await approvals.approve(asked.id, reviewer=BOB, changes={"cents": 90})
    late = await press(client, shown, "approve")

    assert (misfit.status_code, late.status_code) == (422, 409)
    for kept in (misfit, late):
        assert "approve" not in forms(kept)
        assert "You are changing it" in words(kept)
    assert forms(misfit)["edit"][1][CENTS] == "eighty"
    assert "approve" in forms(await opened(client, asked.id))
    assert "approve" not in forms(await opened(client, asked.id, "?edit=1"))


async def test_whose_approval_will_not_count_is_told_before_they_send_their_changes(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    theirs = await approvals.request(PAY.model_copy(update={"audience": (ADA, BOB)}))
    own = await approvals.request(
        PAY.model_copy(update={"audience": (ADA, BOB), "self_approval": ("editor",)})
    )
    client = await signed_in(ADA)

    page = await opened(client, theirs.id)
    shown = await press(client, page, "edit", **{CENTS: "80"})
    sent = await press(client, shown, "approve")
    counts = await press(client, await opened(client, own.id), "edit", **{CENTS: "80"})

    assert "Somebody else has to approve what you change" in words(page)
    assert "Send the changes: somebody else approves them" in words(shown)
    assert "somebody else has to approve them" in words(shown)
    assert "Approve with these changes" not in words(shown)
    assert "Your changes are in" in words(sent)
    assert "Approve with these changes" in words(counts)
    assert "somebody else" not in words(counts)


async def test_a_title_that_does_not_know_of_the_changes_says_so_and_who_made_them_is_named(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    terms = {"audience": (ADA, BOB)}
    plain = await approvals.request(PAY.model_copy(update=terms))
    kept = await approvals.request(
        PAY.model_copy(update={**terms, "description_template": "Pay {cents} to {to}"})
    )
    client = await signed_in(ADA)
    before = await opened(client, plain.id)
    for asked in (plain, kept):
        await approvals.approve(asked.id, reviewer=BOB, changes={"cents": 80})

    after, told = [await opened(client, one.id) for one in (plain, kept)]

    assert "arguments changed since" not in words(before)
    assert "Pay 100 to Ada (arguments changed since: see below)" in words(after)
    assert f"Changed by {BOB}" in words(after)
    assert "Pay 80 to Ada" in words(told)
    assert "arguments changed since" not in words(told)

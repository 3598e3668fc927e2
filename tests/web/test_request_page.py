"""The page of a request in a real browser: keys, thumbs, what happens while it is open, hostile text."""

import json
from typing import Any

import pytest
from agents import Agent, function_tool
from playwright.async_api import Browser, Page, expect

from clearance import ApprovalClient, ApprovalRequest, Stage
from cli.settings import Settings
from tests.agent_runs import Start
from tests.directory import ADA, BOB
from tests.gating import ACTIVITIES, GATE_ALL, effect, effects, own
from tests.support import call, eventually
from web.context import Context

from . import axe
from .conftest import OpenPage
from .pressing import path

MAIL = ApprovalRequest(
    action="Send the offer to Kim",
    tool="send_email",
    arguments={
        "to": ["kim@example.com"],
        "subject": "The offer",
        "body": "Dear Kim,\n\n12% below list.\n\nMary",
        "priority": 2,
        "track": True,
        "meta": {"ids": [1, 2], "password": "hunter2!", "note": "n" * 100},
    },
    details="Second draft",
    impact="It binds us.",
    user_prompt="Offer it",
    agent_message="Done soon",
    editable=True,
    risk="critical",
    requester="mary@example.com",
    checkpoint="mail",
)
STAGED = ApprovalRequest(
    action="Trade",
    stages=(
        Stage(name="lead", audience=(ADA, BOB), quorum=2),
        Stage(name="director", audience=(BOB,)),
    ),
)
PHONE = {"width": 360, "height": 740}
PATIENCE = 20_000


@function_tool
async def pay(to: str, cents: int) -> str:
    return await effect("pay", to=to, cents=cents)


@function_tool(failure_error_function=None)
async def fail() -> str:
    raise ValueError("the bank is closed")


AGENTS = {"payer": lambda: Agent(name="payer", tools=[pay, fail])}

__all__ = ["ACTIVITIES"]

with_a_worker = pytest.mark.usefixtures("worker_running")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return own(settings, __name__, GATE_ALL)


async def _status(approvals: ApprovalClient, id: str) -> str:
    return (await approvals.get(id)).status


@with_a_worker
async def test_the_key_a_leads_to_the_approval_and_ctrl_enter_sends_it(
    approvals: ApprovalClient, open_page: OpenPage
) -> None:
    asked = await approvals.request(MAIL)
    page = await open_page(path(asked.id))

    await page.keyboard.press("a")
    await page.keyboard.type("Agreed")
    await expect(page.locator("#approve-reason")).to_have_value("Agreed")
    await page.keyboard.press("Control+Enter")

    await expect(page.locator(".outcome")).to_contain_text(
        f"Approved\nby {ADA}", use_inner_text=True
    )
    decision = (await approvals.get(asked.id)).decision
    assert decision is not None
    assert decision.reason == "Agreed"


@with_a_worker
async def test_keys_and_fragments_open_their_forms_and_escape_leaves_them(
    approvals: ApprovalClient, open_page: OpenPage
) -> None:
    asked = await approvals.request(MAIL)
    for fragment, form in (("reject", "reject"), ("edit", "edit"), ("approve", "approve")):
        page = await open_page(f"{path(asked.id)}#{fragment}")
        await expect(page.locator(f"#{form} :focus")).to_have_count(1)
        assert await page.locator(f"#{form}").is_visible()

    await page.keyboard.press("Escape")
    await page.keyboard.press("r")
    await expect(page.locator("#reject-reason")).to_be_focused()
    await page.keyboard.type("are")  # in a field, letters are letters
    await expect(page.locator("#reject-reason")).to_have_value("are")
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    await expect(page.locator("dialog#help")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("e")
    await expect(page.locator("#edit :focus")).to_have_count(1)
    await expect(page.locator(".as-is")).to_be_hidden()


@with_a_worker
@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
async def test_the_whole_way_of_editing_goes_with_and_without_scripts(
    approvals: ApprovalClient, open_page: OpenPage, scripts: bool
) -> None:
    asked = await approvals.request(MAIL.model_copy(update={"confirm_phrase": "send {priority}"}))
    page = await open_page(path(asked.id), java_script_enabled=scripts)

    await page.get_by_text("Change it before approving").filter(visible=True).click()
    await page.get_by_label("body").fill("Dear Kim,\n\n10% below list.\n\nMary")
    await page.get_by_label("priority").fill("1")
    await page.get_by_label("track").uncheck()
    await page.get_by_role("button", name="Review changes").click()
    draft = page.locator(".draft")
    await expect(draft).to_contain_text("-12% below list.")
    await expect(draft).to_contain_text("+10% below list.")
    await page.get_by_label("Type send 1 to confirm").fill("send 1")
    await page.get_by_role("button", name="Approve with these changes").click()

    await expect(page.locator(".outcome")).to_contain_text("Approved with changes")
    edit = (await approvals.get(asked.id)).edit
    assert edit is not None
    assert {one.name: one.after for one in edit.changes} == {
        "body": "Dear Kim,\n\n10% below list.\n\nMary",
        "priority": 1,
        "track": False,
    }


@with_a_worker
async def test_without_scripts_it_is_rejected_and_talked_about(
    approvals: ApprovalClient, open_page: OpenPage
) -> None:
    asked = await approvals.request(MAIL)
    page = await open_page(path(asked.id), java_script_enabled=False)

    await page.get_by_label("Comment, or question").fill("Why Kim?")
    await page.get_by_role("button", name="Ask", exact=True).click()
    await expect(page.locator("#done")).to_have_text("Your question is in the record.")
    await page.locator("summary", has_text="Reject").click()
    await page.get_by_label("Why not?").fill("Not Kim")
    await page.get_by_role("button", name="Reject").click()

    await expect(page.locator(".outcome")).to_contain_text("Not Kim")
    assert await _status(approvals, asked.id) == "rejected"


@with_a_worker
async def test_what_others_do_is_there_without_a_reload(
    approvals: ApprovalClient, open_page: OpenPage
) -> None:
    asked = await approvals.request(STAGED)
    page = await open_page(path(asked.id))
    await page.locator("summary", has_text="Ask for changes").click()
    await page.evaluate("window.stayed = true")

    await approvals.approve(asked.id, reviewer=BOB)
    await expect(page.locator(".tally")).to_have_text("1 of 2 approved", timeout=PATIENCE)
    await expect(page.locator("#changes")).to_be_visible()  # what was opened stays open
    await approvals.comment(asked.id, "Is it still open?", who=BOB)
    await expect(page.locator(".record")).to_contain_text("still open?", timeout=PATIENCE)
    await approvals.reject(asked.id, reviewer=BOB, reason="No")

    await expect(page.locator(".outcome")).to_contain_text(f"by {BOB}", timeout=PATIENCE)
    await expect(page.locator("#said")).to_contain_text("It is rejected.")
    await expect(page.locator("#approve")).to_have_count(0)
    assert await page.evaluate("window.stayed")


@with_a_worker
async def test_what_somebody_has_typed_is_not_taken_away_by_what_others_do(
    approvals: ApprovalClient, open_page: OpenPage
) -> None:
    asked = await approvals.request(STAGED)
    page = await open_page(path(asked.id))
    await page.locator("#approve-reason").fill("A long and careful")

    await approvals.reject(asked.id, reviewer=BOB, reason="No")

    await expect(page.locator("#stale")).to_be_visible(timeout=PATIENCE)
    await expect(page.locator("#approve-reason")).to_have_value("A long and careful")
    await page.locator("#reload").click()
    await expect(page.locator(".outcome")).to_contain_text(f"by {BOB}")


async def test_after_the_approval_the_page_tells_what_the_tool_has_done(
    play: Start, approvals: ApprovalClient, open_page: OpenPage
) -> None:
    arguments = {"to": "Kim", "cents": 5}
    async with play([call("pay", json.dumps(arguments))], agent="payer") as (run, _):
        [waiting] = await run.waits_for()
        page = await open_page(path(waiting.id))
        await page.get_by_role("button", name="Approve", exact=True).click()

        story = page.locator(".next")
        await expect(story).to_contain_text("pay has run", timeout=PATIENCE)
        await expect(story).to_contain_text("pay done", timeout=PATIENCE)
        await expect(page.locator(".record")).to_contain_text("executed")
        await run.result()
        await page.reload()
        await expect(story).to_contain_text("Finished.")
        await axe.check(page)
    assert effects(run) == [("pay", arguments)]


async def test_once_the_run_has_ended_the_page_says_what_came_of_it_and_waits_for_nothing(
    play: Start, approvals: ApprovalClient, open_page: OpenPage
) -> None:
    async with play([call("pay", json.dumps({"to": "Kim", "cents": 5}))], agent="payer") as (
        run,
        _,
    ):
        [waiting] = await run.waits_for()
        await approvals.approve(waiting.id, reviewer=ADA)
        await run.result()
    # No worker answers any more: Temporal's own history of the run does.
    page = await open_page(path(waiting.id))

    story = page.locator(".next")
    await expect(story).to_contain_text("✓ pay has run")
    await expect(story.locator(".result")).to_contain_text("pay done")
    await expect(story).not_to_contain_text("goes on")
    await expect(page.locator("#live")).to_have_count(0)


async def test_a_tool_that_fails_is_told_as_a_failure(
    play: Start, approvals: ApprovalClient, open_page: OpenPage
) -> None:
    async with play([call("fail", "{}")], agent="payer") as (run, _):
        [waiting] = await run.waits_for()
        await approvals.approve(waiting.id, reviewer=ADA)
        await run.failure()

        page = await open_page(path(waiting.id))

        await expect(page.locator(".next .fault")).to_contain_text("it failed")


@with_a_worker
async def test_everybody_can_use_it_by_day_and_by_night_as_far_as_axe_can_tell(
    approvals: ApprovalClient, open_page: OpenPage
) -> None:
    mail = await approvals.request(MAIL.model_copy(update={"confirm_phrase": "send it"}))
    staged = await approvals.request(STAGED)
    await approvals.approve(staged.id, reviewer=BOB)
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {
            "colour": {"enum": ["red", "green"]},
            "doors": {"type": "integer"},
            "town": {"enum": list("abcdefgh")},
            "note": {"type": "string"},
            "insured": {"type": "boolean"},
        },
        "required": ["colour"],
    }
    order = await approvals.request(ApprovalRequest(action="Order", response_schema=schema))
    page = await open_page(path(mail.id))
    await axe.check_both(page)
    await page.keyboard.press("e")
    await axe.check_both(page)
    await page.get_by_label("priority").fill("1")
    await page.get_by_role("button", name="Review changes").click()
    await page.wait_for_selector(".draft")
    await axe.check_both(page)
    await page.get_by_label("Type send it").fill("send it")
    await page.get_by_role("button", name="Approve with these changes").click()
    await page.wait_for_selector(".outcome")
    await axe.check_both(page)
    for one in (staged, order):
        await page.goto(path(one.id))
        await axe.check_both(page)
    await page.locator("summary", has_text="Reject").click()
    await page.get_by_label("Why not?").fill("Too dear")
    await page.get_by_role("button", name="Reject").click()
    await page.wait_for_selector(".outcome")
    await axe.check_both(page)


@with_a_worker
async def test_on_a_phone_the_thumb_finds_both_answers_and_nothing_is_wider_than_it(
    approvals: ApprovalClient, open_page: OpenPage
) -> None:
    wide = {"a" * 190: "b" * 500, "n" * 90: {"x" * 90: "y" * 90, "z": [{"w" * 80: 1}]}}
    asked = await approvals.request(
        MAIL.model_copy(
            update={
                "action": "Send" + "x" * 400,
                "arguments": {**MAIL.arguments, **wide},
                "requester": "m" * 200,
                "audience": ("q" * 200, ADA),
            }
        )
    )
    page = await open_page(path(asked.id), viewport=PHONE, has_touch=True)

    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    for name in ("Reject", "Approve"):
        await page.evaluate("scrollTo(0, 0)")
        link = page.locator(".thumb a", has_text=name)
        await expect(link).to_be_visible()
        box = await link.bounding_box()
        assert box is not None
        assert box["height"] >= 44
        assert box["y"] + box["height"] <= PHONE["height"]
        await link.tap()
        form = page.locator(f"#{name.lower()}")
        await expect(form.get_by_role("button", name=name)).to_be_in_viewport()
        await expect(link).to_be_hidden()  # the form's own button is in reach
    await page.get_by_text("Change it before approving").filter(visible=True).tap()
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    await axe.check(page)


HOSTILE = (
    "<img src=x onerror=window.hacked=1><script>window.hacked=1</script>'\"</textarea>\u202e\x1b[2J"
)


@with_a_worker
async def test_hostile_text_is_dead_in_every_field(
    approvals: ApprovalClient, open_page: OpenPage
) -> None:
    name = HOSTILE.replace("\u202e", "").replace("\x1b", "")
    asked = await approvals.request(
        ApprovalRequest(
            action=HOSTILE,
            details=HOSTILE,
            tool=name,
            arguments={
                HOSTILE: HOSTILE,
                "long": HOSTILE * 5,
                "deep": {HOSTILE: [HOSTILE, {"api_key": "k"}, "x" * 99]},
            },
            impact=HOSTILE,
            user_prompt=HOSTILE,
            agent_message=HOSTILE,
            requester=name,
            checkpoint=name,
            audience=(name, ADA),
            editable=True,
            confirm_phrase=HOSTILE,
            response_schema={"properties": {HOSTILE: {"enum": [HOSTILE], "title": HOSTILE}}},
        ),
        id=f"hostile{name}",
    )
    await approvals.comment(asked.id, HOSTILE, who=name)
    await approvals.delegate(asked.id, to=name[:-1], who=ADA, reason=HOSTILE)
    page = await open_page(path(asked.id))
    await page.keyboard.press("e")
    await _dead(page)

    await page.get_by_label("long").fill('"short"')
    await page.get_by_role("button", name="Review changes").click()
    await page.wait_for_selector(".draft")
    await _dead(page)
    assert "<img src=x" in await page.locator("h1").inner_text()
    assert "\\u202e" in await page.locator("h1").inner_text()
    await approvals.reject(asked.id, reviewer=ADA, reason=HOSTILE)
    await page.goto(path(asked.id))
    await _dead(page)


async def _dead(page: Page) -> None:
    await page.wait_for_load_state("load")
    assert await page.evaluate("window.hacked") is None
    assert await page.locator("#request img, #request script").count() == 0
    text = await page.content()
    assert "\u202e" not in text
    assert "\x1b" not in text


@with_a_worker
async def test_200_kb_of_arguments_are_a_page_all_the_same(
    approvals: ApprovalClient, open_page: OpenPage
) -> None:
    given: dict[str, Any] = {
        "text": f"Zeile mit ä{'.' * 80}\n" * 1_000,
        "rows": [{"n": n, "said": "x" * 80} for n in range(1_000)],
    }
    asked = await approvals.request(
        ApprovalRequest(action="Write", tool="write", arguments=given, editable=True)
    )
    page = await open_page(path(asked.id))

    await page.keyboard.press("e")
    await page.get_by_label("text").evaluate("(field) => { field.value += 'Ende'; }")
    await page.get_by_role("button", name="Review changes").click()
    await expect(page.locator(".draft")).to_contain_text("too long to be compared")
    await page.get_by_role("button", name="Approve with these changes").click()
    await page.wait_for_selector(".outcome")

    arguments = (await approvals.get(asked.id)).current.arguments
    assert arguments == {**given, "text": f"{given['text']}Ende"}


@with_a_worker
async def test_a_double_click_is_one_decision(
    approvals: ApprovalClient, open_page: OpenPage
) -> None:
    asked = await approvals.request(STAGED)
    page = await open_page(path(asked.id))

    await page.locator("#approve button.good").dblclick()
    await expect(page.locator("#done")).to_contain_text("1 of 2 approvals")

    async def counted() -> bool:
        return len((await approvals.get(asked.id)).approvals) == 1

    await eventually(counted)
    kinds = [one.kind for one in (await approvals.get(asked.id)).events]
    assert "refused" not in kinds


@with_a_worker
async def test_what_was_typed_wrong_has_the_focus(
    approvals: ApprovalClient, inbox: Context, chromium: Browser
) -> None:
    asked = await approvals.request(MAIL.model_copy(update={"confirm_phrase": "send it"}))
    # A window of its own: a browser logs each answer that refuses something.
    async with await chromium.new_context(base_url=inbox.url) as window:
        page = await window.new_page()
        await page.goto(f"/sign-in/{await inbox.store.sessions.invite(ADA)}")
        await page.goto(path(asked.id))
        await page.get_by_label("Type send it to confirm").fill("send")
        await page.locator("#approve-reason").fill("Kept")
        await page.locator("#approve button.good").click()

        field = page.get_by_label("Type send it to confirm")
        await expect(page.get_by_role("alert")).to_contain_text("that is not the phrase")
        await expect(field).to_be_focused()
        await expect(field).to_have_value("send")
        await expect(field).to_have_accessible_description("Type exactly: send it")
        await expect(page.locator("#approve-reason")).to_have_value("Kept")


@with_a_worker
async def test_somebody_elses_request_is_read_and_not_decided(
    approvals: ApprovalClient, open_page: OpenPage
) -> None:
    bobs = MAIL.model_copy(update={"audience": (BOB,)})
    asked = await approvals.request(bobs)
    page = await open_page(path(asked.id))

    await expect(page.locator("h1")).to_have_text("Send the offer to Kim")
    await expect(page.locator("main")).to_contain_text("You are not in the audience")
    assert await page.locator("#approve, #reject, #edit").count() == 0
    await page.keyboard.press("a")
    await page.keyboard.press("Control+Enter")

    assert await _status(approvals, asked.id) == "pending"

"""Text that a model or anybody else writes is dead on every page: no script runs, nothing is loaded."""

import json
from datetime import timedelta
from urllib.parse import quote

import pytest
from playwright.async_api import Page

from clearance import ApprovalClient, ApprovalRequest
from clearance.runs import AgentRun, start_run
from cli.settings import Settings
from store.links import path_of
from tests.conftest import Serve
from tests.support import PlayedModel, call, eventually, says, unique
from web.context import Context

from .asking import listed, over
from .conftest import OpenPage

ADA = "ada@example.com"

NAME = (
    '<script>window.ran=1</script><img src=x onerror="window.ran=1">"onmouseover="window.ran=1" '
    "'autofocus onfocus=window.ran=1 {{7043*7}} ${7043*7} &lt;b&gt; javascript:window.ran=1"
)
"""On one line, without control characters: as the name of anything."""

TEXT = (
    f"{NAME}\u202egnp.exe\u200b\x1b[31m\x00\x07\n"
    "</textarea></title></style><svg onload=window.ran=1>\n"
)
"""With what hides or turns text around, and what ends the elements that text stands in."""

CONTROLS = "\u202e\u200b\x1b\x00\x07"

HOSTILE = ApprovalRequest(
    action=TEXT.replace("\x00", ""),
    details=TEXT,
    tool=NAME,
    arguments={
        NAME: TEXT,
        "to": TEXT,
        "subject": TEXT,
        "body": TEXT * 5,
        "list": [TEXT, {TEXT: TEXT}, [[TEXT]]],
        "href": "javascript:window.ran=1",
        "data": "data:text/html,<script>window.ran=1</script>",
    },
    impact=TEXT,
    user_prompt=TEXT,
    agent_message=TEXT,
    requester=NAME,
    checkpoint=NAME,
    risk="low",
    editable=True,
    expires_in=timedelta(days=2),
)


async def harmless(page: Page, path: str | None = None) -> None:
    """Assert that nothing in a page has acted, or in another that it goes to.

    ``open_page`` fails the test where something was stopped.
    """
    if path is not None:
        await page.goto(path)
    await page.wait_for_load_state()
    assert await page.evaluate("window.ran") is None
    shown = await page.content()
    assert not set(CONTROLS) & set(shown)
    made = await page.evaluate(
        "document.querySelectorAll('script:not([src]), [onerror], [onload], [onfocus], "
        '[onmouseover], svg[onload], img:not([src^="/static/"]), iframe, object, embed, '
        'a[href^="javascript" i], a[href^="data" i], form[action^="http"]\').length'
    )
    assert made == 0
    assert "49301" not in shown, "no template is evaluated"
    assert "<script>window.ran" not in shown


@pytest.mark.usefixtures("worker_running")
async def test_a_request_that_waits_is_dead_text_wherever_it_is_shown(
    inbox: Context, approvals: ApprovalClient, open_page: OpenPage
) -> None:
    inbox_page = await open_page("/?view=all")  # is there before, and is told of it as it comes
    id = (await approvals.request(HOSTILE, id=unique("hostile <b>'\"&"))).id
    await listed(approvals, id)
    await inbox_page.get_by_text("window.ran=1").first.wait_for()
    await harmless(inbox_page)
    await inbox_page.reload()
    await harmless(inbox_page)

    page = await open_page(f"/requests/{quote(id, safe='')}")
    await harmless(page)
    await page.locator("details.edit summary").click()
    await page.get_by_label("href").fill(NAME)
    await page.locator("#edit button.primary").click()
    await page.locator("#draft-title").wait_for()
    await harmless(page)

    asked_at = (await inbox.approvals.summary(id)).requested_at
    link = await inbox.store.links.create(id, ADA, timedelta(hours=1), asked_at=asked_at)
    await harmless(await open_page(path_of(inbox.store.signing_key, link.id), who=None))


@pytest.mark.usefixtures("worker_running")
async def test_what_people_say_and_how_it_ended_is_dead_text(
    inbox: Context, approvals: ApprovalClient, open_page: OpenPage
) -> None:
    id = (await approvals.request(HOSTILE, id=unique("hostile"))).id
    said = TEXT.replace("\x00", "")
    await approvals.comment(id, said, who=NAME)
    await approvals.ask(id, said, who=NAME)
    await approvals.answer(id, said, who=NAME)
    path = f"/requests/{id}"
    page = await open_page(path)
    await harmless(page)

    await approvals.reject(id, reviewer=NAME, reason=said)
    await over(approvals, id)

    await harmless(page, path)
    await harmless(page, "/history")


async def test_a_name_that_is_none_is_dead_text_in_the_head_of_every_page(
    open_page: OpenPage,
) -> None:
    page = await open_page("/nothing", who=NAME, code=404)
    await harmless(page)
    for path in ("/", "/history", "/runs", f"/requests/{quote(NAME, safe='')}"):
        await harmless(page, path)


async def test_what_was_searched_for_is_dead_text(open_page: OpenPage) -> None:
    page = await open_page("/")
    searched = quote(NAME)
    for path in ("/", "/history"):
        await harmless(page, f"{path}?q={searched}&tool={searched}&requester={searched}")
        await harmless(page, f"{path}?cursor={searched}")
    await harmless(page, f"/?risk={searched}")
    await harmless(await open_page(f"/sign-in?next=/{searched}", who=None))


async def test_a_run_is_dead_text(
    inbox: Context,
    approvals: ApprovalClient,
    serve: Serve,
    settings: Settings,
    open_page: OpenPage,
) -> None:
    said = TEXT.replace("\x00", "")
    asked = call("wait_for_confirmation", json.dumps({"action": said[:400]}))
    model = PlayedModel([says(said), asked], [says(said)])
    async with serve(model) as serving:
        run = AgentRun(
            agent="assistant",
            prompt=said,
            requester=NAME,
            approvals_queue=settings.approvals_queue,
        )
        handle = await start_run(serving.client, run, task_queue=settings.agents_queue)

        async def waiting() -> list[str]:
            return [one.id async for one in approvals.pending(run=handle.id)]

        (id,) = await eventually(waiting)
        page = await open_page(f"/requests/{quote(id, safe='')}")
        await harmless(page)
        await harmless(page, f"/runs/{quote(handle.id, safe='')}")
        await approvals.reject(id, reviewer=NAME, reason=said)
        await handle.result()
        await harmless(page, f"/runs/{quote(handle.id, safe='')}")
        await harmless(page, "/runs")

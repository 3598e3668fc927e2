"""The list of agent runs and the page of one, over HTTP, with real runs."""

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from agents import ModelResponse

from clearance import ApprovalClient
from cli.settings import Settings
from tests.agent_runs import MAIL, Play, Run, Start, played_by_one
from tests.conftest import Serve
from tests.raw import RUNS_LEFT_OPEN
from tests.support import PlayedModel, call, eventually, unique
from web.config import WebConfig
from web.context import Context
from web.server import running

from . import shared
from .asking import link, words
from .conftest import SignedIn

inbox, web_config = shared.inbox, shared.web_config
approvals, settings = shared.approvals, shared.settings

pytestmark = RUNS_LEFT_OPEN

SEND = call("send_email", json.dumps(MAIL))
UNDER_WAY = "The model is thinking"


class Failing(PlayedModel):
    """A model whose provider always refuses."""

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        raise RuntimeError("the quota\x1b is used up")


@pytest.fixture(scope="module")
async def start(settings: Settings, connection: dict[str, Any]) -> AsyncIterator[Start]:
    """Starts runs on a model that plays some turns."""
    async with played_by_one(settings, connection) as start:
        yield start


@pytest.fixture
async def reader(signed_in: SignedIn) -> httpx.AsyncClient:
    """Somebody who is signed in."""
    return await signed_in()


async def sent(run: Run, approvals: ApprovalClient, **how: Any) -> None:
    """Let the run have its mail."""
    (waiting,) = await run.waits_for()
    await approvals.approve(waiting.id, reviewer="grace@example.com", **how)
    await run.result()


async def shows(client: httpx.AsyncClient, path: str, text: str) -> httpx.Response:
    """The page, once it says that."""

    async def probe() -> httpx.Response | None:
        page = await client.get(path)
        return page if text in words(page) else None

    found = await eventually(probe)
    assert found is not None
    return found


async def test_the_list_says_what_each_run_is_for_and_what_it_waits_for(
    reader: httpx.AsyncClient, start: Start
) -> None:
    prompt = unique("Tell Ada")
    async with start([SEND], agent="email", prompt=prompt, requester="shop@example.com") as (
        run,
        _,
    ):
        (waiting,) = await run.waits_for()
        page = await shows(reader, "/runs?limit=1000", prompt)

        said = words(page)
        assert "asked by shop@example.com" in said
        assert link(page, prompt) == f"/runs/{run.handle.id}"
        assert f'href="/requests/{waiting.id}"' in page.text
        row = said.partition(prompt)[2].partition(run.handle.id)[0]
        assert "Waits for a person" in row


async def test_only_what_is_under_way_is_listed_where_that_is_asked(
    reader: httpx.AsyncClient, approvals: ApprovalClient, start: Start
) -> None:
    prompt = unique("Tell Ada")
    async with start([SEND], agent="email", prompt=prompt) as (run, _):
        await run.waits_for()
        await shows(reader, "/runs?running=true&limit=1000", prompt)
        await sent(run, approvals)

        async def gone() -> bool:
            page = await reader.get("/runs", params={"running": "true", "limit": 1_000})
            return prompt not in page.text

        await eventually(gone)
        await shows(reader, "/runs?limit=1000", prompt)


async def test_as_many_are_listed_as_were_asked_for_and_more_on_demand(
    reader: httpx.AsyncClient, start: Start
) -> None:
    async with start([SEND], agent="email") as (first, _):
        await first.handle.describe()
    prompt = unique("Tell Ada")
    async with start([SEND], agent="email", prompt=prompt) as (_, _):
        await shows(reader, "/runs?limit=1000", prompt)

    page = await reader.get("/runs?limit=1")

    assert page.text.count('class="card run"') == 1
    assert link(page, "Show more") == "/runs?limit=51"


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=many", "running=perhaps"])
async def test_a_list_that_cannot_be_is_refused_with_what_is_wrong(
    reader: httpx.AsyncClient, query: str
) -> None:
    page = await reader.get(f"/runs?{query}")

    assert page.status_code == 422
    assert query.partition("=")[0] in words(page)


async def test_a_run_is_told_from_its_prompt_to_its_end(
    reader: httpx.AsyncClient, approvals: ApprovalClient, start: Start
) -> None:
    prompt = unique("Tell Ada")
    async with start([SEND], agent="email", prompt=prompt) as (run, _):
        await sent(run, approvals, reason="It is her order")
        page = await reader.get(f"/runs/{run.handle.id}")

    said = words(page)
    order = (
        *(prompt, "Finished", "Answer Finished.", "The prompt", prompt, "The model"),
        *("Called send_email", MAIL["to"], MAIL["subject"], "Send “Your order”"),
        *("Approved by grace@example.com: It is her order", "send_email has run", "written to"),
        *("The model", "Finished.", "Finished"),
    )
    at = 0
    for part in order:
        at = said.find(part, at)
        assert at >= 0, f"{part} is not where it belongs in {said}"
        at += len(part)
    assert f'href="/requests/{run.handle.id}.1"' in page.text
    assert "data-fresh" not in page.text, "it is over: there is nothing to look for"


async def test_what_a_reviewer_changed_is_shown_beside_what_was_asked(
    reader: httpx.AsyncClient, approvals: ApprovalClient, start: Start
) -> None:
    async with start([SEND], agent="email") as (run, _):
        await sent(run, approvals, changes={"subject": "Your parcel"})
        said = words(await reader.get(f"/runs/{run.handle.id}"))

    asked, _, ran = said.partition("What ran instead, as it was approved")
    assert f'"{MAIL["subject"]}"' in asked
    assert '"Your parcel"' in ran


async def test_what_a_run_waits_for_comes_first(reader: httpx.AsyncClient, start: Start) -> None:
    async with start([SEND], agent="email") as (run, _):
        (waiting,) = await run.waits_for()
        page = await reader.get(f"/runs/{run.handle.id}")

    top, _, course = words(page).partition("What happened")
    assert "Waits for a person" in top
    assert link(page, "Look and decide") == f"/requests/{waiting.id}"
    assert "Waiting" in course


async def test_a_look_that_finds_nothing_new_costs_no_page(
    reader: httpx.AsyncClient, approvals: ApprovalClient, start: Start
) -> None:
    async with start([SEND], agent="email") as (run, _):
        (waiting,) = await run.waits_for()

        async def settled() -> str | None:
            page = await reader.get(f"/runs/{run.handle.id}")
            again = page.text.partition('hx-get="')[2].partition('"')[0]
            return again if (await reader.get(again)).status_code == 204 else None

        look = await eventually(settled)
        assert look is not None
        await approvals.approve(waiting.id, reviewer="grace@example.com")
        await run.result()
        page = await reader.get(look)

    assert page.status_code == 200
    assert "Answer Finished." in words(page)


async def test_why_a_run_failed_is_said_first(
    reader: httpx.AsyncClient, approvals: ApprovalClient, start: Start
) -> None:
    async with start([SEND], agent="email", max_turns=1) as (run, _):
        (waiting,) = await run.waits_for()
        await approvals.approve(waiting.id, reviewer="grace@example.com")
        await run.failure()
        top = words(await reader.get(f"/runs/{run.handle.id}")).partition("What happened")[0]

    assert "Failed" in top
    assert "The run failed" in top
    assert "turns" in top


async def test_a_run_that_was_stopped_says_so_and_what_it_asked_is_withdrawn(
    reader: httpx.AsyncClient, start: Start
) -> None:
    async with start([SEND], agent="email") as (run, _):
        await run.waits_for()
        await run.handle.terminate(reason="not needed any more")
        said = words(await reader.get(f"/runs/{run.handle.id}"))

    assert "The run was stopped" in said
    assert "Withdrawn" in said
    assert "not needed any more" in said


class TestFailing(shared.Own):
    """With a worker whose model fails."""

    async def test_a_model_that_is_tried_again_says_why(
        self, reader: httpx.AsyncClient, settings: Settings, serve: Serve
    ) -> None:
        async with serve(Failing()) as serving:
            run = await Play(settings, serving).start("email")
            page = await shows(reader, f"/runs/{run.handle.id}", "attempt 2")
            said = words(page)
            await run.handle.terminate()

        assert f"{UNDER_WAY}, for" in said
        assert "after “the quota\\x1b is used up”" in said


async def test_a_run_links_to_temporals_own_pages_where_there_are_some(
    web_config: WebConfig, approvals: ApprovalClient, start: Start
) -> None:
    config = web_config.model_copy(update={"temporal_ui": "http://localhost:8233/"})
    async with (
        start([SEND], agent="email") as (run, _),
        running(config, approvals) as inbox,
        httpx.AsyncClient(base_url=inbox.url) as client,
    ):
        await client.get(f"/sign-in/{await inbox.store.sessions.invite('ada@example.com')}")
        await run.waits_for()
        page = await client.get(f"/runs/{run.handle.id}")

    assert link(page, "In Temporal") == (
        f"http://localhost:8233/namespaces/default/workflows/{run.handle.id}"
    )


@pytest.mark.parametrize("id", ["no-such-run", "a/b", "50%", "ünïcode?#", "'\"<script>", "x" * 200])
async def test_a_run_that_there_is_not_is_a_page_that_says_so(
    reader: httpx.AsyncClient, id: str
) -> None:
    page = await reader.get(f"/runs/{quote(unique('none') + id)[:400]}")

    assert page.status_code in (404, 422)
    assert "Back to the inbox" in words(page)
    assert "<script>" not in page.text


async def test_a_request_is_no_run(
    reader: httpx.AsyncClient, approvals: ApprovalClient, inbox: Context
) -> None:
    one = await approvals.request("Send it", id=unique("request"))

    assert (await reader.get(f"/runs/{one.id}")).status_code == 404


async def test_who_is_not_signed_in_sees_no_run(browser: httpx.AsyncClient) -> None:
    for path in ("/runs", "/runs/email-1"):
        answer = await browser.get(path)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/sign-in")

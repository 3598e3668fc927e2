"""The list: whose requests it shows, what it can be narrowed to, how it goes on."""

from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from clearance import ApprovalClient
from clearance.stages import Stage
from tests.directory import ADA, BOB, CLEO, PEOPLE, always
from tests.support import unique
from web.config import WebConfig
from web.context import Context

from . import shared
from .asking import ask, ask_many, link, listed, titles, words
from .conftest import SignedIn


@pytest.fixture
def web_config(web_config: WebConfig, tmp_path: Path) -> WebConfig:
    """With people and groups; cleo stands in for bob."""
    path = tmp_path / "reviewers.toml"
    path.write_text(PEOPLE + always(BOB, CLEO))
    return web_config.model_copy(update={"reviewers": path})


async def test_nobody_reads_it_who_is_not_signed_in(signed_in: SignedIn) -> None:
    client = await signed_in()
    client.cookies.clear()

    page = await client.get("/?view=all")
    part = await client.get("/", headers={"HX-Request": "true"})
    stream = await client.get("/inbox/stream")

    assert (page.status_code, page.headers["location"]) == (303, "/sign-in?next=%2F")
    assert part.status_code == 401
    assert stream.status_code == 303


async def test_each_view_shows_whose_it_is(approvals: ApprovalClient, signed_in: SignedIn) -> None:
    await ask(approvals, "for anyone")
    await ask(approvals, "for ada's other name", audience=("ADA",))
    await ask(approvals, "for her group", audience=("group:finance",))
    await ask(approvals, "for a group around it", audience=("group:board",))
    await ask(approvals, "for somebody else", audience=("mary@example.com",))
    client = await signed_in(ADA)

    mine = await client.get("/")
    groups = await client.get("/?view=groups")
    everything = await client.get("/?view=all")

    assert titles(mine) == [
        "for a group around it",
        "for her group",
        "for ada's other name",
        "for anyone",
    ]
    assert titles(groups) == ["for a group around it", "for her group"]
    assert len(titles(everything)) == 5
    for page in (mine, groups, everything):
        assert "<title>(4) Clearance</title>" in page.text


async def test_who_stands_in_for_somebody_sees_what_is_theirs(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    await ask(approvals, "for bob", audience=(BOB,))
    client = await signed_in(CLEO)

    assert titles(await client.get("/")) == ["for bob"]


async def test_groups_that_a_sign_in_vouches_for_are_somebodys_groups(
    inbox: Context, approvals: ApprovalClient, browser: httpx.AsyncClient
) -> None:
    assert inbox.config.reviewers is not None
    inbox.config.reviewers.write_text(PEOPLE + '[sign_in]\ngroups = ["treasury"]\n')
    await ask(approvals, "for the treasury", audience=("group:treasury",))
    await ask(approvals, "for a group of nobody's", audience=("group:made-up",))
    secret, _ = await inbox.store.sessions.begin(CLEO, ("group:treasury", "group:made-up"))
    browser.cookies.set("clearance", secret)

    assert titles(await browser.get("/?view=groups")) == ["for the treasury"]


async def test_a_request_handed_over_is_the_other_ones_too(
    approvals: ApprovalClient, signed_in: SignedIn, worker_running: None
) -> None:
    id = await ask(approvals, "Pay", audience=(ADA, BOB))
    await approvals.delegate(id, who=ADA, to="otto@example.com")
    client = await signed_in("otto@example.com")

    assert titles(await client.get("/?view=all")) == ["Pay"]


async def test_an_empty_list_says_for_how_many_others_there_is_something(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    client = await signed_in("eve@example.com")
    nothing = await client.get("/")
    await ask(approvals, audience=(ADA,))

    others = await client.get("/")
    groups = await client.get("/?view=groups")

    assert "Nothing waits for you" in words(nothing)
    assert "appears here by itself" in words(nothing)
    assert "1 waits for others: see everything" in words(others)
    assert "You are in no group" in words(groups)
    assert "<title>Clearance</title>" in others.text


async def test_a_broken_file_of_reviewers_is_told_and_the_rest_still_shown(
    approvals: ApprovalClient, signed_in: SignedIn, web_config: WebConfig
) -> None:
    await ask(approvals, "for ada", audience=(ADA,))
    client = await signed_in(ADA)
    assert web_config.reviewers is not None
    web_config.reviewers.write_text("[groups]\nfinance = 3\n")

    page = await client.get("/")

    assert titles(page) == ["for ada"]
    assert "reviewers.toml can't be used" in words(page)
    assert "groups.finance" in words(page)


async def test_it_sorts_by_age_deadline_and_risk(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    await ask(approvals, "a", risk="low", expires_in=None)
    await ask(approvals, "b", risk="critical", expires_in=timedelta(days=1))
    await ask(approvals, "c", risk="high", expires_in=timedelta(hours=1))
    client = await signed_in()

    async def order(by: str) -> str:
        return "".join(titles(await client.get(f"/?sort={by}")))

    assert await order("newest") == "cba"
    assert await order("oldest") == "abc"
    assert await order("deadline") == "cba"
    assert await order("risk") == "bca"


async def test_what_i_have_approved_is_not_mine_any_more_but_still_there(
    approvals: ApprovalClient, signed_in: SignedIn, worker_running: None
) -> None:
    id = await ask(approvals, "Refund", audience=(ADA, BOB), quorum=2, risk="low", checkpoint="c")
    await ask(approvals, "Pay", audience=(ADA,))
    client, other = await signed_in(ADA), await signed_in(BOB)
    await approvals.approve(id, reviewer=ADA)

    mine = await client.get("/")
    everything = await client.get("/?view=all")
    theirs = await other.get("/")

    assert titles(mine) == ["Pay"]
    assert "<title>(1) Clearance</title>" in mine.text
    assert titles(everything) == ["Pay", "Refund"]
    assert "You have approved; waits for others" in words(everything)
    assert 'name="pick"' not in everything.text
    assert titles(theirs) == ["Refund"]
    assert "You have approved" not in words(theirs)
    assert 'name="pick"' in theirs.text


async def test_the_end_of_what_i_have_approved_is_told(
    approvals: ApprovalClient, signed_in: SignedIn, worker_running: None
) -> None:
    id = await ask(approvals, audience=(ADA,))
    client = await signed_in(ADA)

    async with client.stream("GET", "/inbox/stream") as stream:
        lines = stream.aiter_lines()
        heard = [await anext(lines) for _ in range(6)]
        await approvals.approve(id, reviewer=ADA)
        ended = [await anext(lines) for _ in range(3)]

    assert heard[1] == heard[4] == 'data: "resync"'
    assert ended == ["event: changed", 'data: "ended"', ""]


class TestAsked(shared.Own):
    """One inbox, asked for this and that."""

    @pytest.fixture(scope="class")
    @classmethod
    async def run(cls, approvals: ApprovalClient) -> str:
        """Of one of the three requests that wait in it."""
        hour, run = timedelta(minutes=30), unique("run")
        await ask(approvals, "Pay Ann", tool="pay", risk="high", expires_in=hour)
        mail = {"requester": "bob@example.com", "expires_in": timedelta(days=2)}
        await ask(approvals, "Mail Ann", tool="mail", id=f"{run}.1", run_id=run, **mail)
        await ask(approvals, "Wait", id=unique("not-there"), tool="wait", expires_in=None)
        return run

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("tool=pay", ["Pay Ann"]),
            ("risk=high", ["Pay Ann"]),
            ("requester=bob@example.com", ["Mail Ann"]),
            ("run={run}", ["Mail Ann"]),
            ("q=ann+MAIL", ["Mail Ann"]),
            ("q=bob@", ["Mail Ann"]),
            ("due=hour", ["Pay Ann"]),
            ("due=week", ["Mail Ann", "Pay Ann"]),
            ("tool=pay&requester=bob@example.com", []),
            ("tool=it%27s", []),
            ("tool=%22%5C", []),
            ("q=%F0%9F%92%B8", []),
        ],
    )
    async def test_it_narrows_to_what_is_asked_for(
        self, signed_in: SignedIn, run: str, query: str, expected: list[str]
    ) -> None:
        client = await signed_in()

        assert titles(await client.get("/?" + query.format(run=run))) == expected

    @pytest.mark.parametrize(
        ("query", "said"),
        [
            ("view=theirs", "choose of mine, groups, all"),
            ("risk=severe", "choose of low, medium, high, critical"),
            ("due=yesterday", "choose of hour, day, week"),
            ("sort=alphabet", "choose of newest, oldest, deadline, risk"),
            ("page=0", "page: “0” was ignored"),
            ("page=many", "page: “many” was ignored"),
            ("sort=newest&view=all&cursor=made-up&q=", "this is the first one"),
            ("tool=" + "x" * 2_001, "was ignored"),
            ("tool=%00x", "it has control characters"),
            ("risk=%3Cscript%3E", "“<script>” was ignored"),
        ],
    )
    async def test_what_it_cannot_be_asked_for_is_left_out_and_told_with_what_can_be(
        self, signed_in: SignedIn, run: str, query: str, said: str
    ) -> None:
        client = await signed_in()

        page = await client.get(f"/?q=pay&{query}")

        found = ["Wait", "Mail Ann", "Pay Ann"] if query.endswith("q=") else ["Pay Ann"]
        assert titles(page) == found
        assert said in words(page)
        assert "<script>" not in page.text

    @pytest.mark.parametrize(
        ("path", "title"),
        [
            ("/requests/not-there", "There is no such request"),
            ("/runs/not-there", "There is no such run"),
            ("/nowhere", "There is no such page"),
            ("/bulk", "That can't be done here"),
        ],
    )
    async def test_an_error_is_told_in_words_with_a_way_on_and_nobody_elses_ids(
        self, approvals: ApprovalClient, signed_in: SignedIn, run: str, path: str, title: str
    ) -> None:
        others = [one.id async for one in approvals.pending()]
        client = await signed_in(ADA)

        page = await client.get(path)

        assert page.status_code in (404, 405)
        assert title in words(page)
        assert '<a class="button primary" href="/">' in page.text
        assert '<nav aria-label="Main">' in page.text
        assert f"Signed in as {ADA}" in page.text
        assert len(others) == 3
        assert not [one for one in others if one in page.text]
        assert "clearance pending" not in page.text


async def test_an_error_tells_a_stranger_nothing_of_who_is_signed_in(
    browser: httpx.AsyncClient,
) -> None:
    page = await browser.get("/nowhere")

    assert page.status_code == 404
    assert "There is no such page" in words(page)
    assert '<nav aria-label="Main">' not in page.text


class TestMany(shared.Own):
    """More than a page of them."""

    @pytest.fixture(scope="class")
    @classmethod
    async def ids(cls, approvals: ApprovalClient) -> list[str]:
        return await ask_many(approvals, 120, tool="pay")

    async def test_older_pages_show_each_request_once(
        self, signed_in: SignedIn, ids: list[str]
    ) -> None:
        client = await signed_in()

        first = await client.get("/")
        second = await client.get(link(first, "Older"))
        third = await client.get(link(second, "Older"))

        pages = [titles(one) for one in (first, second, third)]
        assert [len(one) for one in pages] == [50, 50, 20]
        assert len({one for page in pages for one in page}) == len(ids)
        assert "Older" not in words(third)
        assert titles(await client.get(link(third, "Newest"))) == pages[0]

    async def test_sorted_pages_go_on_and_back(self, signed_in: SignedIn, ids: list[str]) -> None:
        client = await signed_in()

        first = await client.get("/?sort=oldest")
        second = await client.get(link(first, "More"))
        third = await client.get(link(second, "More"))

        pages = [titles(one) for one in (first, second, third)]
        assert [len(one) for one in pages] == [50, 50, 20]
        assert len({one for page in pages for one in page}) == len(ids)
        assert titles(await client.get(link(second, "Back"))) == pages[0]
        assert titles(await client.get("/?sort=oldest&page=7")) == []

    async def test_more_than_are_looked_through_are_never_left_out_silently(
        self, signed_in: SignedIn, ids: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("web.pages.inbox_view.LOOKED_AT", 110)
        client = await signed_in()

        plain = await client.get("/")
        found = await client.get("/?q=action")
        narrow = await client.get("/?q=action&tool=none")

        assert "<title>(50+) Clearance</title>" in plain.text
        assert "More than" not in words(plain)
        assert "More than 110 wait here" in words(found)
        assert len(titles(found)) == 50
        assert "More than" not in words(narrow)


async def test_a_row_tells_what_a_reviewer_needs_first(
    approvals: ApprovalClient, signed_in: SignedIn, worker_running: None
) -> None:
    stages = (
        Stage(name="team", audience=(ADA,)),
        Stage(name="director", audience=(BOB, CLEO, ADA), quorum=2),
    )
    fields = {"tool": "trade", "requester": "grace@example.com", "risk": "critical", "attempt": 2}
    id = await ask(approvals, "Buy ACME", stages=stages, **fields)
    await approvals.approve(id, reviewer=ADA)
    await approvals.approve(id, reviewer=BOB)
    client = await signed_in(ADA)

    row = words(await client.get("/?view=all")).partition("Buy ACME")[2]

    assert "trade asked by grace@example.com attempt 2" in row
    assert "stage 2 of 2: director" in row
    assert "1 of 2: bob@example.com approved" in row
    assert "Waiting Critical risk" in row
    assert "7 d left" in row


async def test_links_lead_to_the_request_whatever_its_id_is(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    id = f"{unique('a/b')}?c#d%2e é\"'<"
    await ask(approvals, "Strange", id=id)
    await listed(approvals, id)
    client = await signed_in()

    page = await client.get("/")

    path = link(page, "Strange")
    assert client.build_request("GET", path).url.path == f"/requests/{id}"


async def test_the_stream_tells_of_what_is_in_the_view_and_nothing_else(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    client = await signed_in(ADA)

    async with client.stream("GET", "/inbox/stream?view=mine") as stream:
        lines = stream.aiter_lines()
        heard = [await anext(lines) for _ in range(3)]
        assert heard == ["event: changed", 'data: "resync"', ""]
        # It says so once more when it knows what is on everybody's page already.
        assert [await anext(lines) for _ in range(3)] == heard
        await ask(approvals, "secret plan", audience=(BOB,))
        await ask(approvals, "for ada", audience=(ADA,))
        created = [await anext(lines) for _ in range(3)]

    assert created == ["event: changed", 'data: "created"', ""]


async def test_a_stream_ends_in_time_so_that_who_is_signed_out_hears_no_more(
    signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.pages.inbox._STREAM_LASTS", 0.1)
    client = await signed_in()

    async with client.stream("GET", "/inbox/stream") as stream:
        heard = [line async for line in stream.aiter_lines()]

    assert "event: changed" in heard


async def test_htmx_gets_the_part_that_changes(
    approvals: ApprovalClient, signed_in: SignedIn
) -> None:
    await ask(approvals, "Send it")
    client = await signed_in()

    part = await client.get("/", headers={"HX-Request": "true"})

    assert titles(part) == ["Send it"]
    assert "<html" not in part.text

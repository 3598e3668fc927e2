"""Lists, one request, and waiting for its end."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from clearance import ApprovalClient, contract
from cli.settings import Settings
from tests.support import eventually, unique
from tests.web.shared import config_of
from web.config import WebConfig
from web.context import Context

from . import shared
from .conftest import CFO, PAYMENT, Asked, is_problem

agent, cfo = shared.agent, shared.cfo
inbox, web_config = shared.inbox, shared.web_config
approvals, settings = shared.approvals, shared.settings
worker_running = shared.worker_running

REQUESTS, HISTORY = "/api/v1/requests", "/api/v1/history"


async def ids(client: httpx.AsyncClient, path: str, **query: Any) -> set[str]:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return {one["id"] for one in answer.json()["items"]}


async def test_the_list_is_narrowed_by_every_filter(asked: Asked, cfo: httpx.AsyncClient) -> None:
    named = (
        await asked(
            tool="wire", risk="high", requester="bob@example.com", audience=[CFO], expires_in="PT1H"
        )
    )["id"]
    other = (await asked(expires_in=None, audience=["eve@example.com"]))["id"]
    anyones = (await asked())["id"]

    async def found(**query: Any) -> set[str]:
        return await ids(cfo, REQUESTS, **query) & {named, other, anyones}

    async def all_listed() -> bool:
        return len(await found()) == 3

    await eventually(all_listed)
    soon = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    for query in (
        {"tool": "wire"},
        {"risk": "high"},
        {"requester": "bob@example.com"},
        {"audience": CFO},
        {"due_before": soon},
    ):
        assert await found(**query) == {named}, query
    assert await found(reviewer=CFO) == {named, anyones}
    assert await ids(cfo, REQUESTS, run="none") == set()
    assert await ids(cfo, REQUESTS, checkpoint="none", tool="wire") == set()


class TestGroups(shared.Own):
    """With a ``reviewers.toml``."""

    @pytest.fixture(scope="class")
    @classmethod
    def web_config(cls, settings: Settings) -> WebConfig:
        path = settings.state.with_name("reviewers.toml")
        path.write_text(f'[groups]\nfinance = ["{CFO}"]\n')
        return config_of(settings).model_copy(update={"reviewers": path})

    async def test_a_reviewer_finds_what_waits_for_their_groups_until_the_file_is_broken(
        self, approvals: ApprovalClient, cfo: httpx.AsyncClient, inbox: Context
    ) -> None:
        # With no worker: here only what is listed counts.
        made = await approvals.temporal.start_workflow(
            contract.APPROVAL_WORKFLOW,
            {"action": "x", "audience": ["group:finance"]},
            id=unique("grouped"),
            task_queue=approvals._queue,
        )

        async def found() -> bool:
            return await ids(cfo, REQUESTS, reviewer=CFO) == {made.id}

        await eventually(found)
        assert await ids(cfo, REQUESTS, reviewer="eve@example.com") == set()
        await made.terminate()

        assert inbox.config.reviewers is not None
        inbox.config.reviewers.write_text("[groups")

        answer = await cfo.get(REQUESTS, params={"reviewer": CFO})

        is_problem(answer, 503, "broken-policy")
        assert answer.headers["retry-after"]


async def test_pages_follow_one_another_without_gaps(
    asked: Asked, agent: httpx.AsyncClient
) -> None:
    tool = unique("tool")
    made = {(await asked(tool=tool))["id"] for _ in range(5)}

    async def all_listed() -> bool:
        return await ids(agent, REQUESTS, tool=tool) == made

    await eventually(all_listed)
    found: list[str] = []
    cursor: dict[str, str] = {}
    for _ in range(3):
        page = (await agent.get(REQUESTS, params={"tool": tool, "limit": 2, **cursor})).json()
        found += [one["id"] for one in page["items"]]
        cursor = {"cursor": page["cursor"]}
        if page["cursor"] is None:
            break
    assert len(found) == 5
    assert set(found) == made


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 201},
        {"limit": "many"},
        {"cursor": "made-up"},
        {"cursor": "grüße"},
        {"risk": "huge"},
        {"tool": ""},
        {"tool": "x" * 201},
        {"due_before": "tomorrow"},
        {"due_before": "2026-11-21"},
        {"due_before": "20261121"},
        {"due_before": "2026-11-21T09:30:00"},
    ],
)
async def test_a_filter_that_is_none_is_refused(
    agent: httpx.AsyncClient, query: dict[str, Any]
) -> None:
    is_problem(await agent.get(REQUESTS, params=query), 422, "invalid")


async def test_a_cursor_of_another_list_is_refused(asked: Asked, agent: httpx.AsyncClient) -> None:
    made = {(await asked())["id"] for _ in range(2)}

    async def all_listed() -> bool:
        return await ids(agent, REQUESTS) >= made

    await eventually(all_listed)
    cursor = (await agent.get(REQUESTS, params={"limit": 1})).json()["cursor"]

    answer = await agent.get(REQUESTS, params={"limit": 1, "cursor": cursor, "risk": "low"})

    is_problem(answer, 422, "invalid")


async def test_the_history_tells_how_requests_ended(
    asked: Asked, approved: Asked, agent: httpx.AsyncClient
) -> None:
    tool = unique("tool")
    yes = (await approved(tool=tool, risk="low"))["id"]
    gone = (await asked(tool=tool))["id"]
    await agent.post(f"{REQUESTS}/{gone}/withdrawal", json={"reason": "not needed"})

    async def both_listed() -> bool:
        return await ids(agent, HISTORY, tool=tool) == {yes, gone}

    await eventually(both_listed)
    assert await ids(agent, HISTORY, tool=tool, status="approved") == {yes}
    assert await ids(agent, HISTORY, tool=tool, reviewer=CFO.upper()) == {yes}
    assert await ids(agent, HISTORY, tool=tool, risk="low") == {yes}
    assert await ids(
        agent, HISTORY, tool=tool, since=(datetime.now(UTC) + timedelta(hours=1)).isoformat()
    ) == (set())
    page = (await agent.get(HISTORY, params={"tool": tool, "limit": 1})).json()
    rest = (
        await agent.get(HISTORY, params={"tool": tool, "limit": 1, "cursor": page["cursor"]})
    ).json()
    lines = {one["id"]: one for one in [*page["items"], *rest["items"]]}
    assert lines[yes]["decision"]["reviewer"] == CFO
    assert lines[gone]["status"] == "withdrawn"
    is_problem(await agent.get(HISTORY, params={"status": "pending"}), 422, "invalid")


async def test_one_request_is_told_whole(approved: Asked, agent: httpx.AsyncClient) -> None:
    made = await approved(details="an invoice")

    view = (await agent.get(f"{REQUESTS}/{made['id']}")).json()

    assert view["request"]["details"] == "an invoice"
    assert view["digest"] == made["digest"]
    assert view["status"] == "approved"
    assert view["decision"]["channel"] == "api"
    assert [event["kind"] for event in view["events"]] == ["created", "approved"]


@pytest.mark.parametrize("path", ["", "/outcome"])
async def test_an_id_that_nothing_has_is_not_found(
    asked: Asked, agent: httpx.AsyncClient, temporal: Any, path: str
) -> None:
    made = await asked(id=unique("whole"))
    other = await temporal.start_workflow("Other", id=unique("other"), task_queue=unique("none"))

    for id in ("nothing", made["id"][:-1], made["id"][1:], other.id, "%00", "%FF"):
        is_problem(await agent.get(f"{REQUESTS}/{id}{path}"), 404, "not-found")
    is_problem(await agent.get(f"{REQUESTS}/{'x' * 201}{path}"), 422, "invalid")
    await other.terminate()


async def test_waiting_ends_with_the_decision(
    asked: Asked, agent: httpx.AsyncClient, cfo: httpx.AsyncClient
) -> None:
    made = await asked()
    where = f"{REQUESTS}/{made['id']}"
    waiting = asyncio.create_task(agent.get(f"{where}/outcome", params={"timeout": 60}))
    said = {"approved": False, "digest": made["digest"], "reason": "too much"}
    await cfo.post(f"{where}/decision", json=said)

    answer = await waiting

    assert answer.status_code == 200
    assert answer.json()["status"] == "rejected"
    assert answer.json()["decision"]["reason"] == "too much"
    assert (await agent.get(f"{where}/outcome?timeout=0")).json() == answer.json()


@pytest.mark.parametrize("timeout", [0, 1])
async def test_who_waits_in_vain_is_told_to_come_again(
    asked: Asked, agent: httpx.AsyncClient, timeout: int
) -> None:
    made = await asked()

    answer = await agent.get(f"{REQUESTS}/{made['id']}/outcome", params={"timeout": timeout})

    assert answer.status_code == 202
    assert answer.json() == {"approval_id": made["id"], "status": "pending"}
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize("timeout", ["-1", "61", "1.5", "soon", ""])
async def test_a_time_to_wait_that_is_none_is_refused(
    agent: httpx.AsyncClient, timeout: str
) -> None:
    answer = await agent.get(f"{REQUESTS}/x/outcome", params={"timeout": timeout})

    is_problem(answer, 422, "invalid")


async def test_a_request_that_was_refused_as_malformed_has_no_outcome(
    approvals: ApprovalClient, agent: httpx.AsyncClient, worker_running: object
) -> None:
    handle = await approvals.temporal.start_workflow(
        contract.APPROVAL_WORKFLOW,
        {"action": "x", "quorum": 0},
        id=unique("malformed"),
        task_queue=approvals._queue,
    )

    answer = await agent.get(f"{REQUESTS}/{handle.id}/outcome")

    assert "quorum" in is_problem(answer, 422, "invalid")["detail"]


def _waiting() -> set[str]:
    names = {getattr(task.get_coro(), "__name__", "") for task in asyncio.all_tasks()}
    return names & {"outcome_within", "_left"}


async def test_nothing_waits_on_for_a_client_that_left(
    asked: Asked, agent: httpx.AsyncClient
) -> None:
    made = await asked()
    waiting = asyncio.create_task(agent.get(f"{REQUESTS}/{made['id']}/outcome?timeout=60"))

    async def waits() -> bool:
        return bool(_waiting())

    async def waits_no_more() -> bool:
        return not _waiting()

    await eventually(waits)
    waiting.cancel()
    await asyncio.wait([waiting])

    await eventually(waits_no_more)


class TestStopping(shared.Own):
    """An inbox that is to stop."""

    async def test_who_waits_is_answered_when_the_inbox_stops(
        self, asked: Asked, agent: httpx.AsyncClient, inbox: Context
    ) -> None:
        made = await asked()
        waiting = asyncio.create_task(agent.get(f"{REQUESTS}/{made['id']}/outcome?timeout=60"))

        async def waits() -> bool:
            return bool(_waiting())

        await eventually(waits)
        inbox.stopping.set()

        assert (await waiting).status_code == 202


async def test_the_terms_of_a_request_come_back_as_they_were_asked(
    agent: httpx.AsyncClient, asked: Asked
) -> None:
    made = await asked(expires_in="PT90M", usable_for="PT5M")

    request = (await agent.get(f"{REQUESTS}/{made['id']}")).json()["request"]

    assert (request["expires_in"], request["usable_for"]) == ("PT1H30M", "PT5M")
    assert request["action"] == PAYMENT["action"]

"""The two routes of the classic recipe."""

from typing import Any

import httpx
import pytest
from temporalio.client import Client

from clearance import ApprovalClient
from cli.settings import Settings
from tests.conftest import Serve
from tests.support import unique
from tests.web.conftest import WithToken

from . import shared
from .conftest import CFO, SHORT, is_problem, patient

agent, cfo = shared.agent, shared.cfo
inbox, web_config = shared.inbox, shared.web_config
approvals, settings = shared.approvals, shared.settings
worker_running = shared.worker_running


def classic(**fields: Any) -> dict[str, Any]:
    return {
        "request_id": unique("classic"),
        "action_description": "Delete the table `orders`",
        "agent_context": {"rows": 12_000, "why": "asked to clean up"},
        "timestamp": "2026-11-21T09:30:00Z",
        **fields,
    }


async def test_an_action_waits_and_is_approved(
    agent: httpx.AsyncClient,
    cfo: httpx.AsyncClient,
    approvals: ApprovalClient,
    worker_running: object,
) -> None:
    said = classic()

    asked = await agent.post("/pending", json=said)

    assert asked.status_code == 201
    assert asked.json() == {
        "request_id": said["request_id"],
        "status": "pending",
        "decided_by": None,
    }
    view = await approvals.get(said["request_id"])
    assert view.request.action == "Delete the table `orders`"
    assert '"why": "asked to clean up"' in view.request.details
    assert "2026-11-21T09:30:00+00:00" in view.request.details
    assert view.request.requester == "agent"
    answer = await cfo.post(f"/approve/{said['request_id']}", json={"decision": "approved"})
    assert answer.status_code == 200
    assert answer.json() == {
        "request_id": said["request_id"],
        "status": "approved",
        "decided_by": CFO,
    }
    assert (await approvals.get(said["request_id"])).status == "approved"


@pytest.mark.parametrize(
    ("said", "status"),
    [("approved", "approved"), ("rejected", "rejected"), (True, "approved"), (False, "rejected")],
)
async def test_a_decision_is_a_word_or_a_truth_value(
    agent: httpx.AsyncClient,
    cfo: httpx.AsyncClient,
    approvals: ApprovalClient,
    worker_running: object,
    said: Any,
    status: str,
) -> None:
    id = (await agent.post("/pending", json=classic())).json()["request_id"]

    answer = await cfo.post(f"/approve/{id}", json={"decision": said, "reason": "because"})

    assert answer.json()["status"] == status
    outcome = await approvals.wait(id)
    assert (outcome.status, outcome.reason) == (status, "because")


@pytest.mark.parametrize(
    "said",
    ["approve", "Approved", "yes", "true", "", 1, 0, None, [], {"ok": False}, ["approved"]],
)
async def test_any_other_decision_is_refused(
    agent: httpx.AsyncClient,
    cfo: httpx.AsyncClient,
    approvals: ApprovalClient,
    worker_running: object,
    said: Any,
) -> None:
    id = (await agent.post("/pending", json=classic())).json()["request_id"]

    is_problem(await cfo.post(f"/approve/{id}", json={"decision": said}), 422, "invalid")
    is_problem(await cfo.post(f"/approve/{id}", json={"approved": True}), 422, "invalid")
    assert (await approvals.get(id)).status == "pending"


async def test_a_repeated_id_is_refused_and_creates_nothing(
    agent: httpx.AsyncClient,
    cfo: httpx.AsyncClient,
    approvals: ApprovalClient,
    worker_running: object,
) -> None:
    said = classic()
    await agent.post("/pending", json=said)

    again = await agent.post("/pending", json={**said, "action_description": "Something else"})
    await cfo.post(f"/approve/{said['request_id']}", json={"decision": "rejected"})
    ended = await agent.post("/pending", json=said)

    for answer in (again, ended):
        is_problem(answer, 409, "already-asked")
    view = await approvals.get(said["request_id"])
    assert (view.status, view.request.action) == ("rejected", said["action_description"])


async def test_what_is_unknown_or_decided_takes_no_decision(
    agent: httpx.AsyncClient, cfo: httpx.AsyncClient, worker_running: object
) -> None:
    id = (await agent.post("/pending", json=classic())).json()["request_id"]

    for unknown in ("nothing", id[:-1], id[3:]):
        answer = await cfo.post(f"/approve/{unknown}", json={"decision": "approved"})
        is_problem(answer, 404, "not-found")
    await cfo.post(f"/approve/{id}", json={"decision": "rejected"})
    late = await cfo.post(f"/approve/{id}", json={"decision": "approved"})
    found = is_problem(late, 409, "already-decided")
    assert (found["request_status"], found["decided_by"]) == ("rejected", CFO)


async def test_who_asks_may_not_decide_with_the_same_token(
    agent: httpx.AsyncClient, worker_running: object
) -> None:
    id = (await agent.post("/pending", json=classic())).json()["request_id"]

    answer = await agent.post(f"/approve/{id}", json={"decision": "approved"})

    is_problem(answer, 403, "scope-missing")


@pytest.mark.parametrize(
    ("context", "shown"),
    [
        (None, ""),
        ("a text\nof two lines", "a text\nof two lines"),
        ([1, {"a": None}], '"a": null'),
        (0, "Context: 0"),
        ({"größe": "🙂"}, '"größe": "🙂"'),
    ],
)
async def test_the_context_of_any_shape_is_shown_readably(
    agent: httpx.AsyncClient,
    approvals: ApprovalClient,
    worker_running: object,
    context: Any,
    shown: str,
) -> None:
    id = (await agent.post("/pending", json=classic(agent_context=context))).json()["request_id"]

    assert shown in (await approvals.get(id)).request.details


async def test_a_secret_in_the_context_is_masked_in_the_words_too(
    agent: httpx.AsyncClient, approvals: ApprovalClient, worker_running: object
) -> None:
    said = classic(
        action_description="Log in with hunter2-hunter2",
        agent_context={"login": {"password": "hunter2-hunter2"}},
    )
    await agent.post("/pending", json=said)

    request = (await approvals.get(said["request_id"])).request
    assert "hunter2" not in request.model_dump_json()
    assert "[masked]" in request.details


async def test_a_long_description_is_kept_whole_below_its_first_line(
    agent: httpx.AsyncClient, approvals: ApprovalClient, worker_running: object
) -> None:
    long = "Delete " + "everything, " * 100 + "\nand more"
    said = classic(action_description=long)
    await agent.post("/pending", json=said)

    request = (await approvals.get(said["request_id"])).request
    assert request.action.endswith("…")
    assert long in request.details


@pytest.mark.parametrize(
    "fields",
    [
        {"request_id": ""},
        {"request_id": 7},
        {"request_id": " x"},
        {"request_id": "x" * 201},
        {"action_description": ""},
        {"action_description": " \n"},
        {"action_description": None},
        {"action_description": "x" * 70_000},
        {"agent_context": {"x": "y" * 70_000}},
        {"timestamp": "yesterday"},
        {"decision": "approved"},
    ],
)
async def test_a_malformed_request_is_refused(
    agent: httpx.AsyncClient, fields: dict[str, Any]
) -> None:
    is_problem(await agent.post("/pending", json=classic(**fields)), 422, "invalid")


async def test_too_much_is_refused_before_it_is_read(agent: httpx.AsyncClient) -> None:
    answer = await agent.post("/pending", json=classic(agent_context="x" * 1_100_000))

    assert "1,048,576 bytes" in is_problem(answer, 413, "too-large")["detail"]


@pytest.mark.parametrize(("method", "path"), [("GET", "/pending"), ("PUT", "/approve/x")])
async def test_another_method_is_refused(agent: httpx.AsyncClient, method: str, path: str) -> None:
    is_problem(await agent.request(method, path), 405, "method-not-allowed")


class TestWithoutAWorker(shared.Own):
    """What is decided meanwhile is stored."""

    @pytest.fixture(scope="class")
    @classmethod
    def approvals(cls, temporal: Client, settings: Settings) -> ApprovalClient:
        queue = settings.approvals_queue
        return ApprovalClient(temporal, task_queue=queue, answer_timeout=SHORT)

    async def test_a_decision_is_stored(
        self, with_token: WithToken, serve: Serve, approvals: ApprovalClient
    ) -> None:
        client = patient(await with_token("request", "decide", as_=CFO))
        id = (await client.post("/pending", json=classic())).json()["request_id"]

        answer = await client.post(f"/approve/{id}", json={"decision": True})

        assert (answer.status_code, answer.json()["status"]) == (202, "pending")
        async with serve():
            assert (await approvals.wait(id)).status == "approved"

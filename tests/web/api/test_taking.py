"""``POST /api/v1/requests/{id}/consumption``: the permission to act, for an agent outside Temporal."""

import asyncio
from typing import Any

import httpx
import pytest

from clearance import ApprovalClient
from tests.support import unique
from tests.web.conftest import WithToken

from . import shared
from .conftest import CFO, Asked, digest, is_problem, patient

agent, cfo = shared.agent, shared.cfo
inbox, web_config = shared.inbox, shared.web_config
approvals, settings = shared.approvals, shared.settings
worker_running = shared.worker_running

REQUESTS = "/api/v1/requests"


def taking(made: dict[str, Any]) -> str:
    return f"{REQUESTS}/{made['id']}/consumption"


async def test_what_was_approved_is_taken_once_and_its_outcome_stands_in_the_record(
    approved: Asked, agent: httpx.AsyncClient
) -> None:
    made = await approved()

    permit = await agent.post(taking(made), json={"digest": made["digest"]})
    said = {"succeeded": True, "summary": "paid, no. 17"}
    told = [await agent.post(f"{taking(made)}/outcome", json=said) for _ in range(2)]

    assert permit.status_code == 200
    assert permit.json()["taker"] == "agent"
    assert permit.json()["arguments"] == {"to": "Ada", "euros": 80}
    assert [answer.status_code for answer in told] == [200, 200]
    assert told[0].json() == told[1].json()
    events = (await agent.get(f"{REQUESTS}/{made['id']}")).json()["events"]
    assert [event["kind"] for event in events[-2:]] == ["consumed", "executed"]
    assert "paid, no. 17" in events[-1]["reason"]


async def test_of_twenty_who_take_it_one_gets_it(approved: Asked, agent: httpx.AsyncClient) -> None:
    made = await approved()

    answers = await asyncio.gather(
        *(agent.post(taking(made), json={"digest": made["digest"]}) for _ in range(20))
    )

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 19
    for answer in answers:
        if answer.status_code == 409:
            assert "agent" in is_problem(answer, 409, "already-consumed")["detail"]


async def test_the_same_key_gets_the_same_permit(
    approved: Asked, agent: httpx.AsyncClient, with_token: WithToken
) -> None:
    made = await approved()
    key = {"Idempotency-Key": unique("k")}
    said = {"digest": made["digest"]}
    other = patient(await with_token("request"))

    permits = await asyncio.gather(
        *(agent.post(taking(made), json=said, headers=key) for _ in range(5))
    )

    assert [permit.status_code for permit in permits] == [200] * 5
    assert len({permit.text for permit in permits}) == 1
    is_problem(await other.post(taking(made), json=said, headers=key), 409, "already-consumed")


async def test_without_an_approval_nothing_is_taken(
    asked: Asked, agent: httpx.AsyncClient, cfo: httpx.AsyncClient
) -> None:
    made = await asked()
    said = {"digest": made["digest"]}

    early = await agent.post(taking(made), json=said)
    await cfo.post(f"{REQUESTS}/{made['id']}/decision", json={"approved": False, **said})
    late = await agent.post(taking(made), json=said)

    assert "still waits" in is_problem(early, 403, "refused")["detail"]
    assert "rejected" in is_problem(late, 403, "refused")["detail"]


async def test_only_what_was_approved_may_be_done(
    asked: Asked, agent: httpx.AsyncClient, cfo: httpx.AsyncClient
) -> None:
    made = await asked(editable=True)
    said = {"approved": True, "digest": made["digest"], "changes": {"euros": 70}}
    await cfo.post(f"{REQUESTS}/{made['id']}/decision", json=said)
    changed = digest({"action": "x", "tool": "pay", "arguments": {"to": "Ada", "euros": 70}})

    as_asked = await agent.post(taking(made), json={"digest": made["digest"]})
    as_approved = await agent.post(taking(made), json={"digest": changed})

    is_problem(as_asked, 403, "refused")
    assert as_approved.json()["arguments"] == {"to": "Ada", "euros": 70}


@pytest.mark.parametrize("said", [{}, {"digest": "x"}, {"digest": "0" * 64, "taker": CFO}])
async def test_a_malformed_taking_is_refused(
    approved: Asked, agent: httpx.AsyncClient, said: dict[str, Any]
) -> None:
    is_problem(await agent.post(taking(await approved()), json=said), 422, "invalid")


@pytest.mark.parametrize(
    "said", [{}, {"succeeded": "yes"}, {"succeeded": True, "summary": "x" * 4_001}]
)
async def test_a_malformed_outcome_is_refused(
    approved: Asked, agent: httpx.AsyncClient, said: dict[str, Any]
) -> None:
    answer = await agent.post(f"{taking(await approved())}/outcome", json=said)

    is_problem(answer, 422, "invalid")


async def test_who_took_it_reports_and_says_one_thing(
    approved: Asked, agent: httpx.AsyncClient, with_token: WithToken, approvals: ApprovalClient
) -> None:
    made = await approved()
    where = f"{taking(made)}/outcome"
    other = patient(await with_token("request"))

    untaken = await agent.post(where, json={"succeeded": True})
    await agent.post(taking(made), json={"digest": made["digest"]})
    foreign = await other.post(where, json={"succeeded": True})
    failed = await agent.post(where, json={"succeeded": False, "summary": "no money"})
    otherwise = await agent.post(where, json={"succeeded": True})

    assert "nobody has taken" in is_problem(untaken, 403, "refused")["detail"]
    is_problem(foreign, 403, "refused")
    assert failed.json()["succeeded"] is False
    is_problem(otherwise, 403, "refused")

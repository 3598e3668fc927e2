"""``POST /api/v1/requests/{id}/decision``, and the other things that people do."""

import asyncio
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from clearance import ApprovalClient
from cli.settings import Settings
from tests.conftest import Serve
from tests.support import eventually, unique
from tests.web.conftest import WithToken

from . import shared
from .conftest import CFO, PAYMENT, SHORT, Asked, is_problem, patient

agent, cfo = shared.agent, shared.cfo
inbox, web_config = shared.inbox, shared.web_config
approvals, settings = shared.approvals, shared.settings
worker_running = shared.worker_running

REQUESTS = "/api/v1/requests"


def decision(made: dict[str, Any]) -> str:
    return f"{REQUESTS}/{made['id']}/decision"


async def test_a_decision_counts_as_the_person_that_the_token_names(
    asked: Asked, cfo: httpx.AsyncClient, approvals: ApprovalClient
) -> None:
    made = await asked(audience=[CFO])

    answer = await cfo.post(
        decision(made), json={"approved": True, "digest": made["digest"], "reason": "fine"}
    )

    receipt = answer.json()
    assert answer.status_code == 200
    assert receipt["status"] == "approved"
    assert receipt["recorded_at"]
    view = await approvals.get(made["id"])
    assert view.decision is not None
    assert (view.decision.reviewer, view.decision.channel) == (CFO, "api")
    assert view.decision.reason == "fine"


@pytest.mark.parametrize("field", ["reviewer", "who", "groups", "channel", "decides_as", "grant"])
async def test_a_body_that_says_who_decides_is_refused(
    asked: Asked, cfo: httpx.AsyncClient, approvals: ApprovalClient, field: str
) -> None:
    made = await asked()
    said = {"approved": True, "digest": made["digest"], field: "ceo@example.com"}

    answer = await cfo.post(decision(made), json=said)

    assert is_problem(answer, 422, "invalid")["errors"][0]["field"] == field
    assert (await approvals.get(made["id"])).status == "pending"


async def test_who_is_not_in_the_audience_is_refused(asked: Asked, cfo: httpx.AsyncClient) -> None:
    made = await asked(audience=["ceo@example.com"])

    answer = await cfo.post(decision(made), json={"approved": True, "digest": made["digest"]})

    assert "not in the audience" in is_problem(answer, 403, "refused")["detail"]


async def test_a_second_decision_is_refused_with_who_decided_first(
    approved: Asked, with_token: WithToken
) -> None:
    made = await approved()
    late = patient(await with_token("decide", as_="late@example.com"))

    answer = await late.post(decision(made), json={"approved": False, "digest": made["digest"]})

    found = is_problem(answer, 409, "already-decided")
    assert (found["request_status"], found["decided_by"]) == ("approved", CFO)


async def test_a_decision_on_what_was_not_read_is_refused(
    asked: Asked, cfo: httpx.AsyncClient, approvals: ApprovalClient
) -> None:
    made = await asked(audience=[CFO, "ceo@example.com", "bob@example.com"], editable=True)
    await approvals.approve(made["id"], reviewer="ceo@example.com", changes={"euros": 70})

    answer = await cfo.post(decision(made), json={"approved": True, "digest": made["digest"]})

    is_problem(answer, 409, "changed")


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"digest": None}, "digest"),
        ({"digest": "0" * 63}, "digest"),
        ({"digest": "A" * 64}, "digest"),
        ({"approved": "true"}, "approved"),
        ({"approved": 1}, "approved"),
        ({"approved": None}, "approved"),
        ({"reason": "x" * 4_001}, "reason"),
        ({"stage": 0}, "stage"),
        ({"stage": "1"}, "stage"),
        ({"arguments": []}, "arguments"),
        ({"changes_requested": "yes"}, "changes_requested"),
    ],
)
async def test_a_malformed_decision_is_refused(
    asked: Asked, cfo: httpx.AsyncClient, said: dict[str, Any], field: str
) -> None:
    made = await asked()
    whole = {"approved": True, "digest": made["digest"], **said}

    answer = await cfo.post(decision(made), json=whole)

    assert is_problem(answer, 422, "invalid")["errors"][0]["field"] == field


@pytest.mark.parametrize(
    "said",
    [
        {"approved": True, "arguments": {}, "changes": {}},
        {"approved": False, "arguments": {"euros": 1}},
        {"approved": False, "changes_requested": True},
        {"approved": True, "changes_requested": True, "reason": "x"},
        {"approved": False, "response": "x"},
        {"approved": True, "response": "x" * 17_000},
    ],
)
async def test_a_decision_that_contradicts_itself_is_refused(
    asked: Asked, cfo: httpx.AsyncClient, said: dict[str, Any]
) -> None:
    made = await asked(editable=True)

    answer = await cfo.post(decision(made), json={"digest": made["digest"], **said})

    is_problem(answer, 422, "invalid")


async def test_a_decision_without_a_digest_is_refused(asked: Asked, cfo: httpx.AsyncClient) -> None:
    is_problem(await cfo.post(decision(await asked()), json={"approved": True}), 422, "invalid")


async def test_arguments_are_changed_while_approving(
    asked: Asked, cfo: httpx.AsyncClient, agent: httpx.AsyncClient
) -> None:
    made = await asked(editable=["euros"])
    said = {"approved": True, "digest": made["digest"]}

    refused = await cfo.post(decision(made), json={**said, "changes": {"to": "Eve"}})
    counted = await cfo.post(decision(made), json={**said, "changes": {"euros": 70}})

    is_problem(refused, 403, "refused")
    assert counted.json()["status"] == "approved"
    outcome = (await agent.get(f"{REQUESTS}/{made['id']}/outcome")).json()
    assert outcome["edit"]["arguments"] == {"to": "Ada", "euros": 70}


async def test_a_phrase_and_an_answer_go_with_the_decision(
    asked: Asked, cfo: httpx.AsyncClient, agent: httpx.AsyncClient
) -> None:
    made = await asked(confirm_phrase="pay {to}", response_schema={"type": "integer"})
    said = {"approved": True, "digest": made["digest"]}

    for lacking in ({}, {"confirmation": "pay Ada"}, {"confirmation": "pay Eve", "response": 1}):
        is_problem(await cfo.post(decision(made), json={**said, **lacking}), 403, "refused")
    whole = {**said, "confirmation": "pay Ada", "response": 17}
    assert (await cfo.post(decision(made), json=whole)).json()["status"] == "approved"
    outcome = (await agent.get(f"{REQUESTS}/{made['id']}/outcome")).json()
    assert outcome["decision"]["response"] == 17


async def test_changes_can_be_asked_for(
    asked: Asked, cfo: httpx.AsyncClient, agent: httpx.AsyncClient
) -> None:
    made = await asked()
    said = {"approved": False, "digest": made["digest"], "changes_requested": True}

    await cfo.post(decision(made), json={**said, "reason": "half of it"})

    outcome = (await agent.get(f"{REQUESTS}/{made['id']}/outcome")).json()
    assert (outcome["status"], outcome["decision"]["changes_requested"]) == ("rejected", True)


async def test_each_stage_is_decided_for_itself(asked: Asked, cfo: httpx.AsyncClient) -> None:
    made = await asked(
        stages=[
            {"name": "finance", "audience": [CFO]},
            {"name": "board", "audience": ["ceo@example.com"]},
        ]
    )
    said = {"approved": True, "digest": made["digest"]}

    early = await cfo.post(decision(made), json={**said, "stage": 2})
    first = await cfo.post(decision(made), json={**said, "stage": 1})

    assert "it is stage 1 now" in is_problem(early, 403, "refused")["detail"]
    assert first.json()["status"] == "pending"
    assert first.json()["next_stage"] == "board"


async def test_the_same_key_is_one_decision(asked: Asked, cfo: httpx.AsyncClient) -> None:
    made = await asked(audience=[CFO, "ceo@example.com"], quorum=2)
    key = {"Idempotency-Key": unique("k")}
    said = {"approved": True, "digest": made["digest"]}

    both = await asyncio.gather(
        *(cfo.post(decision(made), json=said, headers=key) for _ in range(2))
    )
    other = await cfo.post(decision(made), json=said)

    assert [answer.status_code for answer in both] == [200, 200]
    assert both[0].json() == both[1].json()
    assert both[0].json()["approvals"] == 1
    assert "has approved already" in is_problem(other, 403, "refused")["detail"]


async def test_the_same_key_with_another_decision_does_not_count(
    asked: Asked, cfo: httpx.AsyncClient, approvals: ApprovalClient
) -> None:
    made = await asked()
    key = {"Idempotency-Key": unique("k")}
    said = {"approved": False, "digest": made["digest"]}
    await cfo.post(decision(made), json=said, headers=key)

    answer = await cfo.post(decision(made), json={**said, "approved": True}, headers=key)

    is_problem(answer, 409, "already-decided")
    assert (await approvals.get(made["id"])).status == "rejected"


class TestWithoutAWorker(shared.Own):
    """What is decided meanwhile is stored."""

    @pytest.fixture(scope="class")
    @classmethod
    def approvals(cls, temporal: Client, settings: Settings) -> ApprovalClient:
        queue = settings.approvals_queue
        return ApprovalClient(temporal, task_queue=queue, answer_timeout=SHORT)

    async def test_decisions_and_comments_are_stored_and_take_effect_when_one_is_back(
        self, agent: httpx.AsyncClient, cfo: httpx.AsyncClient, serve: Serve
    ) -> None:
        made = (await agent.post(REQUESTS, json=PAYMENT)).json()
        other = (await agent.post(REQUESTS, json=PAYMENT)).json()
        there, elsewhere = (f"{REQUESTS}/{one['id']}" for one in (made, other))
        key = {"Idempotency-Key": unique("k")}
        said = {"approved": True, "digest": made["digest"]}

        stored, talk = await asyncio.gather(
            cfo.post(decision(made), json=said, headers=key),
            cfo.post(f"{elsewhere}/comment", json={"text": "who is Ada?"}),
        )

        assert (stored.status_code, talk.status_code) == (202, 202)
        assert (stored.json()["status"], stored.json()["recorded_at"]) == ("pending", None)
        view, talked = (await cfo.get(there)).json(), (await cfo.get(elsewhere)).json()
        assert (view["complete"], view["status"]) == (False, "pending")
        assert view["recorded"] == [{"what": "approval", "who": CFO}]
        assert talked["recorded"] == [{"what": "comment", "who": CFO}]
        async with serve():
            outcome = await agent.get(f"{there}/outcome?timeout=60")
            assert outcome.json()["status"] == "approved"
            known = await cfo.post(decision(made), json=said, headers=key)
            assert known.status_code == 200
            assert known.json()["recorded_at"]
            assert (await cfo.get(there)).json()["recorded"] == []

            async def told() -> bool:
                events = (await agent.get(elsewhere)).json()["events"]
                return any(event["reason"] == "who is Ada?" for event in events)

            await eventually(told)


async def test_reviewers_talk_and_hand_over_and_requesters_answer_and_withdraw(
    asked: Asked, agent: httpx.AsyncClient, cfo: httpx.AsyncClient
) -> None:
    made = await asked(audience=[CFO])
    where = f"{REQUESTS}/{made['id']}"

    for client, act, said in (
        (cfo, "comment", {"text": "I look into it"}),
        (cfo, "question", {"text": "who is Ada?"}),
        (agent, "answer", {"text": "our supplier"}),
        (cfo, "delegation", {"to": "bob@example.com", "reason": "on leave"}),
        (agent, "withdrawal", {"reason": "paid already"}),
    ):
        answer = await client.post(f"{where}/{act}", json=said)
        assert answer.status_code == 200, (act, answer.text)
        assert answer.json()["recorded_at"]
    view = (await agent.get(where)).json()
    assert [(event["kind"], event["who"], event["reason"]) for event in view["events"][1:]] == [
        ("commented", CFO, "I look into it"),
        ("asked", CFO, "who is Ada?"),
        ("answered", "agent", "our supplier"),
        ("delegated", CFO, "on leave"),
        ("withdrawn", "agent", "paid already"),
    ]
    assert view["status"] == "withdrawn"
    is_problem(await cfo.post(f"{where}/comment", json={"text": "late"}), 409, "already-decided")


async def test_a_person_who_asked_withdraws_through_a_token_of_theirs(
    asked: Asked, cfo: httpx.AsyncClient, with_token: WithToken
) -> None:
    made = await asked(requester="ada@example.com")
    where = f"{REQUESTS}/{made['id']}"
    hers = patient(await with_token("decide", as_="ada@example.com"))

    for act, said in (("withdrawal", {}), ("answer", {"text": "x"})):
        is_problem(await cfo.post(f"{where}/{act}", json=said), 403, "refused")
    assert (await hers.post(f"{where}/withdrawal", json={})).json()["status"] == "withdrawn"


async def test_the_same_key_is_one_comment(
    asked: Asked, cfo: httpx.AsyncClient, approvals: ApprovalClient
) -> None:
    made = await asked()
    key = {"Idempotency-Key": unique("k")}

    for _ in range(2):
        where = f"{REQUESTS}/{made['id']}/comment"
        assert (await cfo.post(where, json={"text": "hm"}, headers=key)).status_code == 200

    view = await approvals.get(made["id"])
    assert [event.kind for event in view.events] == ["created", "commented"]


@pytest.mark.parametrize(
    ("act", "said"),
    [
        ("comment", {}),
        ("comment", {"text": ""}),
        ("comment", {"text": " \n"}),
        ("comment", {"text": "x" * 4_001}),
        ("comment", {"text": 5}),
        ("question", {"text": "x", "who": "ceo@example.com"}),
        ("delegation", {"to": ""}),
        ("delegation", {"to": "a\u202eb"}),
        ("delegation", {"reason": "x"}),
        ("withdrawal", {"reason": None}),
        ("withdrawal", {"who": "ada@example.com"}),
    ],
)
async def test_a_malformed_act_is_refused(
    asked: Asked, with_token: WithToken, act: str, said: dict[str, Any]
) -> None:
    made = await asked()
    client = await with_token("request", "decide", as_=CFO)

    answer = await client.post(f"{REQUESTS}/{made['id']}/{act}", json=said)

    is_problem(answer, 422, "invalid")


@pytest.mark.parametrize(
    ("act", "said"),
    [
        ("decision", {"approved": True, "digest": "0" * 64}),
        ("comment", {"text": "x"}),
        ("question", {"text": "x"}),
        ("answer", {"text": "x"}),
        ("delegation", {"to": "bob"}),
        ("withdrawal", {}),
        ("consumption", {"digest": "0" * 64}),
        ("consumption/outcome", {"succeeded": True}),
    ],
)
async def test_what_nobody_asked_for_is_not_found(
    asked: Asked, with_token: WithToken, act: str, said: dict[str, Any]
) -> None:
    made = await asked(id=unique("whole"))
    client = await with_token("request", "decide", as_=CFO)

    for id in ("nothing", made["id"][:-1]):
        is_problem(await client.post(f"{REQUESTS}/{id}/{act}", json=said), 404, "not-found")

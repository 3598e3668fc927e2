"""``POST /api/v1/requests``."""

import asyncio
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from clearance import ApprovalClient
from tests.support import eventually, unique
from tests.web.conftest import WithToken

from . import shared
from .conftest import CFO, PAYMENT, Asked, digest, is_problem, patient

agent, cfo = shared.agent, shared.cfo
inbox, web_config = shared.inbox, shared.web_config
approvals, settings = shared.approvals, shared.settings
worker_running = shared.worker_running

REQUESTS = "/api/v1/requests"


async def test_a_request_waits_under_the_name_of_the_service(
    agent: httpx.AsyncClient, approvals: ApprovalClient, worker_running: object
) -> None:
    answer = await agent.post(REQUESTS, json=PAYMENT)

    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{REQUESTS}/{made['id']}"
    assert made["digest"] == digest(PAYMENT)
    assert made["requester"] == "agent"
    view = await approvals.get(made["id"])
    assert view.status == "pending"
    assert view.request.arguments == {"to": "Ada", "euros": 80}


async def test_every_term_that_a_caller_may_set_arrives(
    agent: httpx.AsyncClient, approvals: ApprovalClient, worker_running: object
) -> None:
    fields: dict[str, Any] = {
        "action": "Pay {to}",
        "details": "an invoice\nof two lines",
        "tool": "pay",
        "arguments": {"to": "Ada", "lines": [1, 2.5, None, True]},
        "impact": "the money is gone",
        "user_prompt": "pay the invoices",
        "agent_message": "I pay now",
        "requester": "ada@example.com",
        "risk": "critical",
        "self_approval": ["editor"],
        "editable": ["to"],
        "arguments_schema": {"type": "object"},
        "response_schema": {"type": "string"},
        "description_template": "Pay {to}",
        "confirm_phrase": "pay {to}",
        "previous": "approval-1",
        "attempt": 2,
        "usable_for": "PT10M",
        "stages": [
            {
                "name": "finance",
                "audience": [CFO, "bob@example.com"],
                "escalate_to": ["ceo@example.com"],
                "expires_in": "P2D",
                "remind_after": ["PT1H"],
                "remind_before": ["PT30M"],
                "escalate_after": "P1D",
            },
            {"name": "board", "audience": ["ceo@example.com"], "when": "args.to == 'Ada'"},
        ],
    }

    made = (await agent.post(REQUESTS, json=fields)).json()

    asked = (await approvals.get(made["id"])).request.model_dump(mode="json", exclude_unset=True)
    for name, value in fields.items():
        if name != "stages":
            assert asked[name] == value, name
    for said, stage in zip(fields["stages"], asked["stages"], strict=True):
        assert {**stage, **said} == stage


async def test_a_secret_is_masked_before_it_is_stored(
    agent: httpx.AsyncClient, asked: Asked, approvals: ApprovalClient
) -> None:
    made = await asked(arguments={"to": "Ada", "api_key": "sk-1234567"}, details="by sk-1234567")

    whole = (await agent.get(f"{REQUESTS}/{made['id']}")).text
    assert "sk-1234567" not in whole
    assert "[masked]" in whole
    assert made["digest"] == digest(
        {**PAYMENT, "arguments": {"to": "Ada", "api_key": "sk-1234567"}}
    )


@pytest.mark.parametrize(
    "id",
    ["a/b", "a/outcome", "a?b#c", "50%", "a%2Fb", "grüße 🙂", 'it\'s "so"', "..", "a//b", "/x"],
)
async def test_an_id_of_ones_own_may_have_any_printable_characters(
    agent: httpx.AsyncClient, cfo: httpx.AsyncClient, worker_running: object, id: str
) -> None:
    id = f"{unique('id')} {id}"
    answer = await agent.post(REQUESTS, json={**PAYMENT, "id": id})
    where = answer.headers["location"]
    said = {"approved": True, "digest": answer.json()["digest"]}

    assert unquote(where.removeprefix(f"{REQUESTS}/")) == id
    assert (await agent.get(where)).json()["id"] == id
    assert (await agent.get(f"{where}/outcome?timeout=0")).json()["approval_id"] == id
    assert (await cfo.post(f"{where}/decision", json=said)).json()["approval_id"] == id


async def test_an_id_that_is_in_use_or_was_used_is_refused(
    agent: httpx.AsyncClient, approved: Asked, approvals: ApprovalClient
) -> None:
    id = unique("mine")
    first = await agent.post(REQUESTS, json={**PAYMENT, "id": id})
    again = await agent.post(REQUESTS, json={**PAYMENT, "id": id})
    ended = await approved(id=unique("ended"))
    late = await agent.post(REQUESTS, json={**PAYMENT, "id": ended["id"], "risk": "low"})

    assert first.status_code == 201
    for answer in (again, late):
        is_problem(answer, 409, "already-asked")
    assert (await approvals.get(ended["id"])).status == "approved"


@pytest.mark.parametrize("id", ["", "x" * 201, " x", "x\n", "a\u0000b", "x.consumed", 5, ["x"]])
async def test_what_can_be_no_id_is_refused(agent: httpx.AsyncClient, id: Any) -> None:
    is_problem(await agent.post(REQUESTS, json={**PAYMENT, "id": id}), 422, "invalid")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"action": ""}, "action"),
        ({"action": None}, "action"),
        ({"action": 5}, "action"),
        ({"action": "x" * 501}, "action"),
        ({"details": "x" * 66_000}, "details are 66,000 bytes"),
        ({"arguments": "none"}, "arguments"),
        ({"arguments": {"x": "y" * 270_000}}, "pass a reference"),
        ({"risk": "huge"}, "risk"),
        ({"risk": "High"}, "risk"),
        ({"attempt": "2"}, "attempt"),
        ({"quorum": 2}, "needs an audience"),
        ({"quorum": 3, "audience": [CFO, "bob"]}, "only 2 may decide"),
        ({"audience": CFO}, "audience"),
        ({"audience": ["group:"]}, "names no group"),
        ({"audience": ["group:finance"]}, "reviewers.toml"),
        ({"audience": ["\u202eofc"]}, "control character"),
        ({"expires_in": 3600}, "expires_in"),
        ({"expires_in": "-PT1H"}, "expires_in"),
        ({"expires_in": "soon"}, "expires_in"),
        ({"usable_for": "P60D"}, "usable_for"),
        ({"stages": [{"name": "one", "quorums": 2}]}, "stages.0.quorums"),
        ({"audiance": [CFO]}, "audiance"),
        ({"run_id": "agent-1"}, "run_id"),
        ({"masked": ["/to"]}, "masked"),
        ({"sealed_digest": "0" * 64}, "sealed_digest"),
        ({"checkpoint": "payments"}, "checkpoint"),
        ({"policy_digest": "0" * 64}, "policy_digest"),
        ({"decision_keys": [{"id": "mine", "key": "A" * 43}]}, "decision_keys"),
        ({"grantable": True}, "grantable"),
        ({"grant": None}, "grant"),
        ({"reviewer": CFO}, "reviewer"),
    ],
)
async def test_a_malformed_request_is_refused_with_what_is_wrong(
    agent: httpx.AsyncClient, worker_running: object, fields: dict[str, Any], says: str
) -> None:
    answer = await agent.post(REQUESTS, json={**PAYMENT, **fields})

    found = is_problem(answer, 422, "invalid")
    assert says in found["detail"] + str(found.get("errors")), found


async def test_each_field_that_is_wrong_is_named(agent: httpx.AsyncClient) -> None:
    answer = await agent.post(REQUESTS, json={"risk": "huge", "quorum": 0, "x": 1})

    faults = is_problem(answer, 422, "invalid")["errors"]
    assert {fault["field"] for fault in faults} == {"action", "risk", "quorum", "x"}


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"", 422, "invalid"),
        (b"{", 422, "invalid"),
        (b"[]", 422, "invalid"),
        (b'"x"', 422, "invalid"),
        (b'{"action": NaN}', 422, "invalid"),
        (b'{"action": "x", "arguments": {"x": Infinity}}', 422, "invalid"),
        (b'{"action": "x", "arguments": {"x": 1e999}}', 422, "invalid"),
        (b'{"action": "x", "arguments": {"x": ' + b"9" * 5_000 + b"}}", 400, "bad-request"),
        (b'{"action": "\\ud800"}', 422, "invalid"),
        (b'{"action": "\xff"}', 400, "bad-request"),
        (b"[" * 100_000, 400, "bad-request"),
        (b'{"a":' * 900 + b"1" + b"}" * 900, 422, "invalid"),
        (b'{"action": "' + b"x" * 1_100_000 + b'"}', 413, "too-large"),
    ],
    ids=lambda value: value[:20] if isinstance(value, bytes) else str(value),
)
async def test_a_body_that_is_no_request_is_refused(
    agent: httpx.AsyncClient, body: bytes, status: int, kind: str
) -> None:
    headers = {"Content-Type": "application/json"}

    is_problem(await agent.post(REQUESTS, content=body, headers=headers), status, kind)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_body_that_does_not_say_that_it_is_json_is_refused(
    agent: httpx.AsyncClient, kind: str
) -> None:
    answer = await agent.post(
        REQUESTS, content=b'{"action": "x"}', headers={"Content-Type": kind} if kind else {}
    )

    is_problem(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", ""), ("DELETE", "/x"), ("GET", "/x/decision")]
)
async def test_what_is_no_route_says_so(agent: httpx.AsyncClient, method: str, path: str) -> None:
    is_problem(await agent.request(method, REQUESTS + path), 405, "method-not-allowed")
    is_problem(await agent.get("/api/v2/requests"), 404, "not-found")


async def test_the_same_key_is_the_same_request_even_when_it_has_ended(
    agent: httpx.AsyncClient, cfo: httpx.AsyncClient, worker_running: object
) -> None:
    key = {"Idempotency-Key": '"invoice 17"'.replace(" ", "-")}
    first = await agent.post(REQUESTS, json=PAYMENT, headers=key)
    again = await agent.post(REQUESTS, json=PAYMENT, headers=key)
    made = first.json()
    said = {"approved": True, "digest": made["digest"]}
    await cfo.post(f"{REQUESTS}/{made['id']}/decision", json=said)
    ended = await agent.post(REQUESTS, json=PAYMENT, headers=key)

    assert (first.status_code, again.status_code, ended.status_code) == (201, 200, 200)
    assert again.json() == made
    assert ended.json()["id"] == made["id"]
    assert ended.json()["status"] == "approved"
    assert ended.headers["location"] == first.headers["location"]


async def test_a_key_that_came_with_another_request_is_refused(
    agent: httpx.AsyncClient, worker_running: object
) -> None:
    key = {"Idempotency-Key": "invoice-18"}
    await agent.post(REQUESTS, json=PAYMENT, headers=key)
    other = {**PAYMENT, "arguments": {"to": "Ada", "euros": 81}}

    is_problem(await agent.post(REQUESTS, json=other, headers=key), 422, "key-reused")


async def test_the_same_key_of_another_service_is_another_key(
    agent: httpx.AsyncClient, with_token: Any, worker_running: object
) -> None:
    key = {"Idempotency-Key": "invoice-19"}
    mine = await agent.post(REQUESTS, json=PAYMENT, headers=key)
    theirs = await (await with_token("request")).post(REQUESTS, json=PAYMENT, headers=key)

    assert mine.status_code == theirs.status_code == 201
    assert mine.json()["id"] != theirs.json()["id"]


@pytest.mark.parametrize("key", ["", "x" * 256, "a b"])
async def test_what_is_no_key_is_refused(agent: httpx.AsyncClient, key: str) -> None:
    answer = await agent.post(REQUESTS, json=PAYMENT, headers={"Idempotency-Key": key})

    is_problem(answer, 422, "invalid")


async def test_an_id_and_a_key_together_are_refused(agent: httpx.AsyncClient) -> None:
    answer = await agent.post(
        REQUESTS, json={**PAYMENT, "id": unique("x")}, headers={"Idempotency-Key": "k"}
    )

    is_problem(answer, 422, "invalid")


async def test_twenty_at_once_with_one_key_are_one_request(
    agent: httpx.AsyncClient, approvals: ApprovalClient, worker_running: object
) -> None:
    key, tool = {"Idempotency-Key": unique("k")}, unique("tool")
    said = {**PAYMENT, "tool": tool}
    answers = await asyncio.gather(
        *(agent.post(REQUESTS, json=said, headers=key) for _ in range(20))
    )

    assert len({answer.json()["id"] for answer in answers}) == 1
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [200] * 19 + [201]

    async def listed() -> list[str]:
        return [one.id async for one in approvals.pending(tool=tool)]

    assert await eventually(listed) == [answers[0].json()["id"]]


async def test_only_who_may_asks_for_others(with_token: WithToken, worker_running: object) -> None:
    plain = patient(await with_token("request"))
    unnamed = (await plain.post(REQUESTS, json=PAYMENT)).json()

    answer = await plain.post(REQUESTS, json={**PAYMENT, "requester": "ceo@example.com"})
    its_own = await plain.post(REQUESTS, json={**PAYMENT, "requester": unnamed["requester"]})

    assert "request-for" in is_problem(answer, 403, "scope-missing")["detail"]
    assert its_own.status_code == 201

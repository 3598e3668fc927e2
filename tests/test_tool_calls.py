"""What a model does wrong with its tools, and several calls at once, over real HTTP."""

import json
import shutil
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from cli.settings import Settings

from .agent_runs import MAIL, SEND, Answering, answering, outbox
from .model_server import APIS, Api, Call, Text, calls


@pytest.fixture(scope="module", params=APIS)
def api(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(scope="module")
async def answers(
    lasting: Settings, connection: dict[str, Any], api: Api
) -> AsyncIterator[Answering]:
    async with answering(lasting, connection, api) as start:
        yield start


@pytest.fixture(autouse=True)
def _sent(lasting: Settings) -> Iterator[None]:
    yield
    shutil.rmtree(outbox(lasting), ignore_errors=True)


MALFORMED = {
    "not JSON": '{"to": "ada@example.com", ',
    "empty": "",
    "an array": json.dumps([MAIL]),
    "a string": '"ada@example.com"',
    "null": "null",
    "a wrong type": json.dumps({**MAIL, "body": 5}),
    "one missing": json.dumps({"to": "ada@example.com", "subject": "Your order"}),
    "one too many": json.dumps({**MAIL, "bcc": "eve@example.com"}),
    "half a surrogate": json.dumps({**MAIL, "body": "\ud800"}),
    "nested without end": '{"to":' + "[" * 100_000,
}


async def test_malformed_arguments_are_told_to_the_model_and_nobody_is_asked(
    lasting: Settings, answers: Answering
) -> None:
    wrong = [Call("send_email", given, f"call {why}") for why, given in MALFORMED.items()]
    server, play = answers(calls(*wrong), calls(SEND), Text("Sent."))
    run = await play.start("email")
    [request] = await run.waits_for()
    told = server.requests[1].results
    assert set(told) == {one.id for one in wrong}
    assert {id: said for id, said in told.items() if not said.startswith("Nothing ran")} == {}
    assert not outbox(lasting).exists()

    await play.approvals.approve(request.id, reviewer="grace")
    result = await run.result()

    assert [one.approval_id for one in result.approvals] == [f"{run.handle.id}.1"]
    assert "It ships today." in next(outbox(lasting).iterdir()).read_text()


@pytest.mark.parametrize("first", [0, 1])
async def test_two_calls_in_one_turn_wait_at_once_and_are_decided_in_either_order(
    answers: Answering, first: int
) -> None:
    refunds = [
        Call("issue_refund", json.dumps({"order_id": "A-1001", "cents": cents}), f"call_{cents}")
        for cents in (1_000, 2_000)
    ]
    server, play = answers(calls(*refunds), Text("One of them."))
    run = await play.start("refund")
    requests = await run.waits_for(2)
    assert [one.action for one in requests] == [
        "Refund 1000 cents for order A-1001",
        "Refund 2000 cents for order A-1001",
    ]
    decide = [
        lambda: play.approvals.approve(requests[0].id, reviewer="grace"),
        lambda: play.approvals.reject(requests[1].id, reviewer="grace", reason="too much"),
    ]
    await decide[first]()
    await decide[1 - first]()
    result = await run.result()

    assert {one.approval_id: one.status for one in result.approvals} == {
        requests[0].id: "approved",
        requests[1].id: "rejected",
    }
    assert server.requests[1].results == {
        "call_1000": "refunded 10.00 for A-1001",
        "call_2000": "Rejected: too much",
    }


async def test_a_call_of_a_tool_that_does_not_exist_is_told_to_the_model_and_the_run_goes_on(
    answers: Answering,
) -> None:
    server, play = answers(calls(Call("transfer_money", "{}")), Text("I can't do that."))
    result = await (await play.start("email")).result()
    assert result.output == "I can't do that."
    (told,) = server.requests[1].results.values()
    assert "transfer_money" in told


async def test_a_run_that_needs_more_turns_than_it_may_take_fails(answers: Answering) -> None:
    turns = [calls(Call("draft_email", json.dumps(MAIL), f"call_{n}")) for n in range(3)]
    server, play = answers(*turns)
    error, *_ = await (await play.start("email", max_turns=2)).failure()
    assert getattr(error, "type", None) == "MaxTurnsExceeded"
    assert len(server.requests) == 2

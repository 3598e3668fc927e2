"""Any OpenAI-compatible server, over real HTTP, in both protocols."""

import json
import shutil
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from temporalio.exceptions import CancelledError

from cli.settings import Settings

from .agent_runs import MAIL, SEND, Answering, Run, answering, outbox, playing, using
from .model_server import (
    APIS,
    KEY,
    MODEL,
    Api,
    Call,
    Failure,
    Text,
    calls,
    model_server,
)
from .support import eventually


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


async def test_a_run_stops_for_approval_and_finishes_once_it_is_approved(
    lasting: Settings, answers: Answering
) -> None:
    draft = Call("draft_email", json.dumps(MAIL), "call_0")
    server, play = answers(calls(draft), calls(SEND), Text("Sent."))
    run = await play.start("email", "Tell Ada that her order ships")
    [request] = await run.waits_for()
    assert (request.tool, request.run_id) == ("send_email", run.handle.id)
    assert not outbox(lasting).exists()

    await play.approvals.approve(request.id, reviewer="grace")
    result = await run.result()

    assert result.output == "Sent."
    assert [(one.approval_id, one.status) for one in result.approvals] == [(request.id, "approved")]
    [mail] = outbox(lasting).iterdir()
    assert "It ships today." in mail.read_text()
    assert server.requests[1].results == {
        "call_0": "To: ada@example.com\nSubject: Your order\n\nIt ships today."
    }
    assert server.requests[2].results["call_1"] == f"written to {mail}"


async def test_a_rejected_tool_is_told_to_the_model_and_nothing_happens(
    lasting: Settings, answers: Answering
) -> None:
    server, play = answers(calls(SEND), Text("I did not send it."))
    run = await play.start("email")
    [request] = await run.waits_for()
    await play.approvals.reject(request.id, reviewer="grace", reason="wrong address")
    result = await run.result()

    assert result.output == "I did not send it."
    assert [one.status for one in result.approvals] == ["rejected"]
    assert server.requests[1].results == {"call_1": "Rejected: wrong address"}
    assert not outbox(lasting).exists()


async def test_every_request_carries_the_key_the_configured_model_and_the_agents_tools(
    answers: Answering, api: Api
) -> None:
    server, play = answers(Text("Nothing to do."))
    await (await play.start("email")).result()

    [request] = server.requests
    assert (request.api, request.key, request.body["model"]) == (api, KEY, MODEL)
    assert request.tools == ["draft_email", "send_email"]


async def test_a_server_that_asks_for_no_key_needs_none(
    settings: Settings, connection: dict[str, Any], api: Api
) -> None:
    async with (
        model_server(Text("Hello."), key=None) as server,
        playing(using(settings, server, api, key=None), connection) as play,
    ):
        assert (await (await play.start("assistant")).result()).output == "Hello."


async def test_the_environment_says_which_server_key_model_and_protocol(
    settings: Settings, connection: dict[str, Any], api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with model_server(Text("Hello.")) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("CLEARANCE_MODEL", MODEL)
        monkeypatch.setenv("CLEARANCE_MODEL_API", api)
        queues = settings.model_dump(include={"approvals_queue", "agents_queue", "state"})
        async with playing(Settings(**queues), connection) as play:
            assert (await (await play.start("assistant")).result()).output == "Hello."

    [request] = server.requests
    assert (request.api, request.key, request.body["model"]) == (api, KEY, MODEL)


async def test_a_call_that_fails_for_the_moment_is_made_again(answers: Answering) -> None:
    failures = Failure(429, {"retry-after-ms": "1"}), Failure(500), Failure(503)
    server, play = answers(*failures, *[Text("Hello.")] * 3)
    runs = [await play.start("assistant", f"Greet {n}") for n in range(3)]
    assert [(await run.result()).output for run in runs] == ["Hello."] * 3

    assert len(server.requests) == 6
    assert len({json.dumps(one.body, sort_keys=True) for one in server.requests}) == 3


async def test_a_server_that_is_down_is_waited_for(
    settings: Settings, connection: dict[str, Any], api: Api
) -> None:
    async with model_server() as gone:
        port = int(gone.url.split(":")[2].removesuffix("/v1"))
    async with playing(using(settings, gone, api), connection) as play:
        run = await play.start("assistant")

        async def failed_once() -> bool:
            description = await run.handle.describe()
            return any(one.attempt > 1 for one in description.raw_description.pending_activities)

        await eventually(failed_once)
        async with model_server(Text("Hello."), port=port):
            assert (await run.result()).output == "Hello."


@pytest.mark.parametrize(
    "header", [{"retry-after": "3600"}, {"retry-after-ms": "3600000"}], ids=lambda h: next(iter(h))
)
async def test_a_busy_server_is_left_alone_for_as_long_as_it_asks(
    answers: Answering, header: dict[str, str]
) -> None:
    server, play = answers(Failure(429, header))
    run = await play.start("assistant")

    async def seconds_to_the_next_try() -> int:
        description = await run.handle.describe()
        activities = description.raw_description.pending_activities
        return sum(one.current_retry_interval.seconds for one in activities)

    assert await eventually(seconds_to_the_next_try) == 3_600
    assert len(server.requests) == 1
    await run.handle.cancel()
    assert isinstance((await run.failure())[0], CancelledError)


async def test_a_refused_key_fails_the_run_at_once_and_says_so(
    settings: Settings, connection: dict[str, Any], api: Api
) -> None:
    async with (
        model_server(Text("never")) as server,
        playing(using(settings, server, api, key="sk-wrong-41c6"), connection) as play,
    ):
        run = await play.start("assistant")
        said = " ".join(map(str, await run.failure()))
        assert "401" in said
        assert "Incorrect API key provided" in said
        assert len(server.requests) == 1
        assert b"sk-wrong-41c6" not in await run.stored()


async def test_an_unknown_model_fails_the_run_at_once_and_says_so(answers: Answering) -> None:
    server, play = answers(Failure(404, message="The model does not exist"))
    said = " ".join(map(str, await (await play.start("assistant")).failure()))
    assert "404" in said
    assert "The model does not exist" in said
    assert len(server.requests) == 1


async def test_what_temporal_stores_of_a_run_has_the_prompt_but_not_the_key(
    answers: Answering,
) -> None:
    server, play = answers(calls(SEND), Text("Sent."))
    run = await play.start("email", "Tell Ada that her order ships")
    [request] = await run.waits_for()
    await play.approvals.approve(request.id, reviewer="grace")
    await run.result()
    child = Run(play.serving.client.get_workflow_handle(request.id), play.approvals)
    stored = await run.stored() + await child.stored()

    assert {one.key for one in server.requests} == {KEY}
    assert b"Tell Ada that her order ships" in stored
    assert KEY.encode() not in stored

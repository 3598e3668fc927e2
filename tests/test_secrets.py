"""Secrets among a tool's arguments: the tool gets them, and nobody who reads anything else does."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowUpdateFailedError

from clearance import ApprovalClient, ApprovalRequest
from clearance.mask import MASK
from clearance.runs import AgentRun, start_run
from cli.settings import EmbeddedServer, Settings

from .agent_runs import Run, Start, apart, played_by_one, told
from .cli.conftest import Shell
from .model_server import Call, Text, calls, model_server
from .office import ADA, decide, done, policed, write
from .raw import Handle, history, only
from .support import call, says
from .test_acceptance import shell_of
from .test_done_once import worker_process

PASSWORD = "Wüstenfuchs-7!"
KEYS = ("sk-live-0f3a9c", "sk-live-77b1d2")
IBAN = "DE89370400440532013000"

GIVEN: dict[str, Any] = {
    "user": "ada",
    "password": PASSWORD,
    "iban": IBAN,
    "options": [{"api_key": key, "retries": 3} for key in KEYS],
}

SHOWN: dict[str, Any] = {
    "user": "ada",
    "password": MASK,
    "iban": MASK,
    "options": [{"api_key": MASK, "retries": 3}] * 2,
}

POINTERS = ("/password", "/iban", "/options/0/api_key", "/options/1/api_key")

POLICY = """
    secrets = ["iban"]

    [[checkpoint]]
    checkpoint_id = "logins"
    action_pattern = "^log_in$"
    when = "int(args.password) > 0"         # can't be evaluated, and CEL's own words may quote it
    description_template = '''
    Log {user} in with {password} and {options.0.api_key}

    {options} {iban}'''
    editable = true
"""

PROMPT = f"Log in as ada, the password is {PASSWORD}."

LOG_IN = call("log_in", json.dumps(GIVEN))


@pytest.fixture(scope="module")
def settings(lasting: Settings) -> Settings:
    return policed(lasting, POLICY)


@pytest.fixture(autouse=True)
def _policy(settings: Settings) -> Iterator[None]:
    yield
    write(settings, POLICY)


@pytest.fixture(scope="module")
async def play(settings: Settings, connection: dict[str, Any]) -> AsyncIterator[Start]:
    async with played_by_one(settings, connection) as start:
        yield start


def leaks(text: str | bytes) -> list[str]:
    """The secrets that can be read there, as they are or as JSON escapes them."""
    raw = text.encode() if isinstance(text, str) else text
    forms = [
        (one, form) for one in (PASSWORD, *KEYS, IBAN) for form in (one, json.dumps(one)[1:-1])
    ]
    return sorted({one for one, form in forms if form.encode() in raw})


async def stored(handle: Handle) -> bytes:
    """All that Temporal keeps of a workflow."""
    return b"\n".join(event.SerializeToString() for event in await history(handle))


async def test_the_tool_gets_the_real_values_and_the_request_shows_masks(
    play: Start, approvals: ApprovalClient
) -> None:
    async with play([LOG_IN], agent="user", prompt=PROMPT) as (run, model):
        [waiting] = await run.waits_for()
        request = (await approvals.get(waiting.id)).request
        assert request.arguments == SHOWN
        assert request.masked == POINTERS
        assert request.action == f"Log ada in with {MASK} and {MASK}"
        assert request.user_prompt == f"Log in as ada, the password is {MASK}."
        real = ApprovalRequest(action="-", tool="log_in", arguments=GIVEN)
        assert request.digest == waiting.digest == real.digest
        await approvals.approve(waiting.id, reviewer=ADA)
        await run.result()
    assert done(waiting.id) == [GIVEN]
    assert told(model) == {"call_1": "log_in done"}


async def test_nothing_of_them_leaves_the_run(play: Start, approvals: ApprovalClient) -> None:
    aloud = says(f"I log in with {PASSWORD} and {KEYS[0]}.")
    async with play([aloud, LOG_IN], agent="user", prompt=PROMPT) as (run, _):
        [waiting] = await run.waits_for()
        handle = approvals.temporal.get_workflow_handle(waiting.id)
        view = await approvals.get(waiting.id)
        assert view.request.agent_message == f"I log in with {MASK} and {MASK}."
        assert view.complete
        described = await handle.describe()
        seen = {
            "view": view.model_dump_json(),
            "memo": json.dumps(await described.memo()),
            "search attributes": str(described.typed_search_attributes),
            "description": str(described.raw_description),
            "current details": str(await handle.query("__temporal_workflow_metadata")),
            "listing": waiting.model_dump_json(),
            "what the run says it waits for": str(await run.handle.query("pending_approvals")),
        }
        assert "Log ada in" in seen["current details"]
        await approvals.approve(waiting.id, reviewer=ADA, reason="Fine")
        result = await run.result()

        seen["result"] = result.model_dump_json()
        seen["view at the end"] = (await approvals.get(waiting.id)).model_dump_json()
        started = only(
            await history(run.handle),
            EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED,
        )
        seen["what the run sent"] = str([event.SerializeToString() for event in started])
        kept = await stored(handle)
    assert {where: leaks(text) for where, text in seen.items()} == {where: [] for where in seen}
    assert leaks(kept) == []
    assert leaks(await stored(run.handle)) == sorted([PASSWORD, *KEYS, IBAN])  # the search works


async def test_nothing_of_them_is_in_the_workers_log_or_on_a_command_line(
    settings: Settings, server: EmbeddedServer, temporal: Client
) -> None:
    settings = apart(settings)
    shell: Shell = shell_of(settings, server)
    log_in = Call("log_in", json.dumps(GIVEN))
    said: list[Any] = []
    async with (
        model_server(calls(log_in), Text("Done.")) as model,
        worker_process(settings, server, model, CLEARANCE_AGENTS="tests.office"),
    ):
        asked = AgentRun(agent="user", prompt="Log in", approvals_queue=settings.approvals_queue)
        handle = await start_run(temporal, asked, task_queue=settings.agents_queue)
        approvals = ApprovalClient(temporal, task_queue=settings.approvals_queue)
        [waiting] = await Run(handle, approvals).waits_for()
        looks = [["show", waiting.id], ["show", waiting.id, "--json"]]
        several = [*looks, ["pending"], ["pending", "--json"]]
        said += await asyncio.gather(*(shell(*one) for one in several))
        said += [await shell("approve", waiting.id)]
        await handle.result()
        said += await asyncio.gather(*(shell(*one) for one in looks))
    assert [one.code for one in said] == [0] * len(said)
    assert MASK in said[0].out
    assert [one for one in said if leaks(one.out + one.err)] == []
    log = settings.state.with_name("worker.log").read_text()
    assert "agents on" in log
    assert leaks(log) == []


async def test_other_arguments_can_be_changed_and_the_tool_gets_the_secrets_with_them(
    play: Start, approvals: ApprovalClient
) -> None:
    async with play([LOG_IN], agent="user") as (run, model):
        [waiting] = await run.waits_for()
        options = [{"api_key": MASK, "retries": 3}, {"api_key": MASK, "retries": 0}]
        edited = {**SHOWN, "user": "grace", "options": options}
        await decide(approvals, waiting.id, arguments=edited)
        await run.result()
        outcome = await approvals.wait(waiting.id)
        view = await approvals.get(waiting.id)
        kept = await stored(approvals.temporal.get_workflow_handle(waiting.id))

    assert done(waiting.id) == [
        {
            **GIVEN,
            "user": "grace",
            "options": [
                {"api_key": KEYS[0], "retries": 3},
                {"api_key": KEYS[1], "retries": 0},
            ],
        }
    ]
    assert outcome.edit is not None
    assert [one.name for one in outcome.edit.changes] == ["user", "options"]
    assert view.edit == outcome.edit
    assert view.digest != outcome.digest
    assert leaks(outcome.model_dump_json() + view.model_dump_json()) == []
    assert leaks(kept) == []
    [answer] = told(model).values()
    assert "user: \"ada\" became \"grace\"" in answer  # fmt: skip
    assert leaks(answer) == []


UNCHANGEABLE: dict[str, dict[str, Any]] = {
    "another password": {"password": "mine"},
    "an empty password": {"password": ""},
    "a nested key": {"options": [{"api_key": "mine", "retries": 3}, SHOWN["options"][1]]},
    "one of them fewer": {"options": SHOWN["options"][:1]},
    "what the policy named": {"iban": "GB00"},
    "a mask with more around it": {"password": f"{MASK}x"},
}


@pytest.mark.parametrize("change", UNCHANGEABLE.values(), ids=UNCHANGEABLE)
async def test_a_masked_argument_cannot_be_changed(
    play: Start, approvals: ApprovalClient, change: dict[str, Any]
) -> None:
    async with play([LOG_IN], agent="user") as (run, _):
        [waiting] = await run.waits_for()
        with pytest.raises(WorkflowUpdateFailedError) as raised:
            await decide(approvals, waiting.id, arguments={**SHOWN, **change})
        assert "can't be changed" in str(raised.value.cause)
        assert (await approvals.get(waiting.id)).status == "pending"
        await approvals.reject(waiting.id, reviewer=ADA)
        await run.result()
    assert done(run.handle.id) == []


async def test_a_masked_argument_cannot_be_left_out(play: Start, approvals: ApprovalClient) -> None:
    async with play([LOG_IN], agent="user") as (run, _):
        [waiting] = await run.waits_for()
        without = {name: value for name, value in SHOWN.items() if name != "password"}
        with pytest.raises(WorkflowUpdateFailedError) as raised:
            await decide(approvals, waiting.id, arguments=without)
        assert "can't be changed" in str(raised.value.cause)
        await approvals.reject(waiting.id, reviewer=ADA)
        await run.result()


async def test_a_name_that_the_policy_does_not_call_secret_is_shown(
    settings: Settings, play: Start, approvals: ApprovalClient
) -> None:
    write(settings, POLICY.replace('secrets = ["iban"]', ""))
    async with play([LOG_IN], agent="user") as (run, _):
        [waiting] = await run.waits_for()
        request = (await approvals.get(waiting.id)).request
        assert request.arguments == {**SHOWN, "iban": IBAN}
        assert request.masked == tuple(one for one in POINTERS if one != "/iban")
        await approvals.approve(waiting.id, reviewer=ADA)
        await run.result()
    assert done(waiting.id) == [GIVEN]


async def test_another_password_is_another_digest_though_both_look_alike(
    play: Start, approvals: ApprovalClient
) -> None:
    other = call("log_in", json.dumps({**GIVEN, "password": "another"}), "call_2")
    async with play([LOG_IN, other], agent="user") as (run, _):
        first, second = await run.waits_for(2)
        views = [await approvals.get(one.id) for one in (first, second)]
        assert views[0].request.arguments == views[1].request.arguments
        assert views[0].digest != views[1].digest
        with pytest.raises(WorkflowUpdateFailedError) as raised:
            await decide(approvals, first.id, digest=views[1].digest)
        assert "changed since you read it" in str(raised.value.cause)
        for one in (first, second):
            await approvals.approve(one.id, reviewer=ADA)
        await run.result()
    did = [one for id in (first.id, second.id) for one in done(id)]
    assert {one["password"] for one in did} == {PASSWORD, "another"}

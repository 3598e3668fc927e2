"""A run as a timeline, read from Temporal alone: what was said, called, asked and done, in order."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from agents import Agent, function_tool
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHistory

from clearance import ApprovalClient, InvalidRequest, NotFound
from clearance.contract import AGENT_WORKFLOW
from clearance.events import Reader
from clearance.mask import MASK
from clearance.timeline import MAX_EVENTS, Entry, Timeline, timeline
from clearance.turns import MAX_RESULT, Secrets
from cli.settings import Settings

from .agent_runs import Start, apart, played_by_one
from .gating import ACTIVITIES, effect, own
from .office import ADA, decide
from .played import FOLDER, recordings
from .raw import RUNS_LEFT_OPEN
from .record_histories import CASES
from .support import call, eventually, unique

pytestmark = RUNS_LEFT_OPEN

LONG = "x" * (MAX_RESULT + 500)
SECRET = "hunter2-and-more"


@function_tool(strict_mode=False)
async def pay(cents: int, password: str = "") -> str:
    return await effect("pay", cents=cents, password=password)


@function_tool(strict_mode=False)
async def tell(length: int, vault_word: str = "", notes: list[Any] | None = None) -> str:
    return LONG[:length]


@function_tool(failure_error_function=None)
async def fail(cents: int) -> str:
    raise ValueError(f"{cents} is too much")


AGENTS = {"payer": lambda: Agent(name="payer", tools=[pay, tell, fail])}

__all__ = ["ACTIVITIES"]

POLICY = """
secrets = ["vault_word"]
default = "allow"

[[checkpoint]]
checkpoint_id = "pay"
action_pattern = "^pay$"
description_template = "Pay {cents} cents"
"""


@pytest.fixture(scope="module")
def settings(lasting: Settings) -> Settings:
    return own(lasting, __name__, POLICY)


@pytest.fixture(scope="module")
async def play(settings: Settings, connection: dict[str, Any]) -> AsyncIterator[Start]:
    async with played_by_one(settings, connection) as start:
        yield start


def calls(tool: str, call_id: str = "call_1", **arguments: Any) -> Any:
    return call(tool, json.dumps(arguments), call_id)


def told(line: Timeline) -> list[tuple[str, str, str | None]]:
    """Kind, title and status of each entry, in order."""
    assert [one.at for one in line.entries] == sorted(one.at for one in line.entries)
    return [(one.kind, one.title, one.status) for one in line.entries]


def only(line: Timeline, kind: str) -> list[Entry]:
    return [one for one in line.entries if one.kind == kind]


async def test_a_run_is_told_from_its_prompt_to_its_end(
    play: Start, approvals: ApprovalClient
) -> None:
    async with play([calls("pay", cents=100)], agent="payer", prompt="Pay Ada") as (run, _):
        [asked] = await run.waits_for()
        before = await timeline(approvals.temporal, run.handle.id)
        await decide(approvals, asked.id, reason="read it")
        await run.result()

    line = await timeline(approvals.temporal, run.handle.id)

    assert told(before)[-1] == ("gate", "Pay 100 cents", "pending")
    assert (before.run.status, before.output, before.failure) == ("running", None, None)
    assert told(line) == [
        ("prompt", "asked payer", None),
        ("model", "the model", "completed"),
        ("call", "called pay", None),
        ("gate", "Pay 100 cents", "approved"),
        ("result", "take_effect", "completed"),
        ("model", "the model", "completed"),
        ("end", "finished", "completed"),
    ]
    prompt, _, called, gate, result, _, end = line.entries
    assert (prompt.text, end.text, line.output) == ("Pay Ada", "Finished.", "Finished.")
    assert (called.tool, called.arguments) == ("pay", {"cents": 100})
    assert called.text == "pay done"
    assert (gate.approval_id, gate.tool, gate.text) == (asked.id, "pay", f"by {ADA}: read it")
    assert gate.arguments == {"cents": 100}
    assert (result.tool, result.attempts) == ("take_effect", 1)
    assert gate.duration is not None
    assert gate.duration > timedelta(0)
    assert (line.run.id, line.run.agent, line.run.status) == (run.handle.id, "payer", "completed")
    assert not line.truncated


async def test_no_secret_of_a_run_is_told_wherever_it_was_repeated(
    play: Start, approvals: ApprovalClient
) -> None:
    first = calls("pay", cents=100, password=SECRET)
    async with play([first], agent="payer", prompt=f"Pay with {SECRET}") as (run, _):
        await run.waits_for()
        line = await timeline(approvals.temporal, run.handle.id)
        assert SECRET not in line.model_dump_json()
        await run.handle.terminate(reason=f"no {SECRET}")

    line = await timeline(approvals.temporal, run.handle.id)

    assert SECRET.encode() in await run.stored()
    assert SECRET not in line.model_dump_json()
    [called] = only(line, "call")
    assert called.arguments == {"cents": 100, "password": MASK}
    assert line.entries[0].text == f"Pay with {MASK}"


async def test_secrets_that_the_policy_names_are_told_by_nobody_either(
    play: Start, approvals: ApprovalClient
) -> None:
    said: dict[str, Any] = {
        "length": 5,
        "vault_word": "open-sesame",
        "notes": [{"a": "say open-sesame"}],
    }
    async with play([calls("tell", **said)], agent="payer", prompt="Say open-sesame") as (run, _):
        await run.result()

    line = await timeline(approvals.temporal, run.handle.id)

    [called] = only(line, "call")
    assert called.arguments == {
        "length": 5,
        "vault_word": MASK,
        "notes": [{"a": f"say {MASK}"}],
    }
    assert line.entries[0].text == f"Say {MASK}"


async def test_secrets_in_json_and_of_what_is_too_large_to_be_shown_are_not_told(
    play: Start, approvals: ApprovalClient
) -> None:
    deep: Any = {"password": "sk-deep-one", "pin": 777}
    for _ in range(150):
        deep = [deep]
    secrets = {"large": "sk-large-one", "json": "sk-json-one", "quoted": 'sk-"quoted"-one'}
    turn = [
        calls("tell", "call_1", length=1, password=secrets["large"], notes=["x" * 70_000]),
        calls("tell", "call_2", length=1, notes=[json.dumps([{"api_key": secrets["json"]}])]),
        calls("tell", "call_3", length=1, password=secrets["quoted"]),
        calls("tell", "call_4", length=1, notes=deep),
    ]
    prompt = " and ".join([*secrets.values(), json.dumps(secrets["quoted"]), "sk-deep-one"])
    async with play(turn, agent="payer", prompt=prompt) as (run, _):
        await run.result()

    line = await timeline(approvals.temporal, run.handle.id)

    told = line.model_dump_json()
    assert [one for one in ("sk-large", "sk-json", "sk-deep", "quoted") if one in told] == []
    large, text, quoted, deepest = only(line, "call")
    assert large.arguments is deepest.arguments is None
    assert text.arguments == {"length": 1, "notes": [json.dumps([{"api_key": MASK}])]}
    assert quoted.arguments == {"length": 1, "password": MASK}
    assert line.entries[0].text == f'{MASK} and {MASK} and {MASK} and "{MASK}" and {MASK}'
    assert line.run.prompt == line.entries[0].text


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ('{"user": "ada", "token": "t1"}', {"user": "ada", "token": MASK}),
        ('[{"pin": 7}, "x"]', [{"pin": MASK}, "x"]),
        ('  {"a": "{\\"otp\\": 1}"}', {"a": json.dumps({"otp": MASK})}),
    ],
)
def test_a_text_that_is_json_is_told_without_its_secrets(answer: str, shown: Any) -> None:
    assert json.loads(Secrets().told(answer)) == shown


@pytest.mark.parametrize(
    "text", ["", "{", "[1,  2]", '{"user":  "ada"}', '"token"', "5", "[" * 5_000, '{"a": NaN}']
)
def test_a_text_without_any_is_told_as_it_is(text: str) -> None:
    assert json.dumps(Secrets().told(text)).replace(" ", "") == json.dumps(text).replace(" ", "")


async def test_what_a_run_left_open_when_it_ended_is_told_as_withdrawn(
    play: Start, approvals: ApprovalClient
) -> None:
    turn = [calls("pay", "call_1", cents=1), calls("pay", "call_2", cents=2)]
    async with play(turn, agent="payer") as (run, _):
        first, _ = await run.waits_for(2)
        await approvals.reject(first.id, reviewer=ADA, reason="no")

        async def rejected() -> bool:
            line = await timeline(approvals.temporal, run.handle.id)
            return "rejected" in [one.status for one in line.entries]

        await eventually(rejected)
        await run.handle.terminate(reason="enough")

    line = await timeline(approvals.temporal, run.handle.id)

    assert [(one.status, one.text) for one in only(line, "gate")] == [
        ("rejected", f"by {ADA}: no"),
        ("withdrawn", ""),
    ]
    [end] = only(line, "end")
    assert (end.title, end.text, end.status) == ("terminated", "enough", "terminated")
    assert (line.run.status, line.output) == ("terminated", None)


async def test_a_run_that_failed_says_why(play: Start, approvals: ApprovalClient) -> None:
    async with play([calls("fail", cents=7)], agent="payer") as (run, _):
        await run.failure()

    line = await timeline(approvals.temporal, run.handle.id)

    assert line.failure is not None
    assert "7 is too much" in line.failure
    [end] = only(line, "end")
    assert (end.title, end.text, end.status) == ("failed", line.failure, "failed")


async def test_a_long_answer_is_cut_with_a_mark(play: Start, approvals: ApprovalClient) -> None:
    turns = [[calls("tell", f"call_{n}", length=n)] for n in (MAX_RESULT, MAX_RESULT + 1)]
    async with play(*turns, agent="payer") as (run, _):
        await run.result()

    line = await timeline(approvals.temporal, run.handle.id)

    assert [one.text for one in only(line, "call")] == [
        LONG[:MAX_RESULT],
        f"{LONG[:MAX_RESULT]}…",
    ]


async def test_of_a_long_history_the_beginning_is_told_and_the_end(
    play: Start, approvals: ApprovalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = [[calls("tell", f"call_{n}", length=n)] for n in range(4)]
    async with play(*turns, agent="payer") as (run, _):
        await run.result()
    whole = await timeline(approvals.temporal, run.handle.id)
    assert not whole.truncated

    monkeypatch.setattr("clearance.timeline.MAX_EVENTS", 20)
    line = await timeline(approvals.temporal, run.handle.id)

    assert line.truncated
    assert told(line)[:3] == told(whole)[:3]
    assert told(line)[-1] == told(whole)[-1]
    assert len(line.entries) < len(whole.entries)
    assert line.output == "Finished."
    assert MAX_EVENTS == 2_000


async def test_it_is_read_without_any_worker(
    settings: Settings, connection: dict[str, Any], temporal: Client
) -> None:
    async with (
        played_by_one(apart(settings), connection) as alone,
        alone([calls("pay", cents=100)], agent="payer") as (run, _),
    ):
        await run.waits_for()

    line = await timeline(temporal, run.handle.id)

    assert told(line)[-1] == ("gate", "Pay 100 cents", "pending")


async def test_a_run_that_nobody_started_is_not_found(temporal: Client) -> None:
    with pytest.raises(NotFound):
        await timeline(temporal, unique("nothing"))
    with pytest.raises(InvalidRequest, match="an id has 1 to 200 characters"):
        await timeline(temporal, "")
    other = unique("other")
    await temporal.start_workflow("Other", id=other, task_queue=unique("nobody"))
    with pytest.raises(NotFound):
        await timeline(temporal, other)


@pytest.mark.parametrize("given", [[], [None], ["run"], [{"prompt": 5, "agent": []}], [1, 2]])
async def test_a_run_that_a_foreign_program_started_is_told_as_far_as_it_can_be(
    temporal: Client, given: list[Any]
) -> None:
    id = unique("foreign")
    memo = {"run": given}
    await temporal.start_workflow(
        AGENT_WORKFLOW, args=given, id=id, task_queue=unique("nobody"), memo=memo
    )

    line = await timeline(temporal, id)

    assert (line.run.agent, line.run.status) == ("?", "running")
    assert [one.kind for one in line.entries] == ["prompt"]


JUNK = [
    b"",
    b"null",
    b"5",
    b'"text"',
    b"[]",
    b"[[1]]",
    b"{}",
    b"\xff\xfe",
    b"{" * 50_000,
    b"[" * 5_000 + b"]" * 5_000,
    b'{"output": 5}',
    b'{"output": [5, {}, {"type": 5}, {"type": "message", "content": 5}, {"type": "x_call"}]}',
    b'{"output": [{"type": "function_call", "arguments": "{", "name": {}, "call_id": []}]}',
    b'{"output": [{"type": "function_call", "arguments": "{\\"a\\": NaN}", "name": "\\ud800"}]}',
    b'{"output": [{"type": "message", "content": [{"text": "\\ud800"}, {"refusal": "no"}]}]}',
    b'{"input": [5, {"type": "function_call_output", "call_id": 5}], "policy": {"secrets": [5]}}',
    b'{"policy": 5, "action": {}, "arguments": 5, "tool": [], "prompt": {"a": [1e999]}}',
    b'{"action": "a", "arguments": {"' + b"x" * 100_000 + b'": 1}}',
    b'[{"response": 5}, {"response": {"output": [{"type": "message", "content": "hi"}]}}, 5]',
]


async def whole(events: list[HistoryEvent]) -> tuple[Entry, ...]:
    reader = Reader(None)
    for event in events:
        await reader.read(event)
    assert reader.output is None or isinstance(reader.output, str)
    return tuple(Entry.model_validate(vars(one)) for one in reader.drafts())


NEWEST = [file for case in CASES if case.startswith("agent-") for file in recordings(case)[-1:]]


@pytest.mark.parametrize("file", NEWEST, ids=lambda file: file.stem)
async def test_of_strange_payloads_less_is_told_and_nothing_fails(file: Any) -> None:
    recorded = json.loads(file.read_text())
    entries = await whole(list(WorkflowHistory.from_json(file.stem, recorded).events))
    assert entries[0].text == "Do it"

    for junk in JUNK:
        events = list(WorkflowHistory.from_json(file.stem, recorded).events)
        for event in events:
            for payload in payloads(event):
                payload.data = junk
        strange = await whole(events)
        assert [one.kind for one in strange if one.kind != "call"] == [
            one.kind for one in entries if one.kind != "call"
        ]
    for encoding in (b"", b"binary/encrypted", b"binary/null"):
        events = list(WorkflowHistory.from_json(file.stem, recorded).events)
        for event in events:
            for payload in payloads(event):
                payload.metadata["encoding"] = encoding
        assert not [one for one in await whole(events) if one.text and one.kind != "end"]


def payloads(event: HistoryEvent) -> list[Any]:
    """What an event carries."""
    said = getattr(event, event.WhichOneof("attributes") or "", None)
    fields = {field.name for field in said.DESCRIPTOR.fields} if said is not None else set()
    found = [getattr(said, name) for name in ("input", "result") if name in fields]
    return [payload for one in found for payload in one.payloads]


async def test_an_activity_that_was_tried_again_says_how_often_and_why_it_failed() -> None:
    recorded = json.loads((FOLDER / "agent-gated-tool.json").read_text())
    events = list(WorkflowHistory.from_json("agent-gated-tool", recorded).events)
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            event.activity_task_started_event_attributes.attempt = 3
        done = event.activity_task_completed_event_attributes
        if done.scheduled_event_id == 32:
            event.event_type = EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED
            failed = event.activity_task_failed_event_attributes
            failed.scheduled_event_id = 32
            failed.failure.message = "Activity task failed"
            failed.failure.cause.message = "the shop is closed"

    [_, refund] = [one for one in await whole(events) if one.kind == "result"]

    assert (refund.tool, refund.status, refund.attempts) == ("issue_refund", "failed", 3)
    assert refund.text == "the shop is closed"

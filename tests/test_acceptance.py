"""The gate in whole runs, as who sets it up meets it: a policy, an agent, a person, an effect."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from agents import ModelResponse
from pydantic import SecretStr
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError

from activities.shop import ShopActivities
from clearance import ApprovalClient
from cli.settings import EmbeddedServer, Settings

from .agent_runs import MAIL, Play, played, playing, told, using
from .cli.conftest import SCRIPTS, Shell
from .conftest import Serve
from .model_server import MODEL, Call, Text, calls, model_server
from .office import ADA, decide, done, policed, write
from .support import PlayedModel, call, eventually, says
from .test_activities import mail_server

POLICY = """
    default = "allow"

    [[checkpoint]]
    checkpoint_id = "deletions"
    action_pattern = "delete_*"
    description_template = "Delete these customer records for good: {customers}"
    on_reject = "stop"

    [[checkpoint]]
    checkpoint_id = "mail"
    action_pattern = "^send_email$"
    description_template = '''
    Send “{subject}” to {to}

    {body}'''

    [[checkpoint]]
    checkpoint_id = "trades"
    action_pattern = "^trade$"
    description_template = "{side} {quantity} {symbol}"
    confirm_phrase = "{symbol}"
"""

STALE = {"customers": [{"id": 2, "name": "Charles Babbage"}, {"id": 3, "name": "Mary Somerville"}]}

DELETE = Call("delete_records", json.dumps(STALE))


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return policed(settings, POLICY)


def shell_of(settings: Settings, server: EmbeddedServer) -> Shell:
    """A shell on this test's Temporal, queues, policy and state."""
    folder = settings.state.parent
    return Shell(
        folder,
        {
            "PATH": f"{SCRIPTS}:/usr/bin:/bin",
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "TEMPORAL_ADDRESS": server.address,
            "CLEARANCE_APPROVALS_QUEUE": settings.approvals_queue,
            "CLEARANCE_AGENTS_QUEUE": settings.agents_queue,
            "CLEARANCE_STATE": str(settings.state),
            "CLEARANCE_POLICY": str(settings.policy),
            "CLEARANCE_REVIEWER": ADA,
        },
    )


def customers(settings: Settings) -> int:
    """How many there are in the shop."""
    shop = ShopActivities(settings.state / "shop.db")
    return len(shop.list_stale_customers("2100-01-01").splitlines())


class TimedModel(PlayedModel):
    """Notes when it gave its first answer."""

    answered: float | None = None

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        response = await super().get_response(*args, **kwargs)
        self.answered = self.answered or time.monotonic()
        return response


async def test_a_deletion_is_listed_right_after_the_call_and_done_right_after_the_approval(
    settings: Settings,
    serve: Serve,
    approvals: ApprovalClient,
    record_property: Callable[[str, object], None],
) -> None:
    model = TimedModel([call(DELETE.name, DELETE.arguments)], [says("Deleted.")])
    async with serve(model) as serving:
        run = await Play(settings, serving).start("cleanup", "Delete the stale customers")

        async def listed() -> list[str]:
            return [one.id async for one in approvals.pending(run=run.handle.id, tool=DELETE.name)]

        [id] = await eventually(listed, within=30)
        assert model.answered is not None
        waited = time.monotonic() - model.answered
        assert customers(settings) == 5

        decided = time.monotonic()
        await approvals.approve(id, reviewer=ADA)

        async def deleted() -> bool:
            return customers(settings) == 3

        await eventually(deleted, within=30)
        acted = time.monotonic() - decided
        await run.result()

    # Measured, not asserted: on a machine that does other things the numbers mean nothing.
    record_property("seconds from the model's answer to the list", round(waited, 3))
    record_property("seconds from the decision to the deletion", round(acted, 3))
    print(f"listed after {waited:.3f} s, deleted {acted:.3f} s after the decision")  # noqa: T201
    assert told(model) == {"call_1": "deleted 2 records"}


async def test_a_rejected_deletion_ends_the_run_for_whoever_waits_for_it(
    settings: Settings, serve: Serve, approvals: ApprovalClient
) -> None:
    model = PlayedModel([call(DELETE.name, DELETE.arguments)])
    async with serve(model) as serving:
        run = await Play(settings, serving).start("cleanup")
        [waiting] = await run.waits_for()
        await approvals.reject(waiting.id, reviewer=ADA, reason="They are customers still")
        with pytest.raises(WorkflowFailureError) as raised:
            await run.handle.result()

    assert "CollaborationError: rejected: delete_records: They are customers still" in str(
        raised.value.cause
    )
    assert len(model.inputs) == 1
    assert customers(settings) == 5


async def test_on_the_command_line_a_rejection_ends_the_run_with_1_and_says_why(
    settings: Settings, server: EmbeddedServer
) -> None:
    shell = shell_of(settings, server)
    async with model_server(calls(DELETE)) as model:
        serving = shell.having(
            OPENAI_BASE_URL=model.url, OPENAI_API_KEY=model.key, CLEARANCE_MODEL=MODEL
        )
        async with serving.start("worker") as worker:
            await worker.says("agents on")
            async with shell.start("run", "Delete them.", "--agent", "cleanup") as run:
                id = (await run.says(r"clearance approve (\S+)"))[1]
                rejected = await shell("reject", id, "--reason", "They are customers still")
                ended = await run.ends()

    assert rejected.code == 0
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines()[-1].endswith(
        "failed: CollaborationError: rejected: delete_records: They are customers still"
    )
    assert customers(settings) == 5


async def test_a_mail_is_drafted_freely_read_by_a_person_and_sent_only_when_approved(
    settings: Settings, connection: dict[str, Any]
) -> None:
    draft = Call("draft_email", json.dumps(MAIL), "call_1")
    send = Call("send_email", json.dumps(MAIL), "call_2")
    async with (
        mail_server() as (url, mailbox),
        model_server(calls(draft), calls(send), Text("Sent.")) as model,
        playing(
            using(settings, model, "responses").model_copy(update={"smtp_url": SecretStr(url)}),
            connection,
        ) as play,
    ):
        run = await play.start("email", "Tell Ada", requester="grace@example.com")
        [waiting] = await run.waits_for()
        assert "It ships today." in model.requests[1].results["call_1"]  # nobody was asked for that
        request = (await play.approvals.get(waiting.id)).request
        assert request.action == "Send “Your order” to ada@example.com"
        assert request.details == "It ships today."
        assert (request.arguments, request.user_prompt) == (MAIL, "Tell Ada")
        assert (request.requester, request.run_id) == ("grace@example.com", run.handle.id)
        assert mailbox.mails == []

        await play.approvals.approve(waiting.id, reviewer=ADA)
        await run.result()

    [mail] = mailbox.mails
    assert (mail["To"], mail["Subject"]) == ("ada@example.com", "Your order")
    assert mail.get_content().strip() == "It ships today."


BUY = {"symbol": "ACME", "side": "buy", "quantity": 300}


async def test_a_trade_is_placed_once_its_symbol_has_been_typed(
    settings: Settings, serve: Serve, approvals: ApprovalClient
) -> None:
    buy = call("trade", json.dumps(BUY))
    async with played(settings, serve)([buy], agent="trader") as (run, _):
        [waiting] = await run.waits_for()
        assert waiting.action == "buy 300 ACME"
        for typed in (None, "", "acme", "ACME Corp", "yes", "{symbol}"):
            with pytest.raises(WorkflowUpdateFailedError) as raised:
                await decide(approvals, waiting.id, confirmation=typed)
            assert "type 'ACME' to confirm" in str(raised.value.cause)
        await approvals.temporal.get_workflow_handle(waiting.id).signal("approve", True)
        view = await approvals.get(waiting.id)
        assert view.status == "pending"
        assert [one.kind for one in view.events] == ["created", *["refused"] * 7]
        assert done(run.handle.id) == []

        await decide(approvals, waiting.id, confirmation=" ACME ")
        await run.result()
    assert done(waiting.id) == [BUY]


async def test_a_phrase_is_not_needed_to_say_no(
    settings: Settings, serve: Serve, approvals: ApprovalClient
) -> None:
    async with played(settings, serve)([call("trade", json.dumps(BUY))], agent="trader") as (
        run,
        model,
    ):
        [waiting] = await run.waits_for()
        await approvals.reject(waiting.id, reviewer=ADA, reason="Too many")
        await run.result()
    assert told(model) == {"call_1": "Rejected: Too many"}
    assert done(run.handle.id) == []


async def test_what_the_policy_lets_through_asks_nobody_and_leaves_no_approval(
    settings: Settings, serve: Serve
) -> None:
    write(settings, 'default = "allow"')
    buy = call("trade", json.dumps(BUY))
    async with played(settings, serve)([buy], agent="trader") as (run, model):
        assert (await run.result()).approvals == []
    assert told(model) == {"call_1": "trade done"}

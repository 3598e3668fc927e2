"""Requests that take only signed decisions, and somebody who may write to the namespace."""

import asyncio
import json
import uuid
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.openai_agents.testing import TestModelProvider

import worker
from clearance import ApprovalClient, ApprovalRequest, InvalidRequest, Refused, contract, keyfile
from clearance.acts import Act
from clearance.models import Decision
from clearance.signatures import MISSING, UNKNOWN, WRONG
from clearance.signing import pinned_from
from cli import embedded
from cli.settings import EmbeddedServer, Settings

from .agent_runs import played
from .conftest import Serve
from .office import policed
from .raw import Handle, decision, history, impatient, refusals, reset, send
from .signed import SigningKeys
from .support import PlayedModel, call, eventually, run

ADA = "ada@example.com"

PAY = ApprovalRequest(
    action="Pay 100",
    tool="pay",
    arguments={"amount": 100},
    editable=True,
    audience=(ADA, "bob@example.com"),
    requester="mary@example.com",
)

with_a_worker = pytest.mark.usefixtures("worker_running")


@pytest.fixture
def keys(tmp_path: Path) -> SigningKeys:
    """Of the inbox."""
    return SigningKeys.made(tmp_path)


@pytest.fixture
def inbox(temporal: Client, settings: Settings, keys: SigningKeys) -> ApprovalClient:
    """A client that signs, and asks for signed decisions."""
    return ApprovalClient(
        temporal,
        task_queue=settings.approvals_queue,
        signer=keys.signer,
        decision_keys=pinned_from(keys.public),
    )


async def ask(inbox: ApprovalClient, request: ApprovalRequest = PAY) -> Handle:
    return inbox.temporal.get_workflow_handle((await inbox.request(request)).id)


async def update(handle: Handle, said: Any, name: str = contract.UPDATE_DECIDE) -> str:
    """Send what the record refuses; return why."""
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await send(handle, name, said)
    return str(refused.value.__cause__)


async def last_refusal(approvals: ApprovalClient, id: str, count: int) -> str:
    """Why the newest of so many refused attempts was refused."""

    async def all_there() -> list[str]:
        found = await refusals(approvals, id)
        return found if len(found) >= count else []

    return (await eventually(all_there))[-1]


async def first_run(handle: Handle) -> str:
    found = (await handle.describe()).raw_description.workflow_execution_info.first_run_id
    assert found
    return found


@with_a_worker
async def test_what_the_inbox_signs_decides(
    inbox: ApprovalClient, approvals: ApprovalClient
) -> None:
    handle = await ask(inbox)
    assert (await inbox.summary(handle.id)).decision_keys

    await inbox.comment(handle.id, "I look at it", who=ADA)
    await inbox.viewed(handle.id, who="eve@example.com")
    receipt = await inbox.approve(handle.id, reviewer=ADA, changes={"amount": 80}, reason="fine")

    assert not receipt.counted, "who changes it needs another to approve"
    await inbox.approve(handle.id, reviewer="bob@example.com")
    view = await approvals.get(handle.id)
    assert view.status == "approved"
    assert [one.kind for one in view.events if one.kind == "refused"] == []


@with_a_worker
async def test_who_has_no_key_is_told_before_anything_is_sent(
    temporal: Client, settings: Settings, inbox: ApprovalClient
) -> None:
    unsigned = ApprovalClient(
        temporal, task_queue=settings.approvals_queue, inbox="https://approvals.example.com"
    )
    handle = await ask(inbox)
    words = "only signed decisions: decide in the inbox at https://approvals.example.com"

    with pytest.raises(Refused, match=words):
        await unsigned.approve(handle.id, reviewer=ADA)
    with pytest.raises(Refused, match=words):
        await unsigned.withdraw(handle.id, who="mary@example.com")

    assert await refusals(unsigned, handle.id) == []


@with_a_worker
async def test_forged_decisions_are_refused_and_recorded(
    inbox: ApprovalClient, approvals: ApprovalClient, server: EmbeddedServer, tmp_path: Path
) -> None:
    handle = await ask(inbox)
    forged = decision(PAY, reviewer=ADA)
    theirs = SigningKeys.made(tmp_path).sign(
        Decision.model_validate(forged), handle.id, await first_run(handle)
    )
    mimicked = theirs.model_copy(
        update={
            "signature": theirs.signature.model_copy(
                update={"key": (await inbox.summary(handle.id)).decision_keys[0]}
            )
        }
    )

    assert MISSING in await update(handle, forged)
    assert UNKNOWN in await update(handle, theirs)
    assert WRONG in await update(handle, mimicked)
    await handle.signal(contract.SIGNAL_DECIDE, forged)
    assert await last_refusal(approvals, handle.id, 4) == MISSING
    await handle.signal(contract.SIGNAL_APPROVE, True)
    assert "a bare signal carries no signature" in await last_refusal(approvals, handle.id, 5)
    await asyncio.to_thread(
        run,
        *(embedded.temporal_command(), "workflow", "signal", "--address", server.address),
        *("--workflow-id", handle.id, "--name", contract.SIGNAL_DECIDE),
        *("--input", json.dumps(decision(PAY, reviewer=ADA))),
        cwd=tmp_path,
    )
    assert await last_refusal(approvals, handle.id, 6) == MISSING

    view = await approvals.get(handle.id)
    assert view.status == "pending"
    assert [one.kind for one in view.events] == ["created", *["refused"] * 6]
    await inbox.approve(handle.id, reviewer=ADA)


CHANGES: list[dict[str, Any]] = [
    {"approved": False},
    {"reviewer": "bob@example.com"},
    {"arguments": {"amount": 1_000_000}},
    {"decided_at": "2026-01-01T00:00:00Z"},
    {"reason": "as Ada said"},
]


@with_a_worker
async def test_a_valid_signature_is_good_for_nothing_else(
    inbox: ApprovalClient, approvals: ApprovalClient, keys: SigningKeys
) -> None:
    two = PAY.model_copy(update={"quorum": 2})
    handle, other = await ask(inbox, two), await ask(inbox, two)
    good = keys.sign(
        Decision.model_validate(decision(PAY, reviewer=ADA)), handle.id, await first_run(handle)
    )
    await send(handle, contract.UPDATE_DECIDE, good, id=uuid.uuid4().hex)

    plain = good.model_dump(mode="json")
    for number, changes in enumerate(CHANGES, start=1):
        assert WRONG in await update(handle, plain | changes)
        await handle.signal(contract.SIGNAL_DECIDE, plain | changes)
        assert await last_refusal(approvals, handle.id, 2 * number) == WRONG
    assert WRONG in await update(other, good)
    await other.signal(contract.SIGNAL_DECIDE, good)
    assert await last_refusal(approvals, other.id, 2) == WRONG

    view = await approvals.get(handle.id)
    assert (view.status, [one.reviewer for one in view.approvals]) == ("pending", [ADA])
    assert (await approvals.get(other.id)).approvals == []


@with_a_worker
async def test_an_approval_of_an_earlier_execution_of_the_id_is_not_played_again(
    inbox: ApprovalClient, approvals: ApprovalClient, keys: SigningKeys, temporal: Client
) -> None:
    two = PAY.model_copy(update={"quorum": 2})
    before = await ask(inbox, two)
    await inbox.approve(before.id, reviewer=ADA)
    [old] = [
        event.workflow_execution_update_accepted_event_attributes.accepted_request.input.args
        for event in await history(before)
        if event.HasField("workflow_execution_update_accepted_event_attributes")
    ]
    said, *_ = await temporal.data_converter.decode(old.payloads)
    again = await temporal.start_workflow(
        contract.APPROVAL_WORKFLOW,
        two.sent(decision_keys=keys.pinned).model_dump(mode="json"),
        id=before.id,
        task_queue=(await before.describe()).task_queue,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING,
    )

    assert WRONG in await update(again, said)

    view = await approvals.get(before.id)
    assert (view.status, view.approvals) == ("pending", [])
    await inbox.approve(before.id, reviewer=ADA)


@with_a_worker
async def test_what_was_signed_still_counts_where_the_request_is_reset(
    inbox: ApprovalClient, approvals: ApprovalClient, temporal: Client
) -> None:
    handle = await ask(inbox, PAY.model_copy(update={"quorum": 2}))
    await inbox.approve(handle.id, reviewer=ADA)

    await reset(temporal, handle, to=1)

    async def counted() -> list[str | None]:
        return [one.reviewer for one in (await approvals.get(handle.id)).approvals]

    assert await eventually(counted) == [ADA]
    receipt = await inbox.approve(handle.id, reviewer="bob@example.com")
    assert receipt.status == "approved"


@with_a_worker
@pytest.mark.parametrize(
    "said",
    [
        {"kind": "delegated", "who": ADA, "to": "eve@example.com"},
        {"kind": "withdrawn", "who": "mary@example.com"},
        {"kind": "answered", "who": "mary@example.com", "text": "yes, pay it"},
    ],
    ids=lambda said: said["kind"],
)
async def test_a_forged_act_changes_nothing_and_is_recorded(
    inbox: ApprovalClient, approvals: ApprovalClient, said: dict[str, Any]
) -> None:
    handle = await ask(inbox)
    act = Act.model_validate({**said, "act_id": uuid.uuid4().hex})

    assert MISSING in await update(handle, act, contract.UPDATE_ACT)
    await handle.signal(contract.SIGNAL_ACT, act)

    assert await last_refusal(approvals, handle.id, 2) == MISSING
    view = await approvals.get(handle.id)
    assert (view.status, view.delegations) == ("pending", [])
    with pytest.raises(Refused, match="not in the audience"):
        await inbox.approve(handle.id, reviewer="eve@example.com")


@with_a_worker
@pytest.mark.parametrize("keys", ["none", [{"id": "one", "key": "short"}], [{"id": "a"}] * 11])
async def test_a_request_with_broken_keys_is_refused_and_opens_nothing(
    approvals: ApprovalClient, temporal: Client, settings: Settings, keys: Any
) -> None:
    handle = await temporal.start_workflow(
        contract.APPROVAL_WORKFLOW,
        {**PAY.model_dump(mode="json"), "decision_keys": keys},
        id=f"broken-{uuid.uuid4().hex}",
        task_queue=settings.approvals_queue,
    )

    with pytest.raises(InvalidRequest, match="decision_keys"):
        await approvals.wait(handle.id)


@with_a_worker
async def test_pinned_bytes_that_are_no_key_open_nothing_and_harm_no_worker(
    inbox: ApprovalClient, approvals: ApprovalClient, keys: SigningKeys
) -> None:
    for bytes in ("_" * 42 + "8", "A" * 43):
        pinned = ({"id": keys.pinned[0].id, "key": bytes},)
        handle = await ask(
            inbox, ApprovalRequest.model_validate({**dict(PAY), "decision_keys": pinned})
        )

        with pytest.raises(Refused, match=WRONG):
            await inbox.approve(handle.id, reviewer=ADA)

        assert await refusals(approvals, handle.id) == [WRONG]


async def test_a_signed_decision_that_was_stored_counts_when_a_worker_is_back(
    inbox: ApprovalClient, temporal: Client, settings: Settings, serve: Serve
) -> None:
    away = ApprovalClient(
        temporal,
        task_queue=settings.approvals_queue,
        answer_timeout=impatient(temporal, settings)._answer_timeout,
        signer=inbox._signer,
    )
    handle = await ask(inbox)

    receipt = await away.approve(handle.id, reviewer=ADA)

    assert not receipt.in_effect
    async with serve():
        assert (await inbox.wait(handle.id)).status == "approved"


@with_a_worker
async def test_a_flood_of_forgeries_ends_in_answers_and_keeps_nobody_out(
    inbox: ApprovalClient, approvals: ApprovalClient
) -> None:
    handle = await ask(inbox)
    large = {"amount": 100, "note": "x" * 100_000}

    first = await update(handle, decision(PAY, reviewer=ADA, arguments=large))
    second = await update(handle, decision(PAY, reviewer=ADA, arguments=large))

    assert MISSING in first
    assert "bytes are taken only from who is named in the audience" in second
    assert len(await refusals(approvals, handle.id)) == 1, "the second left no trace"
    await inbox.approve(handle.id, reviewer=ADA, changes={"note": "y" * 20_000})


@with_a_worker
async def test_a_request_from_before_a_rotation_is_decided_after_it(
    inbox: ApprovalClient, keys: SigningKeys
) -> None:
    before = await ask(inbox)
    keyfile.change(keys.private)
    keys.publish()
    between = await ask(inbox)
    keyfile.change(keys.private, now=True)
    after = await ask(inbox)
    old, new = (one.id for one in keys.pinned)

    async def signed_by(handle: Handle) -> str:
        await inbox.approve(handle.id, reviewer=ADA)
        [payload] = [
            event.workflow_execution_update_accepted_event_attributes.accepted_request.input.args
            for event in await history(handle)
            if event.HasField("workflow_execution_update_accepted_event_attributes")
        ]
        return str(json.loads(payload.payloads[0].data)["signature"]["key"])

    assert (await inbox.summary(before.id)).decision_keys == (old,)
    assert (await inbox.summary(between.id)).decision_keys == (old, new)
    assert [await signed_by(one) for one in (before, between, after)] == [old, new, new]


@with_a_worker
async def test_a_taker_that_asks_for_signed_decisions_takes_no_others(
    inbox: ApprovalClient, approvals: ApprovalClient
) -> None:
    asked = await inbox.request(PAY)
    await inbox.approve(asked.id, reviewer=ADA)
    await inbox.consume(asked.id, digest=PAY.digest, taker="agent")
    open_to_all = await approvals.request(PAY)
    await approvals.approve(open_to_all.id, reviewer=ADA)

    with pytest.raises(Refused, match="decided without a signature"):
        await inbox.consume(open_to_all.id, digest=PAY.digest, taker="agent")


async def test_asking_again_finds_the_request_that_pins_an_older_key_and_none_that_pins_nothing(
    inbox: ApprovalClient, approvals: ApprovalClient, keys: SigningKeys
) -> None:
    asked = await inbox.request(PAY, id=f"own-{uuid.uuid4().hex}")
    keyfile.change(keys.private)
    keys.publish()
    assert (await inbox.request(PAY, id=asked.id)).id == asked.id

    planted = await approvals.request(PAY, id=f"own-{uuid.uuid4().hex}")
    with pytest.raises(InvalidRequest, match="is used for something else"):
        await inbox.request(PAY, id=planted.id)


MAIL = json.dumps({"to": ADA, "subject": "Hello", "body": "It ships."})


async def test_a_run_pins_the_workers_keys_whoever_starts_it(
    settings: Settings, connection: dict[str, Any], inbox: ApprovalClient, keys: SigningKeys
) -> None:
    mine = policed(settings, "").model_copy(update={"decision_keys": keys.public})

    def serve(model: PlayedModel) -> AbstractAsyncContextManager[worker.Serving]:
        return worker.running(mine, connection, model_provider=TestModelProvider(model))

    start = played(mine, serve)

    async with start([call("send_email", MAIL)], agent="email") as (agent_run, _):
        [asked] = await agent_run.waits_for()
        assert asked.decision_keys == tuple(one.id for one in keys.pinned)
        handle = inbox.temporal.get_workflow_handle(asked.id)
        await handle.signal(contract.SIGNAL_APPROVE, True)
        assert "carries no signature" in await last_refusal(inbox, asked.id, 1)
        await inbox.approve(asked.id, reviewer=ADA)

        assert (await agent_run.result()).output == "Finished."

"""The life of one request on a real server, as anybody sees it who knows only the contract."""

import json
from datetime import timedelta

import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata

from clearance import ApprovalClient, ApprovalRequest, attributes, contract
from cli.settings import EmbeddedServer

from .processes import temporal_cli
from .raw import Handle, ask

WIRE = ApprovalRequest(
    action="Wire 4,200.00 to ACME",
    details="Invoice 77",
    tool="wire_money",
    arguments={"cents": 420_000, "to": "ACME"},
    requester="bob@example.com",
    risk="critical",
    audience=("ada@example.com", "eve@example.com"),
    expires_in=timedelta(hours=2),
)


@pytest.mark.parametrize(("word", "status"), [("true", "approved"), ("false", "rejected")])
@pytest.mark.usefixtures("served")
async def test_the_official_command_decides_a_request(
    approvals: ApprovalClient, server: EmbeddedServer, word: str, status: str
) -> None:
    handle = await ask(approvals, "Deploy?")

    await temporal_cli(
        server.address,
        *("workflow", "signal", "--workflow-id", handle.id, "--name", "approve"),
        *("--input", word),
    )

    outcome = await approvals.wait(handle.id, timedelta(seconds=20))
    assert outcome.status == status
    assert outcome.decision is not None
    assert outcome.decision.channel == "signal"
    assert outcome.decision.reviewer is None


@pytest.mark.parametrize("approved", [True, False])
@pytest.mark.usefixtures("served")
async def test_attributes_and_memo_follow_the_request_through_its_life(
    approvals: ApprovalClient, approved: bool
) -> None:
    handle = await ask(approvals, WIRE)
    before = await handle.describe()
    assert before.typed_search_attributes.get(attributes.STATUS) == "pending"
    assert before.typed_search_attributes.get(attributes.TOOL) == "wire_money"
    assert before.typed_search_attributes.get(attributes.RISK) == "critical"
    assert before.typed_search_attributes.get(attributes.AUDIENCE) == list(WIRE.audience)

    await approvals.decide(handle.id, approved=approved, reviewer="ada@example.com")
    await handle.result()

    after = await handle.describe()
    expected = "approved" if approved else "rejected"
    assert after.typed_search_attributes.get(attributes.STATUS) == expected
    assert await after.memo() == await before.memo() == {contract.MEMO_APPROVAL: WIRE.memo()}


async def current_details(handle: Handle) -> str:
    metadata: WorkflowMetadata = await handle.query(
        "__temporal_workflow_metadata", result_type=WorkflowMetadata
    )
    return metadata.current_details


@pytest.mark.usefixtures("served")
async def test_temporals_own_page_shows_the_request_and_then_the_decision(
    approvals: ApprovalClient,
) -> None:
    handle = await ask(approvals, WIRE)

    waiting = await current_details(handle)
    for shown in (WIRE.action, WIRE.details, WIRE.digest, "420000", "Status: ` pending `"):
        assert shown in waiting

    await approvals.reject(handle.id, reviewer="ada@example.com", reason="Not this month")
    await handle.result()
    decided = await current_details(handle)
    assert "rejected by ada@example.com" in decided
    assert "Not this month" in decided


@pytest.mark.usefixtures("served")
async def test_temporals_own_page_lists_what_one_may_send(approvals: ApprovalClient) -> None:
    handle = await ask(approvals, "Deploy?")

    metadata: WorkflowMetadata = await handle.query(
        "__temporal_workflow_metadata", result_type=WorkflowMetadata
    )

    definition = metadata.definition
    assert definition.type == "ApprovalWorkflow"
    (signals,) = definition.signal_definitions  # one handler takes them all, raw
    assert signals.description == "approve(bool), record_decision, record_act"
    assert {one.name for one in definition.update_definitions} == {"decide", "act"}
    assert "view" in {one.name for one in definition.query_definitions}


async def test_the_memo_of_a_request_is_plain_json_any_language_reads(
    approvals: ApprovalClient,
) -> None:
    handle = await ask(approvals, WIRE)

    raw = (await handle.describe()).raw_info.memo.fields[contract.MEMO_APPROVAL]

    assert raw.metadata["encoding"] == b"json/plain"
    assert json.loads(raw.data) == WIRE.memo()

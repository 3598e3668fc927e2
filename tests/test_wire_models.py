"""What a model on the wire may change into: everything that was ever written still loads.

The rule stands in docs/upgrades.md. Which unknown fields are refused and which are ignored is tested
in ``tests/client/test_wire.py``; how a whole workflow takes them, below.
"""

import base64
import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError

from clearance import (
    Act,
    ActReceipt,
    ApprovalClient,
    ApprovalRequest,
    Decision,
    Outcome,
    Receipt,
    contract,
)
from clearance.notices import Delivery, Notifying, Telling
from clearance.permits import ActionOutcome, Report, Taking
from clearance.runs import AgentResult, AgentRun
from cli.settings import Settings

from .played import FOLDER
from .raw import ask, decision
from .support import unique
from .wire import MODELS, SCHEMAS, current, narrowed

RECORD = "record it (just record-wire)"

WRITTEN: dict[tuple[str, str], type[BaseModel]] = {
    ("WORKFLOW_EXECUTION_STARTED", "ApprovalWorkflow"): ApprovalRequest,
    ("WORKFLOW_EXECUTION_STARTED", "AgentWorkflow"): AgentRun,
    ("WORKFLOW_EXECUTION_STARTED", "ConsumptionWorkflow"): Taking,
    ("WORKFLOW_EXECUTION_STARTED", "NotifierWorkflow"): Notifying,
    ("WORKFLOW_EXECUTION_SIGNALED", contract.SIGNAL_DECIDE): Decision,
    ("WORKFLOW_EXECUTION_SIGNALED", contract.SIGNAL_ACT): Act,
    ("WORKFLOW_EXECUTION_SIGNALED", contract.SIGNAL_REPORT): Report,
    ("WORKFLOW_EXECUTION_SIGNALED", contract.SIGNAL_TELL): Telling,
    ("WORKFLOW_EXECUTION_UPDATE_ACCEPTED", contract.UPDATE_DECIDE): Decision,
    ("WORKFLOW_EXECUTION_UPDATE_ACCEPTED", contract.UPDATE_ACT): Act,
    ("WORKFLOW_EXECUTION_UPDATE_ACCEPTED", contract.UPDATE_REPORT): Report,
    ("WORKFLOW_EXECUTION_UPDATE_COMPLETED", contract.UPDATE_DECIDE): Receipt,
    ("WORKFLOW_EXECUTION_UPDATE_COMPLETED", contract.UPDATE_ACT): ActReceipt,
    ("WORKFLOW_EXECUTION_UPDATE_COMPLETED", contract.UPDATE_REPORT): ActionOutcome,
    ("ACTIVITY_TASK_SCHEDULED", contract.ACTIVITY_SEND): Delivery,
    ("START_CHILD_WORKFLOW_EXECUTION_INITIATED", "ApprovalWorkflow"): ApprovalRequest,
    ("CHILD_WORKFLOW_EXECUTION_COMPLETED", "ApprovalWorkflow"): Outcome,
    ("WORKFLOW_EXECUTION_COMPLETED", "ApprovalWorkflow"): Outcome,
    ("WORKFLOW_EXECUTION_COMPLETED", "AgentWorkflow"): AgentResult,
}
"""Which model a payload of which event is, by the name that it belongs to."""


def payloads() -> Iterator[tuple[type[BaseModel], Any]]:
    """Each payload of each recorded history that is one of our models."""
    for file in sorted(FOLDER.glob("*-*.json")):
        workflow, updates = "", {}
        for event in json.loads(file.read_text())["events"]:
            kind = event["eventType"].removeprefix("EVENT_TYPE_")
            [of] = (value for key, value in event.items() if key.endswith("EventAttributes"))
            if kind == "WORKFLOW_EXECUTION_STARTED":
                workflow = of["workflowType"]["name"]
                if of.get("continuedExecutionRunId"):
                    continue
            asked = of.get("acceptedRequest", {}).get("input", {})
            if asked:
                updates[event["eventId"]] = asked["name"]
            name = (
                of.get("signalName")
                or asked.get("name")
                or of.get("activityType", {}).get("name")
                or updates.get(of.get("acceptedEventId"))
                or of.get("workflowType", {}).get("name")
                or workflow
            )
            if (model := WRITTEN.get((kind, name))) is None:
                continue
            said = of.get("input") or asked.get("args") or of.get("result")
            said = said or of.get("outcome", {}).get("success")
            for payload in said["payloads"][:1] if said else ():
                yield model, json.loads(base64.b64decode(payload["data"]))


def test_everything_that_was_ever_recorded_still_loads_and_says_the_same() -> None:
    loaded = set()
    for model, written in payloads():
        if model is ApprovalRequest and isinstance(written, str):
            continue  # the bare action, which any SDK may start
        found = json.loads(model.model_validate(written).model_dump_json())
        lost = {name: value for name, value in written.items() if name not in found}
        assert not lost, model
        assert {name: found[name] for name in written if name in _SAYS} == {
            name: value for name, value in written.items() if name in _SAYS
        }
        loaded.add(model)
    assert loaded == set(WRITTEN.values())


_SAYS = {
    *("action", "arguments", "approved", "audience", "decision_id", "digest", "kind", "reviewer"),
    *("status", "tool", "version", "who"),
}
"""What decides: it has to mean the same, word for word."""


def test_no_model_takes_less_than_it_took_when_it_was_recorded() -> None:
    recorded, now = json.loads(SCHEMAS.read_text()), current()
    faults = {name: narrowed(schema, now.get(name, {})) for name, schema in recorded.items()}
    assert {name: said for name, said in faults.items() if said} == {}, (
        "what is stored and what older clients send would be refused: fields are added, with a "
        "default, and never removed, renamed or narrowed"
    )
    assert sorted(recorded) == sorted(MODELS), RECORD
    assert recorded == now, f"it takes more than was recorded; {RECORD}"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda s: s["properties"].pop("reason"), ".reason is gone"),
        (lambda s: s["required"].append("reason"), ".reason is required now"),
        (lambda s: s["properties"]["reason"].update(maxLength=10), ".reason: maxLength is 10 now"),
        (
            lambda s: s["properties"]["approved"].update(type="string"),
            ".approved is string now, and was boolean",
        ),
        (lambda s: s["properties"].update(added={"type": "string"}), None),
    ],
)
def test_what_would_refuse_an_older_decision_is_found(change: Any, fault: str | None) -> None:
    old = Decision.model_json_schema()
    new = copy.deepcopy(old)
    change(new)
    assert narrowed(old, new) == ([fault] if fault else [])


async def test_a_request_of_a_newer_client_with_a_field_unknown_here_fails_and_opens_nothing(
    approvals: ApprovalClient, settings: Settings, worker_running: object
) -> None:
    newer = {"action": "Deploy?", "only_on_weekdays": True}
    handle = await approvals.temporal.start_workflow(
        contract.APPROVAL_WORKFLOW,
        newer,
        id=unique("newer"),
        task_queue=settings.approvals_queue,
    )
    with pytest.raises(WorkflowFailureError) as raised:
        await handle.result()
    assert "only_on_weekdays" in str(raised.value.cause)


async def test_a_decision_of_a_newer_client_with_a_field_unknown_here_is_refused_and_told_why(
    approvals: ApprovalClient, worker_running: object
) -> None:
    handle = await ask(approvals, "Deploy?")
    newer = {**decision("Deploy?"), "only_if_raining": True}
    with pytest.raises(WorkflowUpdateFailedError) as raised:
        await handle.execute_update(contract.UPDATE_DECIDE, newer)
    assert "only_if_raining" in str(raised.value.cause)
    await handle.signal(contract.SIGNAL_DECIDE, newer)
    view = await approvals.get(handle.id)
    assert view.status == "pending"
    assert "only_if_raining" in view.events[-1].reason

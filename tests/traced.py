"""Real histories of runs, what to break in them, and agentack's verdict of what they prove."""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import agentack.cli
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from clearance.evidence import Evidence, of_facts
from clearance.proof import asked_by, facts_of
from cli.audit_trace import by_policy

STRICT = Path(__file__).parents[1] / "docs" / "agentack.toml"

SCHEDULED = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
ASKED = EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED
TOLD = EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED
STARTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
ENDED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED
ANSWERED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED


@dataclass
class Histories:
    """Of one run and of its approvals, as Temporal had them."""

    run_id: str
    run: list[HistoryEvent]
    approvals: dict[str, list[HistoryEvent]] = field(default_factory=dict)

    async def evidence(self) -> Evidence:
        """What they prove, as the command exports it."""
        facts = await facts_of(self.run, None)
        asked = {id: await asked_by(events, None) for id, events in self.approvals.items()}
        return of_facts(self.run_id, facts, asked, by_policy(facts))

    def broken(self) -> "Histories":
        """A copy to break."""
        return copy.deepcopy(self)

    def effects(self) -> list[Any]:
        """What each activity was scheduled with."""
        scheduled = [one for one in self.run if one.event_type == SCHEDULED]
        return [one.activity_task_scheduled_event_attributes for one in scheduled]

    def effect(self) -> HistoryEvent:
        """The one activity that acted on the world."""
        names = ("load_policy", "invoke_model_activity")
        [found] = [
            one
            for one in self.run
            if one.event_type == SCHEDULED
            and one.activity_task_scheduled_event_attributes.activity_type.name not in names
        ]
        return found

    def of(self, kind: EventType.ValueType, *, approval: bool = False) -> HistoryEvent:
        """The only event of a kind: of the run, or of its only approval."""
        events = next(iter(self.approvals.values())) if approval else self.run
        [found] = [one for one in events if one.event_type == kind]
        return found


async def histories(client: Client, run_id: str) -> Histories:
    """Those of a run, whole."""
    run = await client.get_workflow_handle(run_id).fetch_history()
    found = Histories(run_id, list(run.events))
    for event in found.run:
        if event.event_type == ASKED:
            id = event.start_child_workflow_execution_initiated_event_attributes.workflow_id
            approval = await client.get_workflow_handle(id).fetch_history()
            found.approvals[id] = list(approval.events)
    return found


def alter(payloads: Any, change: Callable[[Any], None]) -> None:
    """Rewrite the first payload: ``change`` gets its JSON."""
    first: Payload = payloads.payloads[0]
    value = json.loads(first.data)
    change(value)
    first.data = json.dumps(value).encode()


@dataclass(frozen=True)
class Verdict:
    """What agentack's command says of a trace under the strict policy."""

    status: str
    rules: tuple[str, ...]


def check(evidence: Evidence, folder: Path) -> Verdict:
    """Write the trace and run ``agentack check`` on it."""
    trace, report = folder / "trace.jsonl", folder / "report.json"
    trace.write_text(evidence.jsonl())
    return check_file(trace, report)


def check_file(trace: Path, report: Path) -> Verdict:
    """Run ``agentack check`` on a file; its exit code has to agree with its report."""
    arguments = ["check", str(trace), "--policy", str(STRICT), "--json", str(report)]
    code = agentack.cli.main(arguments)
    said = json.loads(report.read_text())
    result = said.get("result", said)
    assert code == {"PASS": 0, "FAIL": 1, "INCOMPLETE": 3}[result["status"]]
    return Verdict(result["status"], tuple(sorted(result["rule_counts"])))

"""Workflows that were recorded once, pending and finished, run through the code of today."""

import importlib
import inspect
import json
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.openai_agents import OpenAIAgentsPlugin
from temporalio.openai_agents.testing import TestModelProvider
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

import workflows.agent
import workflows.approval
import workflows.consumption
import workflows.notifying
from activities.model import CALL
from tools import registry, runner

from .played import FOLDER
from .raw import RUNS_LEFT_OPEN, collect_open_runs
from .record_histories import CASES
from .support import PlayedModel

pytestmark = RUNS_LEFT_OPEN

FILES = sorted(FOLDER.glob("*-*.json"))


@pytest.fixture(scope="module", autouse=True)
def _collected() -> Iterator[None]:
    yield
    collect_open_runs()


def read(file: Path) -> WorkflowHistory:
    id, *_ = file.name.split(".")  # as it was played: of `agent-approved.2.json` the first word
    return WorkflowHistory.from_json(id, json.loads(file.read_text()))


def replayer(file: Path, workflow: Any = None) -> Replayer:
    """With the converters of the worker that serves such a workflow."""
    if file.stem.startswith(("approval-", "consumption-", "notifier-")):
        here = [
            workflows.approval.ApprovalWorkflow,
            workflows.consumption.ConsumptionWorkflow,
            workflows.notifying.NotifierWorkflow,
        ]
        return Replayer(
            workflows=[workflow] if workflow else here, data_converter=pydantic_data_converter
        )
    registry.load(["tools.samples"])
    plugin = OpenAIAgentsPlugin(
        model_params=CALL,
        model_provider=TestModelProvider(PlayedModel()),
        add_temporal_spans=False,
    )
    return Replayer(
        workflows=[workflow or workflows.agent.AgentWorkflow], plugins=[plugin, runner.plugin()]
    )


OF_RUNS = [file for file in FILES if file.stem.startswith("agent-")]
OF_REQUESTS = [file for file in FILES if file not in OF_RUNS]


@pytest.mark.parametrize("files", [OF_RUNS, OF_REQUESTS], ids=["runs", "requests"])
async def test_every_recorded_workflow_replays_with_the_code_of_today(files: list[Path]) -> None:
    histories = {file.stem: read(file) for file in files}

    async def one_by_one() -> AsyncIterator[WorkflowHistory]:
        for history in histories.values():
            yield history

    result = await replayer(files[0]).replay_workflows(one_by_one(), raise_on_replay_failure=False)

    assert len({history.run_id for history in histories.values()}) == len(files)
    failures = result.replay_failures
    assert {name for name, one in histories.items() if one.run_id in failures} == set(), failures


def test_every_case_is_recorded_and_every_history_is_one_event_at_least() -> None:
    assert {file.stem for file in FILES} >= set(CASES)
    for file in FILES:
        assert read(file).events


CHANGES = {
    "waits for the handlers no longer than a timer": (
        workflows.approval,
        "        await handlers_finished()\n",
        "        await workflow.sleep(1)\n",
        {"approval-approved-by-update", "approval-expired", "approval-bare-string"},
    ),
    "tells the lists no end": (
        workflows.approval,
        "        shown = self._listing.end()\n",
        "        shown = self._record.view()\n",
        {"approval-rejected-by-stored-signal", "approval-withdrawn-by-cancel"},
    ),
    "introduces nobody": (
        workflows.approval,
        "        self._listing.begin()\n",
        "        pass\n",
        {"approval-bare-string"},
    ),
    "tells nobody": (
        workflows.approval,
        "                self._teller.begin()\n",
        "                pass\n",
        {"approval-told-approved", "approval-told-pending"},
    ),
    "forgets the deadline": (
        workflows.approval,
        "await self._leaving.until_ended(\n                    "
        "request, self._turn, self._teller, leaves_timer=self._keeping.keeps\n                )",
        'await workflow.wait_condition(lambda: record.status != "pending")',
        {"approval-pending", "approval-refused-attempts-pending"},
    ),
    "shows nobody what a taker reported": (
        workflows.consumption,
        "            workflow.upsert_memo({contract.MEMO_CONSUMPTION: plain})\n",
        "            pass\n",
        {"consumption-reported"},
    ),
    "ends a consumption while it could be taken again": (
        workflows.consumption,
        "            await workflow.sleep(left)\n",
        "            pass\n",
        {"consumption-reported"},
    ),
    "waits for no report": (
        workflows.consumption,
        "timeout=contract.MAX_REPORT_AFTER",
        "timeout=None",
        {"consumption-pending", "consumption-reported"},
    ),
    "takes a rest before the agent": (
        workflows.agent,
        "    try:\n        result = await Runner.run(",
        "    await workflow.sleep(1)\n    try:\n        result = await Runner.run(",
        {"agent-pending", "agent-approved", "agent-two-parallel", "agent-grant-used"},
    ),
    "reads no policy": (
        workflows.agent,
        "pinned=await _policy(),",
        "pinned=BEFORE_POLICIES,",
        {"agent-policy-pending", "agent-policy-stopped", "agent-in-place-approved"},
    ),
    "revokes nothing": (
        workflows.agent,
        "        self._run.revoke(who, workflow.now(), ",
        "        dict(",
        {"agent-grant-used-and-revoked-pending"},
    ),
}


@pytest.fixture
def changed(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ModuleType]:
    """A copy of a workflow's module with one thing changed, importable like the original."""
    module, old, new, _ = CHANGES[request.param]
    source = inspect.getsource(module)
    assert old in source
    name = f"changed_{request.param.replace(' ', '_')}"
    (tmp_path / f"{name}.py").write_text(source.replace(old, new))
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module(name)
    del sys.modules[name]


@pytest.mark.parametrize("changed", CHANGES, indirect=True)
async def test_a_changed_workflow_does_not_replay(
    changed: ModuleType, request: pytest.FixtureRequest
) -> None:
    original, _, _, expected = CHANGES[request.node.callspec.params["changed"]]
    name = original.__name__.removeprefix("workflows.")
    workflow = getattr(changed, f"{name.title()}Workflow")

    for case in expected:
        file = FOLDER / f"{case}.json"
        result = await replayer(file, workflow).replay_workflow(
            read(file), raise_on_replay_failure=False
        )
        assert isinstance(result.replay_failure, NondeterminismError), case

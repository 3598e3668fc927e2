"""What other programs build on: the names, and the wheel by itself."""

import ast
import asyncio
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

import clearance
from clearance import (
    ApprovalClient,
    Outcome,
)
from tests.conftest import Serve
from tests.support import eventually, pinned_date, run

SOURCES = Path(clearance.__file__).parent
ROOT = SOURCES.parent.parent


def test_the_exported_names_are_these() -> None:
    assert sorted(clearance.__all__) == [
        "Act",
        "ActReceipt",
        "ActionOutcome",
        "AlreadyAsked",
        "AlreadyConsumed",
        "AlreadyDecided",
        "Ambiguous",
        "ApprovalClient",
        "ApprovalRequest",
        "ApprovalSummary",
        "ApprovalView",
        "CannotConnect",
        "ClearanceError",
        "Decision",
        "Delegation",
        "Edit",
        "Event",
        "Execution",
        "FinishedApproval",
        "Grant",
        "GrantTerms",
        "InvalidRequest",
        "NoWorker",
        "NotFound",
        "NotRecorded",
        "Outcome",
        "OutcomeReceipt",
        "OutcomeUnknown",
        "Page",
        "PendingApproval",
        "Permit",
        "Receipt",
        "Recorded",
        "Refused",
        "Revocation",
        "Risk",
        "Stage",
        "StageView",
        "Status",
        "Terms",
        "WaitTimeout",
        "approved_arguments",
        "connect",
        "pending_approvals",
        "request_approval",
    ]
    assert all(hasattr(clearance, name) for name in clearance.__all__)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("APPROVALS_QUEUE", "clearance-approvals"),
        ("AGENTS_QUEUE", "clearance-agents"),
        ("APPROVAL_WORKFLOW", "ApprovalWorkflow"),
        ("AGENT_WORKFLOW", "AgentWorkflow"),
        ("SIGNAL_APPROVE", "approve"),
        ("SIGNAL_DECIDE", "record_decision"),
        ("UPDATE_DECIDE", "decide"),
        ("SIGNAL_ACT", "record_act"),
        ("UPDATE_ACT", "act"),
        ("CONSUMPTION_WORKFLOW", "ConsumptionWorkflow"),
        ("UPDATE_REPORT", "report"),
        ("SIGNAL_REPORT", "record_outcome"),
        ("MEMO_CONSUMPTION", "consumption"),
        ("QUERY_VIEW", "view"),
        ("QUERY_EXECUTION", "execution"),
        ("QUERY_PENDING", "pending_approvals"),
        ("QUERY_GRANTS", "grants"),
        ("SIGNAL_REVOKE", "revoke_grant"),
        ("MEMO_APPROVAL", "approval"),
        ("MEMO_RUN", "run"),
        ("ERROR_INVALID_REQUEST", "InvalidRequest"),
        ("ERROR_REFUSED", "DecisionRefused"),
        ("ERROR_ALREADY_DECIDED", "AlreadyDecided"),
        ("ERROR_MISMATCH", "DigestMismatch"),
        ("ERROR_REJECTED", "CollaborationError"),
        ("ERROR_EXPIRED", "TimeoutError"),
    ],
)
def test_a_name_that_other_languages_use_never_changes(name: str, value: str) -> None:
    assert getattr(clearance.contract, name) == value


def imports(source: Path) -> set[str]:
    """The absolute names a module imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level + (node.module or ""))
    return found


ENGINE = {
    *("__init__", "acting", "attributes", "away", "client", "codec", "connect", "consuming"),
    *("consumption", "deciding", "delivery", "deployments", "ended", "events", "evidence"),
    "executions",
    "filters",
    *("gate", "granting", "history", "ids", "legible", "listing"),
    *(
        "proof",
        "reading",
        "refusing",
        "runs",
        "stored",
        "timeline",
        "untaken",
        "updating",
        "vouching",
        "workers",
    ),
}
"""The modules that know Temporal."""


@pytest.mark.parametrize("room", sorted({path.stem for path in SOURCES.glob("*.py")} - ENGINE))
def test_the_pure_modules_know_nothing_of_the_engine(room: str) -> None:
    found = imports(SOURCES / f"{room}.py")

    assert not [name for name in found if name.startswith("temporalio")]
    assert not {name.removeprefix(".") for name in found} & ENGINE


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client's wheel, built from this checkout."""
    out = tmp_path_factory.mktemp("wheel")
    run("uv", "build", "--wheel", "--package", "clearance-client", "-o", str(out), cwd=ROOT)
    [built] = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the client and what it depends on, nothing else."""
    where = tmp_path_factory.mktemp("alone") / "venv"
    run("uv", "venv", "--python", sys.executable, str(where), cwd=where.parent)
    interpreter = where / "bin" / "python"
    pinned = ("--exclude-newer", pinned_date())
    install = ("uv", "pip", "install", "--python", str(interpreter), *pinned)
    run(*install, str(wheel), cwd=where.parent)
    return interpreter


def test_the_wheel_holds_every_module_and_says_that_it_is_typed(wheel: Path) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("clearance/")}

    sources = {f"clearance/{path.name}" for path in SOURCES.glob("*.py")}
    assert held - {"clearance/"} == sources | {"clearance/py.typed"}


DECIDES = """
import asyncio, importlib.util, os, sys
import clearance
from clearance import ApprovalClient, request_approval

APPLICATION = ("agents", "typer", "rich", "workflows", "tools", "cli")

async def main():
    id, queue = sys.argv[1:]
    async with await ApprovalClient.connect(task_queue=queue) as client:
        [waiting] = [one async for one in client.pending() if one.id == id]
        receipt = await client.approve(id, reviewer="ada@example.com", digest=waiting.digest)
        outcome = await client.wait(id)
        print(outcome.model_dump_json() if receipt.in_effect else "not in effect")

print(clearance.__file__)
print([name for name in APPLICATION if importlib.util.find_spec(name)])
asyncio.run(main())
sys.stdout.flush()
os._exit(0)  # the Temporal client's threads now and then abort an interpreter that ends
"""


async def test_the_client_alone_decides_a_request_without_the_application_or_its_packages(
    python: Path,
    tmp_path: Path,
    approvals: ApprovalClient,
    connection: dict[str, Any],
    serve: Serve,
) -> None:
    asked = await approvals.request("Deploy")
    handle = approvals.temporal.get_workflow_handle(asked.id)
    queue = (await handle.describe()).task_queue

    async def listed() -> bool:
        return asked.id in [one.id async for one in approvals.pending()]

    await eventually(listed)
    async with serve():
        printed = await asyncio.to_thread(
            run,
            *(str(python), "-c", DECIDES, asked.id, queue),
            cwd=tmp_path,
            TEMPORAL_ADDRESS=connection["target_host"],
        )

    file, present, decided = printed.splitlines()
    assert Path(file).is_relative_to(python.parent.parent)
    assert present == "[]"
    outcome = Outcome.model_validate_json(decided)
    assert (outcome.approval_id, outcome.status) == (asked.id, "approved")
    assert outcome.decision is not None
    assert outcome.decision.by == "ada@example.com"

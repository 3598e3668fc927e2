"""What other programs build on: the names, what travels between versions, the wheel by itself."""

import ast
import asyncio
import sys
import zipfile
from pathlib import Path
from typing import Any

import pydantic_core
import pytest
from pydantic import BaseModel, ValidationError

import clearance
from clearance import (
    ApprovalClient,
    ApprovalRequest,
    ApprovalSummary,
    ApprovalView,
    Decision,
    Edit,
    Event,
    Grant,
    Outcome,
    PendingApproval,
    Receipt,
    Recorded,
)
from clearance.runs import AgentResult, AgentRun, RunSummary
from tests.conftest import Serve
from tests.support import eventually, pinned_date, run

SOURCES = Path(clearance.__file__).parent
ROOT = SOURCES.parent.parent
DIGEST = "e6ef95eb2713ac10015ea033de4ef1f436b9b079bd1afcbfb0488e9aa308c894"


def test_the_exported_names_are_these() -> None:
    assert sorted(clearance.__all__) == [
        "AlreadyDecided",
        "Ambiguous",
        "ApprovalClient",
        "ApprovalRequest",
        "ApprovalSummary",
        "ApprovalView",
        "CannotConnect",
        "ClearanceError",
        "Decision",
        "Edit",
        "Event",
        "Grant",
        "GrantTerms",
        "InvalidRequest",
        "NoWorker",
        "NotFound",
        "Outcome",
        "PendingApproval",
        "Receipt",
        "Recorded",
        "Refused",
        "Revocation",
        "Risk",
        "Status",
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
        ("QUERY_VIEW", "view"),
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


@pytest.mark.parametrize(
    "room",
    [
        *("errors", "fields", "grants", "mask", "models", "record", "render", "requests", "rules"),
        *("template", "text", "views"),
    ],
)
def test_the_pure_modules_know_nothing_of_the_engine(room: str) -> None:
    pure = {".", ".contract", ".errors", ".fields", ".grants", ".models", ".requests", ".text"}
    pure |= {".values", ".views"}
    ours = {name for name in imports(SOURCES / f"{room}.py") if name.startswith(".")}

    assert not [name for name in imports(SOURCES / f"{room}.py") if name.startswith("temporalio")]
    assert ours <= pure


RECORDED = (
    '{"approved":true,"reviewer":"ada@example.com","reason":"fine","channel":"cli",'
    f'"decision_id":"d-1","digest":"{DIGEST}","at":"2026-11-21T10:00:00Z"}}'
)
REQUEST = (
    '{"action":"Send it","details":"Hello","tool":"send_email","arguments":{"to":"ada","n":1.0},'
    '"run_id":"email-1","requester":"grace","checkpoint":"mail","risk":"high",'
    '"audience":["ada@example.com"],"expires_in":"P7D"}'
)
EVENT = (
    '{"sequence":1,"at":"2026-11-21T10:00:00Z","kind":"created","who":"grace","channel":"engine",'
    f'"reason":"","digest":"{DIGEST}"}}'
)
WIRE: list[tuple[type[BaseModel], str]] = [
    (ApprovalRequest, REQUEST),
    (
        Decision,
        f'{{"approved":false,"reviewer":"ada","digest":"{DIGEST}","reason":"no","channel":"inbox",'
        '"decision_id":"d-1","decided_at":"2026-11-21T10:00:00Z"}',
    ),
    (Recorded, RECORDED),
    (
        Outcome,
        f'{{"approval_id":"a.1","status":"approved","digest":"{DIGEST}","decision":{RECORDED}}}',
    ),
    (
        Outcome,
        f'{{"approval_id":"a.1","status":"withdrawn","digest":"{DIGEST}","decision":null}}',
    ),
    (
        Receipt,
        '{"approval_id":"a.1","status":"approved","decision_id":"d-1",'
        '"recorded_at":"2026-11-21T10:00:00Z"}',
    ),
    (Event, EVENT),
    (
        ApprovalSummary,
        '{"id":"a.1","status":"pending","action":"Send it","tool":"send_email","run_id":"a",'
        '"requester":"grace","checkpoint":null,"risk":"high","audience":[],'
        f'"digest":"{DIGEST}","requested_at":"2026-11-21T10:00:00Z","expires_in":"P7D"}}',
    ),
    (
        ApprovalView,
        f'{{"id":"a.1","status":"approved","request":{REQUEST},"digest":"{DIGEST}",'
        '"requested_at":"2026-11-21T10:00:00Z","deadline":"2026-11-28T10:00:00Z",'
        f'"decision":{RECORDED},"events":[{EVENT}],"refusals_uncounted":0,"complete":true}}',
    ),
    (
        Grant,
        '{"id":"a.1","run_id":"a","tool":"pay","checkpoint":"payments","condition":"true",'
        '"max_uses":10,"granted_by":"ada","granted_at":"2026-11-21T10:00:00Z",'
        '"expires_at":"2026-11-21T11:00:00Z","used_by":["a.2"],"revoked_by":null,'
        '"revoked_at":null}',
    ),
    (
        Edit,
        f'{{"arguments":{{"n":2}},"digest":"{DIGEST}",'
        '"changes":[{"name":"n","kind":"changed","before":1,"after":2}]}',
    ),
    (PendingApproval, '{"id":"a.1","action":"Send it","since":"2026-11-21T10:00:00Z"}'),
    (
        AgentRun,
        '{"agent":"email","prompt":"Write","requester":"grace","approvals_queue":"q",'
        '"expires_in":null,"max_turns":50}',
    ),
    (AgentResult, '{"output":"Done","approvals":[]}'),
    (
        RunSummary,
        '{"id":"a","status":"running","agent":"email","prompt":"Write","requester":null,'
        '"started_at":"2026-11-21T10:00:00Z","closed_at":null}',
    ),
]


@pytest.mark.parametrize(("model", "wire"), WIRE)
def test_what_an_older_version_stored_still_loads_and_means_the_same(
    model: type[BaseModel], wire: str
) -> None:
    loaded = model.model_validate_json(wire)

    known = pydantic_core.from_json(wire)
    assert within(known, pydantic_core.from_json(loaded.model_dump_json())) == known


def within(known: Any, written: Any) -> Any:
    """What of ``written`` an older version knows, too."""
    if isinstance(known, dict):
        return {name: within(value, written[name]) for name, value in known.items()}
    if isinstance(known, list):
        return [within(*both) for both in zip(known, written, strict=True)]
    return written


ASKED: set[type[BaseModel]] = {ApprovalRequest, Decision, AgentRun}


@pytest.mark.parametrize(("model", "wire"), WIRE)
def test_unknown_fields_are_refused_where_something_is_asked_and_ignored_where_it_is_told(
    model: type[BaseModel], wire: str
) -> None:
    newer = {**pydantic_core.from_json(wire), "added_later": 1}

    if model in ASKED:
        with pytest.raises(ValidationError, match="added_later"):
            model.model_validate(newer)
    else:
        assert model.model_validate(newer) == model.model_validate_json(wire)


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


def test_the_client_needs_neither_the_application_nor_its_packages(
    python: Path, tmp_path: Path
) -> None:
    found = run(
        *(str(python), "-c"),
        "import importlib.util as u, clearance; from clearance import request_approval;"
        "print(clearance.__file__);"
        "print([n for n in ('agents','typer','rich','workflows','tools','cli') if u.find_spec(n)])",
        cwd=tmp_path,
    )

    file, present = found.splitlines()
    assert Path(file).is_relative_to(python.parent.parent)
    assert present == "[]"


DECIDES = """
import asyncio, os, sys
from clearance import ApprovalClient

async def main():
    id, queue = sys.argv[1:]
    async with await ApprovalClient.connect(task_queue=queue) as client:
        [waiting] = [one async for one in client.pending() if one.id == id]
        receipt = await client.approve(id, reviewer="ada@example.com", digest=waiting.digest)
        outcome = await client.wait(id)
        print(outcome.model_dump_json() if receipt.in_effect else "not in effect")

asyncio.run(main())
sys.stdout.flush()
os._exit(0)  # the Temporal client's threads now and then abort an interpreter that ends
"""


async def test_the_client_alone_decides_a_request(
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

    outcome = Outcome.model_validate_json(printed)
    assert (outcome.approval_id, outcome.status) == (asked.id, "approved")
    assert outcome.decision is not None
    assert outcome.decision.by == "ada@example.com"

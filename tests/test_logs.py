"""What worker and inbox write: a JSON object a line where that is set, and nothing anybody said."""

import io
import json
import logging
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.api.common.v1 import Payload
from temporalio.exceptions import ApplicationError

from clearance import ApprovalClient, Refused, keyfile, keys
from clearance.codec import Encryption
from clearance.runs import AgentRun, start_run
from cli import logs
from cli.settings import EmbeddedServer, Settings

from .cli.conftest import SCRIPTS, Shell
from .model_server import MODEL, Call, Text, calls, model_server
from .support import eventually, unique

SECRET = "sentinel-90dd"


@pytest.fixture
def logger() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A library's logger, and what it wrote in JSON."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logs.formatter("json"))
    logger = logging.getLogger(unique("library"))
    logger.addHandler(handler)
    logger.propagate = False
    yield logger, written
    logger.removeHandler(handler)


def fail() -> None:
    try:
        raise ValueError(SECRET)
    except ValueError as error:
        raise ApplicationError(SECRET, type="CardDeclined") from error


def test_an_error_is_its_kind_and_its_place_and_never_its_text(
    logger: tuple[logging.Logger, io.StringIO],
) -> None:
    log, written = logger
    try:
        fail()
    except ApplicationError:
        log.exception("It failed: %s\n%s", SECRET, SECRET)

    [line] = written.getvalue().splitlines()
    said = json.loads(line)
    assert (said["level"], said["message"]) == ("error", "It failed")
    assert said["error"] == "ApplicationError[CardDeclined] from ValueError"
    assert re.fullmatch(r"test_logs\.py:\d+ fail", said["at"])
    assert SECRET not in line


@pytest.mark.parametrize("form", ["text", "json"])
async def test_a_missing_key_is_named_with_its_file(form: logs.Format, tmp_path: Path) -> None:
    ours, others = tmp_path / "keys.json", tmp_path / "others.json"
    for path in (ours, others):
        keyfile.create(path, keys.new(keys.KINDS["encryption"]))
    there = Encryption(keyfile.KeyFile(others, keys.KINDS["encryption"]))
    here = Encryption(keyfile.KeyFile(ours, keys.KINDS["encryption"]))
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logs.formatter(form))
    record = logging.getLogger(unique("library"))
    record.addHandler(handler)
    record.propagate = False
    try:
        await here.decode(await there.encode([Payload(data=SECRET.encode())]))
    except keys.InvalidKeys as error:
        record.error("Handling failed: %s", error, exc_info=error)
    [line] = written.getvalue().splitlines()
    key = keyfile.read(others).current
    assert f"encrypted with the key '{key}', which {ours} lacks: add it there" in line
    assert SECRET not in line


def test_ids_and_attempt_stand_in_fields_of_their_own(
    logger: tuple[logging.Logger, io.StringIO],
) -> None:
    log, written = logger
    details = {
        "workflow_id": "run-1",
        "workflow_run_id": "r1",
        "activity_type": "send_email",
        "attempt": 2,
        "namespace": "default",
    }
    log.warning("Completing activity as failed", extra={"temporal_activity": details})

    said = json.loads(written.getvalue())
    assert said.pop("time").endswith("+00:00")
    assert said == {
        "level": "warning",
        "logger": log.name,
        "message": "Completing activity as failed",
        "workflow_id": "run-1",
        "run_id": "r1",
        "activity": "send_email",
        "attempt": 2,
    }


def test_text_has_the_same_fields_on_one_line() -> None:
    record = logging.makeLogRecord(
        {
            "name": "clearance.any",
            "levelname": "INFO",
            "msg": "one\ntwo",
            "temporal_workflow": {"workflow_id": "w", "run_id": "r", "workflow_type": "T"},
        }
    )

    line = logs.formatter("text").format(record)

    assert re.fullmatch(r"\S+ info clearance.any one two workflow_id=w run_id=r workflow=T", line)


POLICY = """
default = "allow"

[[checkpoint]]
checkpoint_id = "payments"
action_pattern = "^pay$"
description_template = "Pay {cents} to {to}"
audience = ["ada"]
"""

BROKEN = '''
from datetime import timedelta

from agents import Agent, function_tool
from temporalio import activity, workflow
from temporalio.common import RetryPolicy


@activity.defn
async def book(to: str) -> str:
    raise RuntimeError(f"no account {to}")


@function_tool
async def pay(to: str, cents: int) -> str:
    """Pay."""
    twice = RetryPolicy(maximum_attempts=2, initial_interval=timedelta(milliseconds=10))
    ten = timedelta(seconds=10)
    return await workflow.execute_activity(book, to, start_to_close_timeout=ten, retry_policy=twice)


def stuck() -> Agent:
    """Fails the workflow's task, which is tried again for ever."""
    if workflow.in_workflow():
        raise RuntimeError("never heard of SECRET")
    return Agent(name="stuck")


AGENTS = {"broken": lambda: Agent(name="broken", tools=[pay]), "stuck": stuck}
ACTIVITIES = [book]
'''


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Every line, each of which has to be a JSON object."""
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def shell(settings: Settings, server: EmbeddedServer, tmp_path: Path) -> Shell:
    settings.state.mkdir(parents=True)
    (tmp_path / "broken.py").write_text(BROKEN.replace("SECRET", SECRET))
    (tmp_path / "checkpoints.toml").write_text(POLICY)
    return Shell(
        tmp_path,
        {
            "PATH": f"{SCRIPTS}:/usr/bin:/bin",
            "HOME": str(tmp_path),
            "LANG": "C.UTF-8",
            "TEMPORAL_ADDRESS": server.address,
            "CLEARANCE_APPROVALS_QUEUE": settings.approvals_queue,
            "CLEARANCE_AGENTS_QUEUE": settings.agents_queue,
            "CLEARANCE_AGENTS": "broken",
            "CLEARANCE_STATE": str(settings.state),
            "CLEARANCE_LOG_FORMAT": "json",
            "CLEARANCE_WEB_PORT": "0",
        },
    )


async def test_a_worker_writes_json_with_ids_and_nothing_that_anybody_said(
    shell: Shell, settings: Settings, approvals: ApprovalClient
) -> None:
    pay = Call("pay", json.dumps({"to": SECRET, "cents": 5}))

    async def start(agent: str = "broken") -> Any:
        asked = AgentRun(
            agent=agent,
            prompt=f"Pay {SECRET}",
            requester=SECRET,
            approvals_queue=settings.approvals_queue,
        )
        queue = settings.agents_queue
        return await start_run(approvals.temporal, asked, id=unique("run"), task_queue=queue)

    async def asked(run: Any) -> str:
        return await eventually(lambda: first(run))

    async def first(run: Any) -> str:
        return "".join([one.id async for one in approvals.pending(run=run.id)])

    async with (
        model_server(calls(pay), Text(SECRET), calls(pay), Text(SECRET)) as model,
        shell.having(
            OPENAI_BASE_URL=model.url, OPENAI_API_KEY=model.key, CLEARANCE_MODEL=MODEL
        ).start("worker") as worker,
    ):
        await worker.says("agents on")
        failing = await start()
        id = await asked(failing)
        with pytest.raises(Refused):
            await approvals.approve(id, reviewer="mallory", reason=SECRET)
        await approvals.approve(id, reviewer="ada", reason=SECRET)
        await worker.says('Completing activity as failed[^}]*"attempt": 2')
        rejected = await start()
        await approvals.reject(await asked(rejected), reviewer="ada", reason=SECRET)
        await rejected.result()
        stuck = await start("stuck")
        await worker.says(f"{stuck.id}[^}}]*RuntimeError")
        await stuck.terminate()
        worker.signal(signal.SIGTERM)
        ended = await worker.ends()

    assert ended.code == 0
    assert SECRET not in ended.err + ended.out
    lines = lines_of(worker.err)
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    [told] = [one for one in lines if "connected to" in one["message"]]
    assert (told["level"], told["logger"]) == ("info", "clearance")
    failed = [one for one in lines if one["message"] == "Completing activity as failed"]
    assert [(one["workflow_id"], one["activity"], one["attempt"]) for one in failed] == [
        (failing.id, "book", 1),
        (failing.id, "book", 2),
    ]
    assert {one["error"] for one in failed} == {"RuntimeError"}
    assert lines[-1]["message"] == "clearance worker: stopped"


async def test_the_inbox_writes_its_answers_as_json_and_no_link_that_signs_in(
    shell: Shell, approvals: ApprovalClient
) -> None:
    async with shell.start("web") as inbox:
        url = (await inbox.says(r"http://[\d.:]+"))[0]
        await inbox.says("Ready")
        async with httpx.AsyncClient() as http:
            await http.get(f"{url}/sign-in/{SECRET}")
            await http.get(f"{url}/requests/{SECRET}?reason={SECRET}")
        await inbox.says("/requests/")
        inbox.signal(signal.SIGTERM)
        ended = await inbox.ends()

    assert SECRET not in ended.err
    assert not re.search(r"/sign-in/\w", ended.err)
    answers = [one for one in lines_of(inbox.err) if one["logger"] == "clearance.access"]
    assert {"method", "route", "status", "ms", "caller"} <= set(answers[0])
    assert answers[0]["route"] == "/sign-in/{token}"
    assert (answers[0]["method"], answers[0]["level"]) == ("GET", "info")

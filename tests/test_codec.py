"""Encryption at work: what Temporal's database holds, and who reads it."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.openai_agents.testing import TestModelProvider

import worker
from clearance import ApprovalClient, ApprovalRequest, attributes, connect, contract, keyfile, keys
from clearance.keys import InvalidKeys
from clearance.legible import UNREADABLE
from clearance.timeline import timeline
from cli import embedded
from cli.settings import EmbeddedServer, Settings
from web.config import WebConfig
from web.server import running

from .agent_runs import Play
from .encrypting import KEPT, MARK, asked_directly, kept, live, marked, marked_model
from .office import ADA, GRACE
from .support import eventually
from .test_acceptance import shell_of

ENCRYPTION = keys.KINDS["encryption"]


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    keyfile.create(path, keys.new(ENCRYPTION))
    return path


@asynccontextmanager
async def playing(settings: Settings, address: str) -> AsyncIterator[Play]:
    connection = {"target_host": address}
    provider = TestModelProvider(marked_model())
    async with worker.running(settings, connection, model_provider=provider) as serving:
        yield Play(settings, serving)


async def without_keys(connection: dict[str, Any], settings: Settings) -> ApprovalClient:
    return ApprovalClient(await connect(connection), task_queue=settings.approvals_queue)


async def with_keys(
    connection: dict[str, Any], settings: Settings, path: Path, **options: Any
) -> ApprovalClient:
    client = await connect(connection, keys=path, **options)
    return ApprovalClient(client, task_queue=settings.approvals_queue)


async def test_nothing_that_was_written_is_in_the_database_and_all_of_it_is_readable(
    settings: Settings, key_file: Path, tmp_path: Path
) -> None:
    open_settings = marked(settings)
    closed = open_settings.model_copy(update={"encryption_keys": key_file})
    state = tmp_path / "disk"
    async with embedded.server(state, ports=(0, 0)) as server:
        async with playing(closed, server.address) as play:
            ids = await live(play)
            assert MARK.encode() not in kept(state)

            keyfile.change(key_file, now=True)  # and nobody is told
            runs = play.serving.client.list_workflows("WorkflowType = 'AgentWorkflow'")
            [run] = [one async for one in runs]
            told = await timeline(play.serving.client, run.id)
            shown = repr(told) + "".join([repr(await play.approvals.get(id)) for id in ids])
            shown += "".join([repr(one) async for one in play.approvals.history()])
            missing = [word for word in KEPT if word not in shown]
            assert missing == [f"{MARK}-{word}" for word in ("stumble", "malformed", "stored")]
            assert told.failure
            assert f"{MARK}-refusal" in told.failure
            ids += await asked_directly(play.approvals)
            assert MARK.encode() not in kept(state)
            connection = {"target_host": server.address}
            other = await with_keys(connection, closed, key_file)
            assert (await other.get(ids[-1])).request.requester == GRACE

        # The same where nothing is encrypted: else the search above would prove nothing.
        async with playing(open_settings, server.address) as play:
            await live(play)
    found = kept(state)
    assert [word for word in KEPT if word.encode() not in found] == []


async def test_whoever_lacks_the_key_is_told_which_and_everything_else_is_listed(
    settings: Settings,
    connection: dict[str, Any],
    server: EmbeddedServer,
    key_file: Path,
    tmp_path: Path,
) -> None:
    key = keyfile.read(key_file).current
    keyed = await with_keys(connection, settings, key_file)
    bare = await without_keys(connection, settings)
    hidden = ApprovalRequest(
        action=f"{MARK}-action",
        risk="high",
        tool="wire",
        requester=GRACE,
        audience=(ADA,),
        expires_in=timedelta(hours=2),
    )
    secret = await keyed.request(hidden)
    plain = await bare.request("Plain")
    await eventually(lambda: lists(bare, 2))
    lines = {one.id: one.action async for one in bare.pending()}
    assert lines == {secret.id: UNREADABLE, plain.id: "Plain"}
    [line] = [one async for one in bare.pending(risk="high", reviewer=ADA)]
    assert (line.tool, line.requester, line.quorum) == ("wire", GRACE, None)
    assert line.deadline
    assert timedelta(hours=1.9) < line.deadline - line.requested_at <= timedelta(hours=2)
    assert not line.readable
    assert {one.action async for one in keyed.pending()} == {f"{MARK}-action", "Plain"}

    for reader, said in (
        (bare, f"encrypted with the key '{key}': set CLEARANCE_ENCRYPTION_KEYS"),
        (
            await with_keys(connection, settings, other_keys(tmp_path)),
            f"encrypted with the key '{key}', which {tmp_path / 'other.json'} lacks: add it",
        ),
    ):
        for asked in (reader.get, reader.summary):
            with pytest.raises(InvalidKeys, match=re.escape(said)):
                await asked(secret.id)
        with pytest.raises(InvalidKeys):
            await reader.approve(secret.id, reviewer=ADA)

    shell = shell_of(settings, server)
    [listed] = [one for one in (await shell("pending")).out.splitlines() if secret.id in one]
    assert "high" in listed
    assert re.search("1 h|2 h", listed)
    for command in (("show", secret.id), ("approve", secret.id)):
        refused = await shell(*command)
        assert (refused.code, refused.out) == (2, "")
        assert refused.err == (
            f"clearance: this is encrypted with the key '{key}': set CLEARANCE_ENCRYPTION_KEYS to a key "
            "file that has it\n"
        )
    shown = await shell.having(CLEARANCE_ENCRYPTION_KEYS=str(key_file))("show", secret.id)
    assert f"{MARK}-action" in shown.out


async def test_a_worker_without_the_key_waits_for_it_and_nothing_is_lost(
    settings: Settings, connection: dict[str, Any], key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    approvals = await with_keys(connection, settings, key_file)
    # Tried again after the time of a task: ten seconds, unless somebody says so.
    start = partial(approvals.temporal.start_workflow, task_timeout=timedelta(seconds=3))
    monkeypatch.setattr(approvals.temporal, "start_workflow", start)
    asked = await approvals.request("Deploy")
    handle = approvals.temporal.get_workflow_handle(asked.id)
    async with worker.running(settings, connection):
        await eventually(lambda: stumbles(handle))
        impatient = ApprovalClient(
            approvals.temporal,
            task_queue=settings.approvals_queue,
            answer_timeout=timedelta(seconds=0.5),
        )
        receipt = await impatient.approve(asked.id, reviewer=ADA, reason="Go")
        assert not receipt.in_effect
    keyed = settings.model_copy(update={"encryption_keys": key_file})
    async with worker.running(keyed, connection):
        outcome = await approvals.wait(asked.id, timedelta(seconds=60))
    assert (outcome.status, outcome.reason) == ("approved", "Go")


async def test_the_page_of_what_lacks_its_key_says_so(
    settings: Settings, connection: dict[str, Any], key_file: Path, tmp_path: Path
) -> None:
    asked = await (await with_keys(connection, settings, key_file)).request("Deploy")
    config = WebConfig(
        port=0,
        database=f"sqlite:///{tmp_path / 'clearance.db'}",
        approvals_queue=settings.approvals_queue,
    )
    async with (
        running(config, await without_keys(connection, settings)) as inbox,
        httpx.AsyncClient(base_url=inbox.url, follow_redirects=True) as browser,
    ):
        await browser.get(f"/sign-in/{await inbox.store.sessions.invite(ADA)}")
        page = await browser.get(f"/requests/{asked.id}")
        assert page.status_code == 503
        key = keyfile.read(key_file).current
        assert f"with the key &#39;{key}&#39;, and the key file of this inbox lacks it" in page.text

        async def listed() -> bool:
            return UNREADABLE in (await browser.get("/")).text

        await eventually(listed)


async def test_a_hashed_requester_is_found_by_the_name_and_not_in_the_index(
    settings: Settings, connection: dict[str, Any], key_file: Path
) -> None:
    settings = marked(settings)
    hashing = settings.model_copy(update={"encryption_keys": key_file, "hash_requester": True})
    approvals = await with_keys(connection, settings, key_file, hash_requester=True)
    before = await with_keys(connection, settings, key_file)
    async with playing(hashing, connection["target_host"]) as play:
        run = await play.start("payer", requester=GRACE)
        [paid] = await run.waits_for()
        direct = await approvals.request(ApprovalRequest(action="Deploy", requester=GRACE))
        old = await before.request(ApprovalRequest(action="Deploy", requester=GRACE))
        await approvals.request(ApprovalRequest(action="Deploy", requester=ADA))

        async def of_grace() -> bool:
            found = {one.id async for one in approvals.pending(requester=GRACE)}
            return found == {paid.id, direct.id, old.id}

        await eventually(of_grace)
        assert await approvals.count(requester=GRACE) == 3
        assert {one.requester async for one in approvals.pending(requester=GRACE)} == {GRACE}
        for id in (paid.id, direct.id):
            description = await approvals.temporal.get_workflow_handle(id).describe()
            held = description.typed_search_attributes[attributes.REQUESTER]
            assert re.fullmatch("[0-9a-f]{64}", held)
        await run.handle.terminate()

        async def past() -> bool:
            return [paid.id] == [one.id async for one in approvals.history(requester=GRACE)]

        await eventually(past)


async def test_what_was_written_before_is_readable_after_encryption_is_switched_on(
    settings: Settings, connection: dict[str, Any], key_file: Path
) -> None:
    asked = await (await without_keys(connection, settings)).request("Deploy")
    approvals = await with_keys(connection, settings, key_file)
    async with worker.running(
        settings.model_copy(update={"encryption_keys": key_file}), connection
    ):
        assert (await approvals.approve(asked.id, reviewer=ADA)).in_effect
    assert (await approvals.get(asked.id)).request.action == "Deploy"


async def test_an_argument_of_the_largest_size_fits_encrypted(
    settings: Settings, connection: dict[str, Any], key_file: Path
) -> None:
    approvals = await with_keys(connection, settings, key_file)
    text = "x" * (contract.MAX_ARGUMENTS_BYTES - 20)
    request = ApprovalRequest(action="Store", arguments={"text": text}, editable=True)
    async with worker.running(
        settings.model_copy(update={"encryption_keys": key_file}), connection
    ):
        asked = await approvals.request(request)
        await approvals.approve(asked.id, reviewer=ADA, changes={"text": text.replace("x", "y")})
        outcome = await approvals.wait(asked.id)
    assert outcome.edit
    assert outcome.edit.arguments == {"text": text.replace("x", "y")}


def other_keys(folder: Path) -> Path:
    path = folder / "other.json"
    keyfile.create(path, keys.new(ENCRYPTION))
    return path


async def lists(approvals: ApprovalClient, count: int) -> bool:
    return len([one async for one in approvals.pending()]) == count


async def stumbles(handle: Any) -> bool:
    history = await handle.fetch_history()
    failed = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
    return any(event.event_type == failed for event in history.events)

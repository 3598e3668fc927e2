"""Deciding while nobody works, and while Temporal itself is away: nothing is lost or claimed falsely."""

import asyncio
import signal
from datetime import timedelta
from functools import partial
from pathlib import Path

import httpx
import pytest

from clearance import (
    ApprovalClient,
    NotRecorded,
    OutcomeUnknown,
    WaitTimeout,
    connect,
    contract,
)
from cli import admin, embedded
from cli.failures import explain
from cli.settings import EmbeddedServer, Settings
from tests.processes import answers, kill, server_process, worker_process
from tests.proxy import proxy
from tests.raw import impatient, is_taken
from tests.support import eventually, unique
from tests.web.asking import words
from tests.web.pressing import press
from web.config import WebConfig
from web.context import Context
from web.server import running

from .conftest import NOWHERE, Shell

ADA = "ada@example.com"

Open = httpx.AsyncClient


async def signed_in(inbox: Context, client: httpx.AsyncClient) -> None:
    found = await inbox.store.sessions.invite(ADA)
    assert (await client.get(f"/sign-in/{found}")).status_code == 303


async def test_what_is_decided_with_everybody_gone_counts_once_after_the_server_was_killed_too(
    settings: Settings,
    tmp_path: Path,
    alone: Shell,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port, database = embedded.free_port(0), tmp_path / "temporal.db"
    address = f"127.0.0.1:{port}"
    cli = alone.having(
        TEMPORAL_ADDRESS=address,
        CLEARANCE_APPROVALS_QUEUE=settings.approvals_queue,
        CLEARANCE_STATE=str(settings.state),
    )
    config = WebConfig(
        port=0,
        database=f"sqlite:///{tmp_path / 'inbox.db'}",
        approvals_queue=settings.approvals_queue,
    )
    async with server_process(port, database) as server:
        connected = await answers(server, address)
        assert connected is not None
        approvals = impatient(connected, settings)
        async with worker_process(settings, address, "approvals") as worker:
            ids = [(await approvals.request(f"Pay {n}", id=unique("pay"))).id for n in range(4)]
            for id in ids:
                await eventually(partial(is_taken, connected.get_workflow_handle(id)))
            worker.send_signal(signal.SIGTERM)
            await worker.wait()
        by_client, by_cli, by_api, by_page = ids

        async with running(config, approvals) as inbox:
            token, _ = await inbox.store.tokens.create(
                "ci", ["read", "decide"], decides_as=ADA, lasts=None
            )
            bearer = {"Authorization": f"Bearer {token}", "Idempotency-Key": "one"}
            async with (
                Open(base_url=inbox.url, timeout=60) as page,
                Open(base_url=f"{inbox.url}/api/v1", headers=bearer, timeout=60) as api,
            ):
                await signed_in(inbox, page)
                seen = (await api.get(f"/requests/{by_api}")).json()
                assert (seen["served"], seen["status"]) == (False, "pending")
                assert (await api.get("/requests")).json()["served"] is False
                assert "No worker answers now" in words(await page.get("/?view=all"))
                shown = await page.get(f"/requests/{by_page}")
                live = asyncio.create_task(page.get(f"/live/requests/{by_page}"))
                said = {"approved": True, "digest": seen["digest"]}

                receipt, typed, posted, pressed = await asyncio.gather(
                    approvals.approve(by_client, reviewer=ADA),
                    cli("approve", by_cli, "--as", ADA, "--decision-id", "d-1"),
                    api.post(f"/requests/{by_api}/decision", json=said),
                    press(page, shown, "approve"),
                )
                assert (receipt.in_effect, receipt.recorded_at) == (False, None)
                assert (typed.code, "is recorded; it takes effect" in typed.out) == (0, True)
                assert (posted.status_code, posted.json()["recorded_at"]) == (202, None)
                assert "Your approval is recorded" in words(pressed)

                waiting = asyncio.create_task(approvals.wait(by_api))
                await kill(server)
                with monkeypatch.context() as sooner:
                    sooner.setattr("clearance.away.PATIENCE", 1.0)
                    refused, again = await asyncio.gather(
                        api.post(f"/requests/{by_api}/decision", json=said),
                        _not_recorded(approvals, by_client),
                    )
                assert refused.status_code == 503
                assert refused.json()["type"].endswith(":not-recorded")
                assert "nothing was recorded" in refused.json()["detail"]
                assert refused.headers["retry-after"]
                assert again == (
                    "nothing was recorded: Temporal does not answer. Send it again in a moment"
                )

                async with (
                    server_process(port, database),
                    worker_process(settings, address, "approvals"),
                ):
                    assert (await asyncio.wait_for(waiting, 30)).status == "approved"
                    for id in ids:
                        assert (
                            await approvals.wait(id, timedelta(seconds=30))
                        ).status == "approved"
                        view = (await api.get(f"/requests/{id}")).json()
                        assert (view["served"], view["complete"]) == (True, True)
                        counted = [e for e in view["events"] if e["kind"] == "approved"]
                        assert [one["who"] for one in counted] == [ADA]
                    assert f"Approved by {ADA}" in words(await page.get(f"/requests/{by_page}"))
                    told = await asyncio.wait_for(live, 30)  # it ends with the request
                    assert ["event: changed" in told.text, "event: settled" in told.text] == [
                        True
                    ] * 2
                    shown_again = await cli("show", by_cli)
                    assert "approved" in shown_again.out.casefold()
                    repeated = await cli("approve", by_cli, "--as", ADA, "--decision-id", "d-1")
                    assert (repeated.code, "is approved" in repeated.out) == (0, True)


async def _not_recorded(approvals: ApprovalClient, id: str) -> str:
    with pytest.raises(NotRecorded) as told:
        await approvals.approve(id, reviewer=ADA)
    return str(told.value)


async def test_a_decision_whose_answer_was_cut_off_is_called_unknown_and_sent_again_counts_once(
    server: EmbeddedServer,
    settings: Settings,
    worker_running: object,
    approvals: ApprovalClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("clearance.delivery.PATIENCE", 1.0)
    asked = await approvals.request("Pay")
    async with proxy(int(server.address.rpartition(":")[2])) as way:
        far = impatient(await connect({"target_host": way.address}), settings)
        deliver = far._deliver

        async def deafly(*how: object) -> object:
            way.answers.clear()
            return await deliver(*how)  # type: ignore[arg-type]

        monkeypatch.setattr(far, "_deliver", deafly)
        with pytest.raises(OutcomeUnknown) as told:
            await asyncio.wait_for(far.approve(asked.id, reviewer=ADA, decision_id="d-7"), 15)
        way.cut()
        assert (told.value.approval_id, told.value.key) == (asked.id, "d-7")
        assert "Send the same again with the id d-7: it counts once" in str(told.value)
        assert explain(told.value)[0][0].endswith("(a decision with --decision-id d-7)")

        receipt = await approvals.approve(asked.id, reviewer=ADA, decision_id="d-7")

    assert receipt.status == "approved"
    events = [one.key for one in (await approvals.get(asked.id)).events if one.kind == "approved"]
    assert events == ["d-7"]


async def test_waiting_has_no_other_end_than_its_own_while_temporal_is_away(
    server: EmbeddedServer, settings: Settings, approvals: ApprovalClient
) -> None:
    asked = await approvals.request("Pay")
    async with proxy(int(server.address.rpartition(":")[2])) as way:
        far = impatient(await connect({"target_host": way.address}), settings)
        way.cut()
        with pytest.raises(WaitTimeout, match="still waits"):
            await far.wait(asked.id, timedelta(seconds=1))


@pytest.mark.parametrize("command", ["approve", "reject", "comment", "withdraw"])
async def test_commands_that_record_say_that_nothing_was_where_temporal_is_away(
    alone: Shell,
    command: str,
) -> None:
    what = ["Hm"] if command == "comment" else []

    ended = await alone.having(TEMPORAL_ADDRESS=NOWHERE)(command, "a-1", *what)

    assert ended.code == 5
    assert ended.err.startswith("clearance: nothing was recorded: cannot reach Temporal at ")
    assert len(ended.err.splitlines()) == 1


async def test_who_looks_at_what_nobody_would_work_on_is_told(
    cli: Shell, approvals: ApprovalClient, settings: Settings
) -> None:
    asked = await approvals.request("Pay")
    line = (
        f"No worker serves {settings.approvals_queue}: decisions are recorded and take effect when "
        "one is back (`clearance worker`)."
    )

    async def listed() -> bool:
        return line in (await cli("pending")).err

    await eventually(listed)

    shown = await cli("show", asked.id)
    assert line in shown.err
    assert "is recorded;" not in shown.err
    assert await approvals.is_served() is False

    await approvals.temporal.get_workflow_handle(asked.id).signal(contract.SIGNAL_APPROVE, True)
    assert "is recorded;" in (await cli("reject", asked.id, "--as", "eve\n", "--reason", "no")).out
    said = (await cli("show", asked.id)).err.splitlines()
    assert said[1:] == [
        f"{what} is recorded; it takes effect when a worker is back."
        for what in ("An approval without a name", "A rejection by eve")
    ]


async def test_doctor_doubts_a_worker_that_has_not_polled_for_long(
    worker_running: object,
    approvals: ApprovalClient,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert await approvals.is_served() is True
    monkeypatch.setattr("clearance.workers.POLLED_WITHIN", timedelta(0))

    anew = ApprovalClient(approvals.temporal, task_queue=settings.approvals_queue)
    assert await anew.is_served() is False
    _, well, found = await admin._worker(approvals.temporal, "approvals", settings.approvals_queue)

    assert not well
    assert "it may have been killed; run `clearance worker`" in found

"""What commands and a worker say when Temporal goes away under them."""

import asyncio
import signal
from datetime import timedelta
from typing import Any

import pytest

from clearance import ApprovalClient
from clearance.delivery import Delivering
from cli import app
from cli.settings import EmbeddedServer
from tests.conftest import Serve
from tests.proxy import proxy

from .conftest import Shell


async def test_a_decision_that_may_have_been_recorded_is_told_with_how_to_send_it_again(
    cli: Shell,
    server: EmbeddedServer,
    approvals: ApprovalClient,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    asked = await approvals.request("Pay")
    decide = ("approve", asked.id, "--as", "ada", "--decision-id", "d-7")
    monkeypatch.setattr("clearance.delivery.PATIENCE", 1.0)
    async with proxy(int(server.address.rpartition(":")[2])) as way:
        monkeypatch.setenv("TEMPORAL_ADDRESS", way.address)
        for name in cli.env.keys() & {"CLEARANCE_APPROVALS_QUEUE", "CLEARANCE_STATE"}:
            monkeypatch.setenv(name, cli.env[name])
        leave = Delivering._leave

        async def deafly(*how: Any) -> Any:
            way.answers.clear()  # it arrives, and nothing comes back
            return await leave(*how)

        monkeypatch.setattr(Delivering, "_leave", deafly)
        # In this process, where it can be known at which step Temporal goes away.
        code = await asyncio.to_thread(app._run, list(decide))

    said = capfd.readouterr()
    assert (code, said.out) == (5, "")
    assert said.err == (
        f"clearance: unknown: Temporal stopped answering while this went to {asked.id}. Send the "
        "same again with the id d-7: it counts once (a decision with --decision-id d-7)\n"
    )
    async with serve():
        assert (await approvals.wait(asked.id, timedelta(seconds=30))).approved  # it had arrived
        again = await cli(*decide)
        view = await approvals.get(asked.id)
    assert (again.code, "is approved" in again.out) == (0, True)
    assert [one.key for one in view.events if one.who == "ada"] == ["d-7"]


async def test_a_worker_and_a_watched_list_say_once_that_temporal_is_away_and_go_on_when_it_is_back(
    cli: Shell, server: EmbeddedServer, approvals: ApprovalClient
) -> None:
    await approvals.request("Pay the first")
    async with proxy(int(server.address.rpartition(":")[2])) as way:
        shell = cli.having(TEMPORAL_ADDRESS=way.address)
        async with (
            shell.start("worker") as worker,
            shell.terminal("pending", "--watch") as terminal,
        ):
            await worker.says("approvals on")
            await terminal.shows("Pay the first")
            way.cut()
            await terminal.shows("Temporal does not answer; what waits is shown again when it does")
            await worker.says(f"warning clearance Temporal at {way.address} does not answer: ")
            await approvals.request("Pay the second")
            way.heal()
            await terminal.shows("Pay the second")
            await worker.says(r"info clearance Temporal answers again, \d+ s later")
            terminal.interrupts()
            assert (await terminal.ends()).code == 130
            worker.signal(signal.SIGTERM)
            ended = await worker.ends()

    assert ended.code == 0
    began, *logged, stopping, stopped = ended.err.splitlines()
    assert len(logged) == 2, ended.err
    assert "approvals on" in began
    assert ("stopping" in stopping, "stopped" in stopped) == (True, True)

"""``clearance grants`` and ``clearance revoke``."""

import json
import re
from typing import Any

import pytest
from temporalio.client import Client

from cli.settings import Settings
from tests.agent_runs import Start
from tests.client.test_granting import POLICY, TURNS, granted, listed, terminate_granted
from tests.office import policed
from tests.raw import RUNS_LEFT_OPEN, collect_open_runs

from .conftest import Shell, only_line

pytestmark = RUNS_LEFT_OPEN

_KEYS = {
    *("id", "run_id", "tool", "checkpoint", "condition", "max_uses", "granted_by", "granted_at"),
    *("expires_at", "used_by", "revoked_by", "revoked_at", "status"),
}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return policed(settings, POLICY)


@pytest.fixture(autouse=True)
async def no_leftovers(temporal: Client) -> None:
    """Runs that other tests left open."""
    await terminate_granted(temporal)


async def test_where_nothing_is_approved_in_advance_it_says_so(cli: Shell) -> None:
    said = await cli("grants")
    assert (said.code, said.out, said.err) == (0, "", "Nothing is approved in advance.\n")
    assert (await cli("grants", "--json")).json == []


async def test_standing_approvals_are_listed_and_one_is_revoked(play: Start, cli: Shell) -> None:
    async with play(*TURNS, agent="payer") as (run, _):
        id = await granted(run)
        await listed(run.approvals, id)

        shown = await cli("grants")
        assert (shown.code, shown.err) == (0, "")
        header, line = shown.out.splitlines()
        assert header.split() == ["ID", "TOOL", "IF", "USES", "EXPIRES", "BY", "STATUS"]
        assert re.fullmatch(
            rf"{id} +pay +args\.cents <= 500 +1 of 3 +in 1 h 59 min +ada@example\.com +standing *",
            line,
        )
        [as_json] = (await cli("grants", "--json", "--run", run.handle.id)).json
        assert set(as_json) == _KEYS
        assert (as_json["id"], as_json["status"]) == (id, "standing")

        done = await cli("revoke", id[3:], "--as", "grace")
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith(f"{id} is revoked by grace at ")
        again: Any = (await cli("revoke", id, "--json")).json
        assert (again["grant_id"], again["revoked_by"]) == (id, "grace")
        of_run = await cli("grants", "--run", run.handle.id)
        assert of_run.out.splitlines()[1].rstrip().endswith("revoked")
        await run.handle.terminate()
    collect_open_runs()


async def test_an_unknown_one_is_one_line(cli: Shell, worker_running: object) -> None:
    said = only_line(await cli("revoke", "nobody-knows.1"), 2)
    assert "nothing has the id 'nobody-knows.1'; `clearance grants` lists" in said
    assert "nobody-knows" in only_line(await cli("grants", "--run", "nobody-knows"), 2)


async def test_an_empty_name_revokes_as_nobody(cli: Shell, worker_running: object) -> None:
    assert "reviewer: " in only_line(await cli("revoke", "any.1", "--as", ""), 2)


async def test_without_a_worker_a_revocation_is_recorded_and_a_list_says_what_is_missing(
    play: Start, cli: Shell
) -> None:
    async with play(*TURNS, agent="payer") as (run, _):
        id = await granted(run)
        await listed(run.approvals, id)
    collect_open_runs()

    done = await cli("revoke", id)
    shown = await cli("grants", "--json")

    assert (done.code, done.err) == (0, "")
    assert done.out == (
        f"Your revocation of {id} is recorded; it takes effect when a worker is back, "
        "before the next call.\n"
    )
    assert (shown.code, json.loads(shown.out)) == (1, [])
    assert f"no worker answers for {run.handle.id}" in shown.err
    await run.handle.terminate()

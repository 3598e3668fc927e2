"""``audit trace``: a run's evidence on standard output or in a file of one's own, without a worker."""

import json
from pathlib import Path

import pytest

from clearance import ApprovalClient
from cli.settings import Settings
from tests.agent_runs import Start
from tests.office import ADA, policed
from tests.raw import RUNS_LEFT_OPEN
from tests.support import run as output_of
from tests.test_evidence import POLICY, asking, pays
from tests.traced import STRICT, Verdict, check_file

from .conftest import REPOSITORY, SCRIPTS, Shell, only_line

pytestmark = RUNS_LEFT_OPEN


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return policed(settings, POLICY)


async def test_a_run_is_traced_while_it_waits_and_when_nobody_serves_it_any_more(
    cli: Shell, play: Start, approvals: ApprovalClient, tmp_path: Path
) -> None:
    async with asking(play, [pays(500)]) as (run, id):
        waiting = await cli("audit", "trace", run.handle.id)
        assert waiting.code == 0
        assert "goes on: this is its trace so far" in waiting.err
        so_far = tmp_path / "so-far.jsonl"
        so_far.write_text(waiting.out)
        assert check_file(so_far, tmp_path / "report.json").status == "INCOMPLETE"
        await approvals.approve(id, reviewer=ADA)
    trace = tmp_path / "trace.jsonl"
    written = await cli("audit", "trace", run.handle.id[:-1], "--output", str(trace))
    assert (written.code, written.out, written.err) == (0, "", "")
    assert trace.stat().st_mode & 0o777 == 0o600
    assert check_file(trace, tmp_path / "report.json") == Verdict("PASS", ())
    said = output_of(
        *(str(SCRIPTS / "agentack"), "check", str(trace), "--policy", str(STRICT)), cwd=REPOSITORY
    )
    assert said.startswith("AgentAck  PASS")
    printed = await cli("audit", "trace", run.handle.id)
    assert printed.out == trace.read_text()
    assert all(json.loads(line)["schema_version"] == 2 for line in printed.out.splitlines())


async def test_an_unknown_run_and_a_folder_that_is_not_there_are_one_line_each(
    cli: Shell, play: Start, approvals: ApprovalClient, tmp_path: Path
) -> None:
    assert "no-such-run" in only_line(await cli("audit", "trace", "no-such-run"), 2)
    async with asking(play, [pays(500)]) as (run, id):
        nowhere = str(tmp_path / "nowhere" / "trace.jsonl")
        said = await cli("audit", "trace", run.handle.id, "--output", nowhere)
        assert "No such file" in only_line(said, 2)
        await approvals.reject(id, reviewer=ADA)

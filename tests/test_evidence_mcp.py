"""What an MCP server's tool really got, as evidence: its activity carries no key, only the call."""

from pathlib import Path

import pytest

from clearance import ApprovalClient
from cli.settings import Settings

from . import test_mcp_tools
from .agent_runs import Start
from .gating import own
from .raw import RUNS_LEFT_OPEN
from .support import unique
from .test_mcp_tools import TRANSFERS_WAIT, _bank, transfer  # noqa: F401 - a fixture
from .traced import Verdict, alter, check, histories

pytestmark = [RUNS_LEFT_OPEN, pytest.mark.usefixtures("_bank")]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return own(settings, test_mcp_tools.__name__, TRANSFERS_WAIT)


async def test_it_is_compared_with_what_was_approved(
    play: Start, approvals: ApprovalClient, tmp_path: Path
) -> None:
    async with play([transfer(unique("Ada"))], agent="teller") as (run, _):
        [waiting] = await run.waits_for()
        await approvals.approve(waiting.id, reviewer="ada")
        await run.result()
    kept = await histories(approvals.temporal, run.handle.id)
    assert check(await kept.evidence(), tmp_path) == Verdict("PASS", ())
    [called] = [one for one in kept.effects() if one.activity_type.name.endswith(".call-tool")]
    alter(called.input, lambda got: got["arguments"].update(cents=1))
    assert check(await kept.evidence(), tmp_path) == Verdict("FAIL", ("ACK003",))

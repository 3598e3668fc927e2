"""Evidence of runs whose payloads are encrypted, and of runs that take only signed decisions."""

from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError

from clearance import ApprovalClient, keyfile, keys
from clearance.evidence import evidence
from clearance.keys import InvalidKeys
from clearance.signatures import MISSING
from cli.audit_trace import by_policy
from cli.settings import Settings
from store.ledger import Ledger

from .agent_runs import played_on
from .office import ADA, decide, policed
from .raw import RUNS_LEFT_OPEN
from .signed import SigningKeys
from .test_evidence import PASSES, POLICY, asking, kinds, pays, recorded
from .traced import check

pytestmark = RUNS_LEFT_OPEN


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return policed(settings, POLICY)


async def test_an_encrypted_run_passes_for_whoever_has_the_keys(
    settings: Settings, connection: dict[str, Any], temporal: Client, tmp_path: Path
) -> None:
    file = tmp_path / "keys.json"
    keyfile.create(file, keys.new(keys.KINDS["encryption"]))
    closed = settings.model_copy(update={"encryption_keys": file})
    async with asking(played_on(closed, connection), [pays(500)]) as (run, id):
        await run.approvals.approve(id, reviewer=ADA, changes={"to": "zebrafish"})

    found = await evidence(run.approvals.temporal, run.handle.id, by_policy)

    assert check(found, tmp_path) == PASSES
    assert "zebrafish" in found.jsonl()
    assert b"zebrafish" not in await run.stored()
    with pytest.raises(InvalidKeys, match="encrypted with the key"):
        await evidence(temporal, run.handle.id, by_policy)


async def test_a_run_of_signed_decisions_passes_and_so_does_its_ledger(
    settings: Settings, connection: dict[str, Any], tmp_path: Path
) -> None:
    signing = SigningKeys.made(tmp_path)
    pinning = settings.model_copy(update={"decision_keys": signing.public})
    async with asking(played_on(pinning, connection), [pays(500)]) as (run, id):
        with pytest.raises(WorkflowUpdateFailedError) as forged:
            await decide(run.approvals, id)
        assert MISSING in str(forged.value.__cause__)
        inbox = ApprovalClient(
            run.approvals.temporal,
            task_queue=settings.approvals_queue,
            signer=signing.signer,
        )
        await inbox.approve(id, reviewer=ADA, changes={"cents": 450}, reason="a part of it")

    found = await (await recorded(run)).evidence()

    assert kinds(found.events)[-2:] == ["executed", "session_end"]
    assert check(found, tmp_path) == PASSES
    async with Ledger.open(settings.ledger_address()) as ledger:
        verified = await ledger.verify((), signing.pinned)
    assert (verified.signed, verified.faults) == (1, [])

"""``clearance setup`` and ``clearance doctor``."""

import re
from pathlib import Path

import pytest
from temporalio.client import Client

from clearance import attributes
from tests.conftest import Serve
from tests.support import PlayedModel

from .conftest import NOWHERE, Shell

_NAMES = [key.name for key in attributes.KEYS]


async def test_each_thing_that_is_missing_says_what_to_do_and_setup_adds_what_it_can_once(
    bare: Shell, untouched: Client
) -> None:
    failed = await bare("doctor")
    assert (failed.code, failed.err) == (1, "")
    assert [line[:2] for line in failed.out.splitlines()] == [
        "ok",
        "!!",
        "ok",
        "ok",
        "!!",
        "!!",
        "ok",
        "ok",
        "ok",
        "ok",
        "!!",
    ]
    assert all(name in failed.out for name in _NAMES)
    assert "clearance setup" in failed.out
    assert failed.out.count("clearance worker") == 2
    assert "OPENAI_API_KEY" in failed.out

    first = await bare("setup")
    assert (first.code, first.err) == (0, "")
    assert first.out == f"Added {', '.join(_NAMES)}.\n"
    assert await attributes.missing(untouched) == []
    second = await bare("setup")
    assert (second.code, second.err) == (0, "")
    assert second.out == "Everything is there already.\n"


async def test_a_good_installation_passes(cli: Shell, serve: Serve) -> None:
    shell = cli.having(OPENAI_API_KEY="sk-any", CLEARANCE_MODEL="some-model")
    async with serve(PlayedModel()):
        passed = await shell("doctor")
    assert (passed.code, passed.err) == (0, "")
    lines = passed.out.splitlines()
    assert [line[:3] for line in lines] == ["ok "] * 11
    assert cli.env["TEMPORAL_ADDRESS"] in lines[0]
    assert "Temporal keeps what is asked as it is" in lines[2]
    assert "take decisions without a signature" in lines[3]
    assert "nothing that has ended is missing" in lines[6]
    assert "the worker signs none without CLEARANCE_LEDGER_KEY" in lines[7]
    assert "every tool waits" in lines[8]
    assert "there is no reviewers.toml here" in lines[9]
    assert "some-model" in lines[10]
    assert "sk-any" not in passed.out


async def test_json_carries_the_checks(cli: Shell, worker_running: object) -> None:
    failed = await cli.inside("doctor", "--json")
    assert (failed.code, failed.err) == (1, "")
    assert all(set(check) == {"check", "ok", "finding"} for check in failed.json)
    assert {check["check"]: check["ok"] for check in failed.json} == {
        "temporal": True,
        "search attributes": True,
        "encryption": True,
        "signed decisions": True,
        "approvals worker": True,
        "agents worker": False,
        "ledger": True,
        "heads": True,
        "policy": True,
        "reviewers": True,
        "model": False,
    }


async def test_the_policy_is_checked_with_the_line_of_its_fault(
    cli: Shell, worker_running: object, tmp_path: Path
) -> None:
    policy = tmp_path / "mine.toml"
    policy.write_text('default = "allow"\n')
    shell = cli.having(CLEARANCE_POLICY=str(policy))
    good = {check["check"]: check for check in (await shell.inside("doctor", "--json")).json}
    assert good["policy"]["finding"] == f"{policy}: 0 checkpoints, default allow"
    policy.write_text('defaul = "allow"\n[[checkpoint]]\n')
    failed = await shell.inside("doctor", "--json")
    broken = {check["check"]: check for check in failed.json}
    assert failed.code == 1
    assert broken["policy"]["ok"] is False
    assert broken["policy"]["finding"].startswith(f"{policy}:1: ")
    assert "more)" in broken["policy"]["finding"]


@pytest.mark.parametrize("configured", [True, False])
async def test_the_reviewers_are_counted_or_the_first_fault_is_told(
    cli: Shell, worker_running: object, configured: bool
) -> None:
    reviewers = cli.folder / ("mine.toml" if configured else "reviewers.toml")
    shell = cli.having(CLEARANCE_REVIEWERS=reviewers.name) if configured else cli
    reviewers.write_text('[groups]\nfinance = ["ada", "grace"]\n')
    good = {check["check"]: check for check in (await shell.inside("doctor", "--json")).json}
    assert good["reviewers"] == {
        "check": "reviewers",
        "ok": True,
        "finding": f"{reviewers.name}: 2 people, 1 group, 0 delegations",
    }
    reviewers.write_text('[groups]\nfinance = ["group:lead"]\nleads = 1\n')
    failed = await shell.inside("doctor", "--json")
    broken = {check["check"]: check for check in failed.json}
    assert failed.code == 1
    assert (broken["reviewers"]["ok"], broken["reviewers"]["finding"]) == (
        False,
        f"{reviewers.name}:2: groups.finance, number 1: there is no group:lead: did you mean "
        '"group:leads"? (and 1 more)',
    )


async def test_an_unreachable_temporal_is_a_finding(alone: Shell) -> None:
    failed = await alone.having(TEMPORAL_ADDRESS=NOWHERE)("doctor")
    assert (failed.code, failed.err) == (1, "")
    line, *others = failed.out.splitlines()
    assert line.startswith("!!  temporal: cannot reach Temporal at " + NOWHERE)
    assert [one.split()[1] for one in others] == [
        "signed",
        "heads:",
        "policy:",
        "reviewers:",
        "model:",
    ]


async def test_a_broken_key_hides_no_other_fault_and_channels_and_heads_are_looked_at(
    cli: Shell,
) -> None:
    (cli.folder / "reviewers.toml").write_text(
        '[people."ada@example.com"]\nnotify = ["mail", "env:ADA_NTFY"]\n'
    )
    await cli.inside("audit", "key", "key.pem")
    signing = cli.having(
        CLEARANCE_ENCRYPTION_KEYS="none.json",
        CLEARANCE_LEDGER_KEY="key.pem",
        CLEARANCE_LEDGER_HEADS="heads",
    )
    found = {one["check"]: one for one in (await signing.inside("doctor", "--json")).json}
    assert found["temporal"]["ok"]
    assert found["search attributes"]["ok"]
    assert "none.json" in found["encryption"]["finding"]
    assert "1 person and 0 groups told by 2 channels" in found["channels"]["finding"]
    assert "set CLEARANCE_SMTP_URL; not set here: ADA_NTFY" in found["channels"]["finding"]
    assert re.fullmatch(r"signed by [0-9a-f]{16}; none in heads yet", found["heads"]["finding"])
    (cli.folder / "key.pem").unlink()
    found = {one["check"]: one for one in (await signing.inside("doctor", "--json")).json}
    gone = "CLEARANCE_LEDGER_KEY: there is no file key.pem: `clearance audit key` makes a key"
    assert (found["heads"]["ok"], found["heads"]["finding"]) == (False, gone)
    refused = await signing.having(CLEARANCE_ENCRYPTION_KEYS=None)("worker")
    assert refused.code == 1
    assert gone in refused.err

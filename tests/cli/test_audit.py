"""``clearance audit``: verify, export, head and key, on a ledger that the state folder has."""

import csv
import io
import json
import re
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from store.ledger import Ledger
from tests.client.records import START
from tests.signed import SigningKeys
from tests.store.asked import kept_by
from tests.store.tampering import change, unguarded
from tests.store.test_signed import played

from .conftest import NOWHERE, REPOSITORY, Shell, only_line

FORMULA = '=HYPERLINK("http://evil.example","click")'


@pytest.fixture
async def shell(alone: Shell) -> Shell:
    """The ledger needs no Temporal."""
    state = alone.folder / "state"
    shell = alone.having(TEMPORAL_ADDRESS=NOWHERE, CLEARANCE_STATE=str(state))
    async with Ledger.open(f"sqlite:///{state / 'ledger.db'}") as ledger:
        later = START + timedelta(days=40)
        await ledger.append(
            [
                kept_by("ada", id="pay.1", says={"reason": FORMULA}),
                kept_by("Zoë", id="mail.1", tool="mail", action="Löschen 🦊 \u202e", at=later),
            ]
        )
    return shell


def _database(shell: Shell) -> Path:
    return shell.folder / "state" / "ledger.db"


async def test_a_ledger_that_nobody_touched_is_told_by_its_head(shell: Shell) -> None:
    said = await shell("audit", "verify")
    assert (said.code, said.err) == (0, "")
    assert re.fullmatch(r"4 rows, no signed head: no fault\nhead 4 [0-9a-f]{64}\n", said.out)
    head = (await shell("audit", "head")).json
    assert said.out.endswith(f"head {head['position']} {head['hash']}\n")
    told = (await shell("audit", "verify", "--json")).json
    nothing = {"heads": 0, "signed_decisions": 0, "faults": [], "faults_in_all": 0}
    assert told == {"rows": 4, **head, **nothing}


async def test_a_changed_row_is_named_and_makes_the_command_fail(shell: Shell) -> None:
    unguarded(_database(shell))
    change(_database(shell), "UPDATE ledger SET body = replace(body, 'ada', 'eve')")
    said = await shell.inside("audit", "verify")
    assert said.code == 1
    assert (
        "row 1, request pay.1, execution run-of-pay.1, event 1: it was changed or moved" in said.out
    )
    told = await shell.inside("audit", "verify", "--json")
    assert (told.code, told.json["faults"][0]["position"]) == (1, 1)


async def test_a_cut_off_end_is_told_by_a_head_that_was_signed(shell: Shell) -> None:
    public = await shell("audit", "key", "key.pem")
    assert (public.code, len(public.out.strip())) == (0, 44)
    assert "never overwritten" in only_line(await shell.inside("audit", "key", "key.pem"), 2)
    assert "CLEARANCE_LEDGER_KEY" in only_line(await shell.inside("audit", "head", "--sign"), 2)
    signing = shell.having(CLEARANCE_LEDGER_KEY="key.pem")
    signed = await signing("audit", "head", "--sign")
    assert signed.json.keys() == {"position", "hash", "at", "key_id", "signature"}
    (shell.folder / "heads").write_text(signed.out)
    (shell.folder / "key.pub").write_text(public.out)
    known = ("--head", "heads", "--key", "key.pub")
    assert "1 signed head: no fault" in (await shell.inside("audit", "verify", *known)).out

    unguarded(_database(shell))
    change(_database(shell), "DELETE FROM ledger WHERE position = 4")
    assert (await shell.inside("audit", "verify")).code == 0
    configured = signing.having(CLEARANCE_LEDGER_HEADS="heads")
    for cut in (await shell.inside("audit", "verify", *known), await configured("audit", "verify")):
        assert cut.code == 1
        assert f"the ledger ends at 3, and a head signed at {signed.json['at']} says 4" in cut.out


async def test_a_head_that_somebody_else_signed_is_a_fault(shell: Shell) -> None:
    await shell.inside("audit", "key", "key.pem")
    other = await shell.inside("audit", "key", "other.pem")
    signed = await shell.having(CLEARANCE_LEDGER_KEY="key.pem").inside("audit", "head", "--sign")
    (shell.folder / "heads").write_text(signed.out)
    unchecked = await shell.inside("audit", "verify", "--head", "heads")
    assert (unchecked.code, "Nobody's signature was checked" in unchecked.err) == (0, True)
    said = await shell.inside("audit", "verify", "--head", "heads", "--key", other.out.strip())
    assert (said.code, "no signature of that key" in said.out) == (1, True)
    for given in ("/nope", "nope.pub"):
        missing = await shell.inside("audit", "verify", "--key", given)
        assert f"there is no file {given}" in only_line(missing, 2)
    for bad in (("--head", "none"), ("--head", "key.pem"), ("--head", "heads", "--key", "AAAA")):
        only_line(await shell.inside("audit", "verify", *bad), 2)
    (shell.folder / "key.pem").chmod(0o644)
    open_ = shell.having(CLEARANCE_LEDGER_KEY="key.pem")
    assert "others may read" in only_line(await open_("audit", "head", "--sign"), 2)


async def test_signed_decisions_are_counted_and_held_against_the_keys_that_are_trusted(
    shell: Shell,
) -> None:
    ours, theirs = SigningKeys.made(shell.folder), SigningKeys.made(shell.folder)
    async with Ledger.open(f"sqlite:///{_database(shell)}") as ledger:
        await ledger.append([played(ours, "signed.1")])
    trusting = ("audit", "verify", "--decision-keys")
    said = await shell.inside(*trusting, str(ours.public))
    assert (said.code, said.err) == (0, "")
    assert "9 rows, no signed head, 2 signed decisions: no fault" in said.out
    assert (await shell.inside("audit", "verify", "--json")).json["signed_decisions"] == 2
    untrusted = await shell.inside(*trusting, str(theirs.public))
    assert untrusted.code == 1
    assert "row 5, request signed.1" in untrusted.out
    assert f"it pins the key {ours.pinned[0].id}, which is not" in untrusted.out
    for bad in (str(ours.private), "none.json"):
        only_line(await shell.inside(*trusting, bad), 2)


async def test_an_export_is_verified_without_us_as_the_documentation_says(shell: Shell) -> None:
    whole = await shell("audit", "export", "--output", "ledger.jsonl")
    assert (whole.code, whole.out, whole.err) == (0, "", "4 rows written to ledger.jsonl.\n")
    again = await shell("audit", "export", "--output", "ledger.jsonl")
    assert "ledger.jsonl is there already" in only_line(again, 2)
    file = shell.folder / "ledger.jsonl"
    assert file.stat().st_mode & 0o077 == 0
    assert file.read_text().isascii()
    said = (REPOSITORY / "docs" / "audit.md").read_text()
    found = re.search(r"<!-- example: verify -->\n```python\n(.*?)```", said, re.DOTALL)
    assert found
    (shell.folder / "check.py").write_text(found[1])

    checked = await shell.script(f"{sys.executable} check.py ledger.jsonl")
    head = (await shell("audit", "head")).json
    assert checked.out == f"{head['position']} {head['hash']}\n"
    file.write_text(file.read_text().replace('"who": "ada"', '"who": "eve"'))
    forged = await shell.script(f"{sys.executable} check.py ledger.jsonl")
    assert (forged.code, forged.err) == (1, "row 2 is not what was written\n")


async def test_a_table_has_no_cell_that_a_spreadsheet_would_calculate(shell: Shell) -> None:
    said = await shell("audit", "export", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert [row["kind"] for row in rows] == ["created", "approved"] * 2
    assert rows[1]["reason"] == f"'{FORMULA}"
    assert (rows[1]["who"], rows[1]["status"], rows[0]["action"]) == ("ada", "approved", "Pay 100")
    assert rows[2]["action"].startswith("Löschen 🦊")
    assert "\u202e" not in said.out


async def test_an_export_can_be_narrowed(shell: Shell) -> None:
    async def rows(*narrowed: str) -> list[int]:
        said = await shell.inside("audit", "export", "--format", "jsonl", *narrowed)
        assert said.code == 0, said.err
        return [json.loads(line)["position"] for line in said.out.splitlines()]

    assert await rows() == [1, 2, 3, 4]
    assert await rows("--reviewer", "ZOË") == [4]
    assert await rows("--tool", "pay") == [1, 2]
    assert await rows("--id", "mail") == [3, 4]
    assert await rows("--since", "2026-12-01") == [3, 4]
    assert await rows("--until", "2026-11-21") == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--format", "xml"), "they are jsonl and csv"),
        (("--since", "soon"), "--since soon"),
        (("--id", "1"), "'1' may be mail.1 or pay.1"),
        (("--id", "nothing"), "no request 'nothing'"),
        (("--id", ""), "no request ''"),
        (("--output", "none/ledger.jsonl"), "No such file"),
    ],
)
async def test_what_can_not_be_exported_is_one_line(
    shell: Shell, arguments: tuple[str, ...], said: str
) -> None:
    assert said in only_line(await shell.inside("audit", "export", *arguments), 2)


async def test_where_there_is_no_ledger_none_is_made(alone: Shell) -> None:
    shell = alone.having(CLEARANCE_STATE="none")
    for command in ("verify", "export", "head"):
        assert "there is no such file" in only_line(await shell.inside("audit", command), 1)
    assert not (alone.folder / "none").exists()
    away = alone.having(CLEARANCE_LEDGER_URL="postgresql://ada:geheim@127.0.0.1:1/ledger")
    wrong = alone.having(CLEARANCE_LEDGER_URL="mysql://ada:geheim@127.0.0.1/ledger")
    said = "clearance: CLEARANCE_LEDGER_URL: write sqlite:///path or postgresql://user@host/name\n"
    assert only_line(await wrong("audit", "verify"), 2) == said
    line = only_line(await away.inside("audit", "verify"), 1)
    assert "127.0.0.1" in line
    assert "geheim" not in line

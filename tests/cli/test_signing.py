"""Signed decisions on the command line: ``keys public``, ``request``, ``approve``, ``doctor``."""

import json
from pathlib import Path

import pytest

from clearance import ApprovalClient, keyfile
from clearance.signing import decision_keys
from tests.signed import SigningKeys

from .conftest import Shell, only_line

ADA = "ada@example.com"


@pytest.fixture
def keys(tmp_path: Path) -> SigningKeys:
    return SigningKeys.made(tmp_path)


async def test_the_public_keys_are_what_requests_pin(alone: Shell, tmp_path: Path) -> None:
    made = await alone("keys", "new", "signing-keys.json", "--kind", "signing")
    printed = await alone("keys", "public", "signing-keys.json")

    assert (made.code, printed.code, printed.err) == (0, 0, "")
    assert printed.json["kind"] == "clearance-decision-keys"
    public = tmp_path / "decision-keys.json"
    public.write_text(printed.out)
    private = keyfile.read(tmp_path / "signing-keys.json")
    assert [one.id for one in decision_keys(keyfile.read(public))] == [private.current]
    listed = await alone("keys", "list", "decision-keys.json", "--json")
    assert [one["use"] for one in listed.json] == ["public"]
    assert "one of signing keys is needed" in only_line(
        await alone("keys", "public", "decision-keys.json"), code=2
    )


async def test_a_request_pins_the_keys_and_only_a_command_line_that_signs_decides_it(
    cli: Shell, keys: SigningKeys, approvals: ApprovalClient, worker_running: object
) -> None:
    asks = cli.having(
        CLEARANCE_DECISION_KEYS=str(keys.public),
        CLEARANCE_PUBLIC_URL="https://approvals.example.com",
    )
    asked = await asks("request", "Deploy", "--audience", ADA, "--as", "mary", "--json")
    id = asked.json["id"]

    line = only_line(await asks("approve", id), code=1)
    shown = await cli("show", id)
    signs = cli.having(CLEARANCE_SIGNING_KEYS=str(keys.private))
    commented = await signs("comment", id, "I look at it")
    done = await signs("approve", id)

    assert "decide in the inbox at https://approvals.example.com" in line
    assert f"only signed ones count, by {keys.pinned[0].id}" in shown.out
    assert (commented.code, done.code, done.out) == (0, 0, f"{id} is approved.\n")
    view = await approvals.get(id)
    assert [one.kind for one in view.events] == ["created", "viewed", "commented", "approved"]


async def test_a_key_that_is_not_pinned_is_named(
    cli: Shell, keys: SigningKeys, tmp_path: Path, worker_running: object
) -> None:
    other = SigningKeys.made(tmp_path)
    asks = cli.having(CLEARANCE_DECISION_KEYS=str(keys.public))
    asked = await asks("request", "Deploy", "--json")

    signs = cli.having(CLEARANCE_SIGNING_KEYS=str(other.private))
    line = only_line(await signs("approve", asked.json["id"]), code=1)

    assert f"only decisions signed by {keys.pinned[0].id}" in line
    assert f"has {other.pinned[0].id}: decide where that key is" in line


async def test_doctor_tells_whether_what_is_signed_here_would_count(
    cli: Shell, keys: SigningKeys, tmp_path: Path
) -> None:
    other = SigningKeys.made(tmp_path)

    async def finding(**files: Path) -> tuple[bool, str]:
        found = await cli.having(**{f"CLEARANCE_{k}": str(v) for k, v in files.items()})(
            "doctor", "--json"
        )
        [one] = [one for one in json.loads(found.out) if one["check"] == "signed decisions"]
        return one["ok"], one["finding"]

    ok, said = await finding(SIGNING_KEYS=keys.private, DECISION_KEYS=keys.public)
    assert (ok, said) == (
        True,
        f"{keys.pinned[0].id} signs here; requests made here pin {keys.pinned[0].id}",
    )
    ok, said = await finding(SIGNING_KEYS=other.private, DECISION_KEYS=keys.public)
    assert not ok
    assert f"{other.pinned[0].id} signs here and isn't in {keys.public}" in said
    ok, said = await finding(DECISION_KEYS=keys.public)
    assert (ok, "nothing is signed here" in said) == (True, True)
    ok, said = await finding(DECISION_KEYS=keys.private)
    assert (ok, "is needed" in said) == (False, True)

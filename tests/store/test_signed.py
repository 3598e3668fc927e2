"""Signed decisions in the ledger: who writes all of it anew, every hash as it should be, can't sign."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from clearance.fields import canonical_json
from clearance.kept import Kept
from clearance.record import Record
from clearance.signatures import DecisionKey, Signatures
from clearance.signing import verifier
from store.ledger import Ledger, Verified
from store.ledger.rows import FIRST, columns_of, hash_of
from store.ledger.signed import (
    FOREIGN,
    NOBODYS,
    NOT_KEPT,
    TWICE,
    UNREADABLE,
    UNSIGNED,
    WRONG,
)
from tests.client.records import START, decision, edit, request_of
from tests.signed import SigningKeys

from .tampering import unguarded

Bodies = list[dict[str, Any]]
EXECUTION = "run-of-pay.1"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> SigningKeys:
    return SigningKeys.made(tmp_path_factory.mktemp("keys"))


def played(keys: SigningKeys, id: str = "pay.1", execution: str = EXECUTION) -> Kept:
    """Ada changes what is paid and approves it, as Bob then does; Eve tries to, unsigned."""
    of = {"approval_id": id, "execution": execution}
    request = request_of(
        audience=("ada", "bob"),
        quorum=2,
        self_approval=("editor",),
        decision_keys=keys.pinned,
    )
    signatures = Signatures(keys.pinned, verifier(keys.pinned, **of), **of)
    record = Record(request, approval_id=id, requested_at=START, signatures=signatures)
    record.decide(decision(record, "eve"), START)
    for one, said in (("ada", edit(amount=80)), ("bob", {"reason": "fine — été"})):
        whole = keys.sign(decision(record, one, **said), id, execution)
        assert record.decide(whole, START) is None
    view = record.view()
    assert [one.kind for one in view.events] == [
        *("created", "refused", "edited", "approved", "approved")
    ]
    return Kept(execution=execution, queue="approvals", view=view)


@pytest.fixture
async def file(tmp_path: Path, keys: SigningKeys) -> Path:
    path = tmp_path / "ledger.db"
    async with Ledger.open(f"sqlite:///{path}") as ledger:
        await ledger.append([played(keys)])
    unguarded(path)
    return path


async def verify(path: Path, trusted: tuple[DecisionKey, ...] | None = None) -> Verified:
    async with Ledger.open(f"sqlite:///{path}") as ledger:
        return await ledger.verify((), trusted)


def rewrite(path: Path, change: Callable[[Bodies], None]) -> None:
    """As somebody with all rights on the database does who knows how the chain is made."""
    with closing(sqlite3.connect(path)) as database, database:
        found = database.execute("SELECT body FROM ledger ORDER BY position").fetchall()
        bodies = [json.loads(body) for (body,) in found]
        change(bodies)
        database.execute("DELETE FROM ledger")
        previous = FIRST
        for position, plain in enumerate(bodies, 1):
            body = canonical_json(plain)
            hash = hash_of(previous, position, body)
            row = {"position": position, **columns_of(body)}
            row |= {"body": body, "previous": previous, "hash": hash}
            marks = ", ".join("?" * len(row))
            names = ", ".join(row)
            database.execute(f"INSERT INTO ledger ({names}) VALUES ({marks})", [*row.values()])  # noqa: S608
            previous = hash


async def test_what_was_signed_fits_and_what_need_not_be_signed_is_left_alone(
    file: Path, keys: SigningKeys
) -> None:
    found = await verify(file, keys.pinned)
    assert (found.rows, found.signed, found.faults) == (5, 2, [])
    rewrite(file, lambda bodies: None)
    assert (await verify(file)).count == 0, "nothing was changed"


def both(bodies: Bodies, **said: Any) -> None:
    """Bob's decision, in its event and in the end of the request."""
    bodies[4]["event"] |= {name: value for name, value in said.items() if name != "reviewer"}
    bodies[4]["event"]["who"] = said.get("reviewer", "bob")
    for one in (bodies[4]["ended"]["decision"], bodies[4]["ended"]["approvals"][1]):
        one |= said


def other_message(bodies: Bodies) -> None:
    """What is said to have been signed goes with who is said to have."""
    both(bodies, reviewer="mallory")
    signed = bodies[4]["event"]["signed"]
    signed["message"] = signed["message"].replace('"bob"', '"mallory"')


def rejected(bodies: Bodies) -> None:
    bodies[4]["event"]["kind"] = "rejected"
    ended = bodies[4]["ended"]
    ended["status"], ended["decision"]["approved"] = "rejected", False
    ended["rejections"], ended["approvals"] = [ended["decision"]], []


def other_edit(bodies: Bodies) -> None:
    """Other arguments, with the digests that they have."""
    arguments: dict[str, Any] = {"amount": 8_000, "to": "Ada"}
    digest = request_of().with_arguments(arguments).digest
    for one in bodies[2:]:
        one["event"]["digest"] = digest
    bodies[2]["event"]["changes"][0]["after"] = 8_000
    ended = bodies[4]["ended"]
    ended["digest"] = ended["edit"]["digest"] = digest
    ended["edit"]["arguments"] = arguments


def other_question(bodies: Bodies) -> None:
    """They approved a change of something else."""
    bodies[0]["asked"]["request"]["arguments"]["to"] = "Eve"
    digest = request_of(arguments={"amount": 100, "to": "Eve"}).digest
    bodies[0]["event"]["digest"] = digest


def repeated(bodies: Bodies) -> None:
    bodies[3]["event"] = {**bodies[4]["event"], "sequence": 4}


def unsigned(bodies: Bodies) -> None:
    del bodies[4]["event"]["signed"]


TAMPERED: dict[str, tuple[Callable[[Bodies], None], str]] = {
    "another reviewer": (lambda rows: both(rows, reviewer="mallory"), "otherwise than who"),
    "another reviewer, also in what was signed": (other_message, WRONG),
    "another verdict": (rejected, "otherwise than kind"),
    "another reason": (lambda rows: both(rows, reason="never"), "otherwise than reason"),
    "a reason cut to nothing": (lambda rows: both(rows, reason="…"), "otherwise than reason"),
    "another channel": (lambda rows: both(rows, channel="grant"), "otherwise than channel"),
    "another edit": (other_edit, "otherwise than changes, digest"),
    "another question": (other_question, "about other arguments"),
    "another question, the digest left": (
        lambda rows: rows[0]["asked"]["request"]["arguments"].update(to="Eve"),
        "digest is not that of what was asked",
    ),
    "a decision counted twice": (repeated, TWICE),
    "a signature": (
        lambda rows: rows[4]["event"]["signed"].update(value="A" * 86),
        WRONG,
    ),
    "a key that is not pinned": (lambda rows: rows[4]["event"]["signed"].update(key="mine"), WRONG),
    "no signature": (unsigned, UNSIGNED),
    "what was signed taken out": (
        lambda rows: rows[4]["event"]["signed"].update(message=None),
        NOT_KEPT,
    ),
    "a signature that is none": (lambda rows: rows[4]["event"].update(signed=[1]), UNREADABLE),
    "no keys pinned": (lambda rows: rows[0]["asked"]["request"].pop("decision_keys"), NOBODYS),
    "only the end": (
        lambda rows: rows[4]["ended"]["decision"].update(reviewer="mallory"),
        "nobody signed what it says mallory decided",
    ),
    "only the end's verdict": (
        lambda rows: rows[4]["ended"].update(status="rejected"),
        "its decision says otherwise",
    ),
    "only the end's arguments": (
        lambda rows: rows[4]["ended"]["edit"]["arguments"].update(amount=1),
        "other arguments than were signed",
    ),
}


@pytest.mark.parametrize("what", TAMPERED)
async def test_a_ledger_that_was_written_anew_with_every_hash_right_is_found_out(
    file: Path, what: str
) -> None:
    change, said = TAMPERED[what]
    rewrite(file, change)
    found = await verify(file)
    assert found.faults, what
    assert any(said in one.text for one in found.faults), found.faults
    assert all(one.request == "pay.1" for one in found.faults)


async def test_a_decision_that_was_signed_for_another_request_is_none_of_this_one(
    file: Path, keys: SigningKeys
) -> None:
    others = (played(keys, "pay.2"), played(keys, execution="asked-anew"))
    for other in others:
        lent = other.view.events[4].model_dump(mode="json")["signed"]

        def lend(bodies: Bodies, lent: Any = lent) -> None:
            bodies[4]["event"]["signed"] = lent

        rewrite(file, lend)
        assert FOREIGN in [one.text for one in (await verify(file)).faults]


async def test_who_pins_keys_of_their_own_is_found_by_those_that_are_trusted(
    tmp_path: Path, keys: SigningKeys
) -> None:
    theirs = SigningKeys.made(tmp_path)
    path = tmp_path / "ledger.db"
    async with Ledger.open(f"sqlite:///{path}") as ledger:
        await ledger.append([played(theirs)])
    assert (await verify(path)).count == 0
    [fault] = (await verify(path, keys.pinned)).faults
    assert f"it pins the key {theirs.pinned[0].id}, which is not" in fault.text

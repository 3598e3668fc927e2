"""Signatures on decisions and acts: what they cover, what they are worth, and whose keys they need."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pydantic
import pytest

from clearance import ApprovalRequest, Decision, GrantTerms, keyfile
from clearance.acts import Act
from clearance.keys import InvalidKeys, encoded
from clearance.record import Record
from clearance.signatures import (
    FULL,
    FULL_OF_CHANGES,
    MISSING,
    SPENT,
    UNKNOWN,
    WRONG,
    DecisionKey,
    Proof,
    Signature,
    Signatures,
    message,
)
from clearance.signing import CannotSign, pinned_from, verifier
from tests.signed import SigningKeys

from .records import START, act, decision, edit, kinds, record_of

ID, EXECUTION = "pay.1", "01a2-first"

GRANT = GrantTerms(condition="args.amount <= 100", expires_in=timedelta(minutes=90, microseconds=7))


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> SigningKeys:
    return SigningKeys.made(tmp_path_factory.mktemp("keys"))


def signed_record(keys: SigningKeys, **fields: Any) -> Record:
    """A payment that takes only what these keys have signed."""
    of = {"approval_id": ID, "execution": EXECUTION}
    signatures = Signatures(keys.pinned, verifier(keys.pinned, **of), **of)
    return record_of(how={"signatures": signatures}, decision_keys=keys.pinned, **fields)


def signed(keys: SigningKeys, said: Any) -> Any:
    return keys.sign(said, ID, EXECUTION)


def said_by_ada(keys: SigningKeys, **changes: Any) -> Decision:
    whole = {
        "approved": True,
        "reviewer": "ada",
        "groups": ("group:finance",),
        "digest": "0" * 64,
        "reason": "fine — été",
        "arguments": {"amount": 1.0, "to": 10**20, "deep": [{"x": None}]},
        "grant": GRANT,
        "stage": 1,
        "decision_id": "one",
        "decided_at": START,
    }
    decision: Decision = signed(keys, Decision.model_validate(whole | changes))
    return decision


def test_a_signature_holds_after_the_wire(ours: SigningKeys) -> None:
    verify = verifier(ours.pinned, approval_id=ID, execution=EXECUTION)
    sent = said_by_ada(ours)

    came = Decision.model_validate_json(sent.model_dump_json())

    assert came.signature is not None
    assert verify(came, came.signature) is None
    assert message(came, approval_id=ID, execution=EXECUTION).startswith(b'{"approval_id":"pay.1",')


@pytest.mark.parametrize(
    "changes",
    [
        {"approved": False, "arguments": None, "grant": None},
        {"reviewer": "eve"},
        {"groups": ("group:finance", "group:board")},
        {"digest": "1" * 64},
        {"reason": ""},
        {"channel": "inbox"},
        {"arguments": {"amount": 1, "to": 10**20, "deep": [{"x": None}]}},
        {"arguments": None},
        {"confirmation": "pay"},
        {"grant": GRANT.model_copy(update={"max_uses": 11})},
        {"response": "yes"},
        {"stage": 2},
        {"decision_id": "two"},
        {"decided_at": START + timedelta(microseconds=1)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_signature_covers_every_field(ours: SigningKeys, changes: dict[str, Any]) -> None:
    verify = verifier(ours.pinned, approval_id=ID, execution=EXECUTION)
    forged = said_by_ada(ours).model_copy(update=changes)

    assert forged.signature is not None
    assert verify(forged, forged.signature) == WRONG
    known = set(Decision.model_fields) - {"signature", "changes_requested"}
    assert set(changes) <= known, "a field of a decision"


def test_it_is_good_for_no_other_request_and_no_other_execution_of_the_id(
    ours: SigningKeys,
) -> None:
    copied = said_by_ada(ours)
    assert copied.signature is not None

    for id, execution in (("pay.2", EXECUTION), (ID, "01a3-again")):
        verify = verifier(ours.pinned, approval_id=id, execution=execution)
        assert verify(copied, copied.signature) == WRONG


def test_a_key_that_is_not_pinned_or_is_none_makes_nothing_count(
    ours: SigningKeys, tmp_path: Path
) -> None:
    theirs = SigningKeys.made(tmp_path)
    decision = said_by_ada(theirs)
    named_alike = tuple(DecisionKey(id=theirs.pinned[0].id, key=one.key) for one in ours.pinned)
    no_point = (DecisionKey(id=theirs.pinned[0].id, key=encoded(b"\xff" * 32)),)

    def verdict(pinned: tuple[DecisionKey, ...]) -> str | None:
        assert decision.signature is not None
        return verifier(pinned, approval_id=ID, execution=EXECUTION)(decision, decision.signature)

    assert verdict(ours.pinned) == UNKNOWN
    assert verdict(named_alike) == WRONG
    assert verdict(no_point) == WRONG
    assert verdict(theirs.pinned) is None


@pytest.mark.parametrize("value", ["", "A" * 85, "A" * 85 + "B", "A" * 87, "A" * 84 + "=="])
def test_there_is_one_way_to_write_a_signature(value: str) -> None:
    with pytest.raises(pydantic.ValidationError):
        Signature(key="one", value=value)


def test_what_is_unset_is_not_on_the_wire() -> None:
    request = ApprovalRequest(action="Pay")
    assert "decision_keys" not in request.model_dump(mode="json")
    assert "decision_keys" not in request.memo()
    assert "signature" not in Act(kind="commented", who="ada", text="!", act_id="1").model_dump()


@pytest.mark.parametrize(
    "keys",
    [
        [{"id": "one", "key": "A" * 43}] * 2,
        [{"id": str(n), "key": "A" * 43} for n in range(11)],
        [{"id": "one", "key": "A" * 44}],
        [{"id": "o n e", "key": "A" * 43}],
        [{"id": "one", "key": "A" * 43, "kind": "rsa"}],
        "A" * 43,
    ],
)
def test_a_request_with_broken_keys_is_malformed(keys: Any) -> None:
    with pytest.raises(pydantic.ValidationError, match="decision_keys"):
        ApprovalRequest.model_validate({"action": "Pay", "decision_keys": keys})


def test_the_record_takes_what_is_signed_and_keeps_what_is_not_as_refused(
    ours: SigningKeys, tmp_path: Path
) -> None:
    record = signed_record(ours)
    ada = decision(record, "ada")
    theirs = SigningKeys.made(tmp_path)

    assert record.decide(ada, START) == MISSING
    assert record.decide(signed(theirs, ada), START) == UNKNOWN
    forged = signed(ours, ada).model_copy(update={"reviewer": "eve"})
    assert record.decide(forged, START) == WRONG
    assert record.decide_stored(ada.model_dump(mode="json"), START) == MISSING
    assert "carries no signature" in str(record.signal(True, START))
    assert record.view().status == "pending"
    assert record.decide(signed(ours, ada), START) is None
    assert record.view().status == "approved"
    assert kinds(record) == ["created", *["refused"] * 5, "approved"]


def test_a_request_that_nobody_can_judge_takes_no_signature(ours: SigningKeys) -> None:
    record = record_of(decision_keys=ours.pinned)

    assert record.decide(signed(ours, decision(record, "ada")), START) == UNKNOWN


def test_a_repeated_decision_is_checked_again(ours: SigningKeys) -> None:
    record = signed_record(ours, audience=("ada", "bob"), quorum=2)
    ada = signed(ours, decision(record, "ada"))
    assert record.decide(ada, START) is None

    later = ada.model_copy(update={"decided_at": START + timedelta(seconds=1)})

    assert record.decide(ada, START) is None
    assert record.decide(later, START) == WRONG
    assert record.decide(signed(ours, later), START) is None
    assert len(record.view().approvals) == 1


def test_an_approval_that_an_edit_voided_is_not_counted_when_the_edit_is_undone(
    ours: SigningKeys,
) -> None:
    record = signed_record(
        ours, audience=("ada", "bob", "cleo"), quorum=2, self_approval=("requester", "editor")
    )
    ada = signed(ours, decision(record, "ada"))
    assert record.decide(ada, START) is None
    for who, arguments in (("bob", edit(amount=1)), ("cleo", edit())):
        assert record.decide(signed(ours, decision(record, who, **arguments)), START) is None
    assert ada.digest == record.digest

    assert record.decide(ada, START) == SPENT

    assert [one.reviewer for one in record.view().approvals] == ["cleo"]


def test_what_was_refused_once_is_not_played_again_when_it_would_count(ours: SigningKeys) -> None:
    record = signed_record(ours, audience=("bob", "cleo"), quorum=2)
    ada = signed(ours, decision(record, "ada"))
    assert "not in the audience" in str(record.decide(ada, START))
    delegated = signed(ours, act("delegated", "bob", to="ada"))
    assert record.act(delegated, START) is None

    assert "not in the audience" in str(record.decide(ada, START))
    assert record.decide(signed(ours, decision(record, "ada", decision_id="anew")), START) is None


@pytest.mark.parametrize("kind", ["commented", "asked", "answered", "delegated", "withdrawn"])
def test_every_act_that_changes_something_is_signed(ours: SigningKeys, kind: str) -> None:
    record = signed_record(ours, audience=("bob",), requester="bob", self_approval=("requester",))
    more = {"to": "eve"} if kind == "delegated" else {}
    forged = act(kind, "bob", **more)

    assert record.act(forged, START) == MISSING
    assert record.act(signed(ours, forged).model_copy(update={"who": "Bob"}), START) == WRONG
    assert (record.status, record.delegations) == ("pending", [])
    assert record.act(signed(ours, forged), START) is None
    assert record.act(signed(ours, forged), START) is None, "the same act"
    assert kinds(record) == ["created", "refused", "refused", kind]


def test_who_has_read_it_needs_no_signature(ours: SigningKeys) -> None:
    record = signed_record(ours)
    assert record.act(act("viewed", "ada"), START) is None


def test_the_current_key_signs_or_else_the_newest_that_is_pinned(tmp_path: Path) -> None:
    ours = SigningKeys.made(tmp_path)
    before = ours.pinned
    keyfile.change(ours.private)
    ours.publish()
    both = [one.id for one in ours.pinned]
    assert len(both) == 2

    def signs(*pinned: str) -> str:
        said = ours.signer.sign(
            act("withdrawn", "ada"), pinned, approval_id=ID, execution=EXECUTION
        )
        assert said.signature is not None
        return said.signature.key

    assert signs(*both) == before[0].id, "the other one waits"
    keyfile.change(ours.private, now=True)
    assert signs(*both) == both[-1]
    assert signs(before[0].id) == before[0].id, "a request from before"
    with pytest.raises(CannotSign, match=f"signed by other; .* has {both[0]}, {both[1]}: decide"):
        signs("other")


def test_a_file_of_private_keys_is_not_pinned_nor_one_of_public_keys_signed_with(
    tmp_path: Path,
) -> None:
    ours = SigningKeys.made(tmp_path)

    with pytest.raises(InvalidKeys, match="public keys"):
        pinned_from(ours.private)
    with pytest.raises(InvalidKeys, match="one of signing keys is needed"):
        SigningKeys(ours.public, ours.public).signer  # noqa: B018 - reads it
    ours.public.chmod(0o644)
    assert pinned_from(ours.public)() == ours.pinned, "anybody may read it"
    secret = keyfile.read(ours.private).keys[ours.pinned[0].id].data
    assert encoded(secret) not in ours.public.read_text()


def test_each_approval_is_kept_as_it_was_signed_or_is_refused(ours: SigningKeys) -> None:
    record = signed_record(ours, audience=("ada", "bob"), quorum=2, self_approval=("editor",))
    large = {"amount": 100, "to": "x" * 150_000}
    by_ada = signed(ours, decision(record, "ada", arguments=large))
    assert record.decide(by_ada, START) is None
    larger = signed(ours, decision(record, "bob", arguments={**large, "to": "y" * 150_000}))
    assert record.decide(larger, START) == FULL_OF_CHANGES
    assert record.decide(by_ada, START) is None, "the same decision"

    edited, approved = record.view().events[1:3]
    assert by_ada.signature is not None
    assert edited.signed == Proof(
        key=by_ada.signature.key,
        value=by_ada.signature.value,
        message=message(by_ada, approval_id=ID, execution=EXECUTION).decode(),
    )
    assert approved.signed is None, "it is kept once"
    assert record.decide(signed(ours, decision(record, "bob")), START) is None
    assert record.status == "approved"


def test_where_no_approval_can_be_kept_any_more_a_rejection_still_counts(
    ours: SigningKeys,
) -> None:
    people = tuple(f"p{n}" for n in range(50))
    record = signed_record(ours, audience=people, quorum=50)
    long = {"reason": "\x01" * 4_000}
    refused = [record.decide(signed(ours, decision(record, one, **long)), START) for one in people]

    assert refused[0] is None
    assert set(refused) == {None, FULL}
    assert len(record.view().model_dump_json()) < 1_000_000
    rejected = decision(record, people[-1], approved=False, decision_id="no", **long)
    assert record.decide(signed(ours, rejected), START) is None
    last = record.view().events[-1]
    assert (last.kind, last.signed and last.signed.message) == ("rejected", None)
    assert last.signed is not None


def test_where_nothing_need_be_signed_nothing_is_kept_of_a_signature(ours: SigningKeys) -> None:
    record = record_of()
    assert record.decide(signed(ours, decision(record, "ada")), START) is None
    assert record.view().events[-1].signed is None
    assert "signed" not in record.view().events[-1].model_dump_json()

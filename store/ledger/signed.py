"""Holding what the ledger says of signed decisions against what was signed.

The rows of a request that pins public keys have each decision as it was signed, as
``clearance.signatures`` says: whoever writes the chain anew can't sign. Not signed are the times at
which it counted, expiry, withdrawal by the engine, and each use of a standing approval.
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from clearance import ApprovalRequest
from clearance.edits import differences
from clearance.fields import same_json
from clearance.signatures import DecisionKey, Signature
from clearance.signing import refuse
from clearance.text import one_line

_DECIDES = ("approved", "rejected", "edited")
_PINS, _SIGNED = '"decision_keys":[{', '"signed":{'
"""As canonical JSON has them: bodies with neither say nothing of signatures."""

UNSIGNED = "its decision is not signed, and the request takes only what is signed"
NOT_KEPT = "the signed decision is not here: Temporal's history may have it"
NOBODYS = "it has a signature, and no row before says whose keys count"
WRONG = "the signature doesn't fit: what was signed, or by whom, was changed"
FOREIGN = "what was signed is for another request"
TWICE = "the same decision is counted twice"
UNREADABLE = "what it says of signatures can't be read"


@dataclass
class _Request:
    """What is known so far of an execution that pins keys."""

    asked: ApprovalRequest
    now: ApprovalRequest
    """With the changes that were signed."""
    said: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The decisions whose signatures fit, by their ids."""
    counted: set[tuple[str, str]] = field(default_factory=set)
    execution: str | None = None
    """The first one, for which they were signed; a reset keeps it."""


class Signed:
    """Judges rows in the order of their positions."""

    def __init__(self, trusted: Collection[DecisionKey] | None = None) -> None:
        """``trusted``: the public keys that requests may pin; None takes what they pin as it is."""
        self.decisions = 0
        """Whose signature fits."""
        self._trusted = trusted
        self._open: dict[tuple[str, str], _Request] = {}

    def faults(self, request: str, execution: str, body: str) -> list[str]:
        """What is wrong with a row of this execution of a request."""
        of = (request, execution)
        if of not in self._open and _PINS not in body and _SIGNED not in body:
            return []
        try:
            return list(self._judge(of, json.loads(body)))
        except (AttributeError, LookupError, TypeError, ValueError, RecursionError):
            return [UNREADABLE]

    def _judge(self, of: tuple[str, str], plain: dict[str, Any]) -> Iterator[str]:
        event = plain["event"]
        if "asked" in plain:
            yield from self._begin(of, plain["asked"]["request"], event)
        known = self._open.get(of)
        if known is None:
            if event.get("signed"):
                yield NOBODYS
            return
        if event["kind"] in _DECIDES and not _by_grant(known, event):
            yield from self._decided(of[0], known, event)
        if "ended" in plain:
            del self._open[of]
            yield from _ended(known, plain["ended"])

    def _begin(
        self, of: tuple[str, str], request: dict[str, Any], event: dict[str, Any]
    ) -> Iterator[str]:
        asked = ApprovalRequest.model_validate(request)
        if not asked.decision_keys:
            return
        self._open[of] = _Request(asked, asked)
        if event["digest"] != asked.digest:
            yield "its digest is not that of what was asked"
        if self._trusted is not None:
            for key in asked.decision_keys:
                if key not in self._trusted:
                    yield f"it pins the key {key.id}, which is not one of those that you trust"

    def _decided(self, id: str, known: _Request, event: dict[str, Any]) -> Iterator[str]:
        once = (event["kind"], event["key"])
        if once in known.counted:
            yield TWICE
        known.counted.add(once)
        if (proof := event.get("signed")) is None:
            if event["key"] not in known.said:  # else the row with the changes has it
                yield UNSIGNED
                return
        elif proof.get("message") is None:
            yield NOT_KEPT
            return
        elif not _fits(known.asked.decision_keys, proof):
            yield WRONG
            return
        else:
            message = json.loads(proof["message"])
            known.execution = known.execution or message["execution"]
            about = (message["v"], message["kind"], message["approval_id"], message["execution"])
            if about != (1, "decision", id, known.execution):
                yield FOREIGN
                return
            self.decisions += 1
            known.said[message["said"]["decision_id"]] = message["said"]
            if message["said"]["digest"] != known.now.digest:
                yield "what was signed is about other arguments"
        if (said := known.said.get(event["key"])) is None:
            yield "another decision than this one was signed"
            return
        if unlike := _unlike(known, said, event):
            yield f"what was signed says otherwise than {', '.join(unlike)}"


def _by_grant(known: _Request, event: dict[str, Any]) -> bool:
    """Whether a standing approval stood for it, which was signed in another request."""
    use = known.asked.grant
    return event["channel"] == "grant" and use is not None and event["who"] == use.granted_by


def _fits(pinned: tuple[DecisionKey, ...], proof: dict[str, Any]) -> bool:
    signature = Signature.model_validate({"key": proof["key"], "value": proof["value"]})
    return refuse(pinned, signature, proof["message"].encode) is None


def _unlike(known: _Request, said: dict[str, Any], event: dict[str, Any]) -> list[str]:
    """The fields of an event that a signed decision contradicts. Makes the changes that it signs."""
    has = {
        "kind": (said["approved"], event["kind"] != "rejected"),
        "who": (said["reviewer"], event["who"]),
        "channel": (said["channel"], event["channel"]),
        "stage": (_stage(known, said["stage"]), event["stage"]),
    }
    if event["kind"] == "edited":
        before, known.now = known.now, known.asked.with_arguments(said["arguments"])
        changes = differences(before.arguments, said["arguments"])
        if event["changes"]:  # else they were too long
            plain = [one.model_dump(mode="json") for one in changes]
            has["changes"] = (plain, event["changes"])
    elif not _is_reason(event["reason"], said["reason"]):
        has["reason"] = (said["reason"], event["reason"])
    has["digest"] = (known.now.digest, event["digest"])
    return [name for name, (signed, there) in has.items() if not same_json(signed, there)]


def _ended(known: _Request, ended: dict[str, Any]) -> Iterator[str]:
    """What its end says otherwise than was signed."""
    decision, edit = ended["decision"], ended["edit"]
    verdict = {"approved": True, "rejected": False}.get(ended["status"])
    if verdict is not (decision and decision["approved"]):
        yield f"it is {ended['status']}, and its decision says otherwise"
    for one in (*ended["approvals"], *ended["rejections"], *([decision] if decision else [])):
        if one["channel"] == "grant" and known.asked.grant is not None:
            continue
        said = known.said.get(one["decision_id"])
        names = ("approved", "reviewer", "channel", "changes_requested", "response")
        if said is None or not all(same_json(said[name], one[name]) for name in names):
            yield f"nobody signed what it says {one['reviewer']} decided"
        elif not _is_reason(one["reason"], said["reason"]):
            yield f"{one['reviewer']} gave another reason"
    changed = known.asked.arguments if edit is None else edit["arguments"]
    if ended["digest"] != known.now.digest or not same_json(changed, known.now.arguments):
        yield "it ended with other arguments than were signed"


def _stage(known: _Request, number: int | None) -> str | None:
    return known.asked.stages[number - 1].name if known.asked.stages and number else None


def _is_reason(told: str, said: str) -> bool:
    """Whether a reason is the one that was signed, cut as events and votes may cut it or not."""
    return told in (said, one_line(said, 200), f"{said[:499]}…")

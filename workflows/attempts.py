"""Refused attempts: what of them need not be kept, so that nobody fills a request's history with them.

An update that a validator refuses leaves nothing behind; one that is refused later stays in the history
with all it carries. Temporal ends a workflow whose history reaches 50 MB, and so whoever may send
decisions could end any request with decisions that don't count.
"""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from clearance import acts, contract, edits, rules
    from clearance.acts import Act
    from clearance.directory import Standing
    from clearance.models import Decision
    from clearance.record import Record

MANY = 200
"""Refused attempts of anybody, after which those that are not in the audience are no longer recorded."""

LARGE = 16 * 1024
"""Bytes of a decision or an act. One without changed arguments is rarely larger."""

MUCH = 1024 * 1024
"""Bytes of refused attempts, after which no large one is taken where it is likely to be refused, too."""

NOBODY = ""
"""By whom a decision is that isn't signed as it has to be."""

TOO_MANY = (
    "too many attempts were refused; who is in the audience can still decide it, or hand it to you"
)
TOO_LARGE = (
    f"after what was refused here, more than {LARGE:,} bytes are taken only from who is named in the "
    "audience: decide it without changes"
)
TOO_MUCH = "large changes of yours were refused too often: approve it as it is, or reject it"


class Attempts:
    """Who has been refused on one request. Asks no directory: what it said is remembered."""

    def __init__(self, record: Record) -> None:
        """Nobody yet."""
        self._record = record
        self._refused = 0
        self._bytes = 0
        self._bytes_of: dict[str, int] = {}
        self._outside: set[str] = set()

    def refuse(self, said: Decision | Act) -> str | None:
        """Why an update is refused without a trace; None where it is to be judged, and recorded.

        Reads only, and is never run again in a replay.
        """
        record = self._record
        if record.status != "pending":  # who sent it is told how it ended
            return None
        if type(said) is Decision and (reason := self._refuse_changes(said)):
            return reason
        forged = record.signatures.refuse(said) is not None
        name = NOBODY if forged else _name(said)
        outside = name in self._outside and (forged or not self._belongs(name))
        if outside and self._refused >= MANY:
            return TOO_MANY
        many_bytes = self._bytes >= MUCH
        if not (outside or many_bytes) or _size(said) <= LARGE:
            return None
        if self._bytes_of.get(name, 0) >= MUCH:
            return TOO_MUCH
        return TOO_LARGE if outside or not self._belongs(name) else None

    def note(self, said: Decision | Act, who: Standing | None, *, refused: bool) -> None:
        """What became of an attempt, by whom the directory knows as ``who``; None: it is forged."""
        name = NOBODY if who is None else _name(said)
        if who is not None and (not refused or self._is_inside(who)):
            self._outside.discard(name)
        else:
            self._outside.add(name)
        if refused:
            size = _size(said)
            self._refused += 1
            self._bytes += size
            self._bytes_of[name] = self._bytes_of.get(name, 0) + size

    def _refuse_changes(self, decision: Decision) -> str | None:
        """Changed arguments where none can count, whoever sent them."""
        record = self._record
        if decision.arguments is None or record.as_taken(decision):  # a repeated one is answered
            return None
        if record.request.editable is False:
            return edits.NOT_EDITABLE
        if decision.digest not in (record.digest, record.request.digest):
            return rules.CHANGED
        return None

    def _belongs(self, name: str) -> bool:
        """Whether the request itself names somebody: not by a group, but perhaps by a delegation."""
        members = self._record.members.people(acts.everyone(self._record.request))
        return name in members or self._is_inside(self._record.standing(name))

    def _is_inside(self, who: Standing) -> bool:
        """Whether they may do anything to the request, now or in another stage."""
        request = self._record.request
        if who.operator or rules.is_requester(request, who):
            return True
        anyone = any(not stage.audience for stage in request.chain)
        return anyone or bool(rules.principals(acts.everyone(request), who))


def refusal(record: Record, reason: str) -> ApplicationError:
    """The error that tells whoever sent an update that it does not count, or how the request ended."""
    if record.status == "pending":
        return ApplicationError(reason, type=contract.ERROR_REFUSED, non_retryable=True)
    return ApplicationError(
        reason,
        record.status,
        record.decided and record.decided.model_dump(mode="json"),
        type=contract.ERROR_ALREADY_DECIDED,
        non_retryable=True,
    )


def _name(said: Decision | Act) -> str:
    return (said.reviewer if type(said) is Decision else said.who).casefold()  # type: ignore[union-attr]


def _size(said: Decision | Act) -> int:
    return len(said.model_dump_json().encode())

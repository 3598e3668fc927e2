"""Judging and counting the decisions on one request, through its stages. No clock, no engine."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from . import assistants, carried, edits, rules
from .ballot import Ballot, Taken
from .course import Applies, Course
from .directory import Members, Person, Standing
from .log import Log
from .models import Channel, Decision, Edit, Recorded, Status
from .requests import ApprovalRequest
from .rules import Vote
from .signatures import Proof, Signatures
from .text import utc
from .views import EventKind

Examine = Callable[[ApprovalRequest, Decision], str | None]
"""Judges what takes more than this package: changed arguments and answers against their JSON
Schemas, a grant's condition. Gets the request as it would run; returns why the decision is refused."""

_MAX_EDITS = 50
"""Each voids the votes before it and stays in the record."""


@dataclass(frozen=True)
class _Judged:
    """A decision that will be taken: in whose right, what it is about, and whether it is counted."""

    who: Standing
    right: Person
    would_run: ApprovalRequest
    editors: frozenset[str]
    counted: bool

    @property
    def on_behalf_of(self) -> str | None:
        return None if self.right.name == self.who.name else self.right.name

    def said(self, audience: tuple[str, ...]) -> dict[str, str | None]:
        """Fields of ``Event``: in whose right."""
        return {"on_behalf_of": self.on_behalf_of, "through": self.right.through(audience)}


class Deliberation:
    """What has been decided so far. ``Record`` adds what else happens to a request."""

    def __init__(
        self,
        request: ApprovalRequest,
        *,
        approval_id: str,
        requested_at: datetime,
        examine: Examine = lambda request, decision: None,
        applies: Applies = lambda request, stage: True,
        signatures: Signatures | None = None,
    ) -> None:
        """A new request, pending, its creation the first event; approved where a grant allows it."""
        self.request = request
        self.approval_id = approval_id
        self.requested_at = requested_at
        self.status: Status = "pending"
        self.decided: Recorded | None = None
        self.members = Members()
        """Whom the audiences mean, where the directory was asked."""
        self._current = request
        self._edit: Edit | None = None
        self._edits = 0
        self._editors: frozenset[str] = frozenset()
        self._taken: list[Taken] = []
        self._granted: Decision | None = None
        self._examine = examine
        self.signatures = signatures or Signatures(request.decision_keys)
        self.log = Log()
        """What has happened."""
        self._course = Course(request, applies, requested_at)
        self._add("created", "engine", requested_at, who=request.requester)
        if use := request.grant:
            reason = f"standing approval {use.grant_id}, use {use.use} of {use.max_uses}"
            self._count(True, "grant", requested_at, reviewer=use.granted_by, reason=reason)

    @property
    def ballot(self) -> Ballot:
        """The stage that is asked, or was when the request ended."""
        return self._course.ballot

    @property
    def deadline(self) -> datetime | None:
        """Of the stage that is asked."""
        return self.ballot.deadline

    def as_taken(self, decision: Decision) -> Taken | None:
        """What was made of this decision; None where it has not been taken."""
        for one in self._taken:
            if rules.is_repeat(self.request, one.recorded, decision):
                return one
        return None

    def _closed(self) -> str | None:
        return None if self.status == "pending" else rules.closed(self.status, self.decided)

    def _decide(
        self, decision: Decision, who: Standing, *, made_at: datetime, now: datetime
    ) -> str | None:
        """Take a decision by ``who``. Returns why it is refused; a repeated one changes nothing."""
        # Where nobody decided in the end, an early vote is told so instead.
        if self.status not in ("expired", "withdrawn") and self.as_taken(decision):
            return None
        past = self._closed() or self.signatures.spent(decision)
        judged = past or self._judge(decision, who, made_at)
        self.signatures.judged(decision, judged)
        if isinstance(judged, str):
            said = {"digest": decision.digest, "key": decision.decision_id}
            self._refuse(judged, decision.channel, now, who=decision.reviewer, **said)
            return judged
        in_right_of = judged.said(self.ballot.audience)
        signed = self.signatures.proof(decision)
        if decision.arguments is not None:
            self._change(decision, judged, now, {**in_right_of, "signed": signed})
            signed = None  # it is kept once
        if decision.grant:
            self._granted = decision
        self._count(
            decision.approved is True,
            decision.channel,
            now,
            counted=judged.counted,
            people=frozenset({who.name, judged.right.name}),
            reviewer=decision.reviewer,
            **in_right_of,
            signed=signed,
            reason=decision.reason,
            decision_id=decision.decision_id,
            changes_requested=decision.changes_requested,
            response=decision.response,
        )
        return None

    def _judge(self, decision: Decision, who: Standing, made_at: datetime) -> "_Judged | str":
        ballot = self.ballot
        changes = decision.arguments is not None
        reason = rules.refuse_reading(
            self._current, decision, made_at=made_at, deadline=self.deadline, stage=ballot.number
        )
        reason = reason or assistants.refuse_decision(self._current, ballot.audience, decision, who)
        if reason:
            return reason
        right = rules.choose(
            self._current,
            ballot.audience,
            who,
            called=decision.reviewer,
            approved=decision.approved,
            # Whoever changes the arguments voids the votes, and is judged as their editor below.
            votes=() if changes else ballot.against(decision.approved),
            editors=frozenset() if changes else self._editors,
        )
        if isinstance(right, str):
            return right
        would_run = self._current
        if decision.arguments is not None:
            reason = self._too_many_edits() or edits.refuse_edit(would_run, decision.arguments)
            if reason:
                return reason
            would_run = self.request.with_arguments(decision.arguments)
        judged = self._as_editor(who, right, would_run) if changes else None
        judged = judged or _Judged(who, right, would_run, self._editors, True)
        if isinstance(judged, str):
            return judged
        last = not self._course.ahead(would_run, changed=changes)
        return (
            carried.refuse_confirmation(would_run, decision)
            or carried.refuse_grant(would_run, decision, counted=judged.counted)
            or (carried.refuse_response(would_run, decision, last=last) if judged.counted else None)
            or self._examine(would_run, decision)
            or judged
        )

    def _as_editor(
        self, who: Standing, right: Person, would_run: ApprovalRequest
    ) -> "_Judged | str":
        """Whoever changes the arguments: whether their approval counts, or else anybody's could."""
        editors = self._editors | {who.name, right.name}
        if would_run.digest == self.request.digest and self._course.begins:
            editors = frozenset()  # they are again those that were asked, and nobody knows others
        if not editors or rules.may(self.request, "editor"):
            return _Judged(who, right, would_run, editors, True)
        for stage in (self.ballot.stage, *self._course.ahead(would_run, changed=True)):
            if not rules.still_possible(self.request, stage, editors, self.members):
                where = f" in stage {stage.name}" if self.request.stages else ""
                return (
                    "who changes the arguments may not approve them, and without you too few people "
                    f"are left{where}: approve it as it is, or reject it and say what to change"
                )
        return _Judged(who, right, would_run, editors, False)

    def _change(
        self, decision: Decision, judged: "_Judged", now: datetime, in_right_of: dict[str, Any]
    ) -> None:
        """Other arguments: what others decided before is no longer what runs."""
        arguments = decision.arguments or {}
        changes = since_asked = edits.differences(self._current.arguments, arguments)
        if self._edit is not None:
            since_asked = edits.differences(self.request.arguments, arguments)
        self._current = judged.would_run
        self._editors = judged.editors
        self._edit = None  # where the arguments are again those that were asked
        if since_asked:
            self._edit = Edit.model_construct(
                arguments=arguments, digest=self._current.digest, changes=since_asked
            )
        self._course.void()
        self._taken = [one for one in self._taken if self._course.is_done(one.ballot)]
        self._edits += 1
        said = {"who": decision.reviewer, "key": decision.decision_id, **in_right_of}
        said |= {"digest": self._current.digest}
        self.log.edit(changes, decision.channel, now, stage=self._stage(), **said)

    def _too_many_edits(self) -> str | None:
        if self._edits < _MAX_EDITS:
            return None
        return f"it has been changed {_MAX_EDITS} times: approve it as it is, or reject it"

    def _count(
        self,
        approved: bool,
        channel: Channel,
        now: datetime,
        *,
        counted: bool = True,
        people: frozenset[str] = frozenset(),
        reviewer: str | None = None,
        through: str | None = None,
        signed: Proof | None = None,
        **said: Any,
    ) -> None:
        """The one place that opens the gate."""
        ballot = self.ballot
        said |= {"stage": self._stage(), "digest": self._current.digest, "channel": channel}
        decision = Recorded(approved=approved, reviewer=reviewer, at=now, **said)
        self._taken.append(Taken(decision, ballot, counted))
        if not counted:
            return
        votes = ballot.take(Vote(decision, people))
        self._add(
            "approved" if approved else "rejected",
            channel,
            now,
            who=reviewer,
            on_behalf_of=decision.on_behalf_of,
            through=through,
            reason=decision.reason,
            key=decision.decision_id,
            signed=signed,
        )
        if len(votes) < (ballot.stage.quorum if approved else ballot.stage.reject_quorum):
            return
        if approved and self._course.advance(self._current, now):
            self._add("advanced", channel, now)
            return
        self.decided = decision
        self.status = "approved" if approved else "rejected"
        if approved and self._granted and self._granted.grant:
            terms = self._granted.grant
            until = utc(now + terms.expires_in)
            what = f"up to {terms.max_uses} further calls until {until}, if {terms.condition}"
            self._add("granted", channel, now, who=self._granted.reviewer, reason=what)

    def _refuse(self, reason: str, channel: Channel, now: datetime, **said: Any) -> None:
        said["digest"] = said.get("digest") or self._current.digest
        self.log.refuse(channel, now, reason=reason, stage=self._stage(), **said)

    def _add(self, kind: EventKind, channel: Channel, now: datetime, **said: Any) -> None:
        said |= {"stage": self._stage(), "digest": self._current.digest}
        self.log.add(kind, channel, now, **said)

    def _stage(self) -> str | None:
        return self.ballot.stage.name if self.request.stages else None

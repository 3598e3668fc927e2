"""The life of one request: its status and its numbered events. No clock and no engine of its own."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

import pydantic

from . import contract, rules
from .errors import explain
from .models import Channel, Decision, Edit, Outcome, Receipt, Recorded, Status
from .requests import ApprovalRequest
from .text import one_line, utc
from .views import ApprovalView, Event, EventKind

Examine = Callable[[ApprovalRequest, Decision], str | None]
"""Judges what takes more than this package: changed arguments against their JSON Schema, a
grant's condition. Gets the request as it would run; returns why the decision is refused, or None."""


_MAX_EDITS = 50
"""Each voids the approvals before it and stays in the record."""

_MAX_CHANGES_BYTES = 100 * 1024
"""Of all edits in the record, their values as JSON: a view has to stay below 2 MB, or nobody can read
it. What goes beyond is named without its values; the latest edit is kept whole besides."""


class Record:
    """Pending until enough decisions count, the time is over or the request is withdrawn.

    Every method takes the time it happens at. None of them raises on bad input: what does not
    count is kept as refused, and the reason is returned to whoever asked.
    """

    def __init__(
        self,
        request: ApprovalRequest,
        *,
        approval_id: str,
        requested_at: datetime,
        examine: Examine = lambda request, decision: None,
    ) -> None:
        """A new request, pending, its creation the first event; approved where a grant allows it."""
        self.request = request
        self.approval_id = approval_id
        self.requested_at = requested_at
        self.deadline = request.deadline(requested_at)
        self.status: Status = "pending"
        self.decided: Recorded | None = None
        self._current = request
        self._would_run = request
        self._edit: Edit | None = None
        self._edits = 0
        self._changes_bytes = 0
        self._approvals: list[Recorded] = []
        self._examine = examine
        self._granted: Decision | None = None
        self._events: list[Event] = []
        self._refusals_uncounted = 0
        self._log("created", "engine", requested_at, who=request.requester)
        if use := request.grant:
            reason = f"standing approval {use.grant_id}, use {use.use} of {use.max_uses}"
            self._count(True, "grant", requested_at, who=use.granted_by, reason=reason)

    def signal(self, value: object, now: datetime) -> str | None:
        """The bare ``approve(value)``. Returns why it was refused, None if it counted."""
        reason = self._closed() or rules.refuse_bare_signal(
            self.request, value, now=now, deadline=self.deadline
        )
        if reason:
            self._refuse(reason, "signal", now)
        else:
            self._count(value is True, "signal", now)
        return reason

    def decide(self, decision: Decision, now: datetime) -> str | None:
        """A decision that arrived as it was made. A repeated one changes nothing and is no refusal."""
        return self._take(decision, made_at=now, now=now)

    def decide_stored(self, decision: object, now: datetime) -> str | None:
        """A decision, still to be validated, that the server kept while no worker was there.

        It counts by the time it was made, so one made before the deadline is not lost because
        the workers came back after it.
        """
        try:
            parsed = Decision.model_validate(decision)
        except pydantic.ValidationError as error:
            reason = f"malformed decision: {explain(error)}"
            self._refuse(reason, "signal", now)
            return reason
        return self._take(parsed, made_at=min(parsed.decided_at, now), now=now)

    def end(self, status: Literal["expired", "withdrawn"], channel: Channel, now: datetime) -> None:
        """End without a decision. A request that has ended stays as it is."""
        if self.status == "pending":
            self.status = status
            self._log(status, channel, now)

    def view(self) -> ApprovalView:
        """All of it, for readers."""
        return ApprovalView(
            id=self.approval_id,
            status=self.status,
            request=self.request,
            digest=self._current.digest,
            requested_at=self.requested_at,
            deadline=self.deadline,
            decision=self.decided,
            approvals=list(self._approvals),
            edit=self._edit,
            events=list(self._events),
            refusals_uncounted=self._refusals_uncounted,
        )

    def receipt(self, decision: Decision) -> Receipt:
        """The answer to a decision that counted. Only for one that did."""
        counted = next(one for one in self._counted() if one.decision_id == decision.decision_id)
        return Receipt.model_validate(
            {
                "approval_id": self.approval_id,
                "status": self.status,
                "decision_id": decision.decision_id,
                "recorded_at": counted.at,
                "approvals": len(self._approvals),
                "quorum": self.request.quorum,
            }
        )

    def outcome(self) -> Outcome:
        """How it ended. Raises pydantic.ValidationError while it is pending."""
        approved = self.status == "approved"
        return Outcome.model_validate(
            {
                "approval_id": self.approval_id,
                "status": self.status,
                "digest": self.request.digest,
                "decision": self.decided,
                "edit": self._edit if approved else None,
                "grant": self._granted and self._granted.grant if approved else None,
            }
        )

    def _counted(self) -> list[Recorded]:
        rejected = self.decided is not None and not self.decided.approved
        return [*self._approvals, *([self.decided] if rejected and self.decided else [])]

    def _closed(self) -> str | None:
        return None if self.status == "pending" else rules.closed(self.status, self.decided)

    def _take(self, decision: Decision, *, made_at: datetime, now: datetime) -> str | None:
        if any(rules.is_repeat(self.request, one, decision) for one in self._counted()):
            return None
        reason = self._closed() or self._judge(decision, made_at)
        if reason:
            self._refuse(reason, decision.channel, now, decision)
            return reason
        if decision.arguments is not None:
            self._change(decision, now)
        if decision.grant:
            self._granted = decision
        by: dict[str, Any] = {"who": decision.reviewer, "reason": decision.reason}
        self._count(decision.approved is True, decision.channel, now, id=decision.decision_id, **by)
        return None

    def _judge(self, decision: Decision, made_at: datetime) -> str | None:
        reason = rules.refuse_decision(
            self._current,
            decision,
            made_at=made_at,
            deadline=self.deadline,
            approvals=self._approvals,
        )
        would_run = self._would_run = self._current
        if not reason and decision.arguments is not None:
            reason = self._too_many_edits() or rules.refuse_edit(self._current, decision.arguments)
            if not reason:
                would_run = self._would_run = self.request.with_arguments(decision.arguments)
        return (
            reason
            or rules.refuse_confirmation(would_run, decision)
            or rules.refuse_grant(would_run, decision)
            or self._examine(would_run, decision)
        )

    def _change(self, decision: Decision, now: datetime) -> None:
        """Other arguments: what others approved before is no longer what runs."""
        arguments = decision.arguments or {}
        changes = rules.differences(self._current.arguments, arguments)
        self._current = self._would_run
        since_asked = rules.differences(self.request.arguments, arguments)
        self._edit = None  # where the arguments are again those that were asked
        if since_asked:
            digest = self._current.digest
            self._edit = Edit.model_construct(
                arguments=arguments, digest=digest, changes=since_asked
            )
        self._approvals.clear()
        self._edits += 1
        said: dict[str, Any] = {"changes": changes}
        size = sum(len(change.model_dump_json()) for change in changes)
        if self._changes_bytes + size > _MAX_CHANGES_BYTES:
            names = one_line(", ".join(change.name for change in changes), 200)
            said = {"reason": f"changed {names}; too long to be repeated here"}
        else:
            self._changes_bytes += size
        self._log("edited", decision.channel, now, who=decision.reviewer, **said)

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
        who: str | None = None,
        reason: str = "",
        id: str | None = None,
    ) -> None:
        """The one place that opens the gate."""
        counted = Recorded(
            approved=approved,
            reviewer=who,
            reason=reason,
            channel=channel,
            decision_id=id,
            digest=self._current.digest,
            at=now,
        )
        if approved:
            self._approvals.append(counted)
        self._log("approved" if approved else "rejected", channel, now, who=who, reason=reason)
        if approved and len(self._approvals) < self.request.quorum:
            return
        self.decided = counted
        self.status = "approved" if approved else "rejected"
        if approved and self._granted and self._granted.grant:
            terms = self._granted.grant
            until = utc(now + terms.expires_in)
            what = f"up to {terms.max_uses} further calls until {until}, if {terms.condition}"
            self._log("granted", channel, now, who=self._granted.reviewer, reason=what)

    def _refuse(
        self, reason: str, channel: Channel, now: datetime, decision: Decision | None = None
    ) -> None:
        if len(self._events) > contract.MAX_RECORDED_REFUSALS:
            self._refusals_uncounted += 1
            return
        who, digest = (decision.reviewer, decision.digest) if decision else (None, None)
        self._log("refused", channel, now, who=who, reason=reason, digest=digest)

    def _log(self, kind: EventKind, channel: Channel, at: datetime, **said: Any) -> None:
        said = {**said, "digest": said.get("digest") or self._current.digest}
        sequence = len(self._events) + 1
        self._events.append(Event(sequence=sequence, at=at, kind=kind, channel=channel, **said))

"""The life of one request: its status and its numbered events. No clock and no engine of its own."""

from datetime import datetime
from typing import Literal

import pydantic

from . import contract, rules
from .errors import explain
from .models import ApprovalRequest, Channel, Decision, Outcome, Recorded, Status
from .views import ApprovalView, Event, EventKind


class Record:
    """Pending until one decision counts, the time is over or the request is withdrawn.

    Every method takes the time it happens at. None of them raises on bad input: what does not
    count is kept as refused, and the reason is returned to whoever asked.
    """

    def __init__(
        self, request: ApprovalRequest, *, approval_id: str, requested_at: datetime
    ) -> None:
        """A new request, pending, its creation the first event."""
        self.request = request
        self.approval_id = approval_id
        self.requested_at = requested_at
        self.deadline = request.deadline(requested_at)
        self.status: Status = "pending"
        self.decided: Recorded | None = None
        self._digest = request.digest
        self._events: list[Event] = []
        self._refusals_uncounted = 0
        self._log("created", "engine", requested_at, who=request.requester)

    def signal(self, value: object, now: datetime) -> str | None:
        """The bare ``approve(value)``. Returns why it was refused, None if it counted."""
        reason = self._closed() or rules.refuse_bare_signal(
            self.request, value, now=now, deadline=self.deadline
        )
        if reason:
            self._refuse(reason, "signal", now)
        else:
            self._decide(value is True, "signal", now)
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
            digest=self._digest,
            requested_at=self.requested_at,
            deadline=self.deadline,
            decision=self.decided,
            events=list(self._events),
            refusals_uncounted=self._refusals_uncounted,
        )

    def outcome(self) -> Outcome:
        """How it ended. Raises pydantic.ValidationError while it is pending."""
        return Outcome.model_validate(
            {
                "approval_id": self.approval_id,
                "status": self.status,
                "digest": self._digest,
                "decision": self.decided,
            }
        )

    def _closed(self) -> str | None:
        return None if self.status == "pending" else rules.closed(self.status, self.decided)

    def _take(self, decision: Decision, *, made_at: datetime, now: datetime) -> str | None:
        if rules.is_repeat(self.decided, decision):
            return None
        reason = self._closed() or rules.refuse_decision(
            self.request, decision, made_at=made_at, deadline=self.deadline
        )
        if reason:
            self._refuse(reason, decision.channel, now, decision)
        else:
            self._decide(decision.approved is True, decision.channel, now, decision)
        return reason

    def _decide(
        self, approved: bool, channel: Channel, now: datetime, decision: Decision | None = None
    ) -> None:
        """The one place that opens the gate."""
        self.decided = Recorded(
            approved=approved,
            reviewer=decision and decision.reviewer,
            reason=decision.reason if decision else "",
            channel=channel,
            decision_id=decision and decision.decision_id,
            digest=self._digest,
            at=now,
        )
        self.status = "approved" if approved else "rejected"
        self._log(self.status, channel, now, who=self.decided.reviewer, reason=self.decided.reason)

    def _refuse(
        self, reason: str, channel: Channel, now: datetime, decision: Decision | None = None
    ) -> None:
        if len(self._events) > contract.MAX_RECORDED_REFUSALS:
            self._refusals_uncounted += 1
            return
        who, digest = (decision.reviewer, decision.digest) if decision else (None, None)
        self._log("refused", channel, now, who=who, reason=reason, digest=digest)

    def _log(
        self,
        kind: EventKind,
        channel: Channel,
        at: datetime,
        *,
        who: str | None = None,
        reason: str = "",
        digest: str | None = None,
    ) -> None:
        self._events.append(
            Event(
                sequence=len(self._events) + 1,
                at=at,
                kind=kind,
                who=who,
                channel=channel,
                reason=reason,
                digest=digest or self._digest,
            )
        )

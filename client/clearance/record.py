"""The life of one request: its status, its stages and its numbered events. No clock, no engine."""

from datetime import datetime
from typing import Any, TypeVar

import pydantic
from pydantic import JsonValue

from . import acts, contract, rules
from .acts import Act, ActReceipt
from .ballot import recorded
from .directory import Standing, unlisted
from .errors import explain
from .models import Decision, Outcome, Receipt
from .text import one_line
from .timekeeping import Timekeeping
from .views import ApprovalView, Delegation, Vote

M = TypeVar("M", Decision, Act)


class Record(Timekeeping):
    """Pending until enough decisions count in every stage, the time is over or it is withdrawn.

    Every method takes the time it happens at. None of them raises on bad input: what does not
    count is kept as refused, and the reason is returned to whoever asked. Where the directory was
    asked, what it says of whoever acts comes with the act; else only the name is known.
    """

    def __init__(self, *args: Any, **how: Any) -> None:
        """As ``Deliberation``."""
        super().__init__(*args, **how)
        self.delegations: list[Delegation] = []
        self._acts: dict[str, tuple[Act, datetime]] = {}
        self._handed: list[tuple[frozenset[str], str, tuple[str, ...]]] = []
        """Of each delegation: all names of who may decide, for whom, and which groups the sign-in of
        those vouched for."""

    @property
    def digest(self) -> str:
        """Of the request as it is now."""
        return self._current.digest

    def standing(self, name: str) -> Standing:
        """Somebody of whom the directory says nothing: for whom this request's delegations let them
        decide."""
        principals = [unlisted(one) for one in self.delegators(name)]
        return unlisted(name).model_copy(update={"stands_in_for": tuple(principals)})

    def delegators(self, name: str) -> tuple[str, ...]:
        """Whose right this request's delegations have handed to somebody."""
        return tuple(self.lent(name))

    def lent(self, name: str) -> dict[str, tuple[str, ...]]:
        """The same, each with the groups that their sign-in vouched for when they last did so."""
        key = name.casefold()
        return {principal: groups for names, principal, groups in self._handed if key in names}

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

    def decide(
        self,
        decision: Decision,
        now: datetime,
        who: Standing | None = None,
        *,
        made_at: datetime | None = None,
    ) -> str | None:
        """A decision by ``who``, made at ``made_at`` or else now. Returns why it was refused.

        A repeated one changes nothing and is no refusal.
        """
        if reason := self.forged(decision, now):
            return reason
        who = who or self.standing(decision.reviewer)
        # The timer may come later than what was sent after its time.
        self._escalated_by(made_at or now, now)
        return self._decide(decision, who, made_at=made_at or now, now=now)

    def decide_stored(
        self, decision: object, now: datetime, who: Standing | None = None
    ) -> str | None:
        """A decision, perhaps still to be validated, that the server kept while no worker was there.

        It counts by the time it was made, so one made before the deadline is not lost because
        the workers came back after it.
        """
        parsed = self.read(decision, now)
        if isinstance(parsed, str):
            return parsed
        return self.decide(parsed, now, who, made_at=min(parsed.decided_at, now))

    def read(self, decision: object, now: datetime) -> Decision | str:
        """A stored decision validated; or why it was refused, which is kept."""
        return self._read(Decision, decision, now)

    def read_act(self, act: object, now: datetime) -> Act | str:
        """A stored act validated; or why it was refused, which is kept."""
        return self._read(Act, act, now)

    def _read(self, model: type[M], sent: object, now: datetime) -> M | str:
        try:
            return model.model_validate(sent)
        except pydantic.ValidationError as error:
            reason = f"malformed {model.__name__.lower()}: {explain(error)}"
            self._refuse(reason, "signal", now)
            return reason

    def act(
        self, act: Act, now: datetime, who: Standing | None = None, to: Standing | None = None
    ) -> str | None:
        """A comment, a delegation, a withdrawal ... Returns why it was refused; repeated, it is none."""
        if act.kind in acts.UNSIGNED:
            # Anybody may send these, so what they say is kept short. Whoever is told in another way,
            # or could not be told, is another line.
            told = one_line(act.text, 200) if act.kind == "notified" else ""
            news = self.log.first_time(act.kind, act.who, act.channel, told)
            if self.status == "pending" and news:
                self._add(act.kind, act.channel, now, who=act.who, reason=one_line(act.text, 200))
                if self.log.is_full(act.kind):
                    self.note(f"of {act.kind} no more than {contract.MAX_SEEN} are kept", now)
            return None
        if reason := self.forged(act, now):
            return reason
        signed, groups = act, act.groups
        # Another sign-in, or another key, is the same act.
        act = act.model_copy(update={"groups": (), "signature": None})
        if act.act_id in self._acts and self._acts[act.act_id][0] == act:
            return None
        who = who or self.standing(act.who)
        reason = self._closed() or self.signatures.spent(signed)
        reason = reason or acts.refuse_act(self.request, act, who, to) or self._no_room(act)
        self.signatures.judged(signed, reason)
        if reason:
            self._refuse(reason, act.channel, now, who=act.who, key=act.act_id)
            return reason
        self._acts[act.act_id] = (act, now)
        said: dict[str, Any] = {"who": act.who, "reason": act.text, "key": act.act_id}
        if act.kind == "delegated" and act.to is not None:
            right = acts.handed_over(self.request, who) or who
            self.delegations.append(Delegation(principal=right.name, to=act.to, by=act.who, at=now))
            lent = groups if right.name == who.name else self.lent(act.who).get(right.name, ())
            self._handed.append(((to or unlisted(act.to)).names, right.name, lent))
            said |= {"to": act.to}
            said |= {} if right.name == who.name else {"on_behalf_of": right.name}
        self._add(act.kind, act.channel, now, **said)
        if act.kind == "withdrawn":
            self.status = "withdrawn"
            self._explanation = f"withdrawn by {act.who}" + (f": {act.text}" if act.text else "")
        return None

    def note(self, said: str, now: datetime) -> None:
        """What the gate itself has to say of who is told; what strangers send takes none of its room."""
        said = one_line(said, 200)
        if self.status == "pending" and self.log.first_time("noted", "clearance", "engine", said):
            self._add("notified", "engine", now, who="clearance", reason=said)

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
            approvals=recorded(self.ballot.approvals),
            rejections=recorded(self.ballot.rejections),
            stage=self.ballot.number,
            stages=self._course.views(self.status),
            delegations=list(self.delegations),
            edit=self._edit,
            events=list(self.log.events),
            refusals_uncounted=self.log.refusals_uncounted,
            explanation=self._explanation,
        )

    def listing(self) -> dict[str, JsonValue]:
        """What changes in a list while it waits: fields of ``ApprovalSummary``, as plain JSON."""
        ballot = self.ballot
        votes = [Vote.of(one.recorded) for one in ballot.approvals]
        moved = ballot.deadline != self.request.deadline(self.requested_at)
        return {
            "action": self._current.action,
            "digest": self._current.digest,
            "audience": list(ballot.audience),
            "quorum": ballot.stage.quorum,
            "approvals": [vote.model_dump(mode="json") for vote in votes],
            "delegates": [one.to for one in self.delegations],
            "stage": ballot.number,
            "due": ballot.deadline.isoformat() if ballot.deadline and moved else None,
        }

    def receipt(self, decision: Decision) -> Receipt:
        """The answer to a decision that was not refused. Raises ValueError for any other."""
        taken = self.as_taken(decision)
        if taken is None:
            raise ValueError(f"decision {decision.decision_id} was not taken")
        ballot, asked = taken.ballot, self.ballot
        return Receipt.model_validate(
            {
                "approval_id": self.approval_id,
                "status": self.status,
                "decision_id": decision.decision_id,
                "recorded_at": taken.recorded.at,
                "approvals": len(ballot.approvals),
                "quorum": ballot.stage.quorum,
                "counted": taken.counted,
                "rejections": len(ballot.rejections),
                "reject_quorum": ballot.stage.reject_quorum,
                "stage": taken.recorded.stage,
                "next_stage": None if asked is ballot else asked.stage.name,
            }
        )

    def act_receipt(self, act: Act) -> ActReceipt:
        """The answer to an act that was not refused."""
        at = self._acts[act.act_id][1] if act.act_id in self._acts else None
        return ActReceipt(
            approval_id=self.approval_id, status=self.status, act_id=act.act_id, recorded_at=at
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
                "explanation": self._explanation,
            }
        )

    def forged(self, said: Decision | Act, now: datetime) -> str | None:
        """Why something isn't signed as it has to be, which is kept; nothing it says is believed."""
        if reason := self.signatures.refuse(said):
            self._refuse(reason, said.channel, now, **_claimed(said))
        return reason

    def _no_room(self, act: Act) -> str | None:
        """Why an act that is allowed has no place in the record: a view has to stay below 2 MB."""
        if act.act_id in self._acts:
            return "another act had this id: choose a new one"
        if act.kind == "delegated" and len(self.delegations) >= contract.MAX_DELEGATIONS:
            return f"it has been handed over {contract.MAX_DELEGATIONS} times: decide it"
        # A withdrawal always has room: it shuts the gate.
        if act.kind != "withdrawn" and not self.log.room_for(act.who, act.text, act.to or ""):
            return "there is no room for more comments: decide it, or comment elsewhere"
        return None


def _claimed(said: Decision | Act) -> dict[str, Any]:
    """Fields of ``Event``: whose it is said to be."""
    if isinstance(said, Decision):
        return {"who": said.reviewer, "key": said.decision_id, "digest": said.digest}
    return {"who": said.who, "key": said.act_id}

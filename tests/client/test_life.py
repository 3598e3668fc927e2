"""The life of one request that anyone may decide, in every order that things can happen in."""

import math
from datetime import datetime, timedelta
from typing import Any, Literal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from clearance import Decision
from clearance.views import Event

from .test_record import START, WEEK, decision_on, ended, record_of

FINAL = {"approved", "rejected", "expired", "withdrawn"}
NOT_BOOLEANS = (None, 0, 1, 1.0, "true", "approved", "", [True], {"ok": True}, math.nan)


class Life(RuleBasedStateMachine):
    """Random signals, decisions and ends; ``allowed`` holds what had every right to open the gate."""

    sent: Bundle[Decision] = Bundle("sent")

    @initialize(
        audience=st.sampled_from([(), ("Ada",), ("ada", "Bob")]),
        expires_in=st.sampled_from([None, timedelta(hours=1), WEEK]),
    )
    def ask(self, audience: tuple[str, ...], expires_in: timedelta | None) -> None:
        self.record = record_of(audience=audience, expires_in=expires_in)
        self.now = START
        self.refused = 0
        self.ended_as: str | None = None
        self.seen: list[Event] = []
        self.allowed: dict[str | None, bool] = {}

    @rule(passed=st.sampled_from([1, 1_800, 3_600, 86_400 * 7]))
    def time_passes(self, passed: int) -> None:
        self.now += timedelta(seconds=passed)

    @rule(value=st.sampled_from([True, False, *NOT_BOOLEANS]))
    def bare_signal(self, value: object) -> None:
        allowed = isinstance(value, bool) and not self.record.request.audience and self.open()
        if allowed:
            self.allowed[None] = value is True
        self.expect(allowed, self.record.signal(value, self.now))

    @rule(
        target=sent,
        said=st.fixed_dictionaries(
            {
                "approved": st.booleans(),
                "reviewer": st.sampled_from(["Ada", "ADA", "bob", "Mallory"]),
                "decision_id": st.sampled_from(["one", "two", "three"]),
            },
            optional={"digest": st.just("0" * 64)},
        ),
        ago=st.sampled_from([-60, 0, 60, 7_200]),
        stored=st.booleans(),
    )
    def decide(self, said: dict[str, Any], ago: int, stored: bool) -> Any:
        made = self.now - timedelta(seconds=ago)
        decision = decision_on(self.record, decided_at=made, **said)
        self.deliver(decision, stored)
        return decision

    @rule(decision=sent, flipped=st.booleans(), stored=st.booleans())
    def deliver_again(self, decision: Decision, flipped: bool, stored: bool) -> None:
        changes = {"approved": not decision.approved} if flipped else {}
        self.deliver(decision.model_copy(update=changes), stored)

    @rule(junk=st.sampled_from([None, True, "approved", [], {"approved": True}]))
    def stored_junk(self, junk: object) -> None:
        self.expect(False, self.record.decide_stored(junk, self.now))

    @rule(status=st.sampled_from(["expired", "withdrawn"]))
    def end(self, status: Literal["expired", "withdrawn"]) -> None:
        was = self.record.status
        ended(self.record, status, self.now)
        assert self.record.status == (status if was == "pending" else was)

    def deliver(self, decision: Decision, stored: bool) -> None:
        before = self.record.view()
        counted = before.decision
        if counted is not None and (
            (counted.decision_id, counted.approved, counted.reviewer, counted.digest)
            == (decision.decision_id, decision.approved, decision.reviewer, decision.digest)
        ):
            assert self.take(decision, stored) is None
            assert self.record.view() == before
            return
        request = self.record.request
        made = min(self.now, decision.decided_at) if stored else self.now
        names = {name.lower() for name in request.audience} or {decision.reviewer.lower()}
        right = decision.digest == request.digest and decision.reviewer.lower() in names
        allowed = right and self.open(made)
        if allowed:
            self.allowed[decision.decision_id] = decision.approved
        self.expect(allowed, self.take(decision, stored))

    def take(self, decision: Decision, stored: bool) -> str | None:
        if stored:
            return self.record.decide_stored(decision.model_dump(mode="json"), self.now)
        return self.record.decide(decision, self.now)

    def open(self, made: datetime | None = None) -> bool:
        deadline = self.record.deadline
        in_time = deadline is None or (made or self.now) < deadline
        return self.record.status == "pending" and in_time

    def expect(self, allowed: bool, refusal: str | None) -> None:
        assert (refusal is None) is allowed
        self.refused += refusal is not None

    @invariant()
    def a_final_status_stays(self) -> None:
        assert self.ended_as in (None, self.record.status)
        self.ended_as = self.record.status if self.record.status in FINAL else None

    @invariant()
    def only_a_counted_decision_opens_or_refuses(self) -> None:
        decided = self.record.decided
        assert (self.record.status in ("approved", "rejected")) is (decided is not None)
        if decided is not None:
            assert (self.record.status == "approved") is decided.approved
            assert self.allowed == {decided.decision_id: decided.approved}

    @invariant()
    def events_are_numbered_and_never_lost(self) -> None:
        events = self.record.view().events
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
        assert events[: len(self.seen)] == self.seen
        assert sum(event.kind == "refused" for event in events) == self.refused
        self.seen = events

    @invariant()
    def one_event_ends_it(self) -> None:
        ends = [event.kind for event in self.record.view().events if event.kind in FINAL]
        assert ends == ([] if self.record.status == "pending" else [self.record.status])

    @precondition(lambda self: self.record.status != "pending")
    @invariant()
    def the_outcome_is_of_what_was_asked(self) -> None:
        outcome = self.record.outcome()
        assert outcome.digest == self.record.request.digest
        assert outcome.approved is (self.record.status == "approved")


TestLife = Life.TestCase
TestLife.settings = settings(deadline=None)

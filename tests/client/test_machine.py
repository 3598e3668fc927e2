"""Any order of decisions, edits, delegations, alarms, duplicates and junk, on any request.

What is refused and what becomes of the request is compared, step by step, with ``allowed``. What the
record says in the end is judged by itself: who approved which stage, and whether they may.
"""

import math
from datetime import timedelta
from typing import Any, ClassVar

import pydantic
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from clearance import Decision
from clearance.acts import Act
from clearance.record import Record
from clearance.rules import refuse_request
from clearance.views import Event

from .allowed import ASKED, PEOPLE, Allowed
from .drawn import applies, asked, offices, requests, satisfiable
from .enough import approved_by_enough_people
from .records import DAY, START

EXAMPLES = settings().max_examples ** 2 // 10
"""Of each of the ten machines: 62, and 1,000 in the long profile."""

FINAL = {"approved", "rejected", "expired", "withdrawn"}
NAMES = (*PEOPLE, "ADA", "Countess", "cyrus", "mallory", "group:x")
AMOUNTS = (50, ASKED, 150)
TALK = ("commented", "asked", "answered", "viewed", "notified")
WHICH = st.integers(0, 11)
JUNK: tuple[Any, ...] = (
    None,
    0,
    1,
    "true",
    [],
    {"approved": True},
    {"kind": "withdrawn", "who": "ada"},
    math.nan,
)


class Machine(RuleBasedStateMachine):
    """One request of the given shape, and everybody who has to do with it."""

    stages: ClassVar[int]
    """How many; none with 0, and -1 where anyone may decide."""
    listed: ClassVar[bool]
    """Whether there is a directory."""

    @initialize(data=st.data())
    def ask(self, data: st.DataObject) -> None:
        self.office = data.draw(offices(listed=self.listed))
        fields = data.draw(requests(stages=self.stages, listed=self.listed))
        ways: list[dict[str, Any]] = [{}, {"quorum": 1, "reject_quorum": 1, "escalate_to": ()}]
        ways += [{**ways[1], "audience": ("ada", "bob", "cy")}]
        for changes in ways:
            request = asked(fields, stages=self.stages, **changes)
            self.allowed = Allowed(self.office, request, START)
            can_be = satisfiable(self.office, self.allowed)
            assert (refuse_request(request, self.office.members()) is None) is can_be
            if can_be:
                break
        if data.draw(st.booleans()) and all(one.quorum == 1 for one in request.chain):
            request = request.model_copy(update={"response_schema": {"type": "string"}})
            self.allowed = Allowed(self.office, request, START)
        self.record = Record(request, approval_id="pay.1", requested_at=START, applies=applies)
        self.record.members = self.office.members()
        self.digests = {n: request.with_arguments({"amount": n}).digest for n in AMOUNTS}
        self.now = START
        self.sent: list[tuple[Decision, bool]] = []
        self.acts: list[Act] = []
        self.refused = 0
        self.ended: str | None = None
        self.seen: list[Event] = []

    @rule(
        who=st.sampled_from(NAMES),
        approved=st.booleans(),
        amount=st.sampled_from((None, None, *AMOUNTS)),
        flaw=st.sampled_from(("", "digest", "stage", "no stage")),
        answer=st.booleans(),
        ago=st.sampled_from((-1, 0, 1, 8)),
        stored=st.booleans(),
    )
    def decide_anything(self, who: str, stored: bool, **said: Any) -> None:
        self.deliver(self.decision(who, **said), stored)

    @rule(which=WHICH, stored=st.booleans())
    def approve(self, which: int, stored: bool) -> None:
        self.deliver(self.decision(self.reviewer(which)), stored)

    @rule(which=WHICH)
    def approve_too(self, which: int) -> None:
        self.deliver(self.decision(self.reviewer(which)), stored=False)

    @rule(which=WHICH, amount=st.sampled_from(AMOUNTS))
    def change(self, which: int, amount: int) -> None:
        self.deliver(self.decision(self.reviewer(which), amount=amount), stored=False)

    @rule(which=WHICH)
    def reject(self, which: int) -> None:
        self.deliver(self.decision(self.reviewer(which), approved=False), stored=False)

    def reviewer(self, which: int) -> str:
        """Somebody who may well decide now."""
        audience = sorted(self.allowed.audience() or PEOPLE)
        audience += [to for principal, to in self.allowed.handed if principal in audience]
        return audience[which % len(audience)]

    def decision(
        self,
        who: str,
        *,
        approved: bool = True,
        amount: int | None = None,
        flaw: str = "",
        answer: bool = True,
        ago: int = 0,
    ) -> Decision:
        said: dict[str, Any] = {"approved": approved, "reviewer": who}
        said |= {"decision_id": f"d{len(self.sent)}", "decided_at": self.now - ago * DAY}
        said["digest"] = self.digests[self.allowed.amount]
        if flaw == "digest":
            said["digest"] = self.digests[50 if self.allowed.amount != 50 else 150]
        if self.record.request.stages:
            number = self.allowed.number
            said["stage"] = {"stage": number % 3 + 1, "no stage": None}.get(flaw, number)
        elif flaw == "stage":
            said["stage"] = 2
        if approved:
            said["arguments"] = None if amount is None else {"amount": amount}
            last = not set(self.allowed.left(amount or self.allowed.amount)) - {self.allowed.number}
            asks = self.record.request.response_schema is not None
            said["response"] = "yes" if asks and last is answer else None
        return Decision(**said)

    @rule(which=WHICH, flipped=st.sampled_from((False, False, True)), late=st.booleans())
    def deliver_again(self, which: int, flipped: bool, late: bool) -> None:
        if not self.sent:
            return
        decision, stored = self.sent[which % len(self.sent)]
        if flipped:
            changes = {"approved": not decision.approved, "arguments": None, "response": None}
            decision = decision.model_copy(update=changes)
        self.deliver(decision, stored or late)

    def deliver(self, decision: Decision, stored: bool) -> None:
        self.sent.append((decision, stored))
        made = min(decision.decided_at, self.now) if stored else self.now
        allowed = self.allowed.decide(decision, made=made, now=self.now)
        who = self.office.standing(decision.reviewer, self.allowed.handed)
        if stored:
            plain = decision.model_dump(mode="json")
            self.expect(allowed, self.record.decide_stored(plain, self.now, who))
        else:
            self.expect(allowed, self.record.decide(decision, self.now, who))
        if allowed and self.record.status in ("pending", "approved", "rejected"):
            assert self.record.receipt(decision).status == self.record.status

    @rule(value=st.sampled_from((True, True, False, *JUNK)))
    def bare_signal(self, value: object) -> None:
        self.expect(self.allowed.signal(value, self.now), self.record.signal(value, self.now))

    @rule(who=st.sampled_from(NAMES), to=st.sampled_from(NAMES))
    def delegate(self, who: str, to: str) -> None:
        self.act("delegated", who, to=to)

    @rule(which=WHICH, to=st.sampled_from(list(PEOPLE)))
    def hand_over(self, which: int, to: str) -> None:
        self.act("delegated", self.reviewer(which), to=to)

    @rule(kind=st.sampled_from(TALK), who=st.sampled_from(NAMES), really=WHICH)
    def talk(self, kind: str, who: str, really: int) -> None:
        self.act("withdrawn" if really == 7 else kind, who)

    @rule(which=WHICH, text=st.sampled_from(("x", "y")))
    def act_again(self, which: int, text: str) -> None:
        if self.acts:
            self.do(self.acts[which % len(self.acts)].model_copy(update={"text": text}))

    def act(self, kind: str, who: str, **more: Any) -> None:
        said = {"kind": kind, "who": who, "text": "x", "act_id": f"a{len(self.acts)}"}
        self.acts.append(Act.model_validate(said | more))
        self.do(self.acts[-1])

    def do(self, sent: Act) -> None:
        standing = self.office.standing(sent.who, self.allowed.handed)
        target = self.office.standing(sent.to, self.allowed.handed) if sent.to else None
        allowed = self.allowed.act(sent)
        self.expect(allowed, self.record.act(sent, self.now, standing, target))

    @rule(hours=st.sampled_from((1, 1, 24, 24, 48, 90)), rings=st.sampled_from((0, 1, 1, 2)))
    def time_passes(self, hours: int, rings: int) -> None:
        self.now += timedelta(hours=hours)
        for _ in range(rings):
            if self.allowed.status != "pending":
                break
            before = len(self.record.view().events)
            expected = self.allowed.tick(self.now)
            self.record.tick(self.now)
            new = [event.kind for event in self.record.view().events[before:]]
            assert new in ([expected], ["reminded"] if expected is None else [expected], [])
            assert expected is None or new == [expected]

    @rule(junk=st.sampled_from(JUNK), as_act=st.booleans())
    def junk(self, junk: object, as_act: bool) -> None:
        if as_act:
            said = self.record.read_act(junk, self.now)
            self.expect(False, said if isinstance(said, str) else None)
        else:
            self.expect(False, self.record.decide_stored(junk, self.now))

    @rule(really=WHICH)
    def cancel(self, really: int) -> None:
        if really == 7:
            self.record.cancel(self.now)
            if self.allowed.status == "pending":
                self.allowed.status = "withdrawn"

    def expect(self, allowed: bool, refusal: str | None) -> None:
        assert (refusal is None) is allowed, refusal
        self.refused += refusal is not None

    @invariant()
    def it_stands_as_it_should(self) -> None:
        assert self.record.status == self.allowed.status
        assert self.ended in (None, self.record.status)
        self.ended = self.record.status if self.record.status in FINAL else None
        assert (self.record.status in ("approved", "rejected")) is (self.record.decided is not None)
        if self.ended is None:
            ballot = self.record.ballot
            assert (ballot.number, ballot.deadline) == (self.allowed.number, self.allowed.deadline)
            assert len(ballot.approvals) == len(self.allowed.approvals)
            assert len(ballot.rejections) == len(self.allowed.rejections)
            due = self.record.next_time()
            assert due is None or ballot.deadline is None or due <= ballot.deadline

    @invariant()
    def nothing_is_lost_changed_or_moved(self) -> None:
        view = self.record.view()
        assert view.events[: len(self.seen)] == self.seen
        for sequence, event in enumerate(view.events[len(self.seen) :], len(self.seen) + 1):
            assert event.sequence == sequence
        kinds = [event.kind for event in view.events]
        assert kinds.count("refused") + view.refusals_uncounted == self.refused
        assert view.digest == self.digests[self.allowed.amount]
        self.seen = view.events

    def teardown(self) -> None:
        if not hasattr(self, "record"):
            return
        view = self.record.view()
        assert len(view.model_dump_json()) < 2_000_000
        if view.status == "pending":
            with pytest.raises(pydantic.ValidationError):
                self.record.outcome()
            return
        outcome = self.record.outcome()
        assert (outcome.status, outcome.digest) == (view.status, view.request.digest)
        assert outcome.approved is (view.status == "approved")
        if outcome.approved:
            runs = outcome.edit.digest if outcome.edit else outcome.digest
            assert outcome.decision is not None
            assert runs == outcome.decision.digest == view.digest
            assert (outcome.edit is None) is (self.allowed.amount == ASKED)
            approved_by_enough_people(self.office, self.allowed, view.events)
        else:
            assert outcome.edit is None


@pytest.mark.parametrize("listed", [False, True], ids=["names", "directory"])
@pytest.mark.parametrize("stages", [-1, 0, 1, 2, 3])
def test_any_order_of_events_opens_the_gate_only_where_enough_people_may_open_it(
    stages: int, listed: bool
) -> None:
    run_state_machine_as_test(
        type("Shaped", (Machine,), {"stages": stages, "listed": listed}),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

"""What is allowed, said a second time and as simply as possible: what ``test_machine`` compares with.

Knows nothing of ``clearance.rules``. People are sets of names, stages are numbers from 1, and the
arguments are one amount.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clearance import ApprovalRequest, Decision
from clearance.acts import Act
from clearance.directory import Members, Person, Standing
from clearance.stages import Terms

PEOPLE = {
    "ada": frozenset({"ada", "countess"}),
    "bob": frozenset({"bob"}),
    "cy": frozenset({"cy", "cyrus"}),
    "dee": frozenset({"dee"}),
    "eve": frozenset({"eve"}),
}
ASKED = 100


@dataclass(frozen=True)
class Office:
    """Who there is. Without a directory a name is all that is known of anybody."""

    listed: bool
    groups: Mapping[str, frozenset[str]]
    stand_ins: tuple[tuple[str, str], ...]
    """Who may decide always, and for whom."""
    operators: frozenset[str]

    def own(self, name: str) -> str:
        key = name.casefold()
        found = [own for own, names in PEOPLE.items() if self.listed and key in names]
        return found[0] if found else key

    def means(self, audience: Iterable[str]) -> set[str]:
        keys = [name.casefold() for name in audience]
        people = {self.own(key) for key in keys if not key.startswith("group:")}
        return people.union(*(self.groups.get(key, ()) for key in keys))

    def members(self) -> Members:
        groups = {name: tuple(sorted(people)) for name, people in self.groups.items()}
        aliases = {name: own for own, names in PEOPLE.items() for name in names - {own}}
        return Members(directory=True, groups=groups, aliases=aliases) if self.listed else Members()

    def person(self, own: str) -> dict[str, Any]:
        groups = frozenset(name for name, people in self.groups.items() if own in people)
        return {"name": own, "names": PEOPLE.get(own, frozenset({own})), "groups": groups}

    def principals(self, own: str, handed: Iterable[tuple[str, str]]) -> list[str]:
        found = [principal for principal, to in handed if to == own]
        found += [principal for who, principal in self.stand_ins if who == own and self.listed]
        return [one for one in dict.fromkeys(found) if one != own]

    def standing(self, name: str, handed: Iterable[tuple[str, str]]) -> Standing | None:
        """As the directory would answer; None where there is none."""
        if not self.listed:
            return None
        own = self.own(name)
        others = tuple(Person(**self.person(one)) for one in self.principals(own, handed))
        return Standing(
            **self.person(own),
            stands_in_for=others,
            known=own in PEOPLE,
            operator=own in self.operators,
        )


class Allowed:
    """One request, what may happen to it next, and what becomes of it."""

    def __init__(self, office: Office, request: ApprovalRequest, now: datetime) -> None:
        self.office = office
        self.request = request
        self.stages: tuple[Any, ...] = request.stages or (request,)
        self.requester = office.own(request.requester) if request.requester else None
        own = {name: getattr(request, name) for name in ("audience", "quorum", "reject_quorum")}
        self.anyone = own == {"audience": (), "quorum": 1, "reject_quorum": 1} and not (
            request.stages or request.self_approval is not None
        )
        self.status = "pending"
        self.amount = ASKED
        self.editors: set[str] = set()
        self.done: set[int] = set()
        self.handed: list[tuple[str, str]] = []
        self.taken: dict[tuple[Any, ...], int] = {}
        self.acts: set[Act] = set()
        self.begin(self.left(ASKED)[0], now)

    def begin(self, number: int, now: datetime) -> None:
        self.number = number
        self.terms: Terms = self.stages[number - 1]
        self.approvals: list[set[str]] = []
        self.rejections: list[set[str]] = []
        self.escalated = False
        length, after = self.terms.expires_in, self.terms.escalate_after
        self.deadline = None if length is None else now + length
        self.escalates = None if after is None else now + after

    def left(self, amount: int, done: set[int] | None = None) -> list[int]:
        """The stages that have to be asked, of this amount."""
        done = self.done if done is None else done
        wanted = {"over": amount > ASKED, "under": amount <= ASKED, None: True}
        whens = {n: getattr(one, "when", None) for n, one in enumerate(self.stages, 1)}
        return [n for n, when in whens.items() if n not in done and wanted[when]]

    def everyone(self, terms: Terms) -> set[str]:
        return self.office.means(terms.audience + terms.escalate_to)

    def audience(self) -> set[str] | None:
        """Who may decide now; None for anyone."""
        if not self.terms.audience:
            return None
        widened = self.terms.escalate_to if self.escalated else ()
        return self.office.means(self.terms.audience + widened)

    def may(self, who: str) -> bool:
        allowed = self.request.self_approval
        return self.anyone if allowed is None else who in allowed

    def late(self, at: datetime) -> bool:
        return self.deadline is not None and at >= self.deadline

    def decide(self, sent: Decision, *, made: datetime, now: datetime) -> bool:
        """Whether a decision isn't refused."""
        self.catch_up(made, now)
        seen = (sent.digest, sent.stage, str(sent.arguments))
        key = (sent.decision_id, sent.approved, sent.reviewer, *seen)
        if key in self.taken and self.status in ("pending", "approved", "rejected"):
            return True
        waits = self.status == "pending" and not self.late(made) and self.reads(sent)
        right = self.right(sent) if waits else None
        if right is None:
            return False
        people = {self.office.own(sent.reviewer), right}
        counted = True
        if sent.arguments is not None:
            amount: Any = sent.arguments["amount"]
            editors = set() if amount == ASKED and not self.done else self.editors | people
            kept = {number for number in self.done if number < self.number}
            if self.request.editable is not True or amount == self.amount:
                return False
            counted = not editors or self.may("editor")
            if not counted and not self.possible(amount, editors, kept):
                return False
            if not self.answers(sent, amount, counted, kept):
                return False
            self.amount, self.editors = amount, editors
            self.approvals, self.rejections, self.done = [], [], kept
            self.taken = {one: number for one, number in self.taken.items() if number in self.done}
        elif not self.answers(sent, self.amount, counted, self.done):
            return False
        self.taken[key] = self.number
        if counted:
            self.count(sent.approved, people, now)
        return True

    def reads(self, sent: Decision) -> bool:
        """Whether its reviewer read this stage of the request as it is now."""
        stages = (self.number,) if self.request.stages else (None, 1)
        now = self.request.with_arguments({"amount": self.amount})
        return sent.stage in stages and sent.digest == now.digest

    def right(self, sent: Decision) -> str | None:
        """In whose right somebody decides; None where they may not."""
        who = self.office.own(sent.reviewer)
        audience = self.audience()
        rights = [who]
        if audience is not None:
            rights += self.office.principals(who, self.handed)
            rights = [one for one in rights if one in audience]
        used = set[str]().union(*self.rejections)
        if sent.approved:
            used.update(*self.approvals)
        own_matter: set[str | None] = set()
        if sent.arguments is not None:
            used = set()
        elif sent.approved and not self.may("editor"):
            own_matter |= self.editors
        if sent.approved and not self.may("requester"):
            own_matter.add(self.requester)
        blocked = used | own_matter
        free = [one for one in rights if one not in blocked]
        return free[0] if free and who not in blocked else None

    def possible(self, amount: int, editors: set[str], done: set[int]) -> bool:
        """Whether enough people are left in this stage and in all that come."""
        barred = editors if self.may("requester") else editors | {str(self.requester)}
        for number in {self.number, *self.left(amount, done)}:
            terms = self.stages[number - 1]
            if terms.audience and len(self.everyone(terms) - barred) < terms.quorum:
                return False
        return True

    def answers(self, sent: Decision, amount: int, counted: bool, done: set[int]) -> bool:
        """Whether an approval carries an answer where one is asked for, and only there."""
        if not sent.approved or not counted:
            return True
        last = not set(self.left(amount, done)) - {self.number}
        asked = self.request.response_schema is not None and last
        return (sent.response is not None) is asked

    def count(self, approved: bool, people: set[str], now: datetime) -> None:
        if not approved:
            self.approvals = [one for one in self.approvals if not one & people]
            self.rejections.append(people)
            if len(self.rejections) == self.terms.reject_quorum:
                self.status = "rejected"
            return
        self.approvals.append(people)
        if len(self.approvals) == self.terms.quorum:
            self.done.add(self.number)
            if left := self.left(self.amount):
                self.begin(left[0], now)
            else:
                self.status = "approved"

    def signal(self, value: object, now: datetime) -> bool:
        """Whether a bare signal counts."""
        if self.status != "pending" or self.late(now) or not self.anyone:
            return False
        if not isinstance(value, bool) or (value and self.request.response_schema is not None):
            return False
        self.count(value, set(), now)
        return True

    def act(self, sent: Act) -> bool:
        """Whether an act isn't refused."""
        if sent.kind in ("viewed", "notified") or sent in self.acts:
            return True
        who = self.office.own(sent.who)
        rights = [who, *self.office.principals(who, self.handed)]
        named = set[str]().union(*(self.everyone(one) for one in self.stages))
        rights = [one for one in rights if one in named]
        operator = self.office.listed and who in self.office.operators
        owner = operator or who == self.requester or (self.requester is None and self.anyone)
        allowed = owner
        if sent.kind in ("commented", "asked"):
            allowed = bool(owner or rights or not all(one.audience for one in self.stages))
        if sent.kind == "delegated":
            allowed = bool(rights) and self.may_take(self.office.own(str(sent.to)), who)
        used = sent.act_id in {one.act_id for one in self.acts}
        if self.status != "pending" or not allowed or used:
            return False
        self.acts.add(sent)
        if sent.kind == "delegated":
            self.handed.append((rights[0], self.office.own(str(sent.to))))
        if sent.kind == "withdrawn":
            self.status = "withdrawn"
        return True

    def may_take(self, to: str, who: str) -> bool:
        """Whether ``who`` may hand it to this person."""
        known = to in PEOPLE or not self.office.listed
        circle = to in (who, *self.office.principals(who, self.handed))
        asked = to == self.requester and not self.may("requester")
        return known and not circle and not asked and not to.startswith("group:")

    def catch_up(self, at: datetime, now: datetime) -> bool:
        """Whether it had to be escalated by then; it is, now."""
        due = self.late(at) if self.escalates is None else at >= self.escalates
        if self.status != "pending" or not self.terms.escalate_to or self.escalated or not due:
            return False
        self.escalated = True
        if self.escalates is None and self.terms.expires_in is not None:
            self.deadline = now + self.terms.expires_in
        self.escalates = None
        return True

    def tick(self, now: datetime) -> str | None:
        """What becomes of it by time alone; reminders aside."""
        if self.catch_up(now, now):
            return "escalated"
        if self.late(now):
            self.status = "expired"
            return "expired"
        return None

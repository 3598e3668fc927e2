"""Who is in which group, and who stands in for whom: what a file of reviewers says, ready to be asked.

Everything here is pure: no file, no clock. Capitals never matter in a name.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from clearance.directory import Members, Person, Standing
from clearance.notices import Destination
from clearance.stages import folded, is_group
from clearance.text import one_line

from .channels import NONE, Channel, Channels

_SOME = 10
"""Names that are told to who wrote another one."""


@dataclass(frozen=True)
class StandIn:
    """Somebody may decide for somebody else for a time: a standing delegation."""

    principal: str
    """For whom."""

    to: str
    """Who."""

    since: datetime
    until: datetime
    """From the first moment to the first one after it, both with their zone."""

    def holds(self, at: datetime) -> bool:
        """Whether it does at that moment."""
        return self.since <= at < self.until


class Directory:
    """People, groups and delegations, indexed once: asking doesn't slow down with their number."""

    def __init__(
        self,
        people: Mapping[str, Sequence[str]] | None = None,
        groups: Mapping[str, Sequence[str]] | None = None,
        stand_ins: Sequence[StandIn] = (),
        operators: Sequence[str] = (),
        *,
        sign_in: Sequence[str] = (),
        channels: Channels = NONE,
        exists: bool = True,
    ) -> None:
        """Take names as ``load`` gives them: case-folded, each person by one name, no circles.

        Args:
            people: each person's names, their own first; empty where the file lists nobody, which
                makes everybody known.
            groups: what stands in each group, ``group:finance``: people and other groups.
            stand_ins: the delegations, in the file's order.
            operators: people and groups who may withdraw any request.
            sign_in: which of the groups have those as members, too, for whom a sign-in vouches.
            channels: by which people and groups are told.
            exists: False where there is no file at all.
        """
        self._exists = exists
        self.channels = channels
        self._names = {name: frozenset(names) for name, names in (people or {}).items()}
        self._owners = {name: own for own, names in self._names.items() for name in names}
        self._groups = {name: tuple(members) for name, members in (groups or {}).items()}
        self._operators = frozenset(operators)
        self._stand_ins = tuple(stand_ins)
        self._sign_in = frozenset(sign_in)
        self._above: dict[str, list[str]] = {}
        for group, members in self._groups.items():
            for member in members:
                self._above.setdefault(member, []).append(group)
        self._for: dict[str, list[StandIn]] = {}
        for one in self._stand_ins:
            self._for.setdefault(one.to, []).append(one)

    def members(self, names: Sequence[str]) -> Members:
        """Whom the names of an audience mean; groups are told down to their people."""
        asked = {name.casefold(): name for name in reversed(names)}  # the first spelling is told
        groups = [name for name in folded(names) if is_group(name)]
        return Members(
            directory=self._exists,
            reached=bool(self.channels),
            groups={name: self._people(name) for name in groups if name in self._groups},
            open_groups=tuple(name for name in groups if self._is_open(name)),
            unknown=tuple(asked[name] for name in groups if name not in self._groups),
            aliases={name: own for name in asked if (own := self._own(name)) != name},
        )

    def standing(
        self,
        person: str,
        at: datetime,
        groups: Sequence[str] = (),
        principals: Sequence[str] = (),
        *,
        vouched: Sequence[str] = (),
        lent: Mapping[str, Sequence[str]] | None = None,
    ) -> Standing:
        """Who somebody is, and for whom they may decide.

        Args:
            person: any of their names.
            at: when, with its zone.
            groups: those they and the others are looked for in.
            principals: who handed the matter over to them besides the file's delegations; these
                come first in ``stands_in_for``.
            vouched: groups that the person's sign-in vouches for; others than those of ``sign_in``
                don't count.
            lent: of some of ``principals``, the groups that their sign-in vouched for.
        """
        own = self._own(person)
        if is_group(own):  # whoever calls themselves so is nobody: not in it, and not all of it
            return Standing(name=own, known=False)
        asked = frozenset(folded(groups))
        given = [one for one in map(self._own, principals) if one != own and not is_group(one)]
        others = dict.fromkeys([*given, *self._principals(own, at)])
        signed_in = self._signed_in(vouched)
        brought = {self._own(one): self._signed_in(names) for one, names in (lent or {}).items()}
        everywhere = (own, *self._reach(own, self._above), *self._above_all(signed_in))
        return Standing(
            **self._person(own, asked, signed_in).model_dump(),
            known=not self._names or own in self._names or bool(signed_in),
            operator=not self._operators.isdisjoint(everywhere),
            stands_in_for=tuple(self._person(one, asked, brought.get(one, ())) for one in others),
        )

    def names_of(self, person: str, at: datetime, vouched: Sequence[str] = ()) -> tuple[str, ...]:
        """Every name by which an audience may mean somebody at that moment, each once.

        Their own names come first, then their groups, those that ``vouched`` puts them in too, then
        the same of each one they stand in for.
        """
        own = self._own(person)
        if is_group(own):
            return (own,)
        found: list[str] = []
        for one in (own, *self._principals(own, at)):
            found += [one, *sorted(self._names.get(one, ())), *self._reach(one, self._above)]
            found += self._above_all(self._signed_in(vouched)) if one == own else ()
        return tuple(dict.fromkeys(found))

    def destinations(
        self, names: Sequence[str], at: datetime, without: Iterable[str] = ()
    ) -> tuple[Destination, ...]:
        """Where those are told whom the names of an audience mean at that moment, each once.

        A group is told by its own channels, where it has any, and else its members are. Who stands in
        for one of the people who are told is told, too.

        Args:
            names: people and groups.
            at: when, with its zone; it says which delegations hold.
            without: people who needn't be told, by any of their names.
        """
        if not self.channels:
            return ()
        inside = {
            name: members
            for name, members in self._groups.items()
            if not self.channels.is_told_as_one(name)
        }
        asked = [self._own(name) for name in folded(names)]
        left_out = {self._own(name) for name in without}
        named = dict.fromkeys(two for one in asked for two in (one, *self._reach(one, inside)))
        whom = {one: None for one in named if one not in left_out}
        deputies: dict[str, list[str]] = {}
        for stand_in in self._stand_ins:
            if stand_in.holds(at):
                deputies.setdefault(stand_in.principal, []).append(stand_in.to)
        for one in list(whom):
            whom.update(dict.fromkeys(self._reach(one, deputies)))
        return tuple(
            to for one in whom if one not in left_out for to in self.channels.destinations(one)
        )

    def channel(self, to: Destination) -> Channel | None:
        """By what a destination is told; None where the file doesn't name it any more."""
        return self.channels.of(to.who).get(to.channel)

    def stranger(self, name: str) -> str | None:
        """That the file has no such group or person, and which it has; None where it has, or where it
        lists no people."""
        own = self._own(name)
        known: Mapping[str, object] = self._groups if is_group(own) else self._names
        if own in known or (not known and not is_group(own)):
            return None
        some = ", ".join(sorted(known)[:_SOME]) or "none"
        more = f" and {len(known) - _SOME:,} more" if len(known) > _SOME else ""
        said = f"there is no {own}" if is_group(own) else f"{own} is not among the people"
        return one_line(f"{said}; there are: {some}{more}", 1_000)

    def summary(self) -> str:
        """How much there is of everything: ``3 people, 2 groups, 1 delegation``."""
        named = {one for members in self._groups.values() for one in members}
        named |= {one.principal for one in self._stand_ins} | {one.to for one in self._stand_ins}
        people = {one for one in {*self._names, *named, *self._operators} if not is_group(one)}
        counts = (
            (len(people), "person", "people"),
            (len(self._groups), "group", "groups"),
            (len(self._stand_ins), "delegation", "delegations"),
        )
        return ", ".join(f"{count:,} {one if count == 1 else more}" for count, one, more in counts)

    def _own(self, name: str) -> str:
        key = name.strip().casefold()
        return self._owners.get(key, key)

    def _person(self, own: str, groups: frozenset[str], signed_in: Sequence[str] = ()) -> Person:
        listed = groups & frozenset(self._reach(own, self._above))
        vouched = groups & frozenset(self._above_all(signed_in)) - listed
        return Person(
            name=own,
            names=self._names.get(own, frozenset({own})),
            groups=listed | vouched,
            vouched=vouched,
        )

    def _signed_in(self, vouched: Sequence[str]) -> tuple[str, ...]:
        """Those of the groups that a sign-in may vouch for."""
        return tuple(name for name in folded(vouched) if name in self._sign_in)

    def _above_all(self, groups: Sequence[str]) -> list[str]:
        """Groups, and all those that have them inside, each once."""
        found = [one for group in groups for one in (group, *self._reach(group, self._above))]
        return list(dict.fromkeys(found))

    def _is_open(self, group: str) -> bool:
        return not self._sign_in.isdisjoint((group, *self._reach(group, self._groups)))

    def _people(self, group: str) -> tuple[str, ...]:
        reached = self._reach(group, self._groups)
        return tuple(one for one in reached if not is_group(one))

    def _principals(self, own: str, at: datetime) -> Iterator[str]:
        held = {
            to: [one.principal for one in stand_ins if one.holds(at)]
            for to, stand_ins in self._for.items()
        }
        yield from (one for one in self._reach(own, held) if one != own)

    @staticmethod
    def _reach(start: str, steps: Mapping[str, Iterable[str]]) -> list[str]:
        """All that can be reached, nearest first, without the start; a list, and each once."""
        found = {start: None}
        level: Iterable[str] = (start,)
        while level:
            nearest = [one for name in level for one in steps.get(name, ())]
            level = [one for one in dict.fromkeys(nearest) if one not in found]
            found.update(dict.fromkeys(level))
        return list(found)[1:]


NOBODY = Directory(exists=False)
"""Where there is no file: no groups, no delegations, and nothing known of anybody but the name."""

"""What the directory says of people: their groups, their other names, whom they stand in for.

A request names people and groups; who is in a group, and who stands in for whom, is told by the
directory at the moment somebody decides. Pydantic models, no engine.
"""

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer

from .stages import is_group

Names = Annotated[frozenset[str], PlainSerializer(sorted, return_type=list[str], when_used="json")]
"""In the same order from every process: what one has said is compared with what another one says."""


class Person(BaseModel):
    """Somebody, as the directory knows them."""

    model_config = ConfigDict(frozen=True)

    name: str
    """The one name that the directory keeps for them, case-folded; where it knows none, their own."""

    names: Names = frozenset()
    """All their names, case-folded, ``name`` among them."""

    groups: Names = frozenset()
    """The groups they are in, ``group:finance``, case-folded; of those that were asked about."""

    vouched: Names = frozenset()
    """Those of ``groups`` that they are in by their sign-in only: the directory lists them in none."""

    def is_among(self, audience: tuple[str, ...]) -> bool:
        """Whether an audience names them, or a group that they are in.

        Whoever calls themselves by the name of a group is not in it.
        """
        listed = {name.casefold() for name in audience}
        own = {name for name in self.names if not is_group(name)}
        return not listed.isdisjoint(own | self.groups)

    def through(self, audience: tuple[str, ...]) -> str | None:
        """The group of an audience that only their sign-in puts them in; None where nothing needs it."""
        listed = self.model_copy(update={"groups": self.groups - self.vouched})
        if not self.vouched or listed.is_among(audience):
            return None
        return next((name for name in audience if name.casefold() in self.vouched), None)


class Standing(Person):
    """Somebody who does something to a request, at that moment."""

    known: bool = True
    """Whether the directory lists them; True where there is none."""

    operator: bool = False
    """Whether they look after requests: may withdraw any of them."""

    stands_in_for: tuple[Person, ...] = ()
    """For whom they may decide at that moment, by the directory's delegations or by this request's."""


class Members(BaseModel):
    """What the directory says of an audience when a request is made."""

    model_config = ConfigDict(frozen=True)

    directory: bool = False
    """Whether there is a directory at all."""

    reached: bool = False
    """Whether it says of anybody by which channels they are told."""

    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """The names (``Person.name``) of each group's members, groups inside it included."""

    open_groups: tuple[str, ...] = ()
    """Those whose members nobody can list, because a sign-in vouches for them, or for a group in them."""

    unknown: tuple[str, ...] = ()
    """Groups that were asked about and that it doesn't have."""

    aliases: dict[str, str] = Field(default_factory=dict)
    """From each case-folded name that was asked about to ``Person.name``, where they differ."""

    def is_open(self, audience: tuple[str, ...]) -> bool:
        """Whether an audience has more people than can be told."""
        return any(name.casefold() in self.open_groups for name in audience)

    def people(self, audience: tuple[str, ...]) -> frozenset[str]:
        """Everybody whom an audience means, as far as they can be told, each once."""
        found: set[str] = set()
        for name in (one.casefold() for one in audience):
            if is_group(name):
                found |= set(self.groups.get(name, ()))
            else:
                found.add(self.aliases.get(name, name))
        return frozenset(found)


class StandingQuestion(BaseModel):
    """What the directory is asked of somebody."""

    model_config = ConfigDict(frozen=True)

    person: str
    at: AwareDatetime
    """The moment that their delegations are asked for."""
    groups: tuple[str, ...] = ()
    """The groups that matter."""
    vouched: tuple[str, ...] = ()
    """The groups that their sign-in vouches for, whatever is said of them in the directory."""
    principals: tuple[str, ...] = ()
    """For whom the request's own delegations let them decide."""
    lent: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Of some of these, the groups that their sign-in vouched for when they handed it over."""


def unlisted(name: str) -> Standing:
    """Somebody of whom nothing is known but the name."""
    key = name.casefold()
    return Standing(name=key, names=frozenset({key}))

"""``reviewers.toml``: people, groups, delegations and operators; every fault at once, with its line.

operators = ["group:ops"]            # may withdraw any request

[people."ada@example.com"]           # once anybody is listed, every name in the file has to be
name = "Ada Lovelace"                # optional, for display
aliases = ["ada"]                    # other names of hers: the login of her machine, ...

[groups]
finance = ["ada@example.com", "grace@example.com"]
leads = ["group:finance", "mary@example.com"]

[sign_in]                            # who a sign-in vouches for is in these, too
groups = ["sre", "finance"]          # as in [groups]; they need not be there

[[delegation]]                       # grace may decide for ada in those days
from = "ada@example.com"
to = "grace@example.com"
since = 2026-12-01                   # from 00:00 UTC on; or a date-time with its zone
until = 2026-12-15                   # to the end of that day, UTC; or a date-time: up to it

By which channels they are told stands in the same file: see ``channel_entries``.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from clearance.stages import GROUP, is_group
from clearance.text import one_line

from . import channel_entries
from .circles import check_circles
from .directory import NOBODY as NOBODY
from .directory import Directory as Directory
from .directory import StandIn
from .entries import Entries
from .lines import Place
from .reading import check_size, document, read

_TABLES = ("operators", "people", "groups", "sign_in", "delegation", "notify", "webhooks")

MAX_PEOPLE = 10_000
MAX_ALIASES = 20
MAX_GROUPS = 1_000
MAX_DELEGATIONS = 1_000


def load(path: Path) -> Directory:
    """Read a file of reviewers. An empty one is a directory too: it has no groups.

    Raises:
        BrokenPolicy: it can't be read, is larger than 1,500,000 bytes, or anything in it is wrong.
    """
    return _parse(read(path), str(path))


def parse(text: str, source: str) -> Directory:
    """The directory that ``text`` holds; ``source`` names it in problems. Raises BrokenPolicy."""
    return _parse(text.encode(errors="surrogatepass"), source)


def _parse(data: bytes, source: str) -> Directory:
    check_size(data, source)
    entries = Entries(document(data, source))
    entries.only((), "", entries.raw, _TABLES)
    names = _Names(entries)
    operators = names.members(("operators",), "operators", entries.raw.get("operators", []))
    stand_ins = dict(_stand_ins(entries, names))
    check_circles(entries, names.groups, stand_ins)
    told = channel_entries.read(entries, names.people, names.groups)
    entries.check()
    every = list(stand_ins.values())
    return Directory(
        names.people, names.groups, every, operators, sign_in=names.sign_in, channels=told
    )


class _Names:
    """The people and groups of a file."""

    def __init__(self, entries: Entries) -> None:
        self._entries = entries
        self.people: dict[str, list[str]] = {}
        self.groups: dict[str, list[str]] = {}
        self.sign_in: list[str] = []
        self._owners: dict[str, str] = {}
        people = entries.table("people", MAX_PEOPLE)
        self._listed = bool(people)
        self._read_people(people)
        self._read_sign_in(entries.table("sign_in", MAX_GROUPS))
        self._read_groups(entries.table("groups", MAX_GROUPS))

    def _read_people(self, table: dict[str, Any]) -> None:
        found = []
        for key, entry in table.items():
            what, place = f'people."{one_line(key, 80)}"', ("people", key)
            own = self._person(place, what, key)
            if own is None or not self._is_new(place, what, own):
                continue
            self.people[own] = [own]
            self._owners[own] = own
            if isinstance(entry, dict):
                found.append((place, what, own, entry))
            else:
                self._entries.fault(place, f"{what}: write [{what}], in brackets")
        # After everybody's own name: an alias that is one of those is the one at fault.
        for place, what, own, entry in found:
            self._read_person(place, what, own, entry)

    def _read_person(self, place: Place, what: str, own: str, entry: dict[str, Any]) -> None:
        self._entries.only(place, what, entry, ("name", "aliases", "notify"))
        if "name" in entry:
            self._entries.name((*place, "name"), f"{what}: name", entry["name"])
        place, what = (*place, "aliases"), f"{what}: aliases"
        aliases = self._entries.items(place, what, entry.get("aliases", []))
        if len(aliases) > MAX_ALIASES:
            self._entries.fault(place, f"{what}: {len(aliases)} names, at most {MAX_ALIASES}")
        for at, where, alias in aliases:
            name = self._person(at, where, alias)
            if name is not None and self._is_new(at, where, name):
                self.people[own].append(name)
                self._owners[name] = own

    def _read_sign_in(self, table: dict[str, Any]) -> None:
        place, what = ("sign_in", "groups"), "sign_in: groups"
        self._entries.only(("sign_in",), "sign_in", table, ("groups",))
        listed = self._entries.items(place, what, table.get("groups", []))
        if len(listed) > MAX_GROUPS:
            self._entries.fault(place, f"{what}: {len(listed):,} of them, at most {MAX_GROUPS:,}")
        found = [self._group(at, where, key) for at, where, key in listed]
        self.sign_in = [name for name in dict.fromkeys(found) if name is not None]

    def _group(self, place: Place, what: str, key: Any) -> str | None:
        """The name of a group, where it is written without the word."""
        name = self._entries.name(place, what, key)
        if name is None or not is_group(name):
            return None if name is None else self._entries.name(place, what, GROUP + name)
        self._entries.fault(place, f'{what}: write it without "{GROUP}" here')
        return None

    def _read_groups(self, table: dict[str, Any]) -> None:
        found = []
        for key, members in table.items():
            what, place = f"groups.{one_line(key, 80)}", ("groups", key)
            if (name := self._group(place, what, key)) is not None:
                if name in self.groups:
                    self._entries.fault(place, f"{what}: there is a group of this name already")
                self.groups.setdefault(name, [])
                found.append((place, what, name, members))
        for name in self.sign_in:
            self.groups.setdefault(name, [])
        for place, what, name, members in found:
            self.groups[name] += self.members(place, what, members)

    def members(self, place: Place, what: str, members: Any) -> list[str]:
        """The people and groups of a list, by the names that the directory keeps for them."""
        found: dict[str, None] = {}
        for at, where, member in self._entries.items(place, what, members):
            name = self._entries.name(at, where, member)
            if name is not None and is_group(name):
                if name in self.groups:
                    found[name] = None
                else:
                    hint = self._entries.hint(name, self.groups)
                    self._entries.fault(at, f"{where}: there is no {name}{hint}")
            elif name is not None and (own := self._own(at, where, name)) is not None:
                found[own] = None
        return list(found)

    def person(self, place: Place, what: str, value: Any) -> str | None:
        """Somebody, by the name that the directory keeps for them."""
        name = self._person(place, what, value)
        return None if name is None else self._own(place, what, name)

    def _own(self, place: Place, what: str, name: str) -> str | None:
        if name in self._owners or not self._listed:
            return self._owners.get(name, name)
        hint = self._entries.hint(name, self._owners)
        self._entries.fault(place, f"{what}: {name} is not among the people{hint}")
        return None

    def _person(self, place: Place, what: str, value: Any) -> str | None:
        name = self._entries.name(place, what, value)
        if name is None or not is_group(name):
            return name
        self._entries.fault(place, f"{what}: {name} is a group, and a person is meant here")
        return None

    def _is_new(self, place: Place, what: str, name: str) -> bool:
        if name not in self._owners:
            return True
        self._entries.fault(place, f"{what}: {name} is a name of {self._owners[name]} already")
        return False


def _stand_ins(entries: Entries, names: _Names) -> Iterator[tuple[int, StandIn]]:
    """The delegations that are whole, each with its number in the file, from 0."""
    listed, place = entries.raw.get("delegation", []), ("delegation",)
    if isinstance(listed, dict):
        entries.fault(place, "delegation: write [[delegation]], in two pairs of brackets")
        return
    found = entries.items(place, "delegation", listed)
    if len(found) > MAX_DELEGATIONS:
        entries.fault(place, f"delegation: {len(found):,} of them, at most {MAX_DELEGATIONS:,}")
        return
    for number, (at, _, entry) in enumerate(found):
        what = f"delegation {number + 1}"
        if not isinstance(entry, dict):
            entries.fault(at, f"{what}: write [[delegation]] with from, to, since and until")
        elif one := _stand_in(entries, names, at, what, entry):
            yield number, one


_KEYS = ("from", "to", "since", "until")


def _stand_in(
    entries: Entries, names: _Names, place: Place, what: str, entry: dict[str, Any]
) -> StandIn | None:
    entries.only(place, what, entry, _KEYS)
    for key in _KEYS:
        if key not in entry:
            entries.fault(place, f"{what}: {key} is missing")

    def person(key: str) -> str | None:
        return names.person((*place, key), f"{what}: {key}", entry[key]) if key in entry else None

    def moment(key: str, *, last: bool) -> datetime | None:
        try:
            return _moment(entry[key], last=last) if key in entry else None
        except ValueError as error:
            entries.fault((*place, key), f"{what}: {key}: {error}")
            return None

    principal, to = person("from"), person("to")
    since, until = moment("since", last=False), moment("until", last=True)
    if principal is not None and principal == to:
        entries.fault((*place, "to"), f"{what}: {to} can't stand in for themselves")
        return None
    if since is not None and until is not None and until <= since:
        entries.fault((*place, "until"), f"{what}: until is not after since")
        return None
    if principal is None or to is None or since is None or until is None:
        return None
    return StandIn(principal, to, since, until)


def _moment(value: Any, *, last: bool) -> datetime:
    """The moment that a date or a date-time stands for; of a date its end, where it is the last.

    Raises:
        ValueError: it is something else, or a date-time without a zone.
    """
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("it has no zone: write 2026-12-01T09:00:00Z, or the date alone")
        return value
    if not isinstance(value, date):
        raise ValueError("write a date without quotes: 2026-12-01")
    start = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not last:
        return start
    return start + timedelta(days=1) if value < date.max else datetime.max.replace(tzinfo=UTC)

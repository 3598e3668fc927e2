"""The channels of a file of reviewers, taken from its TOML; every fault is kept with its line.

[people."ada@example.com"]
notify = ["mail", "env:ADA_NTFY"]    # by mail; by an Apprise URL that stands in ADA_NTFY

[notify]
mail = "everyone"                    # also who has no list, and an address for a name

[notify.groups.finance]              # told as one, instead of each of its members
channels = ["env:FINANCE_SLACK", "webhook:erp"]
each = false                         # true: its members are told, too

[notify.template]
title = "{what} {action}"
line = "{what} {action}, {risk} risk"

[webhooks.erp]
url = "https://erp.example.com/hooks/clearance"
secret = "env:ERP_WEBHOOK_SECRET"    # whsec_...
allow_private = false                # true: it stands at a private address, or has no TLS
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clearance.stages import GROUP
from clearance.text import one_line

from .channels import (
    ENV,
    MAIL,
    WEBHOOK,
    Channel,
    Channels,
    GroupChannels,
    Mail,
    Service,
    Webhook,
    Wording,
    apprise,
    check_secret,
    check_url,
    check_wording,
    mail_address,
)
from .entries import Entries
from .lines import Place

MAX_CHANNELS = 10
"""Of one person or group."""

MAX_WEBHOOKS = 100
MAX_WORDING_CHARS = 500

_VARIABLE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,49}")


def read(entries: Entries, people: Mapping[str, Sequence[str]], groups: Iterable[str]) -> Channels:
    """The channels that the file names, as far as they are whole.

    Args:
        entries: the file.
        people: each person's names, their own first.
        groups: the groups that there are.
    """
    return _Reader(entries).channels(people, groups)


class _Reader:
    def __init__(self, entries: Entries) -> None:
        self._entries = entries
        self._webhooks: dict[str, Webhook] = {}
        self._broken: set[str] = set()

    def channels(self, people: Mapping[str, Sequence[str]], groups: Iterable[str]) -> Channels:
        self._read_webhooks()
        table = self._entries.table("notify", 1_000)
        self._entries.only(("notify",), "notify", table, ("mail", "groups", "template"))
        return Channels(
            people=self._people(people),
            groups=self._groups(table, frozenset(groups)),
            webhooks=self._webhooks,
            wording=self._wording(table),
            mail_everyone=self._mail(table),
        )

    def _mail(self, table: Mapping[str, Any]) -> bool:
        said = table.get("mail", "named")
        if said not in ("everyone", "named"):
            self._entries.fault(("notify", "mail"), 'notify: mail: "everyone" or "named"')
        return bool(said == "everyone")

    def _people(self, people: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Channel]]:
        found = {}
        listed = self._entries.raw.get("people", {})
        for key, entry in listed.items() if isinstance(listed, dict) else ():
            own = key.strip().casefold()
            if own in people and isinstance(entry, dict) and "notify" in entry:
                what = f'people."{one_line(key, 80)}": notify'
                address = mail_address(people[own])
                place = ("people", key, "notify")
                found[own] = self._list(place, what, entry["notify"], address)
        return found

    def _groups(self, table: Mapping[str, Any], known: frozenset[str]) -> dict[str, GroupChannels]:
        found = {}
        for key, entry in self._table(("notify", "groups"), table.get("groups", {})).items():
            place, what = ("notify", "groups", key), f"notify.groups.{one_line(key, 80)}"
            name = f"{GROUP}{key.strip().casefold()}"
            if name not in known:
                said = f"{what}: there is no {name}{self._entries.hint(name, known)}"
                self._entries.fault(place, said)
            if name in found:
                self._entries.fault(place, f"{what}: it stands here already")
            if not isinstance(entry, dict):
                self._entries.fault(place, f"{what}: write [{what}], in brackets")
                continue
            self._entries.only(place, what, entry, ("channels", "each"))
            listed = entry.get("channels")
            if listed is None:
                self._entries.fault(place, f"{what}: channels is missing")
            channels = self._list((*place, "channels"), f"{what}: channels", listed or [])
            found[name] = GroupChannels(channels, self._flag(place, what, entry, "each"))
        return found

    def _list(
        self, place: Place, what: str, value: Any, address: str | None = None
    ) -> dict[str, Channel]:
        """The channels of a list. ``address`` is where mail goes."""
        if not isinstance(value, list):
            self._entries.fault(place, f'{what}: write a list: ["mail", "env:ADA_NTFY"]')
            return {}
        if len(value) > MAX_CHANNELS:
            self._entries.fault(place, f"{what}: {len(value)} channels, at most {MAX_CHANNELS}")
            return {}
        found: dict[str, Channel] = {}
        for at, where, said in self._entries.items(place, what, value):
            try:
                id, channel = self._channel(said, address, found)
            except ValueError as error:
                self._entries.fault(at, f"{where}: {error}")
            else:
                found[id] = channel
        return found

    def _channel(
        self, said: Any, address: str | None, others: Mapping[str, Channel]
    ) -> tuple[str, Channel]:
        """A channel and its id. Raises ValueError, whose text shows no URL."""
        if not isinstance(said, str):
            raise ValueError('write "mail", "webhook:NAME", an Apprise URL, or "env:NAME" for one')
        if said == MAIL:
            if address is None:
                raise ValueError("nothing to send mail to: none of their names is an address")
            return said, Mail(address)
        if said.startswith(WEBHOOK):
            return said, self._webhook(said)
        if said.startswith(ENV):
            return said, Service(_variable(said))
        scheme = _checked(said)
        number = sum(id.partition("-")[0] == scheme for id in others) + 1
        return f"{scheme}-{number}" if number > 1 else scheme, Service(said)

    def _webhook(self, said: str) -> Webhook:
        name = said.removeprefix(WEBHOOK)
        if name in self._webhooks:
            return self._webhooks[name]
        if name in self._broken:  # that fault is told already
            return Webhook(name, "", "")
        hint = self._entries.hint(name, self._webhooks, 0.6)
        raise ValueError(f"there is no [webhooks.{one_line(name, 80)}]{hint}")

    def _read_webhooks(self) -> None:
        for key, entry in self._entries.table("webhooks", MAX_WEBHOOKS).items():
            place, what = ("webhooks", key), f"webhooks.{one_line(key, 80)}"
            if not _NAME.fullmatch(key):
                self._entries.fault(place, f"{what}: a name of up to 50 of a-z, 0-9, . _ and -")
            elif not isinstance(entry, dict):
                self._entries.fault(place, f"{what}: write [{what}], in brackets")
            elif (made := self._made(place, what, key, entry)) is not None:
                self._webhooks[key] = made
                continue
            self._broken.add(key)

    def _made(self, place: Place, what: str, name: str, entry: dict[str, Any]) -> Webhook | None:
        self._entries.only(place, what, entry, ("url", "secret", "allow_private"))
        private = self._flag(place, what, entry, "allow_private")
        checks = {"url": lambda one: check_url(one, private=private), "secret": check_secret}
        for key, check in checks.items():
            at, where, value = (*place, key), f"{what}: {key}", entry.get(key)
            try:
                if value is None:
                    at, where = place, what
                    hint = ": `clearance webhook secret` makes one" if key == "secret" else ""
                    raise ValueError(f"{key} is missing{hint}")
                if not isinstance(value, str):
                    raise ValueError("write it in quotes")
                if value.startswith(ENV):
                    _variable(value)
                else:
                    check(value)
            except ValueError as error:
                self._entries.fault(at, f"{where}: {error}")
                return None
        return Webhook(name, entry["url"], entry["secret"], private)

    def _wording(self, table: Mapping[str, Any]) -> Wording:
        place = ("notify", "template")
        given = self._table(place, table.get("template", {}))
        self._entries.only(place, "notify.template", given, ("title", "line"))
        found = {}
        for key in ("title", "line"):
            if key not in given:
                continue
            try:
                found[key] = _worded(given[key])
            except ValueError as error:
                self._entries.fault((*place, key), f"notify.template: {key}: {error}")
        return Wording(**found)

    def _table(self, place: Place, value: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        name = ".".join(map(str, place))
        self._entries.fault(place, f"{name}: write a table: [{name}]")
        return {}

    def _flag(self, place: Place, what: str, entry: Mapping[str, Any], key: str) -> bool:
        said = entry.get(key, False)
        if not isinstance(said, bool):
            self._entries.fault((*place, key), f"{what}: {key}: true or false, without quotes")
        return said is True


def _checked(url: str) -> str:
    """The scheme of an Apprise URL. Raises ValueError, which doesn't show it."""
    scheme = url.partition("://")[0].casefold()
    if "://" not in url or not re.fullmatch("[a-z0-9+]{1,20}", scheme):
        raise ValueError('write "mail", "webhook:NAME", an Apprise URL, or "env:NAME" for one')
    if apprise().Apprise.instantiate(url) is None:
        raise ValueError(f"Apprise can't read this {scheme}:// address")
    return scheme


def _variable(said: str) -> str:
    if not _VARIABLE.fullmatch(said):
        raise ValueError("write the name of an environment variable: env:ADA_NTFY")
    return said


def _worded(text: Any) -> str:
    if not isinstance(text, str) or not text.strip() or len(text) > MAX_WORDING_CHARS:
        raise ValueError(f"write 1 to {MAX_WORDING_CHARS} characters, in quotes")
    if not text.isprintable():
        raise ValueError("write it on one line")
    check_wording(text)
    return text

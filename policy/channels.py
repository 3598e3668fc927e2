"""By which channels people and groups are told: what ``reviewers.toml`` says of it, ready to be asked.

Nothing here shows an address or a secret: reprs end up in logs.
"""

import base64
import binascii
import importlib
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import Formatter
from typing import Any
from urllib.parse import urlsplit

from clearance import template
from clearance.notices import Destination
from clearance.stages import is_group

from .reachable import PRIVATE, is_private_host

MAIL = "mail"
WEBHOOK = "webhook:"
ENV = "env:"
"""Begins what stands in an environment variable of whoever sends, and not in the file."""

FIELDS = (
    *("what", "action", "tool", "requester", "risk", "deadline", "left", "stage", "by", "reason"),
    *("id", "run_id"),
)
"""What a template may name. ``what`` is ``Approve?``, ``Approved:``, ...; ``left`` is ``3 h 20 min``."""

SECRET = "whsec_"  # noqa: S105 - how one begins
_SECRET_BYTES = range(24, 65)  # as Standard Webhooks says
_ADDRESS = re.compile(r"[^\s@<>\"',;:()\[\]\\]+@[^\s@<>\"',;:()\[\]\\]+")


@dataclass(frozen=True)
class Mail:
    """A mail, by the configured SMTP server."""

    to: str


@dataclass(frozen=True)
class Service:
    """Anything that Apprise reaches: a chat, a phone, ..."""

    url: str = field(repr=False)
    """Its Apprise URL, or ``env:NAME``."""


@dataclass(frozen=True)
class Webhook:
    """Another service, that is told by HTTP; signed as Standard Webhooks says."""

    name: str
    url: str = field(repr=False)
    """Its address, or ``env:NAME``."""

    secret: str = field(repr=False)
    """``whsec_...``, or ``env:NAME``."""

    allow_private: bool = False
    """Whether it may stand at a private address, and be called without TLS."""


Channel = Mail | Service | Webhook


@dataclass(frozen=True)
class GroupChannels:
    """How a group is told as one."""

    channels: Mapping[str, Channel]
    each: bool = False
    """Whether its members are told as well, each by their own channels."""


@dataclass(frozen=True)
class Wording:
    """Templates of a message; ``FIELDS`` are what they may name."""

    title: str = "{what} {action}"
    """Of a message about one request."""

    line: str = "{what} {action}"
    """How a request is named in a message."""


@dataclass(frozen=True)
class Channels:
    """Everybody's channels, each by its id in the file: ``mail``, ``env:NTFY``, ``webhook:erp``."""

    people: Mapping[str, Mapping[str, Channel]] = field(default_factory=dict)
    """Of those who have a list of their own, by the directory's name for them; it may be empty."""

    groups: Mapping[str, GroupChannels] = field(default_factory=dict)
    """Of those that are told as one."""

    webhooks: Mapping[str, Webhook] = field(default_factory=dict)
    wording: Wording = Wording()
    mail_everyone: bool = False
    """Whether those without a list are told by mail, where their name is an address."""

    def __bool__(self) -> bool:
        """Whether anybody can be told anything."""
        return bool(self.people or self.groups or self.mail_everyone)

    @property
    def used(self) -> tuple[Channel, ...]:
        """Every channel that the file names, each once."""
        lists = [*self.people.values(), *(one.channels for one in self.groups.values())]
        named = [channel for listed in lists for channel in listed.values()]
        return tuple(dict.fromkeys([*named, *self.webhooks.values()]))

    @property
    def mails(self) -> bool:
        """Whether anybody is told by mail."""
        return self.mail_everyone or any(isinstance(one, Mail) for one in self.used)

    @property
    def variables(self) -> list[str]:
        """The environment variables that addresses and secrets stand in, sorted."""
        said = [one.url for one in self.used if not isinstance(one, Mail)]
        said += [one.secret for one in self.webhooks.values()]
        return sorted({one.removeprefix(ENV) for one in said if one.startswith(ENV)})

    def summary(self) -> str:
        """How much there is of it: ``2 people and 1 group told by 3 channels``. Mail is one channel."""
        people, groups = sum(map(bool, self.people.values())), len(self.groups)
        ways = len({MAIL if isinstance(one, Mail) else one for one in self.used})
        ways += self.mail_everyone and not any(isinstance(one, Mail) for one in self.used)
        told = f"{people:,} {'person' if people == 1 else 'people'}"
        told += f" and {groups:,} group{'' if groups == 1 else 's'}"
        return f"{told} told by {ways:,} channel{'' if ways == 1 else 's'}"

    def of(self, who: str) -> Mapping[str, Channel]:
        """The channels of a person or group, by their ids; empty where there are none."""
        if is_group(who):
            return self.groups[who].channels if who in self.groups else {}
        if who not in self.people and self.mail_everyone and (to := mail_address([who])):
            return {MAIL: Mail(to)}
        return self.people.get(who, {})

    def is_told_as_one(self, group: str) -> bool:
        """Whether a group is told by its own channels only, its members not."""
        return group in self.groups and not self.groups[group].each

    def destinations(self, who: str) -> tuple[Destination, ...]:
        """Where a person or group is told. Only people want digests."""
        return tuple(
            Destination(who=who, channel=id, digest=not isinstance(channel, Webhook))
            for id, channel in self.of(who).items()
        )


NONE = Channels()
"""Nobody is told."""


def mail_address(names: Sequence[str]) -> str | None:
    """The first of somebody's names that is an address for mail; None where none is."""
    return next((name for name in names if _ADDRESS.fullmatch(name)), None)


def apprise() -> Any:
    """The library of that name, when it is needed: it is slow to load. Its own log is for nobody: it
    tells addresses; what it says of one message is with the message's result."""
    logger = logging.getLogger("apprise")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    logger.propagate = False
    # Below these, both tell whole addresses.
    logger.setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.INFO)
    return importlib.import_module("apprise")


def check_wording(text: str) -> None:
    """Raise ValueError, saying what is wrong, for a template of a message that can't be filled."""
    template.check(text)
    for _, name, _, _ in Formatter().parse(text):
        if name is not None and name not in FIELDS:
            raise ValueError(f"{{{name}}} is no field of a notice; these are: {', '.join(FIELDS)}")


def check_url(url: str, *, private: bool) -> None:
    """Raise ValueError for what is no address of a webhook; ``private`` ones need no TLS."""
    try:
        parts = urlsplit(url)
        whole = bool(parts.hostname) and parts.port != 0 and url.isprintable() and " " not in url
    except ValueError:
        whole = False
    if not whole or parts.scheme not in ("https", "http") or parts.username or parts.fragment:
        raise ValueError("write an address like https://erp.example.com/hooks/clearance")
    if parts.scheme == "http" and not private:
        raise ValueError("write an https address; http only with allow_private = true")
    if not private and is_private_host(parts.hostname or ""):
        raise ValueError(PRIVATE)


def check_secret(secret: str) -> None:
    """Raise ValueError for what is no secret of a webhook."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET) + "==", validate=False)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(SECRET) or len(key) not in _SECRET_BYTES:
        raise ValueError("no secret of a webhook: make one by `clearance webhook secret`")

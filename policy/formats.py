"""The formats of JSON Schema that are checked, each in one form: a condition compares text.

A tool reads ``12345678123456781234567812345678`` as the UUID that a condition knows with hyphens, and
so the condition would be about another value than the one that the tool gets.
"""

import re
from collections.abc import Callable
from datetime import date, datetime, time
from ipaddress import IPv4Address, IPv6Address

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"

_TIME = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"

_ZONE = r"(Z|[+-][0-9]{2}:[0-9]{2})"

_EMAIL = re.compile(r'[^\s@<>"(),;:]{1,64}@[^\s@<>"(),;:]{1,255}')


def _read(expression: str, read: Callable[[str], object]) -> Callable[[str], bool]:
    """Whether a text looks so and can be read, too: there is no 30th of February."""
    form = re.compile(expression)

    def check(text: str) -> bool:
        if not form.fullmatch(text):
            return False
        try:
            read(text)
        except ValueError:
            return False
        return True

    return check


def _address(of: type[IPv4Address] | type[IPv6Address]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            return str(of(text)) == text
        except ValueError:
            return False

    return check


def _email(text: str) -> bool:
    domain = text.rpartition("@")[2]
    return _EMAIL.fullmatch(text) is not None and domain == domain.lower()


FORMATS: dict[str, tuple[str, Callable[[str], bool]]] = {
    "date": ("a date as 2026-01-31", _read(_DATE, date.fromisoformat)),
    "date-time": (
        "a time with its zone, as 2026-01-31T09:30:00Z",
        _read(f"{_DATE}T{_TIME}{_ZONE}", datetime.fromisoformat),
    ),
    "email": ("an address as ada@example.com, its domain in lower case", _email),
    "ipv4": ("an IPv4 address as 192.0.2.1", _address(IPv4Address)),
    "ipv6": ("an IPv6 address in its shortest form, as 2001:db8::1", _address(IPv6Address)),
    "time": ("a time as 09:30:00", _read(f"{_TIME}{_ZONE}?", time.fromisoformat)),
    "uuid": (
        "a UUID in lower case with its hyphens",
        lambda text: _UUID.fullmatch(text) is not None,
    ),
}
"""What is told of a format, and whether a text is in it. Others are not checked."""


def in_form(form: object, text: str) -> bool:
    """Whether ``text`` is in this format, in the one form we take; True of formats not checked."""
    return FORMATS[form][1](text) if isinstance(form, str) and form in FORMATS else True

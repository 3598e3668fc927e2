"""Secrets among a tool's arguments: told by the argument's name, shown to nobody. Pure functions."""

import re
from collections.abc import Iterable, Mapping

from pydantic import JsonValue

MASK = "[masked]"
"""What stands where a secret was."""

SECRETS = frozenset(
    {
        *("access_key", "api_key", "api_keys", "apikey", "authorization", "card_number", "cookie"),
        *("credential", "credentials", "cvc", "cvv", "otp", "passphrase", "passwd", "password"),
        *("passwords", "pin", "private_key", "pwd", "secret", "secrets", "ssn", "token"),
    }
)
"""Argument names whose values are masked. A name that contains one as words is meant too:
``userPassword``, ``X-API-Key``, ``stripe_secret_key``; ``max_tokens`` is not."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")

_SHORTEST = 4
"""Characters of a secret that is looked for in other texts; a shorter one is in any text by chance."""


def names(further: Iterable[str] = ()) -> frozenset[str]:
    """The built-in names and ``further`` ones, in the form ``conceal`` takes."""
    return SECRETS | {_words(name) for name in further}


def conceal(
    arguments: Mapping[str, JsonValue], secrets: frozenset[str] = SECRETS
) -> tuple[dict[str, JsonValue], tuple[str, ...]]:
    """The arguments as they may be shown, and where something is masked in them.

    Returns:
        A copy with ``MASK`` for every value under a secret name, however deep; and the JSON
        pointers (RFC 6901) of those values.
    """
    masked: list[str] = []

    def walk(value: JsonValue, at: str) -> JsonValue:
        if isinstance(value, dict):
            return {name: part(name, item, f"{at}/{_escape(name)}") for name, item in value.items()}
        if isinstance(value, list):
            return [walk(item, f"{at}/{index}") for index, item in enumerate(value)]
        return value

    def part(name: str, item: JsonValue, at: str) -> JsonValue:
        if not _is_secret(name, secrets):
            return walk(item, at)
        masked.append(at)
        return MASK

    shown = {name: part(name, item, pointer(name)) for name, item in arguments.items()}
    return shown, tuple(masked)


def reveal(
    shown: Mapping[str, JsonValue], original: Mapping[str, JsonValue], pointers: Iterable[str]
) -> dict[str, JsonValue]:
    """``shown`` with the values of ``original`` back where they were masked.

    Raises:
        ValueError: ``shown`` has no mask at one of the places; nothing may be put there.
    """
    result: JsonValue = _copy(dict(shown))
    for pointer in pointers:
        *path, last = pointer.split("/")[1:]
        to: JsonValue = result
        real: JsonValue = dict(original)
        for step in path:
            to, real = _child(to, step), _child(real, step)
        if _child(to, last) != MASK:
            raise ValueError(f"the masked argument {pointer} can't be changed")
        if isinstance(to, dict):  # what is masked always stands under a name
            to[_unescape(last)] = _child(real, last)
    return result if isinstance(result, dict) else {}


def scrub(text: str, arguments: Mapping[str, JsonValue], pointers: Iterable[str]) -> str:
    """``text`` without the masked values of ``arguments``, where somebody repeated them in words."""
    found: set[str] = set()
    for pointer in pointers:
        value: JsonValue = dict(arguments)
        for step in pointer.split("/")[1:]:
            value = _child(value, step)
        found |= {one for one in _leaves(value) if len(one) >= _SHORTEST}
    for secret in sorted(found, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def pointer(name: str) -> str:
    """The JSON pointer of a whole argument."""
    return f"/{_escape(name)}"


def _is_secret(name: str, secrets: frozenset[str]) -> bool:
    return any(f"_{secret}_" in f"_{_words(name)}_" for secret in secrets)


def _words(name: str) -> str:
    return "_".join(_WORD.findall(name)).casefold()


def _escape(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")


def _unescape(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")


def _child(value: JsonValue, step: str) -> JsonValue:
    """What is at one step of a pointer; None where there is nothing."""
    key = _unescape(step)
    if isinstance(value, dict):
        return value.get(key)
    if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
        return value[int(key)]
    return None


def _copy(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {name: _copy(item) for name, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _leaves(value: JsonValue) -> Iterable[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [leaf for item in value for leaf in _leaves(item)]
    return [] if value is None or isinstance(value, bool) else [str(value)]

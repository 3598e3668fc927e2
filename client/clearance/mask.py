"""Secrets among a tool's arguments: told by the argument's name, shown to nobody. Pure functions."""

import copy
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from pydantic import JsonValue

from .fields import PLAIN, inside

MASK = "[masked]"
"""What stands where a secret was."""

SECRETS = frozenset(
    {
        *("access_key", "access_tokens", "api_key", "api_keys", "apikey", "auth", "authorization"),
        *("bearer", "card_number", "connection_string", "cookie", "credential", "credentials"),
        *("cvc", "cvv", "jwt", "otp", "passcode", "passphrase", "passwd", "password", "passwords"),
        *("pin", "private_key", "pwd", "refresh_tokens", "secret", "secrets", "ssn", "token"),
    }
)
"""Argument names whose values are masked. A name that contains one as words is meant too:
``userPassword``, ``X-API-Key``, ``stripe_secret_key``, ``passWord``; ``max_tokens`` is not."""

MAX_MASKED = 500
MAX_POINTER_CHARS = 64 * 1024
"""How many values may be masked, and how long their pointers may be together."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")

_SPLIT = 6
"""Letters of a name that is known however it is divided: ``pass_word``. ``p_in`` is no ``pin``."""

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
        pointers (RFC 6901) of those values. The pointers end with the first that is too many
        (``check`` tells), so that no arguments make more of them than can be stored.
    """
    names = _pattern(secrets)
    masked: list[str] = []
    path: list[str | int] = []
    chars = 0

    def walk(value: JsonValue) -> JsonValue:
        if type(value) in PLAIN:
            return value
        if type(value) is dict or (type(value) is not list and isinstance(value, dict)):
            return {name: at(name, item) for name, item in value.items()}
        if type(value) is list or isinstance(value, list):
            return [at(index, item) for index, item in enumerate(value)]
        return value

    def at(step: str | int, item: JsonValue) -> JsonValue:
        nonlocal chars
        path.append(step)
        is_secret = type(step) is not int and names.search(f"_{_words(str(step))}_") is not None
        if is_secret and len(masked) <= MAX_MASKED and chars <= MAX_POINTER_CHARS:
            masked.append(pointer(*path))
            chars += len(masked[-1])
        shown = MASK if is_secret else walk(item)
        path.pop()
        return shown

    return {name: at(name, item) for name, item in arguments.items()}, tuple(masked)


def check(pointers: Sequence[str]) -> None:
    """Raise ValueError for more, or longer, pointers than a request keeps."""
    if len(pointers) > MAX_MASKED:
        raise ValueError(
            f"too many secrets among the arguments: at most {MAX_MASKED} values can be masked"
        )
    if sum(map(len, pointers)) > MAX_POINTER_CHARS:
        raise ValueError(
            "too many secrets among the arguments: their places take more than "
            f"{MAX_POINTER_CHARS:,} characters to name"
        )


def reveal(
    shown: Mapping[str, JsonValue], original: Mapping[str, JsonValue], pointers: Iterable[str]
) -> dict[str, JsonValue]:
    """``shown`` with the values of ``original`` back where they were masked.

    Raises:
        ValueError: ``shown`` has no mask at one of the places; nothing may be put there.
    """
    pointers = tuple(pointers)
    result = opened(shown, pointers)
    whole = dict(original)
    for pointer in pointers:
        *path, last = pointer.split("/")[1:]
        to: JsonValue = result
        real: JsonValue = whole
        for step in path:
            to, real = _child(to, step), _child(real, step)
        if _child(to, last) != MASK:
            raise ValueError(f"the masked argument {pointer} can't be changed")
        if isinstance(to, dict):  # what is masked always stands under a name
            to[_unescape(last)] = _child(real, last)
    return result


def opened(arguments: Mapping[str, JsonValue], pointers: Iterable[str]) -> dict[str, JsonValue]:
    """A copy that may be changed at these places; what is on the way to none of them is shared.

    A whole copy of 100,000 values takes a workflow task too long.
    """
    result = dict(arguments)
    own = {id(result)}
    for pointer in pointers:
        at: JsonValue = result
        for step in pointer.split("/")[1:-1]:
            child = _child(at, step)
            if id(child) not in own and type(child) in (dict, list):
                child = copy.copy(child)
                own.add(id(child))
                key = _unescape(step)
                at[int(key) if type(at) is list else key] = child  # type: ignore[index]
            at = child
    return result


def scrub(text: str, arguments: Mapping[str, JsonValue], pointers: Iterable[str]) -> str:
    """``text`` without the masked values of ``arguments``, where somebody repeated them in words or in
    JSON.

    Where more than 500 of them may be in it, nothing of it is left.
    """
    # What begins as nothing in the text does is not looked for: there may be thousands.
    begins = {text[i : i + _SHORTEST] for i in range(len(text) - _SHORTEST + 1)}
    whole = dict(arguments)
    found: set[str] = set()
    for pointer in pointers if begins else ():
        value: JsonValue = whole
        for step in pointer.split("/")[1:]:
            value = _child(value, step)
        for leaf in _leaves(value):
            found |= {one for one in _spellings(leaf) if one[:_SHORTEST] in begins}
    if len(found) > MAX_MASKED:  # each takes a pass through the text
        return MASK
    for secret in sorted(sorted(found), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def pointer(*path: str | int) -> str:
    """The JSON pointer (RFC 6901) of a value: of a whole argument, its name."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)


@lru_cache(maxsize=64)
def _pattern(secrets: frozenset[str]) -> re.Pattern[str]:
    """Finds a secret name among the words of another, which stand between underscores."""
    known = []
    for secret in sorted(filter(None, secrets)):
        letters = secret.replace("_", "")
        known.append(
            "_?".join(map(re.escape, letters)) if len(letters) >= _SPLIT else re.escape(secret)
        )
    return re.compile(f"_(?:{'|'.join(known) or '(?!)'})_")


def _words(name: str) -> str:
    return "_".join(_WORD.findall(name)).casefold()


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


def _leaves(value: JsonValue) -> Iterator[str]:
    """The texts and numbers in a value, however deep."""
    rest = [value]
    while rest:
        value = rest.pop()
        rest += inside(value)
        if type(value) in (str, int, float):
            yield str(value)


def _spellings(secret: str) -> tuple[str, ...]:
    """A text, and what stands for it inside JSON, where that is another."""
    if secret.isascii() and secret.isprintable() and '"' not in secret and "\\" not in secret:
        return (secret,)
    return (secret, *(json.dumps(secret, ensure_ascii=ascii)[1:-1] for ascii in (False, True)))

"""How long, as a policy and settings write it: ``90s``, ``2h``, ``never``."""

from datetime import timedelta

from clearance import contract

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def duration(text: str) -> timedelta | None:
    """``90s``, ``15m``, ``2h``, ``7d``, ``2w``, or ``never``, which is None.

    Raises:
        ValueError: it is none of these, nothing at all, or more than 5 years.
    """
    if text == "never":
        return None
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdecimal()) or unit not in _UNITS or len(number) > 9:
        raise ValueError(f"{text!r} is no duration: write 90s, 15m, 2h, 7d, 2w or never")
    try:
        length = timedelta(**{_UNITS[unit]: int(number)})
    except OverflowError:
        length = timedelta.max
    if not timedelta(0) < length <= contract.MAX_EXPIRY:
        raise ValueError(f"{text!r}: longer than nothing and at most 5 years, or never")
    return length

"""What a person reads of an error: what it means for them, and nothing that only a terminal is for."""

import re

_WORDS: dict[str, tuple[str, str]] = {
    "sign-in-needed": ("Sign in first", ""),
    "forged": ("This form can't be used any more", ""),
    "already-decided": ("This is decided already", ""),
    "ambiguous": (
        "Several requests fit this address",
        "An address has the whole id of a request: open it from the inbox or the history.",
    ),
    "refused": ("That can't be done", ""),
    "changed": ("It has changed meanwhile", ""),
    "no-worker": (
        "Nothing answers at the moment",
        "No worker is there to take this. Nothing is lost: try again in a while.",
    ),
    "away": ("Temporal can't be reached", ""),
    "silent": (
        "Temporal can't be reached",
        "Temporal, which keeps the requests, does not answer. Nothing is lost: try again in a moment.",
    ),
    "not-recorded": (
        "Nothing was recorded",
        "Temporal, which keeps the requests, does not answer. Go back and send it again in a moment.",
    ),
    "outcome-unknown": (
        "Perhaps it was recorded",
        "Temporal, which keeps the requests, stopped answering. Go back and send the same form again in "
        "a moment: it counts once.",
    ),
    "database": ("The inbox's database can't be reached", ""),
    "broken-policy": ("The reviewers can't be read", ""),
    "missing-key": (
        "A key is missing here",
        "This is encrypted with {key}, and the key file of this inbox lacks it. Nothing is lost: tell "
        "whoever runs the inbox to add it there.",
    ),
    "altered": (
        "This is not as it was written",
        "It was changed where it is kept, or the key file of this inbox has another key by the id of "
        "{key}. Tell whoever runs the inbox.",
    ),
    "too-many-requests": ("Too many tries", ""),
    "method-not-allowed": (
        "That can't be done here",
        "This address takes nothing of that kind: open the page anew.",
    ),
    "too-large": ("That is too much at once", ""),
    "failed": ("Something failed here", ""),
}
"""A title, and what is said instead of the error's own words; empty to keep those."""

_NOT_FOUND = {
    "/requests/": (
        "There is no such request",
        "Perhaps the address is not whole, or the record isn't kept any more.",
    ),
    "/runs/": (
        "There is no such run",
        "Perhaps the address is not whole, or the run isn't kept any more.",
    ),
    "": ("There is no such page", "Perhaps the address is not whole."),
}

_COMMAND = re.compile(r"(?:^|[.;:,(])[^.;:,(]*`clearance .*", re.DOTALL)
"""From the clause on that names a command of ours."""

_KEY = re.compile(r"the key '[^']*'")

_FIELD = re.compile(r"[\w.]+: ")


def for_people(kind: str, path: str, detail: str) -> tuple[str, str]:
    """The title and the text of an error's page.

    Args:
        kind: the end of the problem's ``type``; for people also ``database``, and ``silent`` for what
            Temporal's client says of a server that isn't there.
        path: what was asked for.
        detail: what a program is told.
    """
    if kind == "not-found":
        return next(words for start, words in _NOT_FOUND.items() if path.startswith(start))
    title, instead = _WORDS.get(kind, ("That can't be done", ""))
    if "{key}" in instead:
        named = _KEY.search(detail)
        instead = instead.replace("{key}", named[0] if named else "a key")
    said = instead or _COMMAND.sub("", detail).strip() or "Go back and try it another way."
    # What begins with the name of a field keeps it as it is.
    return title, said if _FIELD.match(said) else said[:1].upper() + said[1:]

"""The events of one request, numbered without gaps; what would make them too many is only counted."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from . import contract
from .models import Change, Channel
from .text import one_line
from .views import Event, EventKind

_MAX_REFUSALS_BYTES = 200 * 1024
"""Of the reasons of refused attempts and of who made them, for the same reason."""

_MAX_CHANGES_BYTES = 100 * 1024
"""Of all edits in the record, their values as JSON: a view has to stay below 2 MB, or nobody can read
it. What goes beyond is named without its values; the latest edit is kept whole besides."""

_MAX_WORDS_BYTES = 300 * 1024
"""Of all that is said in the record; reasons that come after are cut to 200 characters."""


class Log:
    """Appended to, never changed."""

    def __init__(self) -> None:
        """Nothing has happened yet."""
        self.events: list[Event] = []
        self.refusals_uncounted = 0
        """Refused attempts that there was no room for: beyond the first 1,000, or 200 KB of them."""
        self._refusals_bytes = 0
        self._changes_bytes = 0
        self._comments_bytes = 0
        self._words_bytes = 0
        self._seen: dict[str, set[tuple[str, str, str]]] = {}

    def add(self, kind: EventKind, channel: Channel, at: datetime, **said: Any) -> None:
        """The next event; ``said`` are further fields of ``Event``."""
        words = [word for word in said.values() if type(word) is str]
        self._words_bytes += _size(*words)
        if self._words_bytes > _MAX_WORDS_BYTES:
            said["reason"] = one_line(said.get("reason") or "", 200)
        sequence = len(self.events) + 1
        self.events.append(Event(sequence=sequence, at=at, kind=kind, channel=channel, **said))

    def refuse(self, channel: Channel, at: datetime, **said: Any) -> None:
        """A refused attempt, kept as long as there aren't too many."""
        size = _size(*(word for word in said.values() if word is not None))
        many = len(self.events) > contract.MAX_RECORDED_REFUSALS
        if many or self._refusals_bytes + size > _MAX_REFUSALS_BYTES:
            self.refusals_uncounted += 1
        else:
            self._refusals_bytes += size
            self.add("refused", channel, at, **said)

    def edit(self, changes: Sequence[Change], channel: Channel, at: datetime, **said: Any) -> None:
        """A reviewer's changes, their values as far as there is room."""
        size = sum(len(change.model_dump_json().encode()) for change in changes)
        if self._changes_bytes + size > _MAX_CHANGES_BYTES:
            names = one_line(", ".join(change.name for change in changes), 200)
            said["reason"] = f"changed {names}; too long to be repeated here"
        else:
            self._changes_bytes += size
            said["changes"] = tuple(changes)
        self.add("edited", channel, at, **said)

    def room_for(self, *words: str) -> bool:
        """Whether one more comment fits, of these words; takes its room if so."""
        self._comments_bytes += (size := _size(*words) + 200)
        if self._comments_bytes <= contract.MAX_COMMENTS_BYTES:
            return True
        self._comments_bytes -= size
        return False

    def first_time(self, kind: str, who: str, channel: str, said: str) -> bool:
        """Whether this is new, of events that are kept once for each person; of each kind at most 200."""
        seen = self._seen.setdefault(kind, set())
        one = (who.casefold(), channel, said)
        if one in seen or len(seen) >= contract.MAX_SEEN:
            return False
        seen.add(one)
        return True

    def is_full(self, kind: str) -> bool:
        """Whether ``first_time`` takes no more of this kind."""
        return len(self._seen.get(kind, ())) >= contract.MAX_SEEN


def _size(*words: str) -> int:
    """In bytes of JSON, where a control character takes six."""
    return sum(len(json.dumps(word, ensure_ascii=False).encode()) for word in words)

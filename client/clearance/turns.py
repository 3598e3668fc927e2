"""What a model said and called and what it was told, out of plain JSON of any shape. Pure functions.

Nothing raises: of what has another shape than expected, less is shown.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from pydantic import JsonValue

from . import contract, mask
from .fields import canonical_json, depth, inside, same_json
from .models import Outcome

MAX_TEXT = 10_000
"""Characters of a prompt, of what a model said and of the end, as a timeline shows them."""

MAX_RESULT = 2_000
"""Characters of what a tool answered."""

MAX_ARGUMENTS_BYTES = 64 * 1024
"""Of one call, as a timeline shows them."""


class Call(NamedTuple):
    """One call that a model made."""

    id: str
    tool: str
    arguments: dict[str, JsonValue] | None
    answer: str
    """What came of it, where the model's provider ran the tool itself."""


class Secrets:
    """What a run's calls carried under secret names, so that no text repeats it."""

    def __init__(self) -> None:
        """None is known yet, only by which names they are told."""
        self._names = mask.SECRETS
        self._values: dict[str, JsonValue] = {}
        self._pointers: list[str] = []

    def add_names(self, further: Iterable[Any]) -> None:
        """Those of the run's policy."""
        self._names |= mask.names(name for name in further if isinstance(name, str))

    def concealed(self, arguments: JsonValue) -> dict[str, JsonValue] | None:
        """Arguments as they may be shown; None for what is none, or too large or too deep for that."""
        if not isinstance(arguments, dict):
            return None
        if depth(arguments) > contract.MAX_ARGUMENTS_DEPTH:
            self._learn_deep(arguments)
            return None
        shown, masked = mask.conceal(arguments, self._names)
        self._learn(arguments, masked)
        shown = {name: self._opened(value) for name, value in shown.items()}
        return shown if _small(arguments) else None

    def told(self, text: str) -> str:
        """A text as it may be shown; where it is a JSON object or list, that as arguments are."""
        if not text.lstrip().startswith(("{", "[")):
            return text
        value = parsed(text)
        if not isinstance(value, dict | list):
            return text
        shown = self.concealed(value if isinstance(value, dict) else {"": value})
        if shown is None:  # what it has is known now, and is looked for in the text
            return text
        plain = shown if isinstance(value, dict) else shown[""]
        return text if same_json(plain, value) else json.dumps(plain, ensure_ascii=False)

    def _opened(self, value: JsonValue) -> JsonValue:
        """The same with the JSON among its texts opened, too."""
        if isinstance(value, str):
            return self.told(value)
        if isinstance(value, dict):
            return {name: self._opened(item) for name, item in value.items()}
        return [self._opened(item) for item in value] if isinstance(value, list) else value

    def _learn(self, arguments: dict[str, JsonValue], masked: Iterable[str]) -> None:
        number = str(len(self._values))
        if found := [f"/{number}{pointer}" for pointer in masked]:
            self._values[number] = arguments
            self._pointers += found

    def _learn_deep(self, value: JsonValue) -> None:
        """Of what is nested too deep to be gone through level by level."""
        rest = [value]
        while rest:
            value = rest.pop()
            rest += inside(value)
            if isinstance(value, dict):
                _, masked = mask.conceal(dict.fromkeys(value), self._names)
                self._learn(value, masked)

    def scrubbed(self, text: str, limit: int | None = None) -> str:
        """A text without any of the secrets, cut to its limit with a mark.

        Where they are too many to be looked for, nothing of it is left.
        """
        if len(self._pointers) > mask.MAX_MASKED:
            return mask.MASK if text else text
        clean = mask.scrub(text, self._values, self._pointers) if self._pointers else text
        clean = clean.encode(
            errors="backslashreplace"
        ).decode()  # half characters, which are no text
        return clean if limit is None or len(clean) <= limit else f"{clean[:limit]}…"

    def scrubbed_values(self, arguments: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """The same of the texts among shown arguments."""
        if not self._pointers:
            return arguments
        return {name: self._scrubbed_value(value) for name, value in arguments.items()}

    def _scrubbed_value(self, value: JsonValue) -> JsonValue:
        if isinstance(value, str):
            return self.scrubbed(value)
        if isinstance(value, dict):
            return {name: self._scrubbed_value(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._scrubbed_value(item) for item in value]
        return value


def spoken(response: Any) -> tuple[str, list[Call]]:
    """What a model said, and its calls, out of what its activity returned."""
    words, calls = [], []
    for item in _items(response):
        kind = item.get("type")
        if kind == "message":
            words.append(words_of(item.get("content")))
        elif kind == "reasoning":
            words.append(words_of(item.get("summary")))
        elif isinstance(kind, str) and kind.endswith("_call"):
            calls.append(_call(kind, item))
    return "\n\n".join(filter(None, words)), calls


def answers(request: Any) -> Iterator[tuple[str, str]]:
    """What a model is told of its calls: the id of each, and the answer."""
    given = request.get("input") if isinstance(request, dict) else None
    items = [item for item in given if isinstance(item, dict)] if isinstance(given, list) else []
    for item in items:
        id = item.get("call_id") if item.get("type") == "function_call_output" else None
        if isinstance(id, str):
            yield id, words_of(item.get("output"))


def words_of(value: Any) -> str:
    """A text, the texts of a list of parts, or else the value as JSON; empty for none."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(part, dict) for part in value):
        texts = [part.get("text", part.get("refusal")) for part in value]
        if all(isinstance(text, str) for text in texts):
            return "\n".join(texts)
    return json.dumps(value, ensure_ascii=False) if depth(value) <= 100 else "(nested too deep)"


def parsed(text: Any) -> Any:
    """JSON as a value; None for what is none."""
    try:
        return json.loads(text)
    except (RecursionError, TypeError, ValueError):
        return None


def verdict(result: Any) -> tuple[str, str, dict[str, JsonValue] | None]:
    """How an approval ended, in whose words, and the arguments it changed."""
    try:
        outcome = Outcome.model_validate(result)
    except ValueError:
        return "", "", None
    by = f"by {outcome.decision.by}" if outcome.decision else ""
    line = ": ".join(filter(None, (by, outcome.reason)))
    return outcome.status, line, outcome.edit.arguments if outcome.edit else None


def _items(response: Any) -> Iterator[dict[str, Any]]:
    if isinstance(response, list):  # a stream: its last event has the whole
        ends = [one["response"] for one in response if isinstance(one, dict) and "response" in one]
        response = ends[-1] if ends else None
    found = response.get("output") if isinstance(response, dict) else None
    yield from (one for one in found if isinstance(one, dict)) if isinstance(found, list) else ()


def _call(kind: str, item: dict[str, Any]) -> Call:
    name, id = item.get("name"), item.get("call_id")
    arguments = item.get("arguments")
    if isinstance(arguments, str):
        arguments = parsed(arguments)
    return Call(
        id=id if isinstance(id, str) else "",
        tool=name if isinstance(name, str) else kind.removesuffix("_call"),
        arguments=arguments if isinstance(arguments, dict) else None,
        answer=words_of(item.get("output")) if "output" in item else "",
    )


def _small(arguments: dict[str, JsonValue]) -> bool:
    try:
        return len(canonical_json(arguments).encode()) <= MAX_ARGUMENTS_BYTES
    except (UnicodeEncodeError, ValueError):
        return False

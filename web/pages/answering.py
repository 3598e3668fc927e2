"""The answer that an approval has to carry: a form made from the request's schema, and its reading."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from clearance import ApprovalView
from clearance.answers import Question, as_words, others_follow, questions
from clearance.text import one_line
from clearance.typed import written_as_json
from policy.keywords import CantBeApplied
from policy.schemas import misfit

from .forms import Form, Misfit

_MOST_RADIOS = 6
_MOST_QUESTIONS = 100

_MARKED = "Nothing was sent: look at what is marked below"

_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
}
"""What is said of a schema's keywords, whose values are numbers."""


@dataclass(frozen=True)
class Asked:
    """One question with its input."""

    key: str
    """Its name in the form: a property's own may be anything."""
    question: Question
    label: str
    choices: tuple[tuple[str, str], ...]
    """What is sent and what is shown, of a choice and of yes or no."""
    value: str
    """What stands in the input: the default, or what was typed."""
    long: bool
    """Whether a text may have several lines."""
    wanted: str = ""
    """What kind of value does, and within which bounds."""

    @property
    def radios(self) -> bool:
        """Whether the choices stand one below the other."""
        return 0 < len(self.choices) <= _MOST_RADIOS


def asked(view: ApprovalView, form: Form | None = None) -> list[Asked]:
    """What an approval has to answer now: nothing where none is asked, or other stages follow."""
    schema = view.current.response_schema
    if schema is None or view.status != "pending" or others_follow(view):
        return []
    return [_asked(question, schema, form) for question in questions(schema, limit=_MOST_QUESTIONS)]


def response(view: ApprovalView, form: Form) -> JsonValue:
    """What a form answers; None where nothing is asked.

    It is judged as the gate will judge it: what doesn't fit is not sent, and leaves no trace.

    Raises:
        Misfit: something is missing, or doesn't fit the schema; ``fields`` says beside which.
    """
    found: dict[str, JsonValue] = {}
    problems = {}
    wanted = asked(view)
    for one in wanted:
        typed = form.text(one.key)
        if (not typed.strip() and one.question.kind != "text") or one.key not in form:
            typed = ""
        try:
            if typed or _may_be_empty(one):
                found[one.question.name] = _read(one, typed)
            elif one.question.required:
                raise ValueError("This has to be answered.")
        except ValueError as error:
            problems[one.key] = str(error)
    if problems:
        raise Misfit(_MARKED, problems)
    if not wanted:
        return None
    answer = found.get("") if [one.question.name for one in wanted] == [""] else found
    _judge(view, wanted, answer)
    return answer


def _judge(view: ApprovalView, wanted: Sequence[Asked], answer: JsonValue) -> None:
    """Raises Misfit where the answer as a whole doesn't fit the schema."""
    try:
        fault = misfit(answer, view.current.response_schema or {})
    except CantBeApplied:
        return  # the gate says so
    if fault is None:
        return
    for one in wanted:
        start = one_line(one.question.name.replace("~", "~0").replace("/", "~1"))
        for end in (": ", "/") if start else ("",):
            if fault.startswith(start + end):
                beside = fault.removeprefix(start + end)
                raise Misfit(_MARKED, {one.key: beside[:1].upper() + beside[1:]})
    raise Misfit(f"Nothing was sent: the answer doesn't fit what was asked: {fault}", {})


def _asked(question: Question, schema: Mapping[str, JsonValue], form: Form | None) -> Asked:
    key = f"answer-{hashlib.sha256(question.name.encode()).hexdigest()[:12]}"
    choices: tuple[tuple[str, str], ...] = ()
    if question.kind == "choice":
        words = [as_words(one) for one in question.choices]
        choices = tuple((str(number), one_line(one, 300)) for number, one in enumerate(words))
    elif question.kind == "boolean":
        choices = (("true", "Yes"), ("false", "No"))
    value = "" if question.default is None else as_words(question.default)
    if question.kind == "choice":
        value = next((str(n) for n, word in enumerate(words) if word == value and value), "")
    if form is not None and form.do == "approve":
        value = form.text(key)
    label = one_line(question.name) or "Your answer"
    part = _part(question, schema)
    limit = part.get("maxLength")
    long = question.kind == "text" and not (isinstance(limit, int) and limit <= 100)
    return Asked(key, question, label, choices, value, long, _wanted(question, part))


def _part(question: Question, schema: Mapping[str, JsonValue]) -> Mapping[str, Any]:
    """What the schema says of one value, as far as it says so in place; of null or one, that one."""
    properties = schema.get("properties")
    part: Any = properties.get(question.name) if isinstance(properties, Mapping) else schema
    forms = part.get("anyOf") if isinstance(part, Mapping) else None
    if isinstance(forms, list):
        left = [one for one in forms if isinstance(one, Mapping) and one.get("type") != "null"]
        part = left[0] if len(left) == 1 else part
    return part if isinstance(part, Mapping) else {}


def _wanted(question: Question, part: Mapping[str, Any]) -> str:
    bounds = [
        words.format(json.dumps(part[name]))
        for name, words in _BOUNDS.items()
        if type(part.get(name)) in (int, float)
    ]
    kind = [question.wanted] if question.kind not in ("text", "choice", "boolean") else []
    return ", ".join([*kind, " and ".join(bounds)] if bounds else kind)


def _may_be_empty(one: Asked) -> bool:
    """A text that has to be there may have nothing in it; one that hasn't is left out then."""
    question = one.question
    return question.kind == "text" and question.required and question.name != ""


def _read(one: Asked, typed: str) -> JsonValue:
    """What was typed, as the kind of value that the schema names. Raises ValueError."""
    question = one.question
    if question.kind == "text":
        return typed
    if question.kind in ("choice", "boolean"):
        if typed not in [sent for sent, _ in one.choices]:
            raise ValueError(f"Choose {question.wanted}")
        return question.choices[int(typed)] if question.kind == "choice" else typed == "true"
    return written_as_json(question, typed)

"""The answer that an approval has to carry: a form made from the request's schema, and its reading."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from clearance import ApprovalView
from clearance.answers import Question, as_words, others_follow, questions
from clearance.text import one_line
from clearance.typed import written_as_json

from .forms import Form, Misfit

_MOST_RADIOS = 6
_MOST_QUESTIONS = 100


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
    """What a form answers; None where nothing is asked. Whether it fits is judged by the gate.

    Raises:
        Misfit: something is missing, or is none of its kind; ``fields`` says beside which.
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
                raise ValueError("this has to be answered")
        except ValueError as error:
            problems[one.key] = str(error)
    if problems:
        raise Misfit("nothing was sent: look at what is marked below", problems)
    if [one.question.name for one in wanted] == [""]:
        return found.get("")
    return found if wanted else None


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
    return Asked(key, question, label, choices, value, _is_long(question, schema))


def _is_long(question: Question, schema: Mapping[str, JsonValue]) -> bool:
    properties = schema.get("properties")
    part = properties.get(question.name) if isinstance(properties, Mapping) else schema
    limit = part.get("maxLength") if isinstance(part, Mapping) else None
    return question.kind == "text" and not (isinstance(limit, int) and limit <= 100)


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
            raise ValueError(f"choose {question.wanted}")
        return question.choices[int(typed)] if question.kind == "choice" else typed == "true"
    return written_as_json(question, typed)

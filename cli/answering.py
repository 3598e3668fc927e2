"""The answer that an approval has to carry: said with ``--answer``, or asked for at the terminal."""

import asyncio
import json
import shlex
import sys
from collections.abc import Sequence

import typer
from pydantic import JsonValue

from clearance import ApprovalView, InvalidRequest
from clearance.answers import Question, as_words, others_follow, questions
from clearance.text import one_line
from clearance.typed import is_not, parsed, written_as_json

from . import output

NOTHING_TYPED = "nothing was typed, and nothing was sent"


async def response_for(view: ApprovalView, given: Sequence[str]) -> JsonValue:
    """What an approval of a request answers; None where nothing is asked, or not yet.

    What is not given is asked for at the terminal, value by value. Whether the answer fits the
    schema is judged by the gate.

    Args:
        view: a pending request.
        given: each ``--answer``: ``NAME=VALUE``, or the whole.

    Raises:
        InvalidRequest: nothing is asked; something is missing, and there is no terminal; or what was
            given is not of the kind that the schema names.
    """
    request = view.current
    schema = request.response_schema
    if schema is None:
        if given:
            raise InvalidRequest("this request asks for no answer: leave --answer out")
        return None
    if not given and others_follow(view):
        return None  # the last stage answers; the gate says so, should this turn out to be it
    asked = questions(schema)
    if [one.name for one in asked] == [""]:
        return await _single(asked[0], given)
    if any(one.lstrip().startswith("{") for one in given):
        return _whole(given)
    found = _named(asked, schema, given)
    missing = [one for one in asked if one.name not in found]
    if sys.stdin.isatty():
        for question in missing:
            if (value := await _typed(question)) is not None:
                found[question.name] = value
        return found
    found |= {one.name: one.default for one in missing if one.default is not None}
    _complain([one for one in missing if one.required and one.default is None])
    return found


async def line() -> str:
    """A line from the terminal, awaited so that Ctrl-C ends the wait.

    Raises:
        InvalidRequest: there will be none.
    """
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(sys.stdin)
    if not (typed := sys.stdin.readline()):
        raise InvalidRequest(NOTHING_TYPED)
    return typed.strip()


def read(question: Question, typed: str) -> JsonValue:
    """What somebody typed, as the kind of value that the schema names: a text stays a text.

    Raises:
        ValueError: it is none of that kind.
    """
    if question.kind == "text":
        return typed
    if question.kind == "choice":
        return _chosen(question, typed)
    if question.kind == "boolean":
        return _yes_or_no(question, typed)
    return written_as_json(question, typed)


async def _single(question: Question, given: Sequence[str]) -> JsonValue:
    """The answer to a request that asks for one value."""
    if len(given) > 1:
        raise InvalidRequest("--answer: one value is asked for, so say it once")
    if given:
        return _checked(question, "", given[0])
    if sys.stdin.isatty():
        return await _typed(question)
    if question.default is None:
        _complain([question])
    return question.default


def _whole(given: Sequence[str]) -> JsonValue:
    if len(given) > 1:
        raise InvalidRequest("--answer: either the whole as JSON, once, or NAME=VALUE for each")
    try:
        return parsed(given[0])  # type: ignore[no-any-return]
    except ValueError as error:
        raise InvalidRequest(f"--answer: not JSON: {error}") from error


def _named(
    asked: Sequence[Question], schema: dict[str, JsonValue], given: Sequence[str]
) -> dict[str, JsonValue]:
    """The values given by name."""
    known = {one.name: one for one in asked}
    found: dict[str, JsonValue] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not (equals and name):
            raise typer.BadParameter(f"--answer {one_line(one, 80)}: write NAME=VALUE, or JSON")
        if name in found:
            raise InvalidRequest(f"--answer: {one_line(name, 80)} is there twice")
        if name not in known and not schema.get("additionalProperties"):
            names = one_line(", ".join(known), 300)
            raise InvalidRequest(f"--answer: {one_line(name, 80)} is not asked for, only {names}")
        found[name] = _checked(known.get(name, Question(name, "", "any")), f"{name}: ", value)
    return found


def _checked(question: Question, before: str, value: str) -> JsonValue:
    try:
        return read(question, value)
    except ValueError as error:
        raise InvalidRequest(f"--answer: {one_line(before)} {error}") from error


def _complain(missing: Sequence[Question]) -> None:
    """Raise InvalidRequest that names what is missing, and how it is said."""
    if not missing:
        return
    flags = [
        f"--answer {shlex.quote(f'{one.name}=...' if one.name else '...')} ({one.wanted})"
        for one in missing
    ]
    raise InvalidRequest(f"this has to be answered: add {one_line(' '.join(flags))}")


async def _typed(question: Question) -> JsonValue:
    """What somebody types at the terminal; asked again until it fits. None where it is left out."""
    numbered = _numbered(question)
    name = one_line(question.name) or "Your answer"
    output.say(f"{name}: {question.words}" if question.words else name)
    for number, choice in enumerate(numbered, 1):
        output.say(f"  {number} {one_line(str(choice))}")
    wanted = f"1 to {len(numbered)}" if numbered else question.wanted
    if question.default is not None:
        wanted += f"; Enter for {one_line(as_words(question.default), 80)}"
    elif not question.required:
        wanted += "; Enter for nothing"
    while True:
        output.ask(f"({wanted}):")
        typed = await line()
        if not typed and (question.default is not None or not question.required):
            return question.default
        if not typed:
            continue  # an empty text can be said: --answer NAME=
        if typed.isascii() and typed.isdecimal() and 0 < int(typed) <= len(numbered):
            return numbered[int(typed) - 1]
        try:
            return read(question, typed)
        except ValueError as error:
            output.say(f"  {error}")


def _numbered(question: Question) -> Sequence[JsonValue]:
    """The choices, where a number can stand for one: none of them may look like a number."""
    several = len(question.choices) > 1
    plain = all(isinstance(one, str) and not one.isdecimal() for one in question.choices)
    return question.choices if several and plain else ()


def _chosen(question: Question, typed: str) -> JsonValue:
    for choice in question.choices:
        if as_words(choice) == typed:
            return choice
    for choice in question.choices:
        if as_words(choice).casefold() == typed.casefold():
            return choice
    raise is_not(question, typed)


def _yes_or_no(question: Question, typed: str) -> bool:
    word = typed.casefold()
    if word in ("yes", "y", "true"):
        return True
    if word in ("no", "n", "false"):
        return False
    raise is_not(question, typed)


def answered(response: JsonValue) -> str:
    """An answer as one line of JSON, ASCII only."""
    return json.dumps(response)

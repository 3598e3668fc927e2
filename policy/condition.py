"""Conditions on a call, in CEL. Pure: no clock, nothing read, at most 10,000 steps in one evaluation.

A condition knows ``args`` (a map), ``tool``, ``agent`` and ``requester`` (strings). What can't be
evaluated is neither true nor false; whoever asks has to close the gate then.
"""

import math
import re
from collections.abc import Mapping
from functools import cache, cached_property, lru_cache
from typing import Any

from cel_expr_python import cel  # type: ignore[import-untyped]
from pydantic import JsonValue

from clearance import contract
from clearance.fields import PLAIN
from clearance.text import one_line

MAX_CONDITION_CHARS = 4_000

_NUMBERS = range(-(2**63), 2**64)
"""What CEL's two kinds of whole numbers can hold."""

_FITTING = (bool, type(None))

_FAULT = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")
_CODES = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$| \(in container ''\)")
_EXPECTED = re.compile(r" expecting (\{.*\}|<EOF>)")


class Call:
    """What conditions are asked about: args, tool, agent and requester."""

    def __init__(self, variables: Mapping[str, JsonValue | Mapping[str, JsonValue]]) -> None:
        """Keep them; they are looked at when a condition asks, and once for all conditions."""
        self._variables = variables

    @cached_property
    def data(self) -> dict[str, Any]:
        """The variables for CEL. Raises ValueError where it must not see them."""
        if not isinstance(self._variables.get("args"), Mapping):
            raise ValueError("the arguments are not an object")
        if why := _unfit(self._variables):
            raise ValueError(why)
        return {
            name: dict(value) if isinstance(value, Mapping) else value
            for name, value in self._variables.items()
        }


class Condition:
    """One compiled expression."""

    def __init__(self, expression: str) -> None:
        """Compile it.

        Raises:
            ValueError: it is no CEL, names what is not there, or can't be true or false.
        """
        if len(expression) > MAX_CONDITION_CHARS:
            raise ValueError(
                f"it has {len(expression):,} characters, at most {MAX_CONDITION_CHARS:,}"
            )
        if not expression.strip():
            raise ValueError("it is empty: leave it out, or write true")
        try:
            expression.encode()
            self._compiled = _environment().compile(expression)
        except UnicodeEncodeError as error:
            raise ValueError("it holds half of a surrogate pair") from error
        except RuntimeError as error:
            raise ValueError(_faults(str(error))) from error
        self._names = arguments_in(expression)
        kind = self._compiled.return_type().name()
        if kind not in ("BOOL", "DYN"):
            raise ValueError(f"it gives {_kind(kind)}, and a condition is true or false")

    def holds(self, call: Call) -> bool:
        """Whether it is true of the call; only CEL's own true and false are answers.

        Raises:
            ValueError: it can't be evaluated, or gives something else; the text says why.
        """
        data = call.data
        if self._names is not None:  # the rest, perhaps 100,000 values, need not be handed over
            known = data["args"]
            data = {**data, "args": {one: known[one] for one in self._names if one in known}}
        try:
            result = self._compiled.eval(data=data)
            kind, value = result.type().name(), result.value()
        except Exception as error:  # CEL's own bugs included: none of them may open a gate
            raise ValueError(_one_fault(str(error))) from error
        if kind == "ERROR":
            raise ValueError(_one_fault(str(value)))
        if kind != "BOOL" or not isinstance(value, bool):
            raise ValueError(f"it gives {_kind(kind)}, neither true nor false")
        return value


_BY_NAME = re.compile(
    r"""\bargs\s*(?:\.\s*(\w+)\b(?!\s*\()|\[\s*"([^"'\\]*)"\s*\]|\[\s*'([^"'\\]*)'\s*\])"""
)
"""``args.name`` and ``args["name"]``; ``args.size()`` is about all of them."""


def arguments_in(expression: str) -> frozenset[str] | None:
    """The arguments that a condition asks for by name; None where it may look at any."""
    if "args" in _BY_NAME.sub("", expression):
        return None
    named = (found.groups() for found in _BY_NAME.finditer(expression))
    return frozenset(name for names in named for name in names if name is not None)


def condition_error(expression: str) -> str | None:
    """Why ``expression`` is no condition, in a line; None if it is one."""
    try:
        Condition(expression)
    except ValueError as error:
        return str(error)
    return None


def holds(expression: str, variables: Mapping[str, JsonValue]) -> bool:
    """Whether ``expression`` is true of ``variables``: args, tool, agent and requester.

    Raises:
        ValueError: it is no condition, or can't be evaluated for these; the text says why.
    """
    return kept(expression).holds(Call(variables))


def _unfit(value: Any) -> str | None:
    """Why CEL must not see ``value``, None if it may.

    Its binding would crash the process on what is nested ten thousand deep, and reads a text only
    up to its first NUL: ``"ada@example.com\\0..."`` would pass for ``"ada@example.com"``.
    """
    level, deep = [value], 0
    while level:
        below: list[Any] = []
        for one in level:
            kind = type(one)
            if kind in _FITTING or (kind is int and one in _NUMBERS):
                continue
            if kind in PLAIN or not isinstance(one, Mapping | list):
                if why := _unfit_leaf(one):
                    return why
            elif deep > contract.MAX_ARGUMENTS_DEPTH:
                return f"the arguments are nested more than {contract.MAX_ARGUMENTS_DEPTH} deep"
            elif kind is list or isinstance(one, list):
                below += one
            elif not all(isinstance(name, str) for name in one):
                return "a name in the arguments is no text"
            else:
                below += [*one, *one.values()]
        level, deep = below, deep + 1
    return None


def _unfit_leaf(value: object) -> str | None:
    if isinstance(value, str):
        if "\0" in value:
            return "a text in the arguments holds a NUL character"
        if not value.isascii() and _HALVES.search(value):
            return "a text in the arguments holds half of a surrogate pair"
    elif isinstance(value, bool) or value is None:
        return None
    elif isinstance(value, int):
        return None if value in _NUMBERS else "a number in the arguments is beyond 64 bits"
    elif isinstance(value, float):
        return None if math.isfinite(value) else "a number in the arguments is not finite"
    else:
        return f"a value in the arguments is not JSON: {type(value).__name__}"
    return None


_HALVES = re.compile("[\ud800-\udfff]")

kept = lru_cache(maxsize=1_000)(Condition)
"""A compiled condition, from the cache that all policies and grants share."""


@cache
def _environment() -> cel.Env:
    text = cel.Type.STRING
    args = cel.Type.Map(text, cel.Type.DYN)
    return cel.NewEnv(variables={"args": args, "tool": text, "agent": text, "requester": text})


def _faults(said: str) -> str:
    """CEL's report, several lines with carets, as one line: where, what; at most two faults."""
    found = _FAULT.findall(said)
    if not found:
        return _one_fault(said)
    told = []
    for line, column, fault in found[:2]:
        at = f"line {line}, " if line != "1" else ""
        at = f" ({at}column {column})" if int(column) > 0 and "Syntax" in fault else ""
        told.append(_one_fault(fault) + at)
    return "; ".join(dict.fromkeys(told))


def _one_fault(said: str) -> str:
    text = _EXPECTED.sub("", _CODES.sub("", _CODES.sub("", one_line(said))))
    for theirs, ours in (
        ("Syntax error: mismatched input '<EOF>'", "it ends too early"),
        ("Syntax error: token recognition error at: '= '", "write == to compare"),
        ("Syntax error: ", "syntax error: "),
        ("Key not found in map : ", "no such key: "),
        ("No matching overloads found : ", "no such operation: "),
        ("Iteration budget exceeded", "it takes too many steps"),
        ("UNKNOWN: ", ""),
    ):
        text = text.replace(theirs, ours)
    return one_line(text, 200)


def _kind(name: str) -> str:
    kinds = {"INT": "a number", "UINT": "a number", "DOUBLE": "a number", "STRING": "a text"}
    outer = name.split("<")[0]
    return {**kinds, "LIST": "a list", "MAP": "a map", "NULL": "null"}.get(
        outer, f"a {outer.lower()}"
    )

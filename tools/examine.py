"""What a reviewer's decision has to stand besides the rules: schemas, and a grant's condition."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import JsonValue

from clearance.models import Decision
from clearance.requests import ApprovalRequest
from clearance.text import one_line
from policy import match
from policy.keywords import CantBeApplied
from policy.schemas import misfit
from policy.schemas import schema_problem as schema_problem


def examine(request: ApprovalRequest, decision: Decision) -> str | None:
    """Why a decision on ``request``, as it would run, is refused after all; None if it isn't."""
    if decision.arguments is not None and request.arguments_schema is not None:
        error = schema_error(request.arguments, request.arguments_schema, masked=request.masked)
        if error:
            return f"the changed arguments don't fit {request.tool or 'the tool'}: {error}"
    if decision.response is not None and (error := answer_error(request, decision.response)):
        return error
    if decision.grant is not None:
        return _condition_error(request, decision.grant.condition)
    return None


def answer_error(request: ApprovalRequest, response: JsonValue) -> str | None:
    """Why an answer is none to ``request``, in one line that repeats nothing of it; None if it is."""
    if request.response_schema is None:
        return "this request asks for no answer: approve or reject it"
    try:
        error = misfit(response, request.response_schema)
    except CantBeApplied as reason:
        error = one_line(f"the schema can't be applied: {reason}", 300)
    return f"the answer doesn't fit what was asked: {error}" if error else None


def schema_error(
    arguments: Mapping[str, JsonValue], schema: Mapping[str, Any], *, masked: Iterable[str] = ()
) -> str | None:
    """What is wrong with ``arguments``, in one line; None where they fit. It tells no value.

    What fits is read by a condition as the tool reads it, as far as the schema tells: types, and
    formats in one form each. A tool's own validators can still make something else of a value, so
    a condition that lets calls through should list plain values.

    Args:
        arguments: of a tool call.
        schema: the tool's JSON Schema. References to other documents are not followed.
        masked: JSON pointers of values that are masked, which fit whatever they are.
    """
    try:
        return misfit(arguments, schema, masked)
    except CantBeApplied as error:
        # Such a schema allows nothing.
        return one_line(f"the schema can't be applied: {error}", 300)


def _condition_error(request: ApprovalRequest, condition: str) -> str | None:
    if error := match.condition_error(condition):
        return f"the condition {condition!r} is no CEL expression: {error}"
    variables: dict[str, JsonValue] = {
        "args": request.arguments,
        "tool": request.tool or "",
        "agent": "",
        "requester": request.requester or "",
    }
    try:
        holds = match.holds(condition, variables)
    except ValueError as error:
        return f"the condition {condition!r} can't be evaluated for this very call: {error}"
    return None if holds else f"the condition {condition!r} doesn't hold for this very call"

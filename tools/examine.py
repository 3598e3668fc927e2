"""What a reviewer's decision has to stand besides the rules: the tool's schema, a grant's condition."""

from collections.abc import Iterable, Mapping
from typing import Any

import jsonschema
from jsonschema.validators import validator_for
from pydantic import JsonValue
from referencing import Registry

from clearance.models import Decision
from clearance.requests import ApprovalRequest
from clearance.text import one_line
from policy import match


def examine(request: ApprovalRequest, decision: Decision) -> str | None:
    """Why a decision on ``request``, as it would run, is refused after all; None if it isn't."""
    if decision.arguments is not None and request.arguments_schema is not None:
        error = schema_error(request.arguments, request.arguments_schema, masked=request.masked)
        if error:
            return f"the changed arguments don't fit {request.tool or 'the tool'}: {error}"
    if decision.grant is not None:
        return _condition_error(request, decision.grant.condition)
    return None


def schema_error(
    arguments: Mapping[str, JsonValue], schema: Mapping[str, Any], *, masked: Iterable[str] = ()
) -> str | None:
    """What is wrong with ``arguments``, in one line; None where they fit.

    Args:
        arguments: of a tool call.
        schema: the tool's JSON Schema. References to other documents are not followed.
        masked: JSON pointers of values that are masked, whose own errors don't count.
    """
    hidden = set(masked)
    # With a registry of its own, an empty one: by default a reference would be fetched.
    try:
        validator = validator_for(schema, jsonschema.Draft202012Validator)(
            schema, registry=Registry()
        )
        for error in validator.iter_errors(dict(arguments)):
            at = "".join(f"/{_escaped(step)}" for step in error.absolute_path)
            if at not in hidden:
                return one_line(f"{at.lstrip('/')}: {error.message}".removeprefix(": "), 300)
    except Exception as error:
        # A schema that can't be applied allows nothing.
        return one_line(f"the schema can't be applied: {error}", 300)
    return None


def _escaped(step: object) -> str:
    return str(step).replace("~", "~0").replace("/", "~1")


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

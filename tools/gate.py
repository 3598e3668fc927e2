"""``gated``: a tool that runs only after a person allowed exactly this call of it."""

import copy
import json
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import jsonschema
from agents import FunctionTool
from agents.tool import invoke_function_tool
from agents.tool_context import ToolContext
from temporalio.exceptions import ApplicationError

from clearance.fields import canonical_json
from clearance.models import ApprovalRequest, Outcome, Risk

from .confirmation import tell_model
from .context import answer, ask

Arguments = dict[str, Any]

RUNS_IN_A_THREAD = "__agents_sync_function_tool__"
"""The Agents SDK's own mark on what invokes a plain ``def``."""

_approval: ContextVar[Outcome] = ContextVar("approval")


def idempotency_key() -> str:
    """The approval id of the gated call under way, for the activity that has the effect.

    Raises LookupError outside a gated call: an effect without an approval has no key.
    """
    return _approval.get().approval_id


def gated(
    tool: FunctionTool,
    *,
    action: Callable[[Arguments], str],
    details: Callable[[Arguments], str] = lambda _: "",
    risk: Risk = "high",
) -> FunctionTool:
    """A copy of ``tool`` that stops for a person at every call.

    The gate is here, in code: nothing in a prompt or in the arguments can go round it. Malformed
    arguments are told to the model and never shown to a person. The tool receives exactly the
    arguments that were approved.

    Args:
        tool: any function tool.
        action: from the call's arguments to the sentence the reviewer reads first.
        details: from the arguments to the text the reviewer has to read, a draft for example.
        risk: shown to the reviewer.
    """
    stopped = copy.copy(tool)
    stopped.timeout_seconds = None  # of the tool itself, below; a person takes as long as it takes

    async def invoke(ctx: ToolContext[Any], raw: str) -> Any:
        return await invoke_function_tool(function_tool=tool, context=ctx, arguments=raw)

    async def on_invoke(ctx: ToolContext[Any], raw: str) -> Any:
        try:
            arguments = _parse(tool, raw)
        except ValueError as error:
            return f"Nothing ran: {error}. Correct the arguments and call again."
        try:
            outcome = await ask(
                ctx,
                action=action(arguments),
                details=details(arguments),
                tool=tool.name,
                arguments=arguments,
                risk=risk,
            )
        except ApplicationError as error:
            return tell_model(ctx, error)
        if not outcome.approved:
            return answer(outcome)
        return await _run(invoke, ctx, tool.name, arguments, outcome)

    # Kept, because a workflow has no threads: the registry refuses such a tool at the start.
    setattr(on_invoke, RUNS_IN_A_THREAD, getattr(tool.on_invoke_tool, RUNS_IN_A_THREAD, False))
    stopped.on_invoke_tool = on_invoke
    return stopped


async def _run(
    invoke: Callable[[ToolContext[Any], str], Awaitable[Any]],
    ctx: ToolContext[Any],
    name: str,
    arguments: Arguments,
    outcome: Outcome,
) -> Any:
    # Once more, where it counts: what runs is what was shown, or nothing runs.
    runs = ApprovalRequest(action=name, tool=name, arguments=arguments)
    if outcome.approved is not True or runs.digest != outcome.digest:
        raise ApplicationError(
            f"{name} was approved with other arguments; nothing ran",
            type="DigestMismatch",
            non_retryable=True,
        )
    token = _approval.set(outcome)
    try:
        return await invoke(ctx, canonical_json(arguments))
    finally:
        _approval.reset(token)


def _parse(tool: FunctionTool, raw: str) -> Arguments:
    """The call's arguments, valid against the tool's schema. Raises ValueError."""
    try:
        arguments = json.loads(raw)
        jsonschema.validate(arguments, tool.params_json_schema)
    except json.JSONDecodeError as error:
        raise ValueError(f"the arguments of {tool.name} are not JSON: {error}") from error
    except jsonschema.ValidationError as error:
        raise ValueError(f"the arguments of {tool.name} are wrong: {error.message}") from error
    if not isinstance(arguments, dict):
        raise ValueError(f"the arguments of {tool.name} are not an object")
    return arguments

"""``wait_for_confirmation``: the tool by which an agent asks a person first."""

from typing import Any

from agents import RunContextWrapper, function_tool
from agents.exceptions import ModelBehaviorError
from temporalio.exceptions import ApplicationError

from clearance import contract

from .context import RunContext, answer, ask


def tell_model(ctx: RunContextWrapper[Any], error: Exception) -> str:
    """Tell the model what it did wrong; let everything else fail the run, swallowed by nothing."""
    malformed = isinstance(error, ModelBehaviorError)
    refused = isinstance(error, ApplicationError) and error.type == contract.ERROR_INVALID_REQUEST
    if not (malformed or refused):
        raise error
    return f"Nothing was asked and nothing ran: {error}. Correct the arguments and call again."


@function_tool(failure_error_function=tell_model)
async def wait_for_confirmation(
    ctx: RunContextWrapper[RunContext], action: str, details: str = ""
) -> str:
    """Ask a person to confirm an action before you take it, and wait for the answer.

    Args:
        action: What you are about to do, in one sentence of at most 500 characters.
        details: Everything the person has to read to decide, the full text of a draft for example.
    """
    outcome = await ask(
        ctx,
        action=action,
        details=details,
        tool="wait_for_confirmation",
        arguments={"action": action, "details": details},
    )
    return answer(outcome)

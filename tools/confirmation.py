"""``wait_for_confirmation``: the tool by which an agent asks a person first."""

from typing import Any

from agents import RunContextWrapper, function_tool
from agents.exceptions import ModelBehaviorError
from pydantic import JsonValue
from temporalio.exceptions import ApplicationError

from clearance import contract

from .asking import Unanswerable, answer, ask, request_for, said, settle
from .run import current

NAME = "wait_for_confirmation"


def tell_model(ctx: RunContextWrapper[Any], error: Exception) -> str:
    """Tell the model what it did wrong; let everything else fail the run, swallowed by nothing."""
    if isinstance(error, Unanswerable):
        return (
            f"Nothing was asked and nothing ran: {error.message}. Calling again doesn't help: somebody "
            "has to change the policy, or somebody else has to ask."
        )
    malformed = isinstance(error, ModelBehaviorError)
    refused = isinstance(error, ApplicationError) and error.type == contract.ERROR_INVALID_REQUEST
    if not (malformed or refused):
        raise error
    return f"Nothing was asked and nothing ran: {error}. Correct the arguments and call again."


@function_tool(failure_error_function=tell_model)
async def wait_for_confirmation(ctx: RunContextWrapper[Any], action: str, details: str = "") -> str:
    """Ask a person to confirm an action before you take it, and wait for the answer.

    Args:
        action: What you are about to do, in one sentence of at most 500 characters.
        details: Everything the person has to read to decide, the full text of a draft for example.
    """
    run = current()
    arguments: dict[str, JsonValue] = {"action": action, "details": details}
    # A checkpoint that matches this tool says who decides and by when; the words are the agent's.
    name = getattr(getattr(ctx, "agent", None), "name", "")
    verdict = run.judge(arguments, NAME, agent=name) if run else None
    matched = verdict.checkpoint if verdict else None
    asked = request_for(
        NAME,
        arguments,
        run=run,
        checkpoint=matched,
        note=verdict.why if verdict and verdict.unclear else "",
        agent_message=said(ctx, run),
        action=action,
        details=details,
    )
    outcome = await ask(asked, run)
    settle(run, matched, NAME, outcome)
    return answer(outcome, NAME)

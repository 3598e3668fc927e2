"""``wait_for_confirmation``: the tool by which an agent asks a person first."""

from collections.abc import Sequence
from typing import Any

from agents import RunContextWrapper, function_tool
from agents.exceptions import ModelBehaviorError
from pydantic import JsonValue
from temporalio.exceptions import ApplicationError

from clearance import contract
from clearance.models import Outcome

from .arguments import Arguments
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


async def ask_outright(
    ctx: RunContextWrapper[Any],
    tool: str,
    arguments: Arguments,
    *,
    audience: Sequence[str] = (),
    **fields: Any,
) -> Outcome:
    """Ask a person by a call of a tool that does nothing else, and wait for the outcome.

    A checkpoint that matches the tool says who decides and by when; the words are the agent's.

    Args:
        ctx: of the call.
        tool: its name.
        arguments: of the call.
        audience: who decides, where no checkpoint says so; nobody named: anyone.
        fields: of ``ApprovalRequest``: the words, and what is to be answered.
    """
    run = current()
    name = getattr(getattr(ctx, "agent", None), "name", "")
    verdict = run.judge(arguments, tool, agent=name) if run else None
    matched = verdict.checkpoint if verdict else None
    if audience and not (matched and (matched.audience or matched.stage)):
        fields["audience"] = tuple(audience)
    asked = request_for(
        tool,
        arguments,
        run=run,
        checkpoint=matched,
        note=verdict.why if verdict and verdict.unclear else "",
        agent_message=said(ctx, run),
        **fields,
    )
    outcome = await ask(asked, run)
    settle(run, matched, tool, outcome)
    return outcome


@function_tool(failure_error_function=tell_model)
async def wait_for_confirmation(ctx: RunContextWrapper[Any], action: str, details: str = "") -> str:
    """Ask a person to confirm an action before you take it, and wait for the answer.

    Args:
        action: What you are about to do, in one sentence of at most 500 characters.
        details: Everything the person has to read to decide, the full text of a draft for example.
    """
    arguments: dict[str, JsonValue] = {"action": action, "details": details}
    outcome = await ask_outright(ctx, NAME, arguments, action=action, details=details)
    return answer(outcome, NAME)

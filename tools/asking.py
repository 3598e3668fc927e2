"""Asking a person about a tool call, as the run's policy says, and what follows from the answer."""

from datetime import timedelta
from typing import Any

import pydantic
from agents import RunContextWrapper
from temporalio import workflow
from temporalio.exceptions import ApplicationError

from clearance import approved_arguments, contract, mask, request_approval, rules
from clearance.errors import explain
from clearance.grants import Grant
from clearance.models import Outcome
from clearance.requests import ApprovalRequest
from clearance.stages import Terms
from clearance.wording import worded
from policy.model import Checkpoint

from .arguments import Arguments
from .run import Run, RunContext


class Unanswerable(ApplicationError):
    """The policy's terms are such that nobody could approve: other arguments would not help."""

    def __init__(self, reason: str) -> None:
        """Of type ``InvalidRequest``, with this reason."""
        super().__init__(reason, type=contract.ERROR_INVALID_REQUEST, non_retryable=True)


_NOT_REPEATED = "Why it waits isn't repeated here, because that could show what is masked."


def request_for(
    tool: str,
    arguments: Arguments,
    *,
    run: Run | None,
    checkpoint: Checkpoint | None = None,
    schema: dict[str, Any] | None = None,
    note: str = "",
    **fields: Any,
) -> ApprovalRequest:
    """The request that a call of ``tool`` makes.

    Args:
        tool: its name.
        arguments: as they will run.
        run: the run that asks; None in a workflow of somebody else's.
        checkpoint: what stopped it; None where the default did, or where the agent itself asks.
        schema: the tool's JSON Schema; without one, nobody can change the arguments.
        note: told to the reviewer at the end of the details.
        fields: of ``ApprovalRequest``, where the caller knows better than the checkpoint.

    Raises:
        temporalio.exceptions.ApplicationError: of type ``InvalidRequest``; ``Unanswerable`` where no
            other arguments would help.
    """
    secrets = run.secrets if run else mask.SECRETS
    shown, masked = mask.conceal(arguments, secrets)
    terms = _terms(checkpoint, run, fields)
    asked: dict[str, Any] = {"tool": tool, "arguments": arguments, **terms}
    asked |= worded(checkpoint.description_template if checkpoint else None, tool, shown)
    if run:
        asked |= {"user_prompt": run.prompt, "policy_digest": run.pinned.digest}
        asked["previous"], asked["attempt"] = run.attempt(tool)
    if checkpoint:
        asked |= _of_checkpoint(checkpoint, schema)
    asked |= fields
    for name in ("user_prompt", "agent_message"):
        # Scrubbed before it is trimmed: half of a secret would not be found.
        asked[name] = _prose(mask.scrub(asked.get(name, ""), arguments, masked))
    if note:
        note = _NOT_REPEATED if masked else note
        asked["details"] = f"{asked.get('details', '')}\n\n{note}".strip()
    try:
        request = ApprovalRequest(**asked)
        request.concealed(secrets)  # as it will be sent: to be told now if that breaks a limit
    except pydantic.ValidationError as error:
        raise ApplicationError(
            explain(error), type=contract.ERROR_INVALID_REQUEST, non_retryable=True
        ) from error
    return request


async def ask(request: ApprovalRequest, run: Run | None) -> Outcome:
    """Ask, and wait for the outcome. A standing approval in ``request`` answers at once.

    Raises:
        Unanswerable: the approvals worker refused the request, because of a group for instance
            that its directory doesn't have.
    """
    context = run.context if run else RunContext()
    secrets = run.secrets if run else mask.SECRETS
    try:
        return await request_approval(
            request,
            task_queue=context.approvals_queue,
            secrets=secrets,
            decision_keys=run.pinned.decision_keys if run else (),
        )
    except ApplicationError as error:
        if error.type != contract.ERROR_INVALID_REQUEST:
            raise
        raise Unanswerable(error.message) from error


def to_run(request: ApprovalRequest, outcome: Outcome, run: Run | None) -> Arguments:
    """The arguments that were approved. Raises ApplicationError ``DigestMismatch``: nothing may run."""
    return approved_arguments(request, outcome, secrets=run.secrets if run else mask.SECRETS)


def settle(run: Run | None, checkpoint: Checkpoint | None, tool: str, outcome: Outcome) -> None:
    """What an outcome means for the run beyond this call.

    A grant is kept; a rejection ends the grants of its tool; where the checkpoint says ``stop``, a
    rejection or an expiry ends the run. A request for changes is a rejection that ends nothing else:
    the next call of the tool is the next attempt.

    Raises:
        temporalio.exceptions.ApplicationError: of type ``CollaborationError`` or ``TimeoutError``,
            the run is stopped.
    """
    if run is None:
        return
    run.attempted(outcome, tool)
    run.add_grant(outcome, tool, checkpoint.checkpoint_id if checkpoint else None)
    if outcome.status == "rejected" and outcome.decision is not None:
        run.revoke(outcome.decision.by, outcome.decision.at, tool=tool)
    if checkpoint is None or outcome.changes_requested:
        return
    reason = outcome.reason or "no reason given"
    if outcome.status == "rejected" and checkpoint.on_reject == "stop":
        stop(run, contract.ERROR_REJECTED, f"rejected: {tool}: {reason}")
    if outcome.status == "expired" and checkpoint.on_expiry == "stop":
        stop(run, contract.ERROR_EXPIRED, f"expired: {tool}: {reason}")


def stop(run: Run, kind: str, message: str) -> None:
    """End the run with this error, whatever stands between here and its workflow."""
    run.stopped = ApplicationError(message, type=kind, non_retryable=True)
    raise run.stopped


def in_force(grant: Grant) -> bool:
    """Whether a grant still stands now."""
    return grant.revoked_at is None and workflow.now() < grant.expires_at


def answer(outcome: Outcome, tool: str) -> str:
    """What the model is told of its call of a tool: ``Approved``, or ``Rejected: reason`` and its kin."""
    if outcome.approved:
        return "Approved"
    if outcome.changes_requested:
        return (
            f"Changes requested: {outcome.reason}\nNothing ran. Make these changes and call {tool} "
            "again; a person then looks at it anew."
        )
    return f"{outcome.status.capitalize()}: {outcome.reason or 'no reason given'}"


def said(
    ctx: RunContextWrapper[Any], run: Run | None, *, agent: str = "", call_id: str = ""
) -> str:
    """What the agent said as it made the call that ``ctx`` is of, or that is named here."""
    if run is None:
        return ""
    name = agent or getattr(getattr(ctx, "agent", None), "name", "")
    return run.said(name, call_id or getattr(ctx, "tool_call_id", None))


def _terms(
    checkpoint: Checkpoint | None, run: Run | None, fields: dict[str, Any]
) -> dict[str, Any]:
    """Who decides what, and by when. Raises Unanswerable where nobody ever could."""
    default: timedelta | None = run.context.expires_in if run else contract.DEFAULT_EXPIRY
    terms: dict[str, Any] = checkpoint.terms(default) if checkpoint else {"expires_in": default}
    terms["requester"] = run.context.requester if run else None
    terms |= {name: value for name, value in fields.items() if name in _TERMS}
    try:
        reason = rules.refuse_request(ApprovalRequest(action="-", **terms))
    except pydantic.ValidationError as error:
        raise Unanswerable(explain(error)) from error
    if reason:
        raise Unanswerable(reason)
    return terms


_TERMS = frozenset({*Terms.model_fields, "response_schema", "self_approval", "stages"})


def _of_checkpoint(checkpoint: Checkpoint, schema: dict[str, Any] | None) -> dict[str, Any]:
    single = checkpoint.quorum == 1 and checkpoint.confirm_phrase is None and not checkpoint.stage
    single = single and checkpoint.response_schema is None
    return {
        "checkpoint": checkpoint.checkpoint_id,
        "risk": checkpoint.risk,
        "impact": checkpoint.impact,
        "editable": checkpoint.editable if schema else False,
        "arguments_schema": schema if checkpoint.editable else None,
        "description_template": checkpoint.description_template,
        "confirm_phrase": checkpoint.confirm_phrase,
        "grantable": checkpoint.grants and single and schema is not None,
    }


def _prose(text: str) -> str:
    """Trimmed to what a request repeats, and without the half characters that nothing can store."""
    clean = text.encode(errors="replace").decode()
    limit = contract.MAX_PROSE_CHARS
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"

"""``request_approval``: the gate, for use inside anybody's Temporal workflow."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pydantic
from pydantic import JsonValue
from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, ChildWorkflowError, TerminatedError
from temporalio.exceptions import CancelledError as TemporalCancelledError

from . import attributes, contract, edits, mask, rules
from .errors import explain
from .models import Outcome
from .requests import ApprovalRequest
from .signatures import DecisionKey
from .views import PendingApproval

_UNSATISFIABLE = "unsatisfiable-requests-are-refused"
"""A patch of workflows from before 2026-11-22. May go when none of them is open any more."""

_HELD_BACK = "requests-are-held-back"
"""A patch of workflows from before 2026-11-23, looked at only where there are too many requests. May go
when none of them is open any more."""

MAX_OPEN = 1_000
"""Requests of one workflow that wait at the same time; further ones are asked as these end, in their
order. Temporal takes 2,000 children, others included; beyond that, the workflow's task fails for ever."""

_MAX_TASK_BYTES = 1_000_000
"""Of requests that begin in one workflow task: what it answers travels as one message of 4 MB."""


@dataclass
class _Gates:
    """What one workflow execution has asked so far. Lives on the workflow instance."""

    asked: int = 0
    open: dict[str, PendingApproval] = field(default_factory=dict)
    closed: list[Outcome] = field(default_factory=list)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Of those that are held back, in their order."""
    task: int = 0
    """Length of the history in the workflow task in which the last request began."""
    begun_bytes: int = 0
    """Of the requests that began in it."""

    def has_room(self, size: int) -> bool:
        """Whether one more request, of so many bytes, can begin in this workflow task."""
        same = self.task == workflow.info().get_current_history_length()
        begun = self.begun_bytes if same else 0
        return len(self.open) < MAX_OPEN and (not begun or begun + size <= _MAX_TASK_BYTES)

    def begin(self, approval_id: str, action: str, size: int) -> None:
        """It waits from now on."""
        task = workflow.info().get_current_history_length()
        self.begun_bytes = size + (self.begun_bytes if self.task == task else 0)
        self.task = task
        self.open[approval_id] = PendingApproval(
            id=approval_id, action=action, since=workflow.now()
        )


def _gates() -> _Gates:
    instance = workflow.instance()
    gates: _Gates | None = getattr(instance, "_clearance_gates", None)
    if gates is None:
        gates = instance._clearance_gates = _Gates()
    return gates


def pending_approvals() -> list[PendingApproval]:
    """The approvals this workflow waits for now, oldest first: the answer to the query of that name."""
    return list(_gates().open.values())


def closed_approvals() -> list[Outcome]:
    """How the approvals this workflow asked for ended, in the order of their answers."""
    return list(_gates().closed)


def asked() -> int:
    """How many approvals this workflow has asked for: what ``resume`` takes where it goes on as new."""
    return _gates().asked


def resume(asked: int, closed: Sequence[Outcome]) -> None:
    """Go on where the execution before has stopped, so that no approval's id is used twice.

    Args:
        asked: as ``asked`` told it there. None may have been open: they would be withdrawn.
        closed: as ``closed_approvals`` told it, or the last of them.
    """
    gates = _gates()
    gates.asked, gates.closed = asked, list(closed)


async def request_approval(
    request: ApprovalRequest | str,
    *,
    task_queue: str = contract.APPROVALS_QUEUE,
    secrets: frozenset[str] = mask.SECRETS,
    decision_keys: tuple[DecisionKey, ...] = (),
) -> Outcome:
    """Ask a person, and wait as long as it takes.

    Call it inside a workflow, before the action. It starts the child ``ApprovalWorkflow`` on
    ``task_queue`` with ``ParentClosePolicy.TERMINATE``: when this workflow ends for whatever
    reason, its open requests are withdrawn. Nothing needs to run meanwhile. Where 1,000 of them
    wait already, it is asked when one of those has ended; its time runs from then on.

    Args:
        request: what is about to happen; a bare string is taken as its ``action``.
        task_queue: the queue of the approvals worker.
        secrets: names of arguments whose values never leave this workflow (``clearance.mask``).
        decision_keys: pinned by the request where it pins none: only what they sign counts.

    Returns:
        The outcome. Act only ``if outcome.approved``, and only with what was asked:
        ``outcome.digest`` is ``request.digest``. Where the request is ``editable``, what was
        approved may be something else: ``approved_arguments`` tells. Use
        ``outcome.approval_id`` as the action's idempotency key. A request that somebody
        terminated or cancelled by hand is ``withdrawn``.

    Raises:
        temporalio.exceptions.ApplicationError: of type ``InvalidRequest``, the string breaks a
            rule of ``ApprovalRequest.action``, masking made a text too long, or nobody could ever
            approve it. Nothing was asked.
        asyncio.CancelledError, temporalio.exceptions.ChildWorkflowError: this workflow was
            cancelled while it waited. The request is withdrawn.
    """
    try:
        asked = ApprovalRequest(action=request) if isinstance(request, str) else request
        request = asked.sent(secrets, decision_keys)
    except pydantic.ValidationError as error:
        raise ApplicationError(
            explain(error), type=contract.ERROR_INVALID_REQUEST, non_retryable=True
        ) from error
    # Runs from before asked for such a thing, too. Only where it matters: others record nothing more.
    if (reason := rules.refuse_request(request)) and workflow.patched(_UNSATISFIABLE):
        raise ApplicationError(reason, type=contract.ERROR_INVALID_REQUEST, non_retryable=True)
    info = workflow.info()
    if request.run_id is None:
        request = request.model_copy(update={"run_id": info.workflow_id})
    gates = _gates()
    gates.asked += 1
    approval_id = contract.child_id(info.workflow_id, gates.asked)
    await _begin(gates, approval_id, request)
    now = workflow.now()
    try:
        result = await workflow.execute_child_workflow(
            contract.APPROVAL_WORKFLOW,
            # As plain JSON with every field: the workflow's own converter may leave defaults out.
            request.model_dump(mode="json"),
            id=approval_id,
            task_queue=task_queue,
            parent_close_policy=workflow.ParentClosePolicy.TERMINATE,
            # A reset parent asks again under the same id; the request it had left is replaced.
            id_reuse_policy=WorkflowIDReusePolicy.TERMINATE_IF_RUNNING,
            search_attributes=attributes.of(
                request,
                status="approved" if request.grant else "pending",
                deadline=request.deadline(now),
                requester=_listed(request.requester),
            ),
            memo={contract.MEMO_APPROVAL: request.memo()},
            static_summary=request.action[:200],
        )
    except ChildWorkflowError as error:
        outcome = _withdrawn(error, approval_id, request.digest)
    else:
        # The converter may build models without validating them: check the plain data ourselves.
        outcome = Outcome.model_validate(result)
    finally:
        gates.open.pop(approval_id, None)
    if outcome.approval_id != approval_id:
        raise _mismatch(approval_id)
    _check(request, outcome)
    gates.closed.append(outcome)
    return outcome


def approved_arguments(
    request: ApprovalRequest, outcome: Outcome, *, secrets: frozenset[str] = mask.SECRETS
) -> dict[str, JsonValue]:
    """What to run: the arguments of ``request``, with the reviewer's changes if there are any.

    Args:
        request: as given to ``request_approval``, with its real arguments.
        outcome: what that returned.
        secrets: as given to ``request_approval``.

    Raises:
        temporalio.exceptions.ApplicationError: of type ``DigestMismatch``: nothing was approved, or
            something else was. Nothing may run.
    """
    shown = request.concealed(secrets)
    _check(shown, outcome)
    if outcome.approved is not True:
        raise _mismatch(outcome.approval_id)
    if outcome.edit is None:
        return dict(request.arguments)
    return mask.reveal(outcome.edit.arguments, request.arguments, shown.masked)


async def _begin(gates: _Gates, approval_id: str, request: ApprovalRequest) -> None:
    """Let it wait from now on, as soon as there is room for one more."""
    size = len(request.model_dump_json())
    is_full = gates.turn.locked() or not gates.has_room(size)
    # Runs from before asked all the same; others record nothing more.
    if not is_full or not workflow.patched(_HELD_BACK):
        gates.begin(approval_id, request.action, size)
        return
    async with gates.turn:
        await workflow.wait_condition(lambda: gates.has_room(size))
        gates.begin(approval_id, request.action, size)


def _listed(requester: str | None) -> str | None:
    """A name as the index shall hold it, where whoever started this workflow has hashed it."""
    known = workflow.memo_value(contract.MEMO_LISTED, None)
    listed = known.get(requester) if isinstance(known, dict) and requester else None
    return listed if isinstance(listed, str) else None


def _check(request: ApprovalRequest, outcome: Outcome) -> None:
    """Raise unless the outcome is of this request, and an edit one that it allows."""
    if not edits.is_of(request, outcome):
        raise _mismatch(outcome.approval_id)


def _mismatch(approval_id: str) -> ApplicationError:
    return ApplicationError(
        f"the outcome of {approval_id} is not of what was asked; nothing ran",
        type=contract.ERROR_MISMATCH,
        non_retryable=True,
    )


def _withdrawn(error: ChildWorkflowError, approval_id: str, digest: str) -> Outcome:
    """The outcome of a child that ended without one; raises where that isn't a withdrawal."""
    cause = error.cause
    task = asyncio.current_task()
    we_are_cancelled = workflow.cancellation_reason() is not None or (
        task is not None and task.cancelling() > 0
    )
    if isinstance(cause, ApplicationError):
        raise cause from error
    if isinstance(cause, TemporalCancelledError) and we_are_cancelled:
        raise error
    if not isinstance(cause, TerminatedError | TemporalCancelledError):
        raise error
    return Outcome(approval_id=approval_id, status="withdrawn", digest=digest)

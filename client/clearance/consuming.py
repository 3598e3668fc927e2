"""Taking the permission to act, once, from outside Temporal; and saying what the action did."""

import asyncio
import uuid
from contextlib import suppress
from typing import Any

import pydantic
from temporalio.client import (
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from . import consumption, contract, edits, rules, stored
from .away import is_unknown
from .deciding import update_id
from .errors import AlreadyConsumed, InvalidRequest, NotFound, Refused, explain
from .models import Outcome, Recorded
from .permits import (
    ActionOutcome,
    Consumption,
    OutcomeReceipt,
    Permit,
    Report,
    Taking,
    refuse_report,
)
from .refusing import is_cut_off, refusal
from .requests import ApprovalRequest
from .text import utc
from .vouching import Vouching
from .workers import answered


class Consuming(Vouching):
    """The methods of ``ApprovalClient`` for an agent that isn't a workflow."""

    async def consume(
        self, id: str, *, digest: str, taker: str, consumption_id: str | None = None
    ) -> Permit:
        """Take the permission to do what was approved. One taker gets it, once.

        The engine makes that so, whatever crashes: the permission is a workflow under one id. What
        is taken isn't given back; where the action fails, ask anew. No worker is needed.

        Args:
            id: a request of nobody's run; a run uses what it asked for itself.
            digest: of what was approved, as the taker is about to do it: ``ApprovalRequest.digest``,
                or of the changes where a reviewer made some (``Outcome.edit.digest``).
            taker: who acts, 1 to 200 characters.
            consumption_id: 1 to 64 letters, digits, ``_`` and ``-``: with the same one again, after a
                failure of the network for instance, the same taker gets the same permit.

        Raises:
            AlreadyConsumed: somebody has taken it; says who and when.
            Refused: it wasn't approved, or something else was, or it is too late
                (``ApprovalRequest.usable_for``), or a run asked for it; or nothing had to be signed,
                and this client asks for signed decisions only.
            InvalidRequest: ``taker`` or ``consumption_id`` is malformed, or the request was.
        """
        handle = await self._handle(id)
        request, approved, queue = await self._approved(handle)
        decision = approved.decision
        if approved.status != "approved" or decision is None or not edits.is_of(request, approved):
            raise Refused(f"{handle.id} is {rules.closed(approved.status, decision)}")
        self._check_pinned(handle.id, request)
        would_run = request.with_arguments(approved.edit.arguments) if approved.edit else request
        if digest != would_run.digest:
            raise Refused(
                f"something else was approved: {handle.id} has the digest {would_run.digest}"
            )
        taking = _valid(
            Taking,
            approval_id=handle.id,
            taker=taker,
            consumption_id=consumption_id or uuid.uuid4().hex,
            digest=would_run.digest,
            until=decision.at + (request.usable_for or contract.DEFAULT_USABLE),
        )
        taken = await self._take(taking, queue)
        if taken.at > taken.until:
            raise Refused(f"too late: {handle.id} could be used until {utc(taken.until)}")
        if (taken.taker, taken.consumption_id) != (taking.taker, taking.consumption_id):
            raise AlreadyConsumed(
                f"{handle.id} was taken by {taken.taker} at {utc(taken.at)}: ask for another approval",
                taken.taker,
                taken.at,
            )
        return _permit(taken, would_run, decision)

    async def report(
        self, id: str, *, taker: str, succeeded: bool, summary: str = ""
    ) -> OutcomeReceipt:
        """Say for the record what the action did that ``consume`` permitted.

        Goes as an update; where no worker answers in time the server stores it, and
        ``receipt.in_effect`` is False. The first report stands; the same one again is fine.

        Args:
            id: the request.
            taker: who took the permission.
            succeeded: exactly True or False.
            summary: what it did, or why it failed: at most 4,000 characters.

        Raises:
            Refused: somebody else took it, something else was reported, or it was taken more than 30
                days ago.
            NotFound: nobody has taken it.
            InvalidRequest: the report is malformed.
        """
        said = _valid(Report, taker=taker, succeeded=succeeded, summary=summary)
        approval = (await self._handle(id)).id
        if receipt := await self._known(approval, said):
            return receipt
        handle = self.temporal.get_workflow_handle(contract.consumption_id(approval))
        try:
            if told := await self._told(handle, said):
                return _receipt(approval, told)
            await handle.signal(contract.SIGNAL_REPORT, said)
        except RPCError as error:
            if not is_unknown(error):
                raise
            if receipt := await self._known(approval, said):  # it has ended meanwhile
                return receipt
            raise Refused(f"too late: of {approval} nothing can be reported any more") from error
        return OutcomeReceipt(approval_id=approval, succeeded=succeeded)

    async def _approved(
        self, handle: WorkflowHandle[Any, Any]
    ) -> tuple[ApprovalRequest, Outcome, str]:
        """A request that has ended, how it has, and the queue it was served on."""
        description = await handle.describe()
        if description.parent_id:
            raise Refused(f"{handle.id} is for the run {description.parent_id}: it acts by itself")
        if description.status == WorkflowExecutionStatus.RUNNING:
            raise Refused(f"{handle.id} still waits for a decision")
        request = await stored.request_of(handle)
        outcome = await stored.ended(self.temporal, description, request.digest)
        return request, outcome, description.task_queue

    async def _take(self, taking: Taking, queue: str) -> Consumption:
        """The one consumption that there is, this or another one."""
        plain = taking.model_dump(mode="json")
        with suppress(WorkflowAlreadyStartedError):
            await self.temporal.start_workflow(
                contract.CONSUMPTION_WORKFLOW,
                plain,
                id=contract.consumption_id(taking.approval_id),
                task_queue=queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                memo={contract.MEMO_CONSUMPTION: plain},
            )
        # As the server has it, its time too: also what was started here may have come too late.
        taken = await consumption.read(self.temporal, taking.approval_id)
        if taken is None:
            id = contract.consumption_id(taking.approval_id)
            raise Refused(f"the id {id} is used for something else: ask for another approval")
        return taken

    async def _known(self, approval_id: str, said: Report) -> OutcomeReceipt | None:
        """The answer to what was reported before; None where nothing was.

        Raises:
            NotFound: nobody has taken it.
            Refused: it isn't theirs to report, or something else was reported.
        """
        taken = await consumption.consumption_of(self.temporal, approval_id)
        if taken is None:
            raise NotFound(f"nobody has taken the permission of {approval_id}")
        if reason := refuse_report(taken, taken.outcome, said):
            raise Refused(reason)
        return _receipt(approval_id, taken.outcome) if taken.outcome else None

    async def _told(self, handle: WorkflowHandle[Any, Any], said: Report) -> ActionOutcome | None:
        """What the record has taken; None where no worker answers in time. Raises Refused."""
        try:
            async with asyncio.timeout(self._answer_timeout.total_seconds()):
                told: ActionOutcome = await answered(
                    handle,
                    handle.execute_update(
                        contract.UPDATE_REPORT,
                        said,
                        id=update_id("report", said, but=set()),
                        result_type=ActionOutcome,
                    ),
                )
                return told
        except WorkflowUpdateFailedError as error:
            if not is_cut_off(error):
                raise refusal(error) from error
        except WorkflowUpdateRPCTimeoutOrCancelledError:
            if (task := asyncio.current_task()) and task.cancelling():
                raise asyncio.CancelledError from None  # by the caller, not by the time
        except TimeoutError:
            pass
        except RPCError as error:
            if error.status != RPCStatusCode.DEADLINE_EXCEEDED:
                raise
        return None


def _receipt(approval_id: str, told: ActionOutcome) -> OutcomeReceipt:
    return OutcomeReceipt(approval_id=approval_id, succeeded=told.succeeded, recorded_at=told.at)


def _permit(taken: Consumption, would_run: ApprovalRequest, decision: Recorded) -> Permit:
    return Permit(
        approval_id=taken.approval_id,
        consumption_id=taken.consumption_id,
        taker=taken.taker,
        at=taken.at,
        until=taken.until,
        digest=would_run.digest,
        action=would_run.action,
        tool=would_run.tool,
        arguments=would_run.arguments,
        masked=would_run.masked,
        decision=decision,
    )


def _valid(model: Any, **fields: Any) -> Any:
    """What somebody said, as a model. Raises InvalidRequest."""
    try:
        return model(**fields)
    except pydantic.ValidationError as error:
        raise InvalidRequest(explain(error)) from error

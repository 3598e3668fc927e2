"""``ApprovalWorkflow``: one request, waiting for one decision, for as long as it takes."""

import asyncio
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    import pydantic

    from clearance import attributes, contract, render
    from clearance.errors import explain
    from clearance.models import Decision, Outcome, Receipt
    from clearance.record import Record
    from clearance.requests import ApprovalRequest
    from clearance.views import ApprovalView
    from tools.examine import examine

_DETAILS_CHARS = 20_000
"""Of what Temporal's own page shows; the record itself is whole."""


@workflow.defn(name=contract.APPROVAL_WORKFLOW)
class ApprovalWorkflow:
    """The gate. The record and its rules decide what counts; here are only handlers and timers."""

    @workflow.init
    def __init__(self, request: Any = None, *extra: Any) -> None:
        """Read the request before any handler can run.

        It arrives untyped, in any number of arguments, and is validated here: a request that the
        converter refused would fail the workflow *task*, again and again, and wait for ever
        without anybody seeing why.
        """
        self._invalid: str | None = None
        self._changed = False
        if extra:
            request = [request, *extra]
        try:
            plain = {"action": request} if isinstance(request, str) else request
            parsed = ApprovalRequest.model_validate(plain)
            _check_grant(parsed)
        except (pydantic.ValidationError, ValueError) as error:
            known = isinstance(error, pydantic.ValidationError)
            self._invalid = explain(error) if known else str(error)
            parsed = ApprovalRequest(action="(malformed request)")
        info = workflow.info()
        self._record = Record(
            parsed,
            approval_id=info.workflow_id,
            requested_at=info.workflow_start_time,
            examine=examine,
        )

    @workflow.run
    async def run(self, request: Any = None, *extra: Any) -> Outcome:
        """Wait for the decision or the deadline.

        Args:
            request: an ``ApprovalRequest``, or a bare string: its action.
            extra: must be empty; one argument too many makes the request malformed.

        Raises:
            ApplicationError: type ``InvalidRequest``, the request is malformed.
        """
        record = self._record
        if self._invalid is not None:
            raise ApplicationError(
                self._invalid, type=contract.ERROR_INVALID_REQUEST, non_retryable=True
            )
        if workflow.info().typed_search_attributes.get(attributes.STATUS) is None:
            self._introduce()
        self._describe()
        describing = asyncio.create_task(self._keep_described())
        try:
            timeout = None if record.deadline is None else record.deadline - workflow.now()
            await workflow.wait_condition(lambda: record.status != "pending", timeout=timeout)
        except TimeoutError:
            record.end("expired", "timer", workflow.now())
        except asyncio.CancelledError:
            # The parent was cancelled, or somebody cancelled this request. Raise again: a
            # cancellation that is swallowed would look like an answer. Unless the answer came in
            # the same moment and somebody was told that it counts.
            record.end("withdrawn", "engine", workflow.now())
            if record.status == "withdrawn":
                self._publish()
                raise
        finally:
            describing.cancel()
        self._publish()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return record.outcome()

    @workflow.signal(name=contract.SIGNAL_APPROVE)
    def approve(self, approved: Any = None, *extra: Any) -> None:
        """The bare ``approve(bool)``. Counts only where anyone may decide; else kept as refused.

        Untyped on purpose: a converter asked for a bool makes one out of ``1`` and ``"true"``.
        Open to any number of arguments, because one too many would fail the workflow task, and so
        hold the gate shut for every decision after it.
        """
        self._record.signal([approved, *extra] if extra else approved, workflow.now())
        self._changed = True

    @workflow.signal(name=contract.SIGNAL_DECIDE)
    def record_decision(self, decision: Any = None, *extra: Any) -> None:
        """A whole ``Decision`` that the server stored while no worker was there."""
        self._record.decide_stored([decision, *extra] if extra else decision, workflow.now())
        self._changed = True

    @workflow.update(name=contract.UPDATE_DECIDE)
    def decide(self, decision: Any = None, *extra: Any) -> Receipt:
        """Decide with a ``Decision``; the answer says at once whether it counted.

        The same decision id again returns the same receipt. Untyped like the signals: where the
        converter refuses, the sender is told no more than "Failed decoding arguments".

        Raises:
            ApplicationError: type ``DecisionRefused``, or ``AlreadyDecided`` with the final status
                and the counted decision as details. The attempt is kept in the record.
        """
        record = self._record
        parsed = Decision.model_validate(decision)
        self._changed = True
        if reason := record.decide(parsed, workflow.now()):
            if record.status == "pending":
                raise ApplicationError(reason, type=contract.ERROR_REFUSED, non_retryable=True)
            raise ApplicationError(
                reason,
                record.status,
                record.decided and record.decided.model_dump(mode="json"),
                type=contract.ERROR_ALREADY_DECIDED,
                non_retryable=True,
            )
        return record.receipt(parsed)

    @decide.validator
    def _validate_decide(self, decision: Any = None, *extra: Any) -> None:
        """Refuse, without a trace in the history, what could never count whatever the state."""
        if self._invalid is not None:
            raise ApplicationError(self._invalid, type=contract.ERROR_INVALID_REQUEST)
        try:
            Decision.model_validate([decision, *extra] if extra else decision)
        except pydantic.ValidationError as error:
            raise ApplicationError(explain(error), type=contract.ERROR_REFUSED) from error

    @workflow.query(name=contract.QUERY_VIEW)
    def view(self) -> ApprovalView:
        """The whole record, also after the end while the server keeps the history."""
        return self._record.view()

    def _introduce(self) -> None:
        """Add attributes and memo that whoever started this, as the bare pattern does, left out."""
        record = self._record
        pairs = attributes.of(record.request, status="pending", deadline=record.deadline)
        workflow.upsert_search_attributes([pair.key.value_set(pair.value) for pair in pairs])
        workflow.upsert_memo({contract.MEMO_APPROVAL: record.request.memo()})

    def _publish(self) -> None:
        """Tell the lists and Temporal's own UI how it ended."""
        workflow.upsert_search_attributes([attributes.STATUS.value_set(self._record.status)])
        self._describe()

    async def _keep_described(self) -> None:
        """Show what has changed, once for all that arrived together.

        Not in the handlers: the server may have stored hundreds of signals for one workflow task,
        and a task that takes more than two seconds is tried again for ever.
        """
        while True:
            await workflow.wait_condition(lambda: self._changed)
            self._changed = False
            if self._record.status == "pending":  # else ``run`` shows the end
                self._describe()

    def _describe(self) -> None:
        details = render.markdown(self._record.view(), workflow.now(), limit=_DETAILS_CHARS)
        workflow.set_current_details(details)


def _check_grant(request: ApprovalRequest) -> None:
    """Raise ValueError where a request calls itself granted without being a call of that run."""
    parent = workflow.info().parent
    if request.grant is None:
        return
    if parent is None or request.grant.grant_id.rpartition(".")[0] != parent.workflow_id:
        raise ValueError("grant: only a run makes use of a standing approval that it was given")
    if request.quorum > 1 or request.confirm_phrase is not None:
        raise ValueError("grant: it can't stand for a second person, or for a phrase to be typed")

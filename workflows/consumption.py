"""``ConsumptionWorkflow``: one permission to act, taken; waiting to hear what the action did."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    import pydantic

    from clearance import contract
    from clearance.errors import explain
    from clearance.permits import ActionOutcome, Consumption, Report, Taking, refuse_report


@workflow.defn(name=contract.CONSUMPTION_WORKFLOW)
class ConsumptionWorkflow:
    """That it exists says that the permission is taken: its id lets there be one."""

    @workflow.init
    def __init__(self, taking: Any = None, *extra: Any) -> None:
        """Read what it is started with before any handler can run; untyped, as for an approval."""
        self._outcome: ActionOutcome | None = None
        self._invalid = ""
        self._taking: Taking | None = None
        try:
            self._taking = Taking.model_validate([taking, *extra] if extra else taking)
        except pydantic.ValidationError as error:
            self._invalid = explain(error)

    @workflow.run
    async def run(self, taking: Any = None, *extra: Any) -> Consumption:
        """Wait until the taker has said what the action did, for at most 30 days; and until nobody could
        take it any more.

        Args:
            taking: a ``Taking``.
            extra: must be empty.

        Raises:
            ApplicationError: type ``InvalidRequest``, it is malformed; ``DecisionRefused``, it was
                taken too late, and permits nothing.
        """
        if self._taking is None:
            raise _error(self._invalid, contract.ERROR_INVALID_REQUEST)
        at = workflow.info().workflow_start_time
        if at > self._taking.until:
            raise _error("it was taken too late", contract.ERROR_REFUSED)
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._outcome is not None, timeout=contract.MAX_REPORT_AFTER
            )
        # Not before the last moment it could be taken at: the server may soon forget what has ended,
        # and let somebody take it again.
        if (left := self._taking.until - workflow.now()) > timedelta(0):
            await workflow.sleep(left)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return Consumption(**dict(self._taking), at=at, outcome=self._outcome)

    @workflow.signal(name=contract.SIGNAL_REPORT)
    def record_outcome(self, report: Any = None, *extra: Any) -> None:
        """A whole ``Report`` that the server stored while no worker was there. Others change nothing."""
        self._take([report, *extra] if extra else report)

    @workflow.update(name=contract.UPDATE_REPORT)
    def report(self, report: Any = None, *extra: Any) -> ActionOutcome:
        """What the action did, as a ``Report``; the answer says that it is recorded.

        Raises:
            ApplicationError: type ``DecisionRefused``.
        """
        told = self._take([report, *extra] if extra else report)
        if isinstance(told, str):
            raise _error(told, contract.ERROR_REFUSED)
        return told

    @report.validator
    def _validate_report(self, report: Any = None, *extra: Any) -> None:
        """Refuse, without a trace in the history, what is malformed."""
        try:
            Report.model_validate([report, *extra] if extra else report)
        except pydantic.ValidationError as error:
            raise _error(explain(error), contract.ERROR_REFUSED) from error

    def _take(self, sent: Any) -> ActionOutcome | str:
        """What is recorded, or why this is not."""
        if self._taking is None:
            return self._invalid
        try:
            report = Report.model_validate(sent)
        except pydantic.ValidationError as error:
            return explain(error)
        if reason := refuse_report(self._taking, self._outcome, report):
            return reason
        if self._outcome is None:
            said = {"succeeded": report.succeeded, "summary": report.summary}
            self._outcome = ActionOutcome(**said, at=workflow.now())
            plain = self._taking.model_dump(mode="json")
            plain["outcome"] = self._outcome.model_dump(mode="json")
            workflow.upsert_memo({contract.MEMO_CONSUMPTION: plain})
        return self._outcome


def _error(reason: str, type: str) -> ApplicationError:
    return ApplicationError(reason, type=type, non_retryable=True)

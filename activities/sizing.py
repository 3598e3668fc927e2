"""An activity that answers with more than Temporal takes fails once, and says so.

Its worker would try it again, without end: a model would be paid anew, and a tool act anew.
"""

from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

MAX_BYTES = 2_000_000
"""Of one answer, as it travels; Temporal takes 2 MB."""


class Sizing(Interceptor):
    """Measures what the activities of a worker answer."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Before every activity."""
        return _Sized(next)


class _Sized(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        answer = await super().execute_activity(input)
        size = sum(one.ByteSize() for one in activity.payload_converter().to_payloads([answer]))
        if size > MAX_BYTES:
            raise ApplicationError(
                f"{activity.info().activity_type} has run, and its answer is {size:,} bytes, at most "
                f"{MAX_BYTES:,}: let it answer more briefly, or with a reference",
                type="AnswerTooLarge",
                non_retryable=True,
            )
        return answer

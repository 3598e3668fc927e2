"""What a request counts of itself. Metrics are no events: replays and histories don't know of them.

A worker that is killed between counting and telling the server counts once more.
"""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities import measuring
    from activities.measuring import bounded
    from clearance.record import Record

_REASONS = (
    ("malformed", "malformed "),
    ("malformed", "approve takes true or false"),
    ("bare_signal", "a bare signal "),
    ("closed", "already decided: "),
    ("closed", "nobody can decide it any more"),
    ("late", "too late: "),
    ("self_approval", ": somebody else has to approve"),
    ("audience", " not in the audience "),
    ("audience", " neither asked for this nor "),
    ("signature", "its signature "),
    ("changed", "the request changed since"),
    ("repeated", " already"),
    ("stage", "stage"),
)
"""Of each class of refusals, words of ours that its sentences have; the first that fits."""


def reason_class(reason: str) -> str:
    """Which kind of refusal a sentence is; ``other`` for the rest. Nothing of the sentence itself."""
    return next((name for name, words in _REASONS if words in reason), "other")


class Measuring:
    """Counts one request's beginning and end, and what was refused on the way."""

    def __init__(self, record: Record) -> None:
        """What the record has already was counted by an execution before."""
        self._record = record
        self._events = len(record.log.events)
        self._uncounted = record.log.refusals_uncounted

    def asked(self) -> None:
        """It waits for a person now."""
        self._count("asked")

    def ended(self) -> None:
        """It has ended, one way or another."""
        record = self._record
        self._count(record.status)
        workflow.metric_meter().create_histogram_timedelta(
            measuring.TIME_TO_DECISION, "From the request to its end", "duration"
        ).record(
            max(workflow.now() - record.requested_at, timedelta()),
            {
                "status": record.status,
                "checkpoint": bounded("checkpoint", record.request.checkpoint),
            },
        )

    def turned(self) -> None:
        """Somebody did something: count what of it was refused."""
        log = self._record.log
        for event in log.events[self._events :]:
            if event.kind == "refused":
                self.refused(event.reason, event.channel)
        for _ in range(log.refusals_uncounted - self._uncounted):
            self.refused("", "many")
        self._events, self._uncounted = len(log.events), log.refusals_uncounted

    def refused(self, reason: str, channel: str) -> None:
        """An attempt did not count."""
        workflow.metric_meter().create_counter(
            measuring.REFUSALS, "Attempts to decide that did not count"
        ).add(1, {"reason": reason_class(reason), "channel": channel})

    def _count(self, status: str) -> None:
        request = self._record.request
        workflow.metric_meter().create_counter(
            measuring.REQUESTS, "Requests for approval, asked and ended"
        ).add(
            1,
            {
                "status": status,
                "tool": bounded("tool", request.tool),
                "checkpoint": bounded("checkpoint", request.checkpoint),
            },
        )

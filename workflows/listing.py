"""What the lists and Temporal's own page show of a request while it waits, and when it has ended."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from clearance import attributes, contract, render
    from clearance.record import Record
    from clearance.views import ApprovalView
    from workflows.audience import Audience

_DETAILS_CHARS = 20_000
"""Of what Temporal's own page shows; the record itself is whole."""


class Listing:
    """Keeps attributes, memo and details as the record is."""

    def __init__(self, record: Record, audience: Audience, *, marks_end: bool) -> None:
        """As whoever started the request has listed it; ``marks_end`` lists when it ended, too."""
        self._marks_end = marks_end
        self._record = record
        self._audience = audience
        self._shown = record.listing()
        began = workflow.info().workflow_start_time
        self._began = (
            {}
            if began == record.requested_at
            else {"requested_at": record.requested_at.isoformat()}
        )
        """Where it goes on from an execution before."""

    def begin(self) -> None:
        """Show the request; add attributes and memo where, as in the bare pattern, there are none."""
        record = self._record
        if workflow.info().typed_search_attributes.get(attributes.STATUS) is None:
            pairs = attributes.of(record.request, status="pending", deadline=record.deadline)
            workflow.upsert_search_attributes([pair.key.value_set(pair.value) for pair in pairs])
            workflow.upsert_memo({contract.MEMO_APPROVAL: record.request.memo()})
        self._describe()

    def update(self) -> None:
        """Show how far it is now; an event in the history only where lists show it."""
        self._describe()
        now = self._record.listing()
        is_new = now != self._shown
        if not self._audience.resolves or not (is_new or self._audience.has_just_settled):
            return
        self._shown = now
        workflow.upsert_memo(
            {contract.MEMO_APPROVAL: {**self._record.request.memo(), **now, **self._began}}
        )
        if not is_new:
            return
        deadline = self._record.deadline
        when = attributes.DEADLINE
        workflow.upsert_search_attributes(
            [
                attributes.AUDIENCE.value_set(self._audience.listed()),
                when.value_set(deadline) if deadline else when.value_unset(),
            ]
        )

    def end(self) -> ApprovalView:
        """Show how it ended, and who decided it. Returns the record as it is shown."""
        decided = self._record.decided
        workflow.upsert_search_attributes(
            attributes.closing(
                self._record.status,
                decided.reviewer if decided else None,
                workflow.now() if self._marks_end else None,
            )
        )
        return self._describe()

    def _describe(self) -> ApprovalView:
        view = self._record.view()
        details = render.markdown(view, workflow.now(), limit=_DETAILS_CHARS)
        workflow.set_current_details(details)
        return view

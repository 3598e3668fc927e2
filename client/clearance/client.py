"""``ApprovalClient``: ask, read and decide from any service."""

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Self, Unpack

import pydantic
from pydantic import JsonValue
from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from . import attributes, contract, granting, reading
from .connect import connect
from .deciding import changed, current_digest, deliver, made_now
from .errors import InvalidRequest, WaitTimeout, explain
from .grants import Grant, GrantTerms, Revocation
from .ids import resolve
from .models import Channel, Outcome, Receipt
from .reading import Filters
from .requests import ApprovalRequest
from .views import ApprovalSummary, ApprovalView


class ApprovalClient:
    """Ask for approvals, read them and decide them.

        async with await ApprovalClient.connect() as client:
            async for waiting in client.pending(risk="high"):
                print(waiting.id, waiting.action)

    Every ``id`` may be any unambiguous prefix or suffix of an approval's id; besides what they
    name, all methods that take one raise ``NotFound`` and ``Ambiguous``.
    """

    def __init__(
        self,
        client: Client,
        *,
        task_queue: str = contract.APPROVALS_QUEUE,
        answer_timeout: timedelta = timedelta(seconds=5),
    ) -> None:
        """Wrap a connected Temporal client.

        Args:
            client: made by ``clearance.connect``, which brings the data converter.
            task_queue: the approvals queue to ask on and to list.
            answer_timeout: how long a worker may take to answer a decision or a reading, before
                the decision is stored instead and the reading comes from the server alone.
        """
        self.temporal = client
        self._queue = task_queue
        self._answer_timeout = answer_timeout

    @classmethod
    async def connect(cls, *, task_queue: str = contract.APPROVALS_QUEUE) -> Self:
        """Connect as the environment says (``temporalio.envconfig``: TEMPORAL_ADDRESS, profiles).

        Raises:
            CannotConnect: Temporal does not answer or refuses.
        """
        return cls(await connect(), task_queue=task_queue)

    async def __aenter__(self) -> Self:
        """Ready as it is: connecting was done by ``connect``."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Nothing to close: Temporal's client ends with its last reference."""

    async def request(
        self, request: ApprovalRequest | str, *, id: str | None = None
    ) -> ApprovalSummary:
        """Ask for an approval with no agent behind it.

        Args:
            request: what is about to happen; a bare string is its ``action``.
            id: an id of your own, which makes asking twice harmless: while that request waits,
                asking again returns it.

        Raises:
            InvalidRequest: the request or the id breaks a rule, or ``id`` was used for another
                request or for one that has ended. Nothing was asked.
        """
        request = _parsed(request)
        approval_id = f"approval-{uuid.uuid4().hex[:10]}" if id is None else id
        fits = 0 < len(approval_id) <= contract.MAX_ID_CHARS and approval_id.isprintable()
        if not fits or approval_id != approval_id.strip():
            raise InvalidRequest("an id has 1 to 200 printable characters, no space at its ends")
        try:
            handle = await self.temporal.start_workflow(
                contract.APPROVAL_WORKFLOW,
                request.model_dump(mode="json"),
                id=approval_id,
                task_queue=self._queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                search_attributes=attributes.of(
                    request,
                    status="pending",
                    deadline=request.deadline(datetime.now(UTC)),
                ),
                memo={contract.MEMO_APPROVAL: request.memo()},
                static_summary=request.action[:200],
            )
        except WorkflowAlreadyStartedError as error:
            raise InvalidRequest(f"the id {approval_id} was used before: choose another") from error
        description = await handle.describe()
        if description.workflow_type == contract.APPROVAL_WORKFLOW:
            summary = await reading.summary_of(self.temporal, description)
            if summary.digest == request.digest:
                return summary
        raise InvalidRequest(f"the id {approval_id} is used for something else: choose another")

    async def pending(
        self, *, limit: int | None = None, **filters: Unpack[Filters]
    ) -> AsyncIterator[ApprovalSummary]:
        """What waits for a person, newest first, a page of the listing at a time.

        The listing is eventually consistent: a request shows up some milliseconds after its start.

        Args:
            limit: at most this many.
            filters: ``audience``, ``reviewer``, ``tool``, ``run``, ``risk``, ``requester``,
                ``checkpoint``; all that are given must fit (``clearance.reading.Filters``).
        """
        left = sys.maxsize if limit is None else limit
        if left < 1:
            return
        executions = self.temporal.list_workflows(
            reading.pending_query(queue=self._queue, **filters), page_size=min(left, 1_000)
        )
        async for execution in executions:
            try:
                summary = await reading.summary_of(self.temporal, execution)
            except InvalidRequest:
                continue  # the workflow itself will refuse it; there is nothing to decide
            if reading.waits(execution) and reading.fits(summary, **filters):
                yield summary
                left -= 1
            if not left:
                return

    async def get(self, id: str) -> ApprovalView:
        """The whole record of a request, pending or ended.

        Without a worker the request is read from the server alone: ``complete`` is False and
        ``events`` is empty.

        Raises:
            InvalidRequest: what has this id was refused as malformed.
        """
        return await reading.view(await self._handle(id), self._answer_timeout)

    async def approve(self, id: str, *, reviewer: str, **how: Any) -> Receipt:
        """Open the gate. The same as ``decide(id, approved=True, ...)``."""
        return await self.decide(id, approved=True, reviewer=reviewer, **how)

    async def reject(self, id: str, *, reviewer: str, **how: Any) -> Receipt:
        """Refuse the action. The same as ``decide(id, approved=False, ...)``."""
        return await self.decide(id, approved=False, reviewer=reviewer, **how)

    async def decide(
        self,
        id: str,
        *,
        approved: bool,
        reviewer: str,
        reason: str = "",
        digest: str | None = None,
        channel: Channel = "client",
        decision_id: str | None = None,
        arguments: dict[str, JsonValue] | None = None,
        changes: Mapping[str, JsonValue] | None = None,
        confirmation: str | None = None,
        grant: GrantTerms | None = None,
    ) -> Receipt:
        """Decide a request.

        The decision goes as an update, so the receipt says at once that it counted. If no worker
        answers in time the server stores it as a signal; then ``receipt.in_effect`` is False and
        it takes effect when a worker is back.

        Args:
            id: the request.
            approved: exactly True or False.
            reviewer: who decides, 1 to 200 characters.
            reason: for the record and, on a rejection, for the agent; at most 4,000 characters.
            digest: of what the reviewer saw; left out, that of the request as it is now.
            channel: how the decision reached this client.
            decision_id: send the same one again after a failure: it is one decision.
            arguments: run these instead: all of them, masked values left as they are shown.
            changes: run it with these changed, and the others as they are.
            confirmation: what the reviewer typed, where the request asks for its phrase.
            grant: approve further calls like this one, too.

        Raises:
            AlreadyDecided: the request is closed; says who decided and when.
            Refused: the decision does not count; says why.
            InvalidRequest: the decision itself is malformed.
        """
        if arguments is not None and changes is not None:
            raise InvalidRequest("give either arguments, all of them, or changes")
        handle = await self._handle(id)
        if changes is not None:
            view = await reading.view(handle, self._answer_timeout)
            digest, arguments = changed(view, digest, changes)
        elif digest is None:
            digest = await current_digest(handle, self._answer_timeout)
        decision = made_now(
            decision_id,
            approved=approved,
            reviewer=reviewer,
            reason=reason,
            digest=digest,
            channel=channel,
            arguments=arguments,
            confirmation=confirmation,
            grant=grant,
        )
        return await deliver(handle, decision, self._answer_timeout)

    def grants(self, run: str | None = None) -> AsyncIterator[Grant]:
        """The standing approvals of the agent runs under way, or of one: those that ended, too.

        Args:
            run: only of this run: its id, or any unambiguous prefix or suffix of it.

        Raises:
            NoWorker: after the last: some runs didn't answer; the text names them.
        """
        return granting.listed(self.temporal, run, self._answer_timeout)

    async def revoke(self, grant_id: str, *, reviewer: str) -> Revocation:
        """End a standing approval: from the run's next call on, a person is asked again.

        Goes as a signal, which the server stores. Where no worker of the agents answers, the id
        has to be whole, and ``revocation.in_effect`` is False; no call is made until one is back.

        Args:
            grant_id: the id of the approval that it came with.
            reviewer: who revokes it, 1 to 200 characters.

        Raises:
            InvalidRequest: ``reviewer`` is malformed.
            NoWorker: nobody can tell what ``grant_id`` means; a whole id would do.
        """
        return await granting.revoke(self.temporal, grant_id, reviewer, self._answer_timeout)

    async def wait(self, id: str, timeout: timedelta | None = None) -> Outcome:
        """Wait until a request has ended, for as long as it takes or at most ``timeout``.

        Raises:
            WaitTimeout: it still waits. Nothing was changed.
            InvalidRequest: the request was refused as malformed.
        """
        handle = await self._handle(id)
        try:
            async with asyncio.timeout(None if timeout is None else timeout.total_seconds()):
                return await reading.outcome_of(handle)
        except TimeoutError as error:
            raise WaitTimeout(f"{handle.id} still waits for a decision") from error

    async def _handle(self, id: str) -> WorkflowHandle[Any, Any]:
        return self.temporal.get_workflow_handle(await resolve(self.temporal, id))


def _parsed(request: ApprovalRequest | str) -> ApprovalRequest:
    """A bare string as the request it means; secrets concealed. Raises InvalidRequest."""
    try:
        if not isinstance(request, ApprovalRequest):
            request = ApprovalRequest(action=request)
        if request.grant is not None:
            raise InvalidRequest("grant: only a run makes use of a standing approval; leave it out")
        return request.concealed()
    except pydantic.ValidationError as error:
        raise InvalidRequest(explain(error)) from error

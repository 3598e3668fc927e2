"""``ApprovalClient``: ask, read and decide from any service."""

import asyncio
import copy
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

import pydantic
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from . import attributes, contract, granting, reading, rules, stored, untaken
from .acting import Acting
from .away import persistently
from .codec import listed_requester
from .connect import connect
from .consuming import Consuming
from .deciding import Deciding
from .errors import AlreadyAsked, InvalidRequest, WaitTimeout, explain
from .grants import Grant, Revocation
from .listing import Listing
from .models import Outcome
from .requests import ApprovalRequest
from .signatures import DecisionKey
from .stages import is_group
from .untaken import Untaken
from .views import ApprovalSummary, ApprovalView
from .vouching import is_same

if TYPE_CHECKING:
    from .signing import Signer


class ApprovalClient(Listing, Deciding, Acting, Consuming):
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
        whole_ids: bool = False,
        signer: "Signer | None" = None,
        decision_keys: Callable[[], tuple[DecisionKey, ...]] | None = None,
        inbox: str | None = None,
    ) -> None:
        """Wrap a connected Temporal client.

        Args:
            client: made by ``clearance.connect``, which brings the data converter.
            task_queue: the approvals queue to ask on and to list.
            answer_timeout: how long a worker may take to answer a decision or a reading, before
                the decision is stored instead and the reading comes from the server alone.
            whole_ids: take ids only whole. A beginning or end helps people who type; where programs
                send ids, one that is cut off must not mean another request.
            signer: signs what is said to requests that take only what is signed.
            decision_keys: what new requests pin (``clearance.signing.pinned_from``), asked each time;
                requests that pin others are then none of ours.
            inbox: where people decide what can't be signed here, for the error that says so.
        """
        super().__init__(
            *(client, task_queue, answer_timeout),
            whole_ids=whole_ids,
            signer=signer,
            inbox=inbox,
            decision_keys=decision_keys or tuple,
        )

    @classmethod
    async def connect(cls, *, task_queue: str = contract.APPROVALS_QUEUE, **how: Any) -> Self:
        """Connect as the environment says (``temporalio.envconfig``: TEMPORAL_ADDRESS, profiles).

        Args:
            task_queue: as ``ApprovalClient`` takes it.
            how: the others that it takes.

        Raises:
            CannotConnect: Temporal does not answer or refuses.
        """
        return cls(await connect(), task_queue=task_queue, **how)

    def exact(self, task_queue: str) -> Self:
        """The same client for programs: on this queue, and ids are whole ones."""
        found = copy.copy(self)
        found._queue, found._whole_ids = task_queue, True
        return found

    async def __aenter__(self) -> Self:
        """Ready as it is: connecting was done by ``connect``."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Nothing to close: Temporal's client ends with its last reference."""

    async def request(
        self, request: ApprovalRequest | str, *, id: str | None = None, new: bool = False
    ) -> ApprovalSummary:
        """Ask for an approval with no agent behind it.

        Args:
            request: what is about to happen; a bare string is its ``action``.
            id: an id of your own, which makes asking twice harmless: asking the same again returns
                the request that is there, waiting or ended, with its status.
            new: whether the id has to be one that no request has had.

        Raises:
            AlreadyAsked: with ``new``, the id is in use or was used before. Nothing was asked.
            InvalidRequest: the request or the id breaks a rule, nobody could ever approve it, or
                ``id`` was used for something else. Nothing was asked.
        """
        request = _parsed(request, keys := self._decision_keys())
        approval_id = f"approval-{uuid.uuid4().hex[:10]}" if id is None else id
        fits = 0 < len(approval_id) <= contract.MAX_ID_CHARS and approval_id.isprintable()
        if not fits or approval_id != approval_id.strip():
            raise InvalidRequest("an id has 1 to 200 printable characters, no space at its ends")
        if approval_id.endswith(contract.CONSUMED):  # else one could be put in another's way
            raise InvalidRequest(f"an id doesn't end with {contract.CONSUMED}: choose another")
        if not {".", ".."}.isdisjoint(approval_id.split("/")):  # a browser would take it for a way
            raise InvalidRequest("an id is no path: leave . and .. out")
        conflict = WorkflowIDConflictPolicy
        try:
            handle = await self.temporal.start_workflow(
                contract.APPROVAL_WORKFLOW,
                request.model_dump(mode="json"),
                id=approval_id,
                task_queue=self._queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=conflict.FAIL if new else conflict.USE_EXISTING,
                search_attributes=attributes.of(
                    request,
                    status="pending",
                    deadline=request.deadline(datetime.now(UTC)),
                    requester=listed_requester(self.temporal, request.requester),
                ),
                memo={contract.MEMO_APPROVAL: request.memo()},
                static_summary=request.action[:200],
            )
        except WorkflowAlreadyStartedError as error:
            if new:
                used = f"the id {approval_id} is in use, or was used before: choose another"
                raise AlreadyAsked(used) from error
            handle = self.temporal.get_workflow_handle(approval_id)  # of one that has ended
        # A worker looks these up first, and then answers.
        if _names_groups(request) or request.response_schema is not None:
            await reading.record(handle, self._answer_timeout)
        description = await handle.describe()
        same = description.workflow_type == contract.APPROVAL_WORKFLOW
        # Only one's own id can be that of an older request, which may have other terms.
        if same and id is not None and not new:
            same = is_same(await stored.request_of(handle), request, keys)
        if not same:
            raise InvalidRequest(f"the id {approval_id} is used for something else: choose another")
        if description.status == WorkflowExecutionStatus.FAILED:
            await stored.ended(self.temporal, description, request.digest)
        return await stored.summary_of(self.temporal, description)

    async def is_served(self) -> bool:
        """Whether a worker serves the queue, so that what is decided takes effect at once.

        Without one, decisions are recorded and take effect when one is back. As of five seconds ago
        at most; a worker that was killed counts for 150 seconds more. True where nobody can tell.
        """
        return await self._served.now(self._queue)

    async def summary(self, id: str) -> ApprovalSummary:
        """One request as a list shows it, pending or ended; no worker is asked.

        Raises:
            InvalidRequest: it is malformed.
        """
        return await stored.summary_of(self.temporal, await self._described(id))

    async def get(self, id: str) -> ApprovalView:
        """The whole record of a request, pending or ended.

        Without a worker the request is read from the server alone: ``complete`` is False and
        ``events`` is empty.

        Raises:
            InvalidRequest: what has this id was refused as malformed.
        """
        return await reading.view(await self._handle(id), self._answer_timeout)

    async def untaken(self, view: ApprovalView) -> tuple[Untaken, ...]:
        """What is recorded for a request and has not taken effect yet; the latest last.

        Nothing where a worker told the record: it takes what comes at once. Raises nothing of ours.
        """
        if view.complete or view.status != "pending":
            return ()
        return await untaken.untaken(self.temporal, view.request, view.id)

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

        Goes on while Temporal is away.

        Raises:
            WaitTimeout: it still waits, as far as Temporal has answered. Nothing was changed.
            InvalidRequest: the request was refused as malformed.
        """
        whole = id
        try:
            async with asyncio.timeout(None if timeout is None else timeout.total_seconds()):
                handle = await persistently(lambda: self._handle(id))
                whole = handle.id
                return await stored.outcome_of(handle)
        except TimeoutError as error:
            raise WaitTimeout(f"{whole} still waits for a decision") from error


def _parsed(request: ApprovalRequest | str, keys: tuple[DecisionKey, ...]) -> ApprovalRequest:
    """A bare string as the request it means; secrets concealed, keys pinned. Raises InvalidRequest."""
    try:
        if not isinstance(request, ApprovalRequest):
            request = ApprovalRequest(action=request)
        if request.grant is not None:
            raise InvalidRequest("grant: only a run makes use of a standing approval; leave it out")
        if reason := rules.refuse_request(request):
            raise InvalidRequest(reason)
        return request.sent(decision_keys=keys)
    except pydantic.ValidationError as error:
        raise InvalidRequest(explain(error)) from error


def _names_groups(request: ApprovalRequest) -> bool:
    return any(
        is_group(one) for stage in request.chain for one in stage.audience + stage.escalate_to
    )

"""Deciding a request: approve, reject, ask for changes."""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pydantic
from pydantic import BaseModel, JsonValue

from . import contract, reading, rules, stored
from .away import before_sending
from .errors import InvalidRequest, Refused, explain
from .fields import canonical_json
from .grants import GrantTerms
from .models import Channel, Decision, Receipt, Recorded
from .refusing import already_decided, refused
from .updating import Message
from .views import ApprovalView, Event
from .vouching import Vouching


class Deciding(Vouching):
    """The methods of ``ApprovalClient`` that decide."""

    async def approve(self, id: str, *, reviewer: str, **how: Any) -> Receipt:
        """Open the gate. The same as ``decide(id, approved=True, ...)``."""
        return await self.decide(id, approved=True, reviewer=reviewer, **how)

    async def reject(self, id: str, *, reviewer: str, **how: Any) -> Receipt:
        """Refuse the action. The same as ``decide(id, approved=False, ...)``."""
        return await self.decide(id, approved=False, reviewer=reviewer, **how)

    async def request_changes(
        self, id: str, *, reviewer: str, feedback: str, **how: Any
    ) -> Receipt:
        """Refuse the action as it is, and let the agent try again as ``feedback`` says.

        The same as ``decide(id, approved=False, changes_requested=True, reason=feedback, ...)``.
        """
        how |= {"changes_requested": True, "reason": feedback}
        return await self.decide(id, approved=False, reviewer=reviewer, **how)

    async def decide(
        self,
        id: str,
        *,
        approved: bool,
        reviewer: str,
        reason: str = "",
        digest: str | None = None,
        stage: int | None = None,
        channel: Channel = "client",
        groups: Sequence[str] = (),
        decision_id: str | None = None,
        arguments: dict[str, JsonValue] | None = None,
        changes: Mapping[str, JsonValue] | None = None,
        confirmation: str | None = None,
        response: JsonValue = None,
        changes_requested: bool = False,
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
            stage: which of its stages they saw, from 1; left out, the one that is asked now.
            channel: how the decision reached this client.
            groups: ``group:finance``, at most 200, that the sign-in of ``reviewer`` vouches for; they
                count where ``reviewers.toml`` says so.
            decision_id: send the same one again after a failure: it is one decision.
            arguments: run these instead: all of them, masked values left as they are shown.
            changes: run it with these changed, and the others as they are.
            confirmation: what the reviewer typed, where the request asks for its phrase.
            response: the answer, where the request asks for one: at most 16 KB of JSON.
            changes_requested: of a rejection: ``reason`` says what to change before it is tried again.
            grant: approve further calls like this one, too.

        Raises:
            AlreadyDecided: the request is closed; says who decided and when.
            Refused: the decision does not count; says why.
            InvalidRequest: the decision itself is malformed.
            NotRecorded: Temporal doesn't answer; nothing was sent.
            OutcomeUnknown: it stopped answering meanwhile; the same may be sent again.
        """
        if arguments is not None and changes is not None:
            raise InvalidRequest("give either arguments, all of them, or changes")
        async with before_sending():
            description = await self._described(id)
            handle = self.temporal.get_workflow_handle(description.id)
            listed = await stored.summary_of(self.temporal, description)
            if changes is not None:
                view = await reading.record(handle, self._answer_timeout)
                digest, arguments = changed(view, digest, changes)
                stage = view.stage if stage is None and view.request.stages else stage
            elif stage is None and listed.stages:
                stage = listed.stage
        decision = _made_now(
            decision_id,
            approved=approved,
            reviewer=reviewer,
            reason=reason,
            digest=digest or listed.digest,
            stage=stage,
            channel=channel,
            groups=tuple(groups),
            arguments=arguments,
            confirmation=confirmation,
            response=response,
            changes_requested=changes_requested,
            grant=grant,
        )

        async def send(decision: Decision) -> Receipt:
            signed = self._signed(decision, description, listed)
            return await self._deliver(
                handle, _message(handle.id, signed, is_new=decision_id is None)
            )

        try:
            return await send(decision)
        except Refused as error:
            if digest is not None or arguments is not None or str(error) != rules.CHANGED:
                raise
            # Those who change a request show it in the lists, too; but not if they did it before
            # there was that.
            view = await reading.record(handle, self._answer_timeout)
            if view.digest == decision.digest:
                raise
            return await send(decision.model_copy(update={"digest": view.digest}))


def changed(
    view: ApprovalView, digest: str | None, changes: Mapping[str, JsonValue]
) -> tuple[str, dict[str, JsonValue]]:
    """The digest of what a reviewer read, ``digest`` or else the request as it is now; and its
    arguments with ``changes``.

    Raises:
        Refused: they read neither that nor the request as it was asked. Merged into another one,
            their changes would undo somebody else's.
    """
    for request in (view.current, view.request):
        if digest in (None, request.digest):
            return request.digest, {**request.arguments, **changes}
    raise Refused(rules.CHANGED)


def _made_now(decision_id: str | None, **said: Any) -> Decision:
    """A decision made at this moment. Raises InvalidRequest where it is malformed."""
    try:
        return Decision(
            decision_id=decision_id or uuid.uuid4().hex, decided_at=datetime.now(UTC), **said
        )
    except pydantic.ValidationError as error:
        raise InvalidRequest(explain(error)) from error


_NO_CONTENT = {"decided_at", "channel", "groups"}
"""Another time, way or sign-in makes no other decision."""


def _message(approval_id: str, decision: Decision, *, is_new: bool) -> Message[Receipt]:
    return Message(
        key=decision.decision_id,
        payload=decision,
        update=contract.UPDATE_DECIDE,
        update_id=update_id(decision.decision_id, decision, but=_NO_CONTENT),
        signal=contract.SIGNAL_DECIDE,
        stored=Receipt(approval_id=approval_id, status="pending", decision_id=decision.decision_id),
        find=lambda view: _found(view, decision),
        is_new=is_new,
    )


def update_id(key: str, said: BaseModel, *, but: set[str]) -> str:
    """An id for the update that carries ``said``: the same only for the same content.

    Args:
        key: chosen by the sender.
        said: a whole decision or act.
        but: fields that make no other content.
    """
    content = canonical_json(said.model_dump(mode="json", exclude=but))
    return f"{key}-{hashlib.sha256(content.encode()).hexdigest()[:32]}"


def _found(view: ApprovalView, decision: Decision) -> Receipt | None:
    """The receipt of a decision that the record has taken; None where it doesn't know it.

    Raises:
        Refused: it was refused.
    """
    mine = [event for event in view.events if event.key == decision.decision_id]
    taken = [(_recorded(one), one.kind != "edited") for one in mine if one.kind in _TAKEN]
    if view.decision is not None:  # all that is known where no worker answers
        taken.append((view.decision, True))
    for one, counted in reversed(taken):  # who changes and approves leaves two events
        if rules.is_repeat(view.request, one, decision):
            return _receipt(view, one, counted)
    if reasons := [event.reason for event in mine if event.kind == "refused"]:
        raise refused(view, reasons[-1])
    return None


_TAKEN = ("approved", "rejected", "edited")


def _recorded(event: Event) -> Recorded:
    return Recorded(
        approved=event.kind != "rejected",
        reviewer=event.who,
        channel=event.channel,
        decision_id=event.key,
        digest=event.digest or "",
        at=event.at,
        stage=event.stage,
    )


def _receipt(view: ApprovalView, taken: Recorded, counted: bool) -> Receipt:
    if view.status in ("expired", "withdrawn"):
        raise already_decided(view)  # it counted, and wasn't enough
    stage = next((one for one in view.stages if taken.stage in (None, one.name)), None)
    asked = view.request.chain[view.stage - 1]
    terms = stage or asked
    approvals = stage.approvals if stage else view.approvals
    rejections = stage.rejections if stage else view.rejections
    ended = not view.complete  # nobody tells who else has decided, only how it ended
    return Receipt.model_validate(
        {
            "approval_id": view.id,
            "status": view.status,
            "decision_id": taken.decision_id,
            "recorded_at": taken.at,
            "approvals": terms.quorum if ended and taken.approved else len(approvals),
            "quorum": terms.quorum,
            "counted": counted,
            "rejections": terms.reject_quorum if ended and not taken.approved else len(rejections),
            "reject_quorum": terms.reject_quorum,
            "stage": taken.stage,
            "next_stage": asked.name if stage and stage.number != view.stage else None,
        }
    )

"""What people do to a request besides deciding it."""

import uuid
from typing import Any, TypedDict, Unpack

import pydantic

from . import contract, stored
from .acts import UNSIGNED, Act, ActKind, ActReceipt
from .away import before_sending, on_its_way
from .deciding import update_id
from .errors import InvalidRequest, explain
from .models import Channel
from .refusing import refused
from .updating import Message
from .views import ApprovalView
from .vouching import Vouching


class How(TypedDict, total=False):
    """What every act may say besides."""

    channel: Channel
    """How it reached this client."""
    groups: tuple[str, ...]
    """Groups that the sign-in of ``who`` vouches for: ``group:finance``, at most 200."""
    act_id: str
    """Send the same one again after a failure: it is one act."""


class Acting(Vouching):
    """The methods of ``ApprovalClient`` that comment, hand over and withdraw.

    They go the way of a decision: as an update; where no worker answers in time the server stores
    them, and ``receipt.in_effect`` is False. Each raises ``AlreadyDecided`` for a request that has
    ended, ``Refused`` where this person may not do it, ``InvalidRequest`` for what is malformed, and
    ``NotRecorded`` or ``OutcomeUnknown`` where Temporal doesn't answer.
    Names have 1 to 200 characters, texts at most 4,000.
    """

    async def comment(self, id: str, text: str, *, who: str, **how: Unpack[How]) -> ActReceipt:
        """Say something to everybody who reads the request. Decides nothing."""
        return await self._act(id, "commented", who, text=text, **how)

    async def ask(self, id: str, text: str, *, who: str, **how: Unpack[How]) -> ActReceipt:
        """Ask whoever asked for the run."""
        return await self._act(id, "asked", who, text=text, **how)

    async def answer(self, id: str, text: str, *, who: str, **how: Unpack[How]) -> ActReceipt:
        """Answer a question: for whoever asked for the run, and for operators."""
        return await self._act(id, "answered", who, text=text, **how)

    async def delegate(
        self, id: str, *, to: str, who: str, reason: str = "", **how: Unpack[How]
    ) -> ActReceipt:
        """Let somebody else decide instead of ``who``, who is in the audience.

        Args:
            id: the request; nothing else is handed over.
            to: who shall decide.
            who: whose right it is, or who has it from somebody else.
            reason: for the record.
            how: ``channel``, ``groups``, ``act_id``.
        """
        return await self._act(id, "delegated", who, text=reason, to=to, **how)

    async def withdraw(
        self, id: str, *, who: str, reason: str = "", **how: Unpack[How]
    ) -> ActReceipt:
        """End a request that need not be decided any more; the action doesn't run.

        For whoever asked for the run, and for operators.
        """
        return await self._act(id, "withdrawn", who, text=reason, **how)

    async def viewed(self, id: str, *, who: str, **how: Unpack[How]) -> ActReceipt:
        """Record that somebody has read the request. Doesn't wait for a worker."""
        return await self._act(id, "viewed", who, **how)

    async def notified(
        self, id: str, *, who: str, reason: str = "", **how: Unpack[How]
    ) -> ActReceipt:
        """Record that somebody was told of the request. Doesn't wait for a worker.

        Args:
            id: the request.
            who: was told.
            reason: by which way, for the record.
            how: ``channel``, ``act_id``.
        """
        return await self._act(id, "notified", who, text=reason, **how)

    async def _act(self, id: str, kind: ActKind, who: str, **said: Any) -> ActReceipt:
        is_new = said.get("act_id") is None
        try:
            said |= {"act_id": uuid.uuid4().hex} if is_new else {}
            act = Act(kind=kind, who=who, **said)
        except pydantic.ValidationError as error:
            raise InvalidRequest(explain(error)) from error
        async with before_sending():
            description = await self._described(id)
            handle = self.temporal.get_workflow_handle(description.id)
            if kind not in UNSIGNED:
                listed = await stored.summary_of(self.temporal, description)
                act = self._signed(act, description, listed)
        message = Message(
            key=act.act_id,
            payload=act,
            update=contract.UPDATE_ACT,
            update_id=update_id(act.act_id, act, but={"channel", "groups"}),
            signal=contract.SIGNAL_ACT,
            stored=ActReceipt(approval_id=handle.id, status="pending", act_id=act.act_id),
            find=lambda view: _found(view, act),
            is_new=is_new,
        )
        if kind in UNSIGNED:  # nobody waits to hear that it was recorded
            with on_its_way(handle.id, act.act_id):
                return await self._leave(handle, message)
        return await self._deliver(handle, message)


def _found(view: ApprovalView, act: Act) -> ActReceipt | None:
    """The receipt of an act that the record has; None where it doesn't know it.

    Raises:
        Refused: it was refused.
    """
    mine = [event for event in view.events if event.key == act.act_id]
    for event in mine:
        if (event.kind, event.who, event.reason) == (act.kind, act.who, act.text):
            return ActReceipt(
                approval_id=view.id, status=view.status, act_id=act.act_id, recorded_at=event.at
            )
    if reasons := [event.reason for event in mine if event.kind == "refused"]:
        raise refused(view, reasons[-1])
    return None

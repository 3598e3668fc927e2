"""Sending notices to people and to other services, by the channels that ``reviewers.toml`` names."""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from clearance import InvalidRequest, contract
from clearance.notices import Delivery, Destination, Notice
from clearance.stages import is_group
from clearance.text import one_line
from policy.channels import Mail, Service, Webhook, Wording
from policy.reading import BrokenPolicy
from policy.watched import WatchedDirectory

from .addresses import Addresses
from .chats import Chats
from .mails import Mails
from .measuring import notified
from .messages import TEST_MESSAGE, Told, for_chat, message
from .smtp import Smtp
from .unsent import NotSent
from .webhooks import Webhooks, event, trial


class Sender:
    """Sends by mail, by Apprise and by webhooks. What goes wrong says neither address nor secret."""

    def __init__(
        self,
        directory: WatchedDirectory,
        *,
        mails: Mails,
        chats: Chats,
        webhooks: Webhooks,
        addresses: Addresses,
    ) -> None:
        """Take the channels' own senders, and who says where a request is seen."""
        self.directory = directory
        self.webhooks = webhooks
        self._mails = mails
        self._chats = chats
        self._addresses = addresses

    @classmethod
    def of(
        cls,
        directory: WatchedDirectory,
        *,
        smtp_url: str | None,
        mail_from: str,
        environ: Mapping[str, str],
        database: Callable[[], str | None],
        inbox: Callable[[], str | None],
    ) -> "Sender":
        """As it is set up for a worker.

        Args:
            directory: names the channels.
            smtp_url: as ``activities.smtp.Smtp`` takes it; None for no mail.
            mail_from: the From address.
            environ: where addresses and secrets are that the file doesn't hold.
            database: the inbox's own, None where it isn't known.
            inbox: where reviewers reach the inbox at the moment; None where there is none.

        Raises:
            ValueError: the SMTP URL is none.
        """
        return cls(
            directory,
            mails=Mails(Smtp(smtp_url) if smtp_url else None, mail_from),
            chats=Chats(environ),
            webhooks=Webhooks(environ),
            addresses=Addresses(database, inbox),
        )

    async def send(self, delivery: Delivery) -> None:
        """Send it once, in one message; to a webhook each notice by itself.

        Raises:
            NotSent: it was not sent, or nobody knows.
            BrokenPolicy: ``reviewers.toml`` is broken.
        """
        to = delivery.to
        directory = await self.directory.current()
        channel, wording = directory.channel(to), directory.channels.wording
        if channel is None:
            raise NotSent("reviewers.toml doesn't name it any more", final=True)
        if isinstance(channel, Webhook):
            for notice in delivery.notices:
                body = event(notice, self._addresses.of(notice))
                await self.webhooks.send(channel, notice.key, body)
            return
        now = datetime.now(UTC)
        told = await self._told(to.who, delivery.notices, now)
        await self._tell(channel, delivery, told, wording, now)

    async def test(self, to: Destination) -> None:
        """Send a message about nothing, to see whether it arrives. Raises what ``send`` raises."""
        directory = await self.directory.current()
        channel = directory.channel(to)
        key = secrets.token_hex(16)
        if isinstance(channel, Webhook):
            await self.webhooks.send(channel, key, trial())
        elif isinstance(channel, Mail):
            await self._mails.send(channel, key, TEST_MESSAGE)
        elif channel is not None:
            await self._chats.send(channel, lambda _: TEST_MESSAGE)

    async def test_webhook(self, name: str) -> tuple[int, dict[str, str]]:
        """Send a webhook an event of the type ``clearance.test``.

        Returns:
            The status of its answer, and the headers that were sent.

        Raises:
            InvalidRequest: there is none of this name.
            NotSent: no answer.
            BrokenPolicy: ``reviewers.toml`` is broken.
        """
        webhooks = (await self.directory.current()).channels.webhooks
        if name not in webhooks:
            known = ", ".join(sorted(webhooks)) or "none"
            said = (
                f"there is no [webhooks.{one_line(name, 80)}] in reviewers.toml; there are: {known}"
            )
            raise InvalidRequest(said)
        return await self.webhooks.call(webhooks[name], secrets.token_hex(16), trial())

    async def _told(self, who: str, notices: Sequence[Notice], now: datetime) -> list[Told]:
        if is_group(who):  # whoever reads there may be anybody: they sign in
            return self._addresses.told(notices)
        return await self._addresses.told_to(who, notices, now)

    async def _tell(
        self,
        channel: Mail | Service,
        delivery: Delivery,
        told: Sequence[Told],
        wording: Wording,
        now: datetime,
    ) -> None:
        compose = partial(message, told, delivery.more, wording, now)
        try:
            if isinstance(channel, Mail):
                await self._mails.send(channel, delivery.key, compose())
            else:
                await self._chats.send(channel, lambda room: compose(quote=for_chat, room=room))
        except asyncio.CancelledError:  # neither knows a message again that it has got
            said = "the worker stopped while sending: it may have arrived, so it is not sent again"
            raise NotSent(said, final=True) from None


class SendingActivities:
    """What a worker registers for its notifiers."""

    def __init__(self, sender: Sender) -> None:
        """Send by this one."""
        self._sender = sender

    @property
    def activities(self) -> Sequence[Callable[..., Any]]:
        """What a worker registers; each is given a minute."""
        return [self.send]

    @activity.defn(name=contract.ACTIVITY_SEND)
    async def send(self, delivery: Delivery) -> None:
        """Send notices to one destination. Returns nothing: no address may get into a history.

        Raises:
            ApplicationError: type ``Unsendable``, not retried: it would be of no use, or somebody might
                be told twice. Types ``NotSent`` and ``BrokenDirectory`` are.
        """
        kind = delivery.to.channel.partition(":")[0]
        try:
            await self._sender.send(delivery)
            notified(kind, sent=True)
        except NotSent as error:
            notified(kind, sent=False)
            named = contract.ERROR_UNSENDABLE if error.final else "NotSent"
            raise ApplicationError(str(error), type=named, non_retryable=error.final) from None
        except BrokenPolicy as error:
            raise ApplicationError(str(error), type="BrokenDirectory") from None

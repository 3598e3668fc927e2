"""Telling people by mail."""

import asyncio
import contextlib
import hashlib
import re
from email.message import EmailMessage
from email.utils import formatdate

import aiosmtplib

from clearance.text import one_line
from policy.channels import Mail

from .mail import DOMAIN
from .messages import Message
from .smtp import Smtp
from .unsent import NotSent

_CONNECT_SECONDS = 10.0
"""To connect, switch to TLS and sign in."""

_SEND_SECONDS = 25.0
_BYE_SECONDS = 2.0

_ADDRESS = re.compile(r"\S*@\S*")


class Mails:
    """Sends by one SMTP server."""

    def __init__(self, server: Smtp | None, sender: str) -> None:
        """``sender`` is the From address; without a server no mail is sent."""
        self._server = server
        self._sender = sender

    async def send(self, to: Mail, key: str, message: Message) -> None:
        """Send one mail.

        Args:
            to: whom.
            key: its idempotency key, which becomes its Message-ID.
            message: what it says.

        Raises:
            NotSent: it was refused; for good, where that is final (RFC 5321, 4.2.1), where there is no
                server, or where nobody knows: the server stopped answering while it took the mail.
        """
        if self._server is None:
            raise NotSent("there is no mail server: set CLEARANCE_SMTP_URL", final=True)
        mail = self._compose(to, key, message)
        try:
            await self._hand_over(self._server, mail)
        except aiosmtplib.SMTPRecipientsRefused as error:
            first = error.recipients[0]
            raise _refused(first.code, first.message) from None
        except aiosmtplib.SMTPResponseException as error:
            raise _refused(error.code, error.message) from None
        except aiosmtplib.SMTPNotSupported as error:  # TLS, a login or an address beyond ASCII
            raise NotSent(
                f"the mail server: {_without_addresses(str(error))}", final=True
            ) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            said = _without_addresses(str(error)) or "no answer"
            raise NotSent(f"the mail server can't be reached: {said}") from None

    @staticmethod
    async def _hand_over(server: Smtp, mail: EmailMessage) -> None:
        client = server.client()
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await client.connect()
            try:
                async with asyncio.timeout(_SEND_SECONDS):
                    await client.send_message(mail)
            except (
                OSError
            ) as error:  # also of aiosmtplib: a time that has run out, a lost connection
                said = "the mail server stopped answering: it may have arrived, so it is not sent again"
                raise NotSent(said, final=True) from error
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                async with asyncio.timeout(_BYE_SECONDS):
                    await client.quit()
        finally:
            client.close()

    def _compose(self, to: Mail, key: str, message: Message) -> EmailMessage:
        mail = EmailMessage()
        try:
            mail["From"] = self._sender
            mail["To"] = to.to
            mail["Subject"] = message.title
        except ValueError as error:
            raise NotSent(
                f"no mail can be written: {_without_addresses(str(error))}", final=True
            ) from None
        mail["Message-ID"] = f"<{hashlib.sha256(key.encode()).hexdigest()[:32]}@{DOMAIN}>"
        mail["Date"] = formatdate()
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday answers it
        mail.set_content(message.text)
        mail.add_alternative(message.html, subtype="html")
        return mail


def _refused(code: int, said: str) -> NotSent:
    told = f"the mail server refused it: {code} {_without_addresses(said)}"
    return NotSent(told, final=code >= 500)


def _without_addresses(said: str) -> str:
    """What a server or a library said, for the record: in one line, and nobody's address in it."""
    return one_line(_ADDRESS.sub("(address)", said[:1_000]), 150)

"""Sending mail: over SMTP, or into a local outbox of .eml files."""

import hashlib
import os
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path

import aiosmtplib
from pydantic import BaseModel
from temporalio import activity
from temporalio.exceptions import ApplicationError

from .smtp import Smtp

DOMAIN = "clearance.invalid"
"""Right-hand side of our Message-IDs. Reserved by RFC 2606, so it can collide with nobody's."""


class Email(BaseModel):
    """One mail. ``idempotency_key`` becomes its Message-ID: a repeat is the same message."""

    to: str
    subject: str
    body: str
    idempotency_key: str


class MailActivities:
    """Sends to an SMTP server if there is one, else writes .eml files."""

    def __init__(self, *, smtp_url: str | None, outbox: Path, sender: str) -> None:
        """Check the settings.

        Args:
            smtp_url: ``smtp://[user:password@]host[:port]``, or ``smtps://`` for TLS from the
                start; plain ``smtp`` switches to TLS where the server offers it. None: the outbox.
            outbox: folder for the .eml files; made when first needed.
            sender: the From address.

        Raises:
            ValueError: the URL is none of these.
        """
        self._smtp = Smtp(smtp_url) if smtp_url else None
        self._outbox = outbox
        self._sender = sender

    @activity.defn
    async def send_email(self, email: Email) -> str:
        """Send one mail; return where it went.

        Raises:
            ApplicationError: type ``InvalidEmail`` (a header can't be written, no address) and
                ``MailRefused`` with a 5xx answer are final; a 4xx answer is retried (RFC 5321,
                4.2.1).
        """
        message = self._compose(email)
        if self._smtp is None:
            return f"written to {self._write(message, email.idempotency_key)}"
        try:
            refused = await self._smtp.send(message)
        except aiosmtplib.SMTPRecipientsRefused as error:
            first = error.recipients[0]
            raise _refused(f"{first.code} {first.message}", first.code) from error
        except aiosmtplib.SMTPResponseException as error:
            raise _refused(f"{error.code} {error.message}", error.code) from error
        except aiosmtplib.SMTPNotSupported as error:  # TLS, a login or an address beyond ASCII
            raise _refused(str(error), 500) from error
        but = "".join(f"; {to} was refused: {code} {text}" for to, (code, text) in refused.items())
        return f"sent to {email.to} by {self._smtp.host}{but}"

    def _compose(self, email: Email) -> EmailMessage:
        message = EmailMessage()
        key = hashlib.sha256(email.idempotency_key.encode()).hexdigest()[:32]
        try:
            message["From"] = self._sender
            message["To"] = email.to
            message["Subject"] = email.subject
        except ValueError as error:  # a line break in a header, for instance
            raise _invalid(str(error)) from error
        if "\r" in email.to + email.subject:  # the one that the library lets through at the end
            raise _invalid("a header contains a line break")
        if not message["To"].addresses:
            raise _invalid(f"{email.to!r} is no address")
        message["Message-ID"] = f"<{key}@{DOMAIN}>"
        message["Date"] = formatdate()
        message.set_content(email.body)
        return message

    def _write(self, message: EmailMessage, key: str) -> Path:
        self._outbox.mkdir(parents=True, exist_ok=True)
        path = self._outbox / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.eml"
        partial = path.with_suffix(".part")
        partial.write_bytes(bytes(message))
        os.replace(partial, path)  # noqa: PTH105 - atomic: a crash leaves the whole mail or none
        return path


def _invalid(text: str) -> ApplicationError:
    return ApplicationError(text, type="InvalidEmail", non_retryable=True)


def _refused(text: str, code: int) -> ApplicationError:
    return ApplicationError(
        f"the mail server refused: {text}", type="MailRefused", non_retryable=code >= 500
    )

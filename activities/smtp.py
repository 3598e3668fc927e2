"""One SMTP server, as a URL names it."""

from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

import aiosmtplib

TIMEOUT_SECONDS = 30.0
"""For each of the server's answers."""


class Smtp:
    """Sends mails; raises what ``aiosmtplib`` raises."""

    def __init__(self, url: str, *, timeout: float = TIMEOUT_SECONDS) -> None:
        """Check the URL.

        Args:
            url: ``smtp://[user:password@]host[:port]``, or ``smtps://`` for TLS from the start; plain
                ``smtp`` switches to TLS where the server offers it.
            timeout: in seconds.

        Raises:
            ValueError: the URL is none of these.
        """
        self._url = urlsplit(url)
        if self._url.scheme not in ("smtp", "smtps") or not self._url.hostname:
            raise ValueError("the SMTP URL must be smtp://host:port or smtps://host:port")
        self._timeout = timeout

    @property
    def host(self) -> str:
        """Its name, without port and password."""
        return self._url.hostname or ""

    def client(self) -> aiosmtplib.SMTP:
        """A client that connects, and signs in, when its context is entered."""
        user, password = self._url.username, self._url.password
        return aiosmtplib.SMTP(
            hostname=self._url.hostname,
            port=self._url.port,
            username=unquote(user) if user else None,
            password=unquote(password) if password else None,
            use_tls=self._url.scheme == "smtps",
            timeout=self._timeout,
        )

    async def send(self, message: EmailMessage) -> dict[str, aiosmtplib.SMTPResponse]:
        """Send one mail. Returns the recipients that were refused, where not all were."""
        async with self.client() as client:
            refused, _ = await client.send_message(message)
        return refused

"""Whoever is told: a mail server and a webhook's receiver, processes that can be killed.

``python -m tests.faults.receivers mail PORT FILE`` or ``webhook PORT FILE``. Each line of the file was
written before its answer was given; a webhook's second line says that the answer has been.
"""

import asyncio
import sys
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope

from .journal import append


class Mailbox:
    """Writes down each mail."""

    def __init__(self, file: Path) -> None:
        """To this file."""
        self._file = file

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Envelope) -> str:  # noqa: N802
        """Take a mail."""
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        body = mail.get_body(("plain",))
        append(
            self._file,
            id=mail["Message-ID"],
            to=envelope.rcpt_tos,
            subject=mail["Subject"],
            text=body.get_content() if body is not None else "",
        )
        return "250 OK"


async def serve_mail(port: int, file: Path) -> None:
    """Take mails until killed."""
    mailbox = Mailbox(file)
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: SMTP(mailbox, hostname="mail"), "127.0.0.1", port)
    await asyncio.Event().wait()


async def serve_webhook(port: int, file: Path) -> None:
    """Take events until killed."""

    async def take(request: web.Request) -> web.StreamResponse:
        event = await request.json()
        said = {"id": request.headers["webhook-id"], "type": event["type"], "data": event["data"]}
        append(file, answered=False, **said)
        answer = web.Response(text="ok")
        await answer.prepare(request)
        await answer.write_eof()
        append(file, answered=True, **said)
        return answer

    app = web.Application()
    app.router.add_post("/hooks", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    serve = {"mail": serve_mail, "webhook": serve_webhook}[sys.argv[1]]
    asyncio.run(serve(int(sys.argv[2]), Path(sys.argv[3])))

"""The demo with a model server and with a mail server, over real HTTP and real SMTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from email import message_from_bytes, policy
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope

from tests.model_server import MODEL, Call, Text, calls, model_server

from .conftest import Shell
from .test_demo import PROMPT, mails, rejects

_MAIL = json.dumps({"to": "ada@example.com", "subject": "On its way", "body": "It left today."})
_DRAFT = calls(Call("draft_email", _MAIL, "call_1"))
_SEND = calls(Call("send_email", _MAIL, "call_2"))


class _Inbox:
    """Keeps what an SMTP server is sent."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        return "250 kept"


@pytest.fixture
async def smtp() -> AsyncIterator[tuple[str, _Inbox]]:
    """A mail server on a free port, and what it got."""
    inbox, loop = _Inbox(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(inbox, loop=loop), "127.0.0.1", 0)
    async with server:
        yield f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}", inbox


async def test_a_real_model_plays_the_same_scenario_and_the_approved_mail_is_really_sent(
    beside: Shell, smtp: tuple[str, _Inbox]
) -> None:
    url, inbox = smtp
    async with model_server(_DRAFT, _SEND, Text("Ada knows.")) as model:
        shell = beside.having(
            OPENAI_BASE_URL=model.url,
            OPENAI_API_KEY=model.key,
            CLEARANCE_MODEL=MODEL,
            CLEARANCE_MODEL_API="chat_completions",
            CLEARANCE_SMTP_URL=url,
            CLEARANCE_MAIL_FROM="shop@example.com",
        )
        async with shell.terminal("demo") as terminal:
            shown = await terminal.shows(PROMPT)
            assert inbox.envelopes == []
            terminal.types("a")
            ended = await terminal.ends()
    assert shown.splitlines()[0] == (
        f"Clearance demo, email: the model {MODEL} at {model.url} plays the agent."
    )
    assert ended.code == 0
    assert "The agent: Ada knows." in ended.out
    assert "nothing was sent" not in ended.out
    assert {request.api for request in model.requests} == {"chat_completions"}
    assert model.requests[1].results["call_1"].startswith("To: ada@example.com")
    assert model.requests[2].results["call_2"] == "sent to ada@example.com by 127.0.0.1"
    (envelope,) = inbox.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("shop@example.com", ["ada@example.com"])
    assert isinstance(envelope.content, bytes)
    mail = message_from_bytes(envelope.content, policy=policy.default)
    assert mail["Subject"] == "On its way"
    assert mails(beside.folder) == []


async def test_a_real_model_is_told_of_the_rejection_and_nothing_is_sent(
    beside: Shell, smtp: tuple[str, _Inbox]
) -> None:
    url, inbox = smtp
    async with model_server(_DRAFT, _SEND, Text("I kept it back.")) as model:
        shell = beside.having(
            OPENAI_BASE_URL=model.url, OPENAI_API_KEY=model.key, CLEARANCE_SMTP_URL=url
        )
        async with shell.terminal("demo") as terminal:
            await terminal.shows(PROMPT)
            await rejects(terminal, "too curt")
            ended = await terminal.ends()
    assert ended.code == 0
    assert "The agent: I kept it back." in ended.out
    assert {request.api for request in model.requests} == {"responses"}
    assert model.requests[2].results["call_2"] == "Rejected: too curt"
    assert (inbox.envelopes, mails(beside.folder)) == ([], [])

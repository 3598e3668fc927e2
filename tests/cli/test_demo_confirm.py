"""``clearance demo`` under a policy that asks for a phrase to be typed."""

import pytest

from .conftest import Shell
from .test_demo import PROMPT, mails

POLICY = """
[[checkpoint]]
checkpoint_id = "mail"
action_pattern = "^send_email$"
confirm_phrase = "send to {to}"

[[checkpoint]]
checkpoint_id = "else"
action_pattern = "."
allow = true
"""


@pytest.fixture
def shell(beside: Shell) -> Shell:
    """Where that policy is the one in force."""
    (beside.folder / "checkpoints.toml").write_text(POLICY)
    return beside


async def test_the_phrase_is_asked_for_until_it_is_typed(shell: Shell) -> None:
    async with shell.terminal("demo") as terminal:
        assert "type 'send to ada@example.com'" in await terminal.shows(PROMPT)
        terminal.types("a")
        await terminal.shows("Type send to ada@example.com to confirm: ")
        terminal.types("send")
        await terminal.shows("Type send to ada@example.com to confirm: ")
        terminal.types("send to ada@example.com")
        ended = await terminal.ends()

    assert ended.code == 0
    assert "is approved by ada@example.com." in ended.out
    assert len(mails(shell.folder)) == 1


async def test_an_answer_given_in_advance_brings_the_phrase_along(shell: Shell) -> None:
    said = await shell("demo", "--answer", "approve")

    assert said.code == 0, said.err
    assert len(mails(shell.folder)) == 1

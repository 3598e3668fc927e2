"""Every command there is: its help, and that its work is tested through a process."""

import inspect
from pathlib import Path

import pytest

from tests.commands import APP, every_command

from .conftest import Shell, only_line

_COMMANDS = dict(every_command())

TESTED_IN = {
    "answer": "test_acts.py",
    "approve": "test_deciding.py",
    "ask": "test_acts.py",
    "audit export": "test_audit.py",
    "audit head": "test_audit.py",
    "audit key": "test_audit.py",
    "audit reconcile": "test_reconciling.py",
    "audit trace": "test_audit_trace.py",
    "audit verify": "test_audit.py",
    "comment": "test_acts.py",
    "delegate": "test_acts.py",
    "demo": "test_demo.py",
    "deploy current": "test_deploy.py",
    "deploy drained": "test_deploy.py",
    "deploy off": "test_deploy.py",
    "deploy ramp": "test_deploy.py",
    "deploy status": "test_deploy.py",
    "doctor": "test_setup.py",
    "grants": "test_grants.py",
    "history": "test_history.py",
    "keys list": "test_keys.py",
    "keys new": "test_keys.py",
    "keys public": "test_signing.py",
    "keys rotate": "test_keys.py",
    "link": "test_link.py",
    "notify test": "test_webhook.py",
    "mcp": "test_mcp.py",
    "pending": "test_pending.py",
    "policy check": "test_policy.py",
    "policy explain": "test_policy.py",
    "reject": "test_deciding.py",
    "request": "test_request.py",
    "revoke": "test_grants.py",
    "run": "test_run.py",
    "runs": "test_run.py",
    "setup": "test_setup.py",
    "show": "test_show.py",
    "sign-in": "test_web.py",
    "token create": "test_token.py",
    "token list": "test_token.py",
    "token revoke": "test_token.py",
    "up": "test_up.py",
    "web": "test_web.py",
    "webhook secret": "test_webhook.py",
    "webhook test": "test_webhook.py",
    "withdraw": "test_acts.py",
    "worker": "test_worker.py",
}
"""Where each command's process is run. A new command needs a line here, and the test."""


def test_every_command_is_tested_through_a_process() -> None:
    assert sorted(TESTED_IN) == sorted(_COMMANDS)
    for command, file in TESTED_IN.items():
        typed = "(" + ", ".join(f'"{word}"' for word in command.split())
        assert typed in (Path(__file__).parent / file).read_text(), command


@pytest.mark.parametrize("command", sorted(_COMMANDS))
async def test_the_help_of_a_command_names_its_every_flag(alone: Shell, command: str) -> None:
    shown = await alone.inside(*command.split(), "--help")
    assert (shown.code, shown.err) == (0, "")
    for parameter in _COMMANDS[command].params:
        is_option = parameter.param_type_name == "option"
        words = parameter.opts if is_option else [parameter.metavar or parameter.name]
        assert all(word in shown.out for word in words), words


async def test_the_help_lists_every_command(alone: Shell) -> None:
    shown = await alone("--help")
    assert (shown.code, shown.err) == (0, "")
    assert all(command.split()[0] in shown.out for command in _COMMANDS)
    of_policy = await alone("policy")
    assert "check" in of_policy.out
    assert "explain" in of_policy.out


def test_the_list_says_of_a_command_what_the_command_says_of_itself() -> None:
    for name, listed in APP.commands.items():
        command = listed.load()
        first, *_ = inspect.cleandoc(command.help).split("\n\n")
        assert (command.name, command.rich_help_panel) == (name, listed.rich_help_panel)
        assert " ".join(first.split("\n")) == listed.help
        assert not command.hidden
        assert not command.deprecated


async def test_the_bare_command_shows_its_help_and_counts_as_bad_usage(alone: Shell) -> None:
    shown = await alone()
    assert (shown.code, shown.err) == (2, "")
    assert "Usage: clearance" in shown.out


async def test_an_unknown_command_is_one_line(alone: Shell) -> None:
    assert "'destroy'" in only_line(await alone("destroy"), 2)


async def test_each_fault_of_a_broken_policy_has_a_line_of_its_own(alone: Shell) -> None:
    (alone.folder / "checkpoints.toml").write_text(
        'default = "maybe"\n[[checkpoint]]\ncheckpoint_id = "a"\naction_pattern = "("\n'
    )
    said = await alone.having(CLEARANCE_STATE="state")("worker")
    assert (said.code, said.out) == (1, "")
    lines = said.err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("clearance: checkpoints.toml:") for line in lines)

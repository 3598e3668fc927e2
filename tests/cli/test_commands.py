"""Every command there is: its help, and that its work is tested through a process."""

from pathlib import Path

import pytest
from typer.main import get_command

from cli.app import app

from .conftest import Shell, only_line

_APP = get_command(app)
_COMMANDS = _APP.commands  # type: ignore[attr-defined]

TESTED_IN = {
    "approve": "test_deciding.py",
    "demo": "test_demo.py",
    "doctor": "test_setup.py",
    "pending": "test_pending.py",
    "reject": "test_deciding.py",
    "request": "test_request.py",
    "run": "test_run.py",
    "runs": "test_run.py",
    "setup": "test_setup.py",
    "show": "test_show.py",
    "up": "test_up.py",
    "worker": "test_worker.py",
}
"""Where each command's process is run. A new command needs a line here, and the test."""


def test_every_command_is_tested_through_a_process() -> None:
    assert sorted(TESTED_IN) == sorted(_COMMANDS)
    for command, file in TESTED_IN.items():
        assert f'("{command}"' in (Path(__file__).parent / file).read_text(), command


@pytest.mark.parametrize("command", sorted(_COMMANDS))
async def test_the_help_of_a_command_names_its_every_flag(alone: Shell, command: str) -> None:
    shown = await alone(command, "--help")
    assert (shown.code, shown.err) == (0, "")
    for parameter in _COMMANDS[command].params:
        is_option = parameter.param_type_name == "option"
        words = parameter.opts if is_option else [parameter.metavar or parameter.name]
        assert all(word in shown.out for word in words), words


async def test_the_help_lists_every_command(alone: Shell) -> None:
    shown = await alone("--help")
    assert (shown.code, shown.err) == (0, "")
    assert all(command in shown.out for command in _COMMANDS)


async def test_the_bare_command_shows_its_help_and_counts_as_bad_usage(alone: Shell) -> None:
    shown = await alone()
    assert (shown.code, shown.err) == (2, "")
    assert "Usage: clearance" in shown.out


async def test_an_unknown_command_is_one_line(alone: Shell) -> None:
    assert "'destroy'" in only_line(await alone("destroy"), 2)

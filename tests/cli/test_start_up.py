"""A command loads what it needs and no more: what is imported decides how long it takes to start."""

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import NOWHERE

_LOADED = """
import os, sys
import cli.app
os._exit = lambda code: print(*sorted(sys.modules), sep="\\n", file=sys.__stderr__)
cli.app.main({arguments})
"""

_HEAVY = {
    *("agents", "alembic", "apprise", "authlib", "cel_expr_python", "cryptography", "fastapi"),
    *("jsonschema", "mcp", "openai", "opentelemetry", "re2", "sqlalchemy", "starlette"),
    *("uvicorn", "workflows", "activities", "tools", "store", "worker"),
}
"""What neither help nor a list needs."""


def _loaded(folder: Path, *arguments: str, **variables: str) -> tuple[set[str], str]:
    """The modules that a command has loaded at its end, and what it printed."""
    ended = subprocess.run(
        [sys.executable, "-c", _LOADED.format(arguments=list(arguments))],
        cwd=folder,
        env={"HOME": str(folder), "TEMPORAL_ADDRESS": NOWHERE} | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    modules = set(ended.stderr.splitlines())
    assert "cli.app" in modules
    return {one.split(".")[0] for one in modules} | modules, ended.stdout


def test_help_loads_no_engine_and_no_command(tmp_path: Path) -> None:
    loaded, said = _loaded(tmp_path, "--help")
    assert "List what waits for a person." in said
    heavy = {*_HEAVY, "asyncio", "clearance", "policy", "pydantic", "temporalio", "web"}
    assert not loaded & heavy
    assert {one for one in loaded if one.startswith("cli.")} == {"cli.app", "cli.commands"}


def test_a_list_of_what_waits_loads_neither_agents_nor_databases_nor_the_inbox(
    tmp_path: Path,
) -> None:
    loaded, _ = _loaded(tmp_path, "pending")
    assert "temporalio.client" in loaded
    assert not loaded & {*_HEAVY, "rich"}


@pytest.mark.parametrize(
    ("typed", "offered"), [("clearance wi", "withdraw"), ("clearance policy ch", "check")]
)
def test_the_name_of_a_command_completes_without_what_the_command_needs(
    tmp_path: Path, typed: str, offered: str
) -> None:
    loaded, said = _loaded(
        tmp_path,
        _CLEARANCE_COMPLETE="complete_bash",
        COMP_WORDS=typed.replace(" ", "\n"),
        COMP_CWORD=str(typed.count(" ")),
    )
    assert said.split() == [offered]
    if typed.count(" ") == 1:
        assert not loaded & {*_HEAVY, "asyncio", "clearance", "temporalio"}


def test_the_help_of_one_command_loads_that_module_alone(tmp_path: Path) -> None:
    loaded, said = _loaded(tmp_path, "grants", "--help")
    assert "--run" in said
    assert "cli.grants" in loaded
    assert not loaded & {*_HEAVY, "cli.demo", "cli.serve", "cli.runs", "cli.audit"}

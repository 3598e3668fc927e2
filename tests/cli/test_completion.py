"""Shell completion: the ids of what waits, by the protocol that Typer's shell scripts speak."""

import pytest

from clearance import ApprovalClient
from tests.support import eventually, unique

from .conftest import NOWHERE, Ended, Shell

# A line that a model may write into an action: zsh evaluates what completion prints, and Typer's
# own escaping turns this into a command that runs.
_HOSTILE = r"\$(touch pwned) `touch pwned` [/bogus] [red]x '\''; touch pwned; \x1b[2J"


async def _complete(shell: Shell, kind: str, line: str) -> Ended:
    """What the shell is told when somebody presses Tab at the end of ``line``."""
    words = line.split(" ")
    return await shell.having(
        _CLEARANCE_COMPLETE=f"complete_{kind}",
        _TYPER_COMPLETE_ARGS=line,
        _TYPER_COMPLETE_FISH_ACTION="get-args",
        COMP_WORDS="\n".join(words),
        COMP_CWORD=str(len(words) - 1),
    ).inside()


@pytest.fixture
async def waiting(approvals: ApprovalClient) -> str:
    """What two waiting requests' ids begin with; one of them says hostile things."""
    stem = unique("deploy")
    await approvals.request("Deploy to production", id=f"{stem}-one")
    await approvals.request(f"Deploy {_HOSTILE}", id=f"{stem}-two")

    async def listed() -> bool:
        return len([one async for one in approvals.pending()]) == 2

    await eventually(listed)
    return stem


@pytest.mark.parametrize("command", ["show", "approve", "reject"])
async def test_bash_is_offered_the_ids_of_what_waits(
    cli: Shell, waiting: str, command: str
) -> None:
    offered = await _complete(cli, "bash", f"clearance {command} {waiting[:4]}")
    assert (offered.code, offered.err) == (0, "")
    assert sorted(offered.out.split()) == [f"{waiting}-one", f"{waiting}-two"]
    one = await _complete(cli, "bash", f"clearance {command} {waiting}-o")
    assert one.out.split() == [f"{waiting}-one"]
    assert (await _complete(cli, "bash", f"clearance {command} x")).out.strip() == ""


async def test_what_is_decided_is_not_offered(
    cli: Shell, approvals: ApprovalClient, waiting: str, worker_running: object
) -> None:
    await approvals.approve(f"{waiting}-one", reviewer="ada")

    async def gone() -> bool:
        offered = await _complete(cli, "bash", "clearance approve ")
        return offered.out.split() == [f"{waiting}-two"]

    await eventually(gone)


@pytest.mark.parametrize("kind", ["zsh", "fish"])
async def test_shells_that_show_help_are_told_the_action(
    cli: Shell, waiting: str, kind: str
) -> None:
    offered = await _complete(cli, kind, f"clearance approve {waiting}")
    assert (offered.code, offered.err) == (0, "")
    assert f"{waiting}-one" in offered.out
    assert "Deploy to production" in offered.out


@pytest.mark.parametrize("kind", ["bash", "zsh", "fish"])
async def test_nothing_in_an_action_or_an_id_reaches_the_shell_as_code(
    cli: Shell, approvals: ApprovalClient, waiting: str, kind: str
) -> None:
    for id in ("$(touch pwned)", "`touch pwned`", "a;touch pwned", "-rf", "*", "two words"):
        await approvals.request("Deploy", id=f"{waiting}-{id}")

    async def listed() -> bool:
        return len([one async for one in approvals.pending()]) == 8

    await eventually(listed)
    offered = await _complete(cli, kind, f"clearance approve {waiting}")
    assert (offered.code, offered.err) == (0, "")
    ours = offered.out.removeprefix("_arguments '*: :((").rstrip().removesuffix("))'")
    assert f"{waiting}-two" in ours
    assert not set(ours) & set("$`\\;'[]*!&|<>(){}\x1b")


async def test_where_something_is_wrong_completion_is_silent(alone: Shell) -> None:
    for changes in ({"TEMPORAL_ADDRESS": NOWHERE}, {"CLEARANCE_MODEL_API": "telepathy"}):
        offered = await _complete(alone.having(**changes), "bash", "clearance approve ")
        assert (offered.code, offered.out.strip(), offered.err) == (0, "", "")


async def test_commands_complete_too(alone: Shell) -> None:
    offered = await _complete(alone, "bash", "clearance pe")
    assert (offered.code, offered.out.split()) == (0, ["pending"])


async def test_bash_itself_completes_an_id(cli: Shell, waiting: str) -> None:
    ended = await cli.script(f"""
        eval "$(clearance --show-completion bash)"
        COMP_WORDS=(clearance approve {waiting}-o) COMP_CWORD=2
        _clearance_completion clearance
        echo "${{COMPREPLY[@]}}"
    """)
    assert (ended.code, ended.out, ended.err) == (0, f"{waiting}-one\n", "")

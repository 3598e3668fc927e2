"""Every kind of tool the Agents SDK knows is gated or refused; what is refused never gets to run."""

import typing
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import agents.tool
import pytest
from agents import (
    Agent,
    ApplyPatchTool,
    CodeInterpreterTool,
    ComputerTool,
    FileSearchTool,
    HostedMCPTool,
    ImageGenerationTool,
    LocalShellTool,
    RunContextWrapper,
    Runner,
    RunState,
    ShellTool,
    ToolSearchTool,
    WebSearchTool,
    function_tool,
    handoff,
)
from agents.mcp import MCPServerStdio
from agents.sandbox import SandboxAgent
from agents.tool import CustomTool, ProgrammaticToolCallingTool
from temporalio.openai_agents.testing import TestModelProvider

import worker
from cli.settings import Settings
from policy import match
from policy.source import parse
from tools import kinds

from .agent_runs import Play, Start, apart, played_by_one
from .gating import ALLOW_ALL, GATE_ALL, own
from .office import write
from .support import PlayedModel, call, says


@function_tool
async def pay(to: str) -> str:
    return to


@function_tool
def plain(to: str) -> str:
    return to


async def _nothing(*_: Any) -> str:
    return ""


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "apply patch": (
        lambda: ApplyPatchTool(editor=typing.cast(Any, object())),
        "the tool 'apply_patch' (ApplyPatchTool) can't be gated: it changes files where the workflow "
        "runs; make it a function tool on an activity",
    ),
    "computer": (
        lambda: ComputerTool(computer=typing.cast(Any, object())),
        "the tool 'computer_use_preview' (ComputerTool) can't be gated: it acts on a screen where the "
        "workflow runs; make it a function tool on an activity",
    ),
    "custom": (
        lambda: CustomTool(name="sql", description="", on_invoke_tool=_nothing),
        "the tool 'sql' (CustomTool) can't be gated: its input is free text, which no policy can "
        "read; make it a function tool",
    ),
    "local shell": (
        lambda: LocalShellTool(executor=typing.cast(Any, _nothing)),
        "the tool 'local_shell' (LocalShellTool) can't be gated: it runs commands where the workflow "
        "runs; make it a function tool on an activity",
    ),
    "shell": (
        lambda: ShellTool(executor=typing.cast(Any, _nothing)),
        "the tool 'shell' (ShellTool) can't be gated: it runs commands out of reach of the gate; "
        "make it a function tool on an activity",
    ),
    "a shell in the provider's container": (
        lambda: ShellTool(environment={"type": "container_auto"}),
        "the tool 'shell' (ShellTool) can't be gated: it runs commands out of reach of the gate; "
        "make it a function tool on an activity",
    ),
    "programs that call tools": (
        ProgrammaticToolCallingTool,
        "the tool 'programmatic_tool_calling' (ProgrammaticToolCallingTool) can't be gated: it lets "
        "the provider run programs that call tools; leave it out",
    ),
    "a kind of somebody's own": (
        lambda: type("Laser", (ShellTool,), {})(executor=_nothing),
        "the tool 'shell' (Laser) can't be gated: this kind is not known here, so nothing could stop "
        "it",
    ),
    "no tool at all": (
        lambda: _nothing,
        "the tool 'function' (function) can't be gated: this kind is not known here, so nothing "
        "could stop it",
    ),
    "a plain def": (
        lambda: plain,
        "the tool 'plain' is a plain def, and a workflow has no threads: make it async def, or an "
        "activity",
    ),
}

FILES = MCPServerStdio(params={"command": "true"}, name="files")
"""Made here: what the SDK imports to make one is too late for a run."""

AGENTS_REFUSED: dict[str, tuple[Callable[[], Agent[Any]], str]] = {
    "a prompt at the provider": (
        lambda: Agent(name="a", prompt={"id": "pmpt_1"}),
        "the agent 'a' has a prompt stored at the provider, which can bring tools of its own that "
        "nothing can stop: use instructions instead",
    ),
    "a sandbox": (
        lambda: SandboxAgent(name="a"),
        "the agent 'a' works in a sandbox of its own, out of reach of the gate",
    ),
    "an MCP server that isn't durable": (
        lambda: Agent(name="a", mcp_servers=[FILES]),
        "the agent 'a' has the MCP server 'files' itself, which can't run in a workflow: name it in "
        "MCP_SERVERS and use temporal_mcp_server(name)",
    ),
}

CASES: dict[str, tuple[Callable[[], Agent[Any]], str]] = {
    **{
        name: ((lambda make=make: Agent(name="a", tools=[make()])), reason)  # type: ignore[misc]
        for name, (make, reason) in REFUSED.items()
    },
    **AGENTS_REFUSED,
}

ROUTES: dict[str, Callable[[Agent[Any]], Agent[Any]]] = {
    "itself": lambda agent: agent,
    "by handoff": lambda agent: Agent(name="front", handoffs=[agent]),
    "by a handoff object": lambda agent: Agent(name="front", handoffs=[handoff(agent)]),
    "as a tool": lambda agent: Agent(name="front", tools=[agent.as_tool("inner", "Inner.")]),
    "as a tool of one reached by handoff": lambda agent: Agent(
        name="front", handoffs=[Agent(name="next", tools=[agent.as_tool("inner", "Inner.")])]
    ),
}


def _made(*, later: Callable[[], Agent[Any]]) -> Agent[Any]:
    """One whose handoff builds the next agent only when it is called."""
    transfer = handoff(Agent(name="next"), tool_name_override="transfer")

    async def build(ctx: RunContextWrapper[Any], arguments: str) -> Agent[Any]:
        return later()

    transfer.on_invoke_handoff = build
    return Agent(name="front", handoffs=[transfer])


@function_tool(failure_error_function=None)
async def resume() -> str:
    state: RunState[Any] = RunState(
        context=RunContextWrapper(context=None),
        original_input="Pay",
        starting_agent=Agent(name="ungated", tools=[pay]),
        max_turns=3,
    )
    return str((await Runner.run(Agent(name="empty"), state)).final_output)


AGENTS: dict[str, Callable[[], Agent[Any]]] = {
    "resume": lambda: Agent(name="resume", tools=[resume]),
    **{
        f"later {name}": (lambda build=build: _made(later=build))  # type: ignore[misc]
        for name, (build, _) in CASES.items()
    },
}

PROVIDED: dict[str, tuple[Callable[[], Any], str]] = {
    "code_interpreter": (
        lambda: CodeInterpreterTool(
            tool_config={"type": "code_interpreter", "container": {"type": "auto"}}
        ),
        "code_interpreter",
    ),
    "file_search": (lambda: FileSearchTool(vector_store_ids=["vs_1"]), "file_search"),
    "image_generation": (
        lambda: ImageGenerationTool(tool_config={"type": "image_generation"}),
        "image_generation",
    ),
    "tool_search": (ToolSearchTool, "tool_search"),
    "web_search": (WebSearchTool, "web_search"),
}


@pytest.fixture(scope="module")
def settings(lasting: Settings) -> Settings:
    """With the agents of this module; the policy lets everything through."""
    return own(lasting, __name__, ALLOW_ALL)


@pytest.fixture(autouse=True)
def _policy(settings: Settings) -> Iterator[None]:
    yield
    write(settings, ALLOW_ALL)


@pytest.fixture(scope="module")
async def play(settings: Settings, connection: dict[str, Any]) -> AsyncIterator[Start]:
    async with played_by_one(settings, connection) as start:
        yield start


def test_every_kind_the_sdk_knows_is_in_one_of_the_tables_and_in_these_tests() -> None:
    known = {typing.get_origin(kind) or kind for kind in typing.get_args(agents.tool.Tool)}
    tables = [set(kinds.GATED), set(kinds.AT_THE_PROVIDER), set(kinds.REFUSED)]
    assert set.union(*tables) == known
    assert sum(map(len, tables)) == len(known)
    assert {type(make()) for make, _ in REFUSED.values()} >= set(kinds.REFUSED)
    assert {type(make()) for make, _ in PROVIDED.values()} == set(kinds.AT_THE_PROVIDER)


def served(
    settings: Settings,
    connection: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    build: Callable[[], Agent[Any]],
) -> Any:
    """Workers that serve one agent more."""
    monkeypatch.setitem(AGENTS, "extra", build)
    provider = TestModelProvider(PlayedModel([says("Finished.")]))
    return worker.running(settings, connection, model_provider=provider)


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
@pytest.mark.parametrize(("build", "reason"), CASES.values(), ids=CASES)
async def test_what_cannot_be_gated_is_refused_at_the_workers_start(
    settings: Settings,
    connection: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    build: Callable[[], Agent[Any]],
    reason: str,
    route: Callable[[Agent[Any]], Agent[Any]],
) -> None:
    with pytest.raises(worker.CannotServe) as raised:
        async with served(settings, connection, monkeypatch, lambda: route(build())):
            pytest.fail("it serves")
    assert str(raised.value) == f"{__name__}: {reason} (in 'extra')"


@pytest.mark.parametrize("name", CASES)
async def test_what_a_handoff_builds_on_the_fly_is_refused_in_the_run(
    play: Start, name: str
) -> None:
    transfer = call("transfer", "{}")
    async with play([transfer], agent=f"later {name}") as (run, model):
        error, *_ = await run.failure()
    assert getattr(error, "type", None) == "Ungatable"
    assert CASES[name][1] in str(error)
    assert len(model.inputs) == 1


async def test_a_run_does_not_go_on_from_a_state_that_names_agents_of_its_own(
    play: Start,
) -> None:
    async with play([call("resume", "{}")], agent="resume") as (run, model):
        errors = await run.failure()
    assert "Ungatable" in [getattr(error, "type", None) for error in errors]
    assert len(model.inputs) == 1


WOULD_GATE = {
    "the default": GATE_ALL,
    "a checkpoint": 'default = "allow"\n[[checkpoint]]\ncheckpoint_id = "c"\naction_pattern = "{}"',
    "one that allows under a condition": (
        '[[checkpoint]]\ncheckpoint_id = "c"\naction_pattern = "{}"\nallow = true\nwhen = "true"'
    ),
}

LETS_THROUGH = {
    "the default": ALLOW_ALL,
    "a checkpoint": '[[checkpoint]]\ncheckpoint_id = "c"\naction_pattern = "{}"\nallow = true',
}


@pytest.mark.parametrize("policy", WOULD_GATE.values(), ids=WOULD_GATE)
@pytest.mark.parametrize(("make", "name"), PROVIDED.values(), ids=PROVIDED)
def test_a_tool_at_the_provider_is_refused_where_the_policy_would_stop_it(
    policy: str, make: Callable[[], Any], name: str
) -> None:
    rules = match.rules_of(parse(policy.format(name), "checkpoints.toml"))
    assert kinds.unusable(Agent(name="a", tools=[make()]), rules) == (
        f"the tool {name!r} runs at the model's provider, where nothing can stop it, and the policy "
        "would stop it: take it from the agent, or let it through with `allow = true` and no "
        "condition"
    )


async def test_a_worker_with_such_a_tool_does_not_start(
    settings: Settings, connection: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def build() -> Agent[Any]:
        return Agent(name="a", handoffs=[Agent(name="b", tools=[WebSearchTool()])])

    write(settings, GATE_ALL)
    with pytest.raises(
        worker.CannotServe, match=r"^the tool 'web_search' runs at the .*'extra'\)$"
    ):
        async with served(settings, connection, monkeypatch, build):
            pytest.fail("it serves")


@pytest.mark.parametrize("policy", LETS_THROUGH.values(), ids=LETS_THROUGH)
async def test_a_tool_at_the_provider_is_usable_where_the_policy_lets_it_through(
    settings: Settings, connection: dict[str, Any], monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    write(settings, policy.format("^web_search$"))
    mine = apart(settings)

    def build() -> Agent[Any]:
        return Agent(name="a", tools=[WebSearchTool()])

    async with served(mine, connection, monkeypatch, build) as serving:
        result = await (await Play(mine, serving).start("extra")).result()
    assert result.output == "Finished."


def test_hosted_mcp_tools_are_gated_and_not_refused() -> None:
    tool = HostedMCPTool(
        tool_config={"type": "mcp", "server_label": "crm", "server_url": "http://x"}
    )
    assert kinds.refusal(tool, None) is None

"""Every kind of tool the Agents SDK knows: gated, or refused with the reason.

A kind that is in neither table is refused too: what this file doesn't know, it can't stop.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from agents import Agent, FunctionTool, Handoff, HostedMCPTool, ModelSettings, Tool
from agents.sandbox import SandboxAgent
from agents.tool import (
    ApplyPatchTool,
    CodeInterpreterTool,
    ComputerTool,
    CustomTool,
    FileSearchTool,
    ImageGenerationTool,
    LocalShellTool,
    ProgrammaticToolCallingTool,
    ShellTool,
    ToolSearchTool,
    WebSearchTool,
)

from policy.match import Rules

from .gate import RUNS_IN_A_THREAD

GATED: tuple[type[Any], ...] = (FunctionTool, HostedMCPTool)
"""A call of these stops where the policy says so. Activities, MCP servers' tools, and agents used as
tools reach an agent as function tools."""

AT_THE_PROVIDER: tuple[type[Any], ...] = (
    CodeInterpreterTool,
    FileSearchTool,
    ImageGenerationTool,
    ToolSearchTool,
    WebSearchTool,
)
"""They run where the model runs and ask nobody. Usable only where the policy lets every call through."""

REFUSED: dict[type[Any], str] = {
    ApplyPatchTool: "it changes files where the workflow runs; make it a function tool on an activity",
    ComputerTool: "it acts on a screen where the workflow runs; make it a function tool on an activity",
    CustomTool: "its input is free text, which no policy can read; make it a function tool",
    LocalShellTool: "it runs commands where the workflow runs; make it a function tool on an activity",
    ProgrammaticToolCallingTool: "it lets the provider run programs that call tools; leave it out",
    ShellTool: "it runs commands out of reach of the gate; make it a function tool on an activity",
}
"""Never usable, and what to do instead."""


_BRING_TOOLS = ("tools", "functions", "prompt", "plugins", "web_search_options", "mcp_servers")
"""Parameters of a model call that bring tools which run at the provider."""


def refusal(tool: Tool, rules: Rules | None) -> str | None:
    """Why an agent with this tool can't run; None where it can.

    Args:
        tool: any tool.
        rules: the policy; None where it isn't known yet, so that only what no policy could allow
            is refused.
    """
    name = getattr(tool, "name", type(tool).__name__)
    if isinstance(tool, FunctionTool):
        if getattr(tool.on_invoke_tool, RUNS_IN_A_THREAD, False):
            return (
                f"the tool {name!r} is a plain def, and a workflow has no threads: "
                "make it async def, or an activity"
            )
        return None
    if isinstance(tool, HostedMCPTool):
        return None
    if isinstance(tool, AT_THE_PROVIDER):
        if rules is not None and rules.may_gate(name):
            return (
                f"the tool {name!r} runs at the model's provider, where nothing can stop it, and the "
                "policy would stop it: take it from the agent, or let it through with "
                "`allow = true` and no condition"
            )
        return None
    why = REFUSED.get(type(tool), "this kind is not known here, so nothing could stop it")
    return f"the tool {name!r} ({type(tool).__name__}) can't be gated: {why}"


def unusable(agent: Agent[Any], rules: Rules | None = None) -> str | None:
    """Why an agent, apart from those it hands over to, can't run under the gate; None where it can."""
    if agent.model is not None and not isinstance(agent.model, str):
        return f"the agent {agent.name!r} must name its model as a string"
    if isinstance(agent, SandboxAgent):
        return f"the agent {agent.name!r} works in a sandbox of its own, out of reach of the gate"
    if agent.prompt is not None:
        return (
            f"the agent {agent.name!r} has a prompt stored at the provider, which can bring tools of "
            "its own that nothing can stop: use instructions instead"
        )
    if name := smuggled(agent.model_settings):
        return (
            f"the agent {agent.name!r} sends {name!r} in its model settings, past the gate: "
            "give it to the agent instead"
        )
    try:
        dataclasses.replace(agent)
    except Exception as error:
        return f"the agent {agent.name!r} can't be copied, so it can't be gated: {error}"
    for server in agent.mcp_servers:
        if not type(server).__module__.startswith("temporalio."):
            return (
                f"the agent {agent.name!r} has the MCP server {server.name!r} itself, which can't run "
                "in a workflow: name it in MCP_SERVERS and use temporal_mcp_server(name)"
            )
    for tool in agent.tools:
        if reason := refusal(tool, rules):
            return reason
    return None


def smuggled(settings: ModelSettings | None) -> str | None:
    """What model settings send to the provider that brings tools, or what stands for them."""
    if settings is None:
        return None
    extra = {**(settings.extra_args or {}), **_object(settings.extra_body)}
    return next((name for name in _BRING_TOOLS if name in extra), None)


def _object(body: object) -> Mapping[str, object]:
    return body if isinstance(body, Mapping) else {}


def reachable(agent: Agent[Any], seen: list[Agent[Any]] | None = None) -> Iterator[Agent[Any]]:
    """The agent, those it can hand over to, and those it uses as tools; they may name each other."""
    seen = [] if seen is None else seen
    if any(agent is one for one in seen):
        return
    seen.append(agent)
    yield agent
    others = [one for handoff in agent.handoffs if (one := _target(handoff)) is not None]
    others += [used for tool in agent.tools if (used := used_agent(tool)) is not None]
    for other in others:
        yield from reachable(other, seen)


def _target(handoff: Agent[Any] | Handoff[Any, Any]) -> Agent[Any] | None:
    """The agent behind a handoff; None where only its callback knows."""
    if isinstance(handoff, Agent):
        return handoff
    behind = handoff._agent_ref and handoff._agent_ref()
    return behind if isinstance(behind, Agent) else None


def used_agent(tool: Tool) -> Agent[Any] | None:
    """The agent that a tool is, where an agent is used as one."""
    used = getattr(tool, "_agent_instance", None)
    return used if isinstance(used, Agent) else None

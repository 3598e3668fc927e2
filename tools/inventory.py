"""Which tools the registered agents have, and which of them a policy's gate could not stop."""

from typing import NamedTuple

from agents import FunctionTool

from policy.match import Rules

from . import registry
from .kinds import reachable, refusal, unusable
from .questions import asks_itself


class ToolSeen(NamedTuple):
    """A tool as an agent has it."""

    agent: str
    """The registered agent that reaches it, by handoff or through another agent too."""
    tool: str
    """Its name, as a policy's patterns see it; of an MCP server, whose tools are known only when it
    is asked, the server's in brackets."""
    kind: str
    """The Agents SDK's class of it."""
    problem: str | None
    """Why the agent could not run with it under the policy; None where it can."""
    asks: bool = False
    """Whether it does nothing but ask a person, whatever the policy says."""


def tools(rules: Rules | None) -> list[ToolSeen]:
    """Every tool of every registered agent, without repeats, under ``rules`` if there are any."""
    seen = []
    for name in registry.names():
        for agent in reachable(registry.build(name)):
            for tool in agent.tools:
                called = tool.qualified_name if isinstance(tool, FunctionTool) else tool.name
                kind, reason = type(tool).__name__, refusal(tool, rules)
                seen.append(ToolSeen(name, called, kind, reason, asks_itself(tool)))
            seen += [
                ToolSeen(name, f"[MCP server {server.name}]", "MCPServer", None)
                for server in agent.mcp_servers
            ]
    return list(dict.fromkeys(seen))


def problem(rules: Rules | None) -> str | None:
    """The first reason why a registered agent could not run under ``rules``; None where all can."""
    for name in registry.names():
        for agent in reachable(registry.build(name)):
            if reason := unusable(agent, rules):
                return f"{reason} (in the agent {name!r})"
    return None

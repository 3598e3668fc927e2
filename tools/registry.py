"""Agents by name: the samples, and those of the modules a setting names.

A module of your own needs nothing of ours but a dictionary::

    AGENTS = {"payroll": build_payroll_agent}    # zero-argument functions that return an Agent
    ACTIVITIES = [pay_salary]                    # optional: activities that its tools run
    MCP_SERVERS = {"files": make_server}         # optional: what temporal_mcp_server("files") names
"""

import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents import Agent

from clearance import ClearanceError

from .kinds import reachable, unusable

_ANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

Factory = Callable[[], Agent[Any]]


class UnknownAgent(LookupError):
    """No agent has this name; the text lists those there are."""


class BrokenModule(ClearanceError):
    """A module named in ``CLEARANCE_AGENTS`` can't be used; the text says which and why."""


# Filled once, at the worker's start, before any workflow runs. A workflow sees this same module,
# because the sandbox passes `tools` through, so what it finds here never changes under it.
_agents: dict[str, Factory] = {}


def build(name: str) -> Agent[Any]:
    """A fresh agent for one run. Raises UnknownAgent."""
    if name not in _agents:
        raise UnknownAgent(f"no agent is called {name!r}; there are: {', '.join(names())}")
    return _agents[name]()


def names() -> list[str]:
    """Of all agents, in order."""
    return sorted(_agents)


@dataclass
class Brought:
    """What the modules bring besides their agents."""

    activities: list[Callable[..., Any]] = field(default_factory=list)
    mcp_servers: dict[str, Callable[..., Any]] = field(default_factory=dict)


def load(modules: Iterable[str]) -> Brought:
    """Make the agents of these modules the ones there are; return what else they bring.

    Raises:
        BrokenModule: a module can't be imported, has no ``AGENTS``, one of its entries does not
            build an agent, two modules use the same name, or an agent uses an MCP server that no
            module brings. The agents are as they were.
    """
    agents: dict[str, Factory] = {}
    all_of_them = Brought()
    used: dict[str, str] = {}
    for module in modules:
        found, brought = _read(module)
        used |= {server: f"{module}: the agent {name!r}" for name, server in _servers(found)}
        if twice := sorted(found.keys() & agents.keys()):
            raise BrokenModule(f"{module}: the agent {twice[0]!r} exists already; rename it")
        if twice := sorted(brought.mcp_servers.keys() & all_of_them.mcp_servers.keys()):
            raise BrokenModule(f"{module}: the MCP server {twice[0]!r} exists already; rename it")
        agents |= found
        known = all_of_them.activities
        known += [one for one in brought.activities if one not in known]
        all_of_them.mcp_servers |= brought.mcp_servers
    if unknown := sorted(used.keys() - all_of_them.mcp_servers.keys()):
        raise BrokenModule(
            f"{used[unknown[0]]} uses the MCP server {unknown[0]!r}, which is in no MCP_SERVERS"
        )
    _agents.clear()
    _agents.update(agents)
    return all_of_them


def _read(name: str) -> tuple[Mapping[str, Factory], Brought]:
    try:
        module = importlib.import_module(name)
    except Exception as error:
        raise BrokenModule(f"{name}: importing it fails: {error!r}") from error
    agents = getattr(module, "AGENTS", None)
    if not isinstance(agents, Mapping) or not agents:
        raise BrokenModule(f"{name}: has no AGENTS, a dictionary of name to function")
    for key, factory in agents.items():
        try:
            built = factory()
        except Exception as error:
            raise BrokenModule(f"{name}: building the agent {key!r} fails: {error!r}") from error
        if not isinstance(built, Agent):
            raise BrokenModule(f"{name}: AGENTS[{key!r}] returns {built!r}, not an Agent")
        if not isinstance(key, str) or not key or key != key.strip() or not key.isprintable():
            raise BrokenModule(f"{name}: AGENTS[{key!r}] needs a name that can be typed")
        for agent in reachable(built):
            if reason := unusable(agent):
                raise BrokenModule(f"{name}: {reason} (in {key!r})")
    activities = _activities(name, getattr(module, "ACTIVITIES", []))
    return agents, Brought(activities, _mcp_servers(name, getattr(module, "MCP_SERVERS", {})))


def _servers(agents: Mapping[str, Factory]) -> Iterator[tuple[str, str]]:
    """Which agent uses which MCP server, by their names."""
    for name, factory in agents.items():
        for agent in reachable(factory()):
            yield from ((name, server.name) for server in agent.mcp_servers)


def _mcp_servers(name: str, brought: Any) -> dict[str, Callable[..., Any]]:
    if not isinstance(brought, Mapping):
        raise BrokenModule(f"{name}: MCP_SERVERS is {brought!r}, not a dictionary")
    for key, factory in brought.items():
        if not isinstance(key, str) or not callable(factory):
            raise BrokenModule(f"{name}: MCP_SERVERS[{key!r}] is no function under a name")
        if _required(factory) > 1:
            raise BrokenModule(f"{name}: MCP_SERVERS[{key!r}] takes more than one argument")
    return dict(brought)


def _required(factory: Callable[..., Any]) -> int:
    """How many arguments a function can't do without."""
    try:
        given = inspect.signature(factory).parameters.values()
    except ValueError:  # one written in C, which doesn't say
        return 0
    return sum(one.default is one.empty and one.kind not in _ANY for one in given)


def _activities(name: str, brought: Any) -> list[Callable[..., Any]]:
    if not isinstance(brought, Sequence):
        raise BrokenModule(f"{name}: ACTIVITIES is {brought!r}, not a list")
    for one in brought:
        if not hasattr(one, "__temporal_activity_definition"):
            raise BrokenModule(f"{name}: {one!r} in ACTIVITIES lacks @activity.defn")
    return list(brought)

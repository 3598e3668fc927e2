"""Agents by name: the samples, and those of the modules a setting names.

A module of your own needs nothing of ours but a dictionary::

    AGENTS = {"payroll": build_payroll_agent}    # zero-argument functions that return an Agent
    ACTIVITIES = [pay_salary]                    # optional: activities that its tools run
"""

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from agents import Agent, Tool

from .gate import RUNS_IN_A_THREAD

Factory = Callable[[], Agent[Any]]


class UnknownAgent(LookupError):
    """No agent has this name; the text lists those there are."""


class BrokenModule(Exception):
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


def load(modules: Iterable[str]) -> list[Callable[..., Any]]:
    """Make the agents of these modules the ones there are; return the activities they bring.

    Raises:
        BrokenModule: a module can't be imported, has no ``AGENTS``, one of its entries does not
            build an agent, or two modules use the same name. The agents are as they were.
    """
    agents: dict[str, Factory] = {}
    activities: list[Callable[..., Any]] = []
    for module in modules:
        found, brought = _read(module)
        if twice := sorted(found.keys() & agents.keys()):
            raise BrokenModule(f"{module}: the agent {twice[0]!r} exists already; rename it")
        agents |= found
        activities += [one for one in brought if one not in activities]
    _agents.clear()
    _agents.update(agents)
    return activities


def _read(name: str) -> tuple[Mapping[str, Factory], Sequence[Callable[..., Any]]]:
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
        for agent in _with_handoffs(built, []):
            if reason := _unusable(agent):
                raise BrokenModule(f"{name}: {reason} (in {key!r})")
    return agents, _activities(name, getattr(module, "ACTIVITIES", []))


def _activities(name: str, brought: Any) -> Sequence[Callable[..., Any]]:
    if not isinstance(brought, Sequence):
        raise BrokenModule(f"{name}: ACTIVITIES is {brought!r}, not a list")
    for one in brought:
        if not hasattr(one, "__temporal_activity_definition"):
            raise BrokenModule(f"{name}: {one!r} in ACTIVITIES lacks @activity.defn")
    return brought


def _with_handoffs(agent: Agent[Any], seen: list[Agent[Any]]) -> list[Agent[Any]]:
    """The agent and all that it can hand over to by itself; they may name each other."""
    if agent not in seen:
        seen.append(agent)
        for other in agent.handoffs:
            if isinstance(other, Agent):
                _with_handoffs(other, seen)
    return seen


def _unusable(agent: Agent[Any]) -> str | None:
    if agent.model is not None and not isinstance(agent.model, str):
        return f"the agent {agent.name!r} must name its model as a string"
    for tool in agent.tools:
        if _runs_in_a_thread(tool):
            return (
                f"the tool {tool.name!r} is a plain def, and a workflow has no threads: "
                "make it async def, or an activity"
            )
    return None


def _runs_in_a_thread(tool: Tool) -> bool:
    return bool(getattr(getattr(tool, "on_invoke_tool", None), RUNS_IN_A_THREAD, False))

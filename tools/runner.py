"""The runner behind every ``Runner.run`` in a workflow: whatever agent it is given, it gates.

The SDK sends all runs through one default runner: those of our workflow, of agents used as tools, and
those that a tool starts by itself. So this is the one place that no agent gets past.
"""

import copy
import dataclasses
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from agents import Agent, FunctionTool, Handoff, HostedMCPTool, ModelResponse, RunHooks, Tool
from agents.run import AgentRunner, RunState, get_default_agent_runner, set_default_agent_runner
from temporalio import workflow
from temporalio.exceptions import ApplicationError
from temporalio.plugin import SimplePlugin

from activities.sizing import Sizing

from .gate import gated, pinned
from .hosted import gated_mcp
from .kinds import refusal, smuggled, unusable
from .questions import asks_itself
from .run import Run

_MAX_CONVERSATION_BYTES = 1_500_000
"""What a model is sent travels as one payload, of which Temporal takes 2 MB; larger, the workflow's
task would fail again and again."""


class GatedRunner(AgentRunner):
    """Gates the agent, then leaves it to the runner that was the default before."""

    def __init__(self, inner: AgentRunner) -> None:
        """Stand before ``inner``."""
        super().__init__()
        self._inner = inner

    async def run(self, starting_agent: Agent[Any], input: Any, **kwargs: Any) -> Any:
        """Run the agent, gated. Outside a workflow, as if this weren't here.

        Raises:
            ApplicationError: type ``NoPolicy``, no policy is pinned for the workflow; type
                ``Ungatable``, the agent has a tool that nothing could stop.
        """
        if workflow.in_workflow():
            starting_agent = _prepared(starting_agent, input, kwargs)
        return await self._inner.run(starting_agent, input, **kwargs)

    def run_sync(self, starting_agent: Agent[Any], input: Any, **kwargs: Any) -> Any:
        """Outside workflows only, where nothing is gated; the runner behind refuses it inside."""
        return self._inner.run_sync(starting_agent, input, **kwargs)

    def run_streamed(self, starting_agent: Agent[Any], input: Any, **kwargs: Any) -> Any:
        """Run the agent, gated, and stream its events. Raises what ``run`` raises."""
        if workflow.in_workflow():
            starting_agent = _prepared(starting_agent, input, kwargs)
        return self._inner.run_streamed(starting_agent, input, **kwargs)


def installed() -> bool:
    """Whether runs in this process go through the gate."""
    return isinstance(get_default_agent_runner(), GatedRunner)


def plugin() -> SimplePlugin:
    """The worker's plugin that installs the gate, and bounds what activities answer. It comes after the
    OpenAI plugin in the list."""

    @asynccontextmanager
    async def run_context() -> AsyncIterator[None]:
        before = get_default_agent_runner()
        set_default_agent_runner(GatedRunner(before))
        try:
            yield
        finally:
            set_default_agent_runner(before)

    return SimplePlugin("clearance.gate", run_context=run_context, interceptors=[Sizing()])


def _prepared(agent: Agent[Any], input: Any, kwargs: dict[str, Any]) -> Agent[Any]:
    """The agent to run instead of ``agent``; the hooks in ``kwargs`` listen from now on."""
    run = pinned()
    if isinstance(input, RunState):
        # It names the agents to go on with, whatever agent is given. The SDK makes one where a
        # call waits for its own kind of approval, which doesn't happen under the gate.
        raise _ungatable("a run can't go on from a RunState: its agents would not be gated")
    config = kwargs.get("run_config")
    settings = (
        config.get("model_settings")
        if isinstance(config, dict)
        else (config and config.model_settings)
    )
    if name := smuggled(settings):
        raise _ungatable(f"the run's model settings send {name!r} past the gate")
    kwargs["hooks"] = _listening(kwargs.get("hooks"), run)
    return _gated_agent(agent, run, {})


_Seen = dict[int, tuple[Agent[Any], Agent[Any]]]
"""An agent's id to the agent and its copy. The agent is kept, or another could get its id."""


def _gated_agent(agent: Agent[Any], run: Run, seen: _Seen) -> Agent[Any]:
    """A copy of the agent whose every tool is gated, and so are the agents it hands over to."""
    if id(agent) in seen:
        return seen[id(agent)][1]
    if reason := unusable(agent, run.rules):
        raise _ungatable(reason)
    given = {one.name: getattr(agent, one.name) for one in dataclasses.fields(agent) if one.init}
    copied = _with_gated_tools(type(agent))(
        **{**given, "tools": [_gated_tool(tool, agent.name) for tool in agent.tools]}
    )
    seen[id(agent)] = agent, copied
    copied.handoffs = [_gated_handoff(one, run, seen) for one in agent.handoffs]
    return copied


def _with_gated_tools(kind: type[Agent[Any]]) -> type[Agent[Any]]:
    """A subclass whose ``get_all_tools`` gates what is only known then: the tools of MCP servers."""
    if issubclass(kind, _Gated):
        return kind
    return type(f"Gated{kind.__name__}", (_Gated, kind), {})


class _Gated:
    """Before an agent's own class in the order of resolution."""

    name: str

    async def get_all_tools(self, run_context: Any) -> list[Tool]:
        tools: list[Tool] = await super().get_all_tools(run_context)  # type: ignore[misc]
        rules = pinned().rules
        if reason := next(filter(None, (refusal(tool, rules) for tool in tools)), None):
            raise _ungatable(reason)
        return [_gated_tool(tool, self.name) for tool in tools]


def _gated_tool(tool: Tool, agent: str) -> Tool:
    if asks_itself(tool):
        return tool
    if isinstance(tool, FunctionTool):
        return gated(tool)
    return gated_mcp(tool, agent) if isinstance(tool, HostedMCPTool) else tool


def _gated_handoff(
    handoff: Agent[Any] | Handoff[Any, Any], run: Run, seen: _Seen
) -> Agent[Any] | Handoff[Any, Any]:
    if isinstance(handoff, Agent):
        return _gated_agent(handoff, run, seen)
    invoke: Callable[[Any, str], Awaitable[Any]] = handoff.on_invoke_handoff

    async def on_invoke(context: Any, arguments: str) -> Agent[Any]:
        return _gated_agent(await invoke(context, arguments), run, seen)

    return dataclasses.replace(handoff, on_invoke_handoff=on_invoke)


def _listening(hooks: RunHooks[Any] | None, run: Run) -> RunHooks[Any]:
    """A copy of ``hooks`` that also keeps what the agent says, for the reviewer to read."""
    own = hooks if hooks is not None else RunHooks[Any]()
    heard = copy.copy(own)
    before, starting = own.on_llm_end, own.on_llm_start  # of their own object: it may keep a count

    async def on_llm_start(
        context: Any, agent: Any, system_prompt: str | None, input_items: list[Any]
    ) -> None:
        sent = json.dumps([system_prompt, input_items], ensure_ascii=False, default=str)
        size = len(sent.encode(errors="replace"))
        if size > _MAX_CONVERSATION_BYTES:
            raise ApplicationError(
                f"the conversation of {agent.name!r} has grown to {size:,} bytes, at most "
                f"{_MAX_CONVERSATION_BYTES:,}: let its tools answer more briefly",
                type="ConversationTooLarge",
                non_retryable=True,
            )
        await starting(context, agent, system_prompt, input_items)

    async def on_llm_end(context: Any, agent: Agent[Any], response: ModelResponse) -> None:
        run.heard(agent.name, response)
        await before(context, agent, response)

    heard.on_llm_start = on_llm_start  # type: ignore[method-assign]
    heard.on_llm_end = on_llm_end  # type: ignore[method-assign]
    return heard


def _ungatable(reason: str) -> ApplicationError:
    return ApplicationError(reason, type="Ungatable", non_retryable=True)

"""What tests of the gate share: agents of the test's own, a policy it writes, and the effects seen."""

from datetime import timedelta
from textwrap import dedent
from typing import Any

from pydantic import JsonValue
from temporalio import workflow

from cli.settings import Settings
from tools.gate import idempotency_key

from .agent_runs import Run
from .office import DONE, Effect, take_effect

GATE_ALL = 'default = "gate"'

ALLOW_ALL = 'default = "allow"'

ACTIVITIES = [take_effect]


def own(settings: Settings, module: str, policy: str) -> Settings:
    """``settings`` with the agents of a test module, and with this policy."""
    path = settings.state.with_name("checkpoints.toml")
    path.write_text(dedent(policy))
    return settings.model_copy(update={"agents": (module,), "policy": path})


async def effect(tool: str, **arguments: Any) -> str:
    """Act on the world, as a tool does, under the key of its call. Returns ``<tool> done``."""
    return await workflow.execute_activity(
        take_effect,
        Effect(tool=tool, arguments=arguments, key=idempotency_key()),
        start_to_close_timeout=timedelta(seconds=30),
    )


def effects(run: Run) -> list[tuple[str, dict[str, JsonValue]]]:
    """Tool and arguments of what was done under the approvals of a run."""
    return [
        (one.tool, one.arguments) for one in DONE if one.key.rpartition(".")[0] == run.handle.id
    ]


def everywhere(mark: str) -> list[str]:
    """Tools that acted on something marked so, under an approval or without one."""
    return [one.tool for one in DONE if mark in str(one.arguments)]

"""Agents for tests of the gate: they pay, trade and log in. What reached the world is in ``DONE``.

A test writes the policy and sets ``agents`` to this module (``policed``).
"""

from datetime import timedelta
from textwrap import dedent
from typing import Any

from agents import Agent, RunContextWrapper, Tool, function_tool
from pydantic import BaseModel, JsonValue
from temporalio import activity, workflow

from clearance import ApprovalClient, ApprovalView
from clearance.grants import GrantTerms
from cli.settings import Settings
from tools.gate import idempotency_key

from .raw import decision, send

ADA = "ada@example.com"
GRACE = "grace@example.com"


class Effect(BaseModel):
    """What an activity was told to do."""

    tool: str
    arguments: dict[str, JsonValue]
    key: str


DONE: list[Effect] = []
"""By every test of this process; each finds its own by the key or by its run's id in it."""


@activity.defn
async def take_effect(effect: Effect) -> str:
    DONE.append(effect)
    return f"{effect.tool} done"


async def _effect(tool: str, **arguments: Any) -> str:
    return await workflow.execute_activity(
        take_effect,
        Effect(tool=tool, arguments=arguments, key=idempotency_key()),
        start_to_close_timeout=timedelta(seconds=30),
    )


def _swallow(ctx: RunContextWrapper[Any], error: Exception) -> str:
    return f"never mind: {error}"


@function_tool(failure_error_function=_swallow)
async def pay(to: str, cents: int) -> str:
    """Pay; whatever fails is told to the model as nothing to mind."""
    return await _effect("pay", to=to, cents=cents)


@function_tool
async def refund(to: str, cents: int) -> str:
    """Pay back."""
    return await _effect("refund", to=to, cents=cents)


@function_tool
async def trade(symbol: str, side: str, quantity: int) -> str:
    """Place an order."""
    return await _effect("trade", symbol=symbol, side=side, quantity=quantity)


class Options(BaseModel):
    """Of a login."""

    api_key: str
    retries: int


@function_tool
async def log_in(user: str, password: str, iban: str, options: list[Options]) -> str:
    """Log in."""
    given: Any = [one.model_dump() for one in options]
    return await _effect("log_in", user=user, password=password, iban=iban, options=given)


def _payer() -> Agent[Any]:
    tools: list[Tool] = [pay, refund]
    return Agent(name="payer", tools=tools)


def _boss() -> Agent[Any]:
    return Agent(name="boss", tools=[_payer().as_tool("payer", "Pays.")])


def _chief() -> Agent[Any]:
    return Agent(name="chief", tools=[_boss().as_tool("boss", "Has a payer.")])


def _desk() -> Agent[Any]:
    return Agent(name="desk", handoffs=[_payer()])


AGENTS = {
    "payer": _payer,
    "boss": _boss,
    "chief": _chief,
    "desk": _desk,
    "trader": lambda: Agent(name="trader", tools=[trade]),
    "user": lambda: Agent(name="user", tools=[log_in]),
}
ACTIVITIES = [take_effect]


def policed(settings: Settings, policy: str) -> Settings:
    """``settings`` with the agents of this module and this policy."""
    settings = settings.model_copy(
        update={
            "agents": (__name__,),
            "policy": settings.state.with_name("checkpoints.toml"),
        }
    )
    write(settings, policy)
    return settings


def write(settings: Settings, policy: str) -> None:
    """Make this the text of the policy file."""
    assert settings.policy is not None
    settings.policy.write_text(dedent(policy))


def done(id: str) -> list[dict[str, JsonValue]]:
    """The arguments of what was done under an approval, or under those of a run, in order."""
    return [one.arguments for one in DONE if one.key == id or one.key.rpartition(".")[0] == id]


async def decide(approvals: ApprovalClient, id: str, **said: Any) -> Any:
    """Send a decision on a request as it is now; ``said`` as in ``tests.raw.decision``."""
    view = await approvals.get(id)
    handle = approvals.temporal.get_workflow_handle(id)
    return await send(handle, "decide", decision(view.current, **said))


async def grant(approvals: ApprovalClient, id: str, condition: str = "true", **terms: Any) -> Any:
    """Approve a request, and further calls like it."""
    given = GrantTerms(condition=condition, **terms).model_dump(mode="json")
    return await decide(approvals, id, grant=given)


async def by(approvals: ApprovalClient, id: str) -> tuple[str, str | None]:
    """How an approved request was approved, and by whom."""
    view: ApprovalView = await approvals.get(id)
    assert view.decision is not None
    return view.decision.channel, view.decision.reviewer

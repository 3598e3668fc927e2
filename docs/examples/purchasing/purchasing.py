"""An agent that orders things. Who has to agree stands in the policy and the directory beside it."""

from datetime import timedelta

from agents import Agent, function_tool
from temporalio import activity, workflow

from tools.gate import idempotency_key


@activity.defn
async def place_order(item: str, quantity: int, euros: float, key: str) -> str:
    # The key is the same when this is retried: whoever sells tells a repeat by it.
    return f"ordered {quantity} x {item} for {euros:.2f} EUR ({key})"


@function_tool
async def order(item: str, quantity: int, euros: float) -> str:
    """Order something; euros is what it costs altogether."""
    return await workflow.execute_activity(
        place_order,
        args=[item, quantity, euros, idempotency_key()],
        start_to_close_timeout=timedelta(minutes=1),
    )


def build() -> Agent:
    return Agent(
        name="purchasing",
        instructions="You order what people need.",
        tools=[order],
    )


AGENTS = {"purchasing": build}
ACTIVITIES = [place_order]

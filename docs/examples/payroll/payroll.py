"""A team's own agent: nothing in it knows of approvals. The policy beside it says what waits."""

from datetime import timedelta

from agents import Agent, function_tool
from temporalio import activity, workflow

from tools.gate import idempotency_key


@activity.defn
async def pay_salary(employee: str, cents: int, key: str) -> str:
    # The key is the same when this is retried: whoever pays tells a repeat by it.
    return f"paid {employee} {cents / 100:.2f} ({key})"


@function_tool
async def look_up_salary(employee: str) -> str:
    """What an employee earns in a month, in cents."""
    return "120000"


@function_tool
async def pay(employee: str, cents: int) -> str:
    """Pay an employee."""
    return await workflow.execute_activity(
        pay_salary,
        args=[employee, cents, idempotency_key()],
        start_to_close_timeout=timedelta(minutes=1),
    )


def build() -> Agent:
    return Agent(
        name="payroll",
        instructions="You pay salaries. Look the salary up first, then pay it.",
        tools=[look_up_salary, pay],
    )


AGENTS = {"payroll": build}
ACTIVITIES = [pay_salary]

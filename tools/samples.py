"""Three agents to try: each does everything by itself except what a person must allow first."""

from datetime import timedelta
from typing import Any

from agents import Agent, ModelSettings, RunContextWrapper, Tool, function_tool
from agents.exceptions import ModelBehaviorError
from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

from activities.mail import Email, MailActivities
from activities.shop import Customer, Deletion, Refund, ShopActivities

from .confirmation import tell_model, wait_for_confirmation
from .gate import idempotency_key

_TIMEOUT = timedelta(seconds=60)
_RETRY = RetryPolicy(maximum_interval=timedelta(minutes=1))
"""Without end: what was approved is done as soon as it can be, and the key makes repeats harmless."""


def _tell_failure(ctx: RunContextWrapper[Any], error: Exception) -> str:
    """Tell the model why an activity gave up; let a cancellation end the run."""
    if isinstance(error, ModelBehaviorError):
        return tell_model(ctx, error)
    if isinstance(error, ActivityError) and isinstance(error.cause, ApplicationError):
        return f"It failed: {error.cause.message}"
    raise error


@function_tool(failure_error_function=tell_model)
async def draft_email(to: str, subject: str, body: str) -> str:
    """Draft a mail. Nothing is sent.

    Args:
        to: The recipient's address.
        subject: The subject line.
        body: The whole text.
    """
    return f"To: {to}\nSubject: {subject}\n\n{body}"


@function_tool(failure_error_function=_tell_failure)
async def send_email(to: str, subject: str, body: str) -> str:
    """Send a mail. A person may be asked first.

    Args:
        to: The recipient's address.
        subject: The subject line.
        body: The whole text.
    """
    return await workflow.execute_activity_method(
        MailActivities.send_email,
        Email(to=to, subject=subject, body=body, idempotency_key=idempotency_key()),
        start_to_close_timeout=_TIMEOUT,
        retry_policy=_RETRY,
    )


@function_tool(failure_error_function=_tell_failure)
async def look_up_order(order_id: str) -> str:
    """What was ordered, paid and refunded.

    Args:
        order_id: The order, for example A-1001.
    """
    return await workflow.execute_activity_method(
        ShopActivities.look_up_order,
        order_id,
        start_to_close_timeout=_TIMEOUT,
        retry_policy=_RETRY,
    )


@function_tool(failure_error_function=_tell_failure)
async def list_stale_customers(before: str) -> str:
    """The customers nobody has seen since a date.

    Args:
        before: The date, YYYY-MM-DD.
    """
    return await workflow.execute_activity_method(
        ShopActivities.list_stale_customers,
        before,
        start_to_close_timeout=_TIMEOUT,
        retry_policy=_RETRY,
    )


@function_tool(failure_error_function=_tell_failure)
async def issue_refund(order_id: str, cents: int) -> str:
    """Give money back. A person may be asked first.

    Args:
        order_id: The order, for example A-1001.
        cents: The amount in cents.
    """
    return await workflow.execute_activity_method(
        ShopActivities.issue_refund,
        Refund(order_id=order_id, cents=cents, idempotency_key=idempotency_key()),
        start_to_close_timeout=_TIMEOUT,
        retry_policy=_RETRY,
    )


@function_tool(failure_error_function=_tell_failure)
async def delete_records(customers: list[Customer]) -> str:
    """Delete customer records for good. A person may be asked first.

    Args:
        customers: Whose records: id and name of each.
    """
    return await workflow.execute_activity_method(
        ShopActivities.delete_records,
        Deletion(customers=customers, idempotency_key=idempotency_key()),
        start_to_close_timeout=_TIMEOUT,
        retry_policy=_RETRY,
    )


def _agent(name: str, job: str, tools: list[Tool]) -> Agent[Any]:
    return Agent(
        name=name,
        instructions=f"{job} Some tools stop until a person has allowed them; when the person"
        " refuses, don't try again: say what was refused and why. Answer in at most two sentences.",
        tools=tools,
        # Said here, not taken from the SDK's default model, which other servers may not know.
        model_settings=ModelSettings(),
    )


def build_assistant() -> Agent[Any]:
    """An agent with no tools but the one that asks."""
    return _agent(
        "assistant",
        "You are careful. Before anything that can't be undone you call wait_for_confirmation.",
        [wait_for_confirmation],
    )


def build_email_agent() -> Agent[Any]:
    """Drafts a mail by itself, sends it only when allowed."""
    return _agent(
        "email",
        "You write mail for a small shop. Draft it with draft_email, then send it with send_email.",
        [draft_email, send_email],
    )


def build_refund_agent() -> Agent[Any]:
    """Looks an order up by itself, gives money back only when allowed."""
    return _agent(
        "refund",
        "You handle refunds for a small shop. Look the order up first, then refund it.",
        [look_up_order, issue_refund],
    )


def build_cleanup_agent() -> Agent[Any]:
    """Finds stale records by itself, deletes them only when allowed."""
    return _agent(
        "cleanup",
        "You keep a customer table tidy. List the stale customers first, then delete their records.",
        [list_stale_customers, delete_records],
    )


AGENTS = {
    "assistant": build_assistant,
    "cleanup": build_cleanup_agent,
    "email": build_email_agent,
    "refund": build_refund_agent,
}

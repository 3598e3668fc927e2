"""A workflow that is no agent, in a package of its own, on a worker of its own."""

import asyncio

from temporalio import workflow
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from clearance import ApprovalRequest, approved_arguments, connect, request_approval


@workflow.defn
class Transfer:
    """Moves money once somebody has allowed it."""

    @workflow.run
    async def run(self, to: str, amount: int) -> str:
        """Ask, then act on what was approved; the reviewer may have lowered the amount."""
        request = ApprovalRequest(
            action=f"Transfer {amount} EUR to {to}",
            tool="transfer",
            arguments={"to": to, "amount": amount},
            risk="high",
            audience=("cfo@example.com",),
            editable=("amount",),
            self_approval=("editor",),  # who changes the amount may approve it
        )
        outcome = await request_approval(request)
        if not outcome.approved:
            return f"not sent: {outcome.reason}"
        arguments = approved_arguments(request, outcome)
        # outcome.approval_id is the idempotency key of whatever has the effect.
        return f"sent {arguments['amount']} EUR to {arguments['to']} ({outcome.approval_id})"


async def main() -> None:
    """Serve until stopped; TEMPORAL_ADDRESS and its kin say where."""
    await Worker(await connect(), task_queue="transfers", workflows=[Transfer]).run()


if __name__ == "__main__":
    asyncio.run(main())

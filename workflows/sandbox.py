"""How Temporal's sandbox runs our approvals: their code is loaded once, not once for each request."""

from typing import Final

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

OURS: Final = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules("workflows")
)
"""A sandbox that passes our workflows' own modules through.

Otherwise it imports the module of a workflow anew for every request that is held in memory: some 80 KB
and 5 ms each (``benchmarks/memory.py``). What it would keep that module from doing, reading a clock, a
file or the network, no module of this room may mention at all, which a test sees to; and the recorded
histories replay. Not for agents' runs, which bring code of others along.
"""

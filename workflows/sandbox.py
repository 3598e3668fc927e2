"""How Temporal's sandbox runs our approvals: their code is loaded once, not once for each request."""

import dataclasses
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from temporalio.converter import PayloadConverter
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions


class Shared(SandboxedWorkflowRunner):
    """A sandbox whose workflows share one payload converter.

    Else each makes one of its own, and with it pydantic's validators of what it is sent: some 10 KB for
    each request. Only for modules that are passed through: it knows their types for ever.
    """

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """As the sandbox does it."""
        converter = _made(det.payload_converter_factory)
        return super().create_instance(
            dataclasses.replace(det, payload_converter_factory=lambda: converter)
        )


@lru_cache(maxsize=8)
def _made(make: Callable[[], PayloadConverter]) -> PayloadConverter:
    """The one converter of each client's."""
    return make()


OURS: Final = Shared(restrictions=SandboxRestrictions.default.with_passthrough_modules("workflows"))
"""A sandbox that passes our workflows' own modules through.

Otherwise it imports the module of a workflow anew for every request that is held in memory: some 80 KB
and 5 ms each (``benchmarks/memory.py``). What it would keep that module from doing, reading a clock, a
file or the network, no module of this room may mention at all, which a test sees to; and the recorded
histories replay. Not for agents' runs, which bring code of others along.
"""

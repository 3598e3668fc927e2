"""Our worker beside a parent that asks it, in a process of its own: ``python -m benchmarks.ours``.

Everything is as the environment configures it (``CLEARANCE_*``). With ``--agents`` it serves agents,
too, with a scripted model. With ``--no-ledger`` the approvals are served by a worker that has nothing
but them.
"""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from benchmarks.measuring import moment
    from clearance import ApprovalRequest, request_approval

ACTION = "Deploy?"


def parents(queue: str) -> str:
    """The queue of the parents that ask on the approvals queue ``queue``."""
    return f"{queue}-parents"


@workflow.defn
class Parent:
    """Ask, and go on."""

    @workflow.run
    async def run(self, request: ApprovalRequest | None, queue: str) -> int:
        """The ``moment`` at which it goes on. Raises unless approved; without a request, asks nobody."""
        if request is None:
            return moment()
        outcome = await request_approval(request, task_queue=queue)
        assert outcome.approved
        return moment()


def model() -> Any:
    """Plays an agent's model: asks for a confirmation, then says the ``moment`` of its next turn."""
    from agents import Model, ModelResponse, Usage
    from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage
    from openai.types.responses import ResponseOutputText as Text
    from temporalio.openai_agents.testing import TestModelProvider

    def says(text: str) -> ResponseOutputMessage:
        content = [Text(type="output_text", text=text, annotations=[])]
        return ResponseOutputMessage(
            id="said", type="message", role="assistant", status="completed", content=[*content]
        )

    def asks() -> ResponseFunctionToolCall:
        return ResponseFunctionToolCall(
            type="function_call",
            name="wait_for_confirmation",
            arguments=json.dumps({"action": ACTION}),
            call_id="call",
            id="call",
        )

    class Scripted(Model):
        async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
            now = moment()
            sent = kwargs.get("input", args[1] if len(args) > 1 else [])
            kinds = [one.get("type") for one in sent if isinstance(one, dict)]
            turn = says(str(now)) if "function_call_output" in kinds else asks()
            return ModelResponse(output=[turn], usage=Usage(), response_id=None)

        def stream_response(self, *args: Any, **kwargs: Any) -> Any:
            raise NotImplementedError

    return TestModelProvider(Scripted())


@asynccontextmanager
async def serving(*, agents: bool, ledger: bool) -> AsyncIterator[tuple[Client, str]]:
    """A connected client, and the approvals queue that is served for as long as the context is open."""
    import worker
    from clearance import connect
    from cli.settings import Settings, temporal_settings

    settings = Settings()
    connection = temporal_settings(settings)
    queue = settings.approvals_queue
    if ledger:
        only: worker.Only | None = None if agents else "approvals"
        played = model() if agents else None
        async with worker.running(settings, connection, only=only, model_provider=played) as ours:
            yield ours.client, queue
        return
    from workflows.approval import ApprovalWorkflow

    client = await connect(connection, **settings.encryption)
    async with Worker(client, task_queue=queue, workflows=[ApprovalWorkflow]):
        yield client, queue


async def main(*arguments: str) -> None:
    """Serve until told to stop."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    how = {"agents": "--agents" in arguments, "ledger": "--no-ledger" not in arguments}
    async with (
        serving(**how) as (client, queue),
        Worker(client, task_queue=parents(queue), workflows=[Parent]),
    ):
        print("ready", flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

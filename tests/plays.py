"""Runs of the assistant on a played model, seen from outside."""

import json
from collections.abc import Sequence
from typing import Any

from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage

import worker
from clearance import ApprovalClient
from clearance.runs import AgentResult, AgentRun, start_run
from cli.settings import Settings

from .conftest import Serve
from .raw import Handle, collect_open_runs
from .support import PlayedModel, call, eventually, unique

Turn = Sequence[ResponseFunctionToolCall | ResponseOutputMessage]


def asks(action: str, call_id: str = "call_1") -> ResponseFunctionToolCall:
    return call("wait_for_confirmation", json.dumps({"action": action}), call_id)


class Play:
    """A run of the assistant on a played model, seen from outside."""

    def __init__(self, model: PlayedModel, handle: Handle, approvals: ApprovalClient) -> None:
        self.model = model
        self.handle = handle
        self.approvals = approvals

    async def waits_for(self, count: int) -> list[str]:
        """The ids of what waits, in the order it was asked, once it is so many."""

        found: list[str] = []

        async def listed() -> bool:
            found[:] = sorted([one.id async for one in self.approvals.pending(run=self.handle.id)])
            return len(found) == count

        await eventually(listed)
        return found

    async def result(self) -> AgentResult:
        return AgentResult.model_validate(await self.handle.result())

    def told(self) -> list[str]:
        """What the tools answered to the model, as it was sent in the last call."""
        return [
            item["output"]
            for item in self.model.inputs[-1]
            if isinstance(item, dict) and item.get("type") == "function_call_output"
        ]


class Stage:
    """Starts runs; the workers stop with the test."""

    def __init__(self, settings: Settings, approvals: ApprovalClient, serve: Serve) -> None:
        self._settings = settings
        self._approvals = approvals
        self._serve = serve
        self._open: list[Any] = []

    async def play(self, *turns: Turn, **fields: Any) -> Play:
        model = PlayedModel(*turns)
        context = self._serve(model)
        serving: worker.Serving = await context.__aenter__()
        self._open.append(context)
        run = AgentRun(
            agent="assistant",
            prompt="Do it",
            approvals_queue=self._settings.approvals_queue,
            **fields,
        )
        handle = await start_run(
            serving.client, run, id=unique("run"), task_queue=self._settings.agents_queue
        )
        return Play(model, handle, self._approvals)

    async def close(self) -> None:
        for context in reversed(self._open):
            await context.__aexit__(None, None, None)
        collect_open_runs()

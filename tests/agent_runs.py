"""What tests of agent runs share: a model server, workers that use it, and a run to follow."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from agents import Model, ModelResponse
from openai.types.responses import ResponseFunctionToolCall
from pydantic import SecretStr
from temporalio import activity
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.openai_agents.testing import TestModelProvider

import worker
from clearance import ApprovalClient, ApprovalSummary
from clearance.runs import AgentResult, AgentRun, start_run
from cli.settings import Settings

from .model_server import KEY, MODEL, Api, Call, ModelServer, model_server
from .support import PlayedModel, eventually, says, unique

MAIL = {"to": "ada@example.com", "subject": "Your order", "body": "It ships today."}

SEND = Call("send_email", json.dumps(MAIL))
"""The gated call of the sample agent ``email``."""


@dataclass(frozen=True)
class Play:
    """Workers that serve agents, and what reaches them from outside."""

    settings: Settings
    serving: worker.Serving

    @property
    def approvals(self) -> ApprovalClient:
        """Decides what these workers serve."""
        return ApprovalClient(self.serving.client, task_queue=self.settings.approvals_queue)

    async def start(
        self, agent: str, prompt: str = "Do it", *, id: str | None = None, **fields: Any
    ) -> "Run":
        """Start a run of ``agent``; ``fields`` are further ones of ``AgentRun``."""
        run = AgentRun(
            agent=agent, prompt=prompt, approvals_queue=self.settings.approvals_queue, **fields
        )
        queue = self.settings.agents_queue
        handle = await start_run(self.serving.client, run, id=id, task_queue=queue)
        return Run(handle, self.approvals)


@dataclass(frozen=True)
class Run:
    """One run of an agent, seen from outside."""

    handle: WorkflowHandle[Any, Any]
    approvals: ApprovalClient

    async def waits_for(self, count: int = 1) -> list[ApprovalSummary]:
        """What the run asks for, once so many requests wait, in the order they were asked."""

        async def probe() -> list[ApprovalSummary]:
            listed = [one async for one in self.approvals.pending(run=self.handle.id)]
            if len(listed) < count:
                return []
            # The list may be late: what was decided a moment ago may still be there.
            now = await asyncio.gather(*(self.approvals.summary(one.id) for one in listed))
            found = [one for one in now if one.status == "pending"]
            return found if len(found) >= count else []

        return sorted(await eventually(probe), key=lambda one: one.id)

    async def result(self) -> AgentResult:
        """How it ended."""
        return AgentResult.model_validate(await self.handle.result())

    async def failure(self) -> list[BaseException]:
        """Why it failed, from the outermost error to the innermost."""
        with pytest.raises(WorkflowFailureError) as raised:
            await self.handle.result()
        causes = []
        error = raised.value.__cause__
        while error is not None:
            causes.append(error)
            error = error.__cause__
        return causes

    async def stored(self) -> bytes:
        """All that Temporal keeps of the run."""
        history = await self.handle.fetch_history()
        return b"\n".join(event.SerializeToString() for event in history.events)


def apart(settings: Settings) -> Settings:
    """The same on queues of their own."""
    queues = {"agents_queue": unique("agents"), "approvals_queue": unique("approvals")}
    return settings.model_copy(update=queues)


@asynccontextmanager
async def playing(settings: Settings, connection: Mapping[str, Any]) -> AsyncIterator[Play]:
    """Run the workers on these settings."""
    async with worker.running(settings, connection) as serving:
        yield Play(settings, serving)


class EachItsOwn(Model):
    """Plays each run what is played for it."""

    def __init__(self) -> None:
        """Nothing is to be played yet."""
        self.of: dict[str, PlayedModel] = {}
        """By the id of the run."""

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        """The next turn of the run that asks."""
        return await self.of[str(activity.info().workflow_id)].get_response(*args, **kwargs)

    def stream_response(self, *args: Any, **kwargs: Any) -> Any:
        """Runs ask for whole answers."""
        raise NotImplementedError


Start = Callable[..., AbstractAsyncContextManager[tuple[Run, PlayedModel]]]


def played(
    settings: Settings, serve: Callable[..., AbstractAsyncContextManager[worker.Serving]]
) -> Start:
    """What starts runs on a model that plays the given turns and then finishes."""

    @asynccontextmanager
    async def start(
        *turns: Sequence[ResponseFunctionToolCall], agent: str, **fields: Any
    ) -> AsyncIterator[tuple[Run, PlayedModel]]:
        model = PlayedModel(*turns, [says("Finished.")])
        async with serve(model) as serving:
            yield await Play(settings, serving).start(agent, **fields), model

    return start


@asynccontextmanager
async def played_by_one(settings: Settings, connection: Mapping[str, Any]) -> AsyncIterator[Start]:
    """The same on one worker for all, each with a model of its own."""
    model = EachItsOwn()
    provider = TestModelProvider(model)
    async with worker.running(settings, connection, model_provider=provider) as serving:

        @asynccontextmanager
        async def start(
            *turns: Sequence[ResponseFunctionToolCall], agent: str, **fields: Any
        ) -> AsyncIterator[tuple[Run, PlayedModel]]:
            id = unique(agent)
            mine = model.of[id] = PlayedModel(*turns, [says("Finished.")])
            yield await Play(settings, serving).start(agent, id=id, **fields), mine

        yield start


def played_on(settings: Settings, connection: Mapping[str, Any]) -> Start:
    """The same on workers of these settings."""

    def serve(model: PlayedModel) -> AbstractAsyncContextManager[worker.Serving]:
        return worker.running(settings, connection, model_provider=TestModelProvider(model))

    return played(settings, serve)


def told(model: PlayedModel) -> dict[str, str]:
    """What the model was last told of each of its calls."""
    outputs = [one for one in model.inputs[-1] if one.get("type") == "function_call_output"]
    return {one["call_id"]: one["output"] for one in outputs}


def using(settings: Settings, server: ModelServer, api: Api, key: str | None = KEY) -> Settings:
    """``settings`` with the model server as whoever runs the worker would configure it."""
    return settings.model_copy(
        update={
            "openai_base_url": server.url,
            "openai_api_key": SecretStr(key) if key else None,
            "model": MODEL,
            "model_api": api,
        }
    )


Answering = Callable[..., tuple[ModelServer, Play]]


@asynccontextmanager
async def answering(
    settings: Settings, connection: Mapping[str, Any], api: Api
) -> AsyncIterator[Answering]:
    """One worker and one model server: ``server, play = answers(calls(SEND), Text("Sent."))`` has it play
    these from now on, once what came before has ended."""
    async with (
        model_server() as server,
        playing(using(settings, server, api), connection) as play,
    ):
        yield lambda *answers: (server.plays(*answers), play)


def outbox(settings: Settings) -> Path:
    """Where mail goes."""
    return settings.state / "outbox"

"""A worker that somebody builds without the gate: no agent runs on it."""

from datetime import timedelta
from typing import Any

from temporalio.openai_agents import OpenAIAgentsPlugin
from temporalio.openai_agents.testing import TestModelProvider
from temporalio.worker import Worker

from activities.model import CALL
from clearance import ApprovalClient, connect
from clearance.runs import AgentRun
from cli.settings import Settings
from tools import registry, runner
from workflows.agent import AgentWorkflow

from .agent_runs import Run
from .conftest import Serve
from .support import PlayedModel, eventually, says, unique

SOON = timedelta(seconds=2)
"""When the server offers a task anew whose worker keeps silent, as it does from the second failure on."""


async def test_a_worker_without_the_gate_runs_no_agent_and_one_with_it_takes_the_run_up(
    settings: Settings, connection: dict[str, Any], approvals: ApprovalClient, serve: Serve
) -> None:
    registry.load(["tools.samples"])
    model = PlayedModel([says("Finished.")])
    plugin = OpenAIAgentsPlugin(model_params=CALL, model_provider=TestModelProvider(model))
    bare = Worker(
        await connect(connection, plugins=[plugin]),
        task_queue=settings.agents_queue,
        workflows=[AgentWorkflow],
    )
    assert not runner.installed()
    async with bare:
        asked = AgentRun(
            agent="assistant", prompt="Do it", approvals_queue=settings.approvals_queue
        )
        handle = await approvals.temporal.start_workflow(
            "AgentWorkflow",
            asked.model_dump(mode="json"),
            id=unique("run"),
            task_queue=settings.agents_queue,
            task_timeout=SOON,
        )

        async def failed() -> list[str]:
            history = await handle.fetch_history()
            return [
                event.workflow_task_failed_event_attributes.failure.message
                for event in history.events
                if event.HasField("workflow_task_failed_event_attributes")
            ]

        assert "runs agents without the gate" in (await eventually(failed))[0]
        assert model.inputs == []
    async with serve(model, only="agents"):
        assert (await Run(handle, approvals).result()).output == "Finished."

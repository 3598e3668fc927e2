"""The worker process: read settings, connect, register, run.

Two queues, two workers, one process. The approvals worker needs no model and no tools, so that a
person's decision takes effect whatever the agents' side is doing.
"""

import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr
from temporalio.client import Client
from temporalio.worker import Worker

from activities import registered
from activities.directory import DirectoryActivities, InProcess
from activities.handover import Handover
from activities.measuring import counting
from activities.policy import rules_of
from activities.reconciling import schedule
from activities.sending import Sender
from clearance import ClearanceError, connect
from clearance.workers import patient, polled
from cli.checks import unsignable
from cli.settings import Settings, inbox_address, links_database
from cli.starting import prepare, routed, versioned
from cli.telemetry import begin
from policy.watched import WatchedDirectory
from store.ledger.breaker import Breaker

Only = Literal["approvals", "agents"]

_GRACE = timedelta(seconds=30)  # in which running activities may finish after a stop was asked for

_BOTH: Mapping[str, Any] = {
    "graceful_shutdown_timeout": _GRACE,
    # How long a task waits for the worker that holds the workflow in memory. After that worker was
    # killed this is what the first decision waits; Temporal's default of 10 s is felt by a reviewer.
    "sticky_queue_schedule_to_start_timeout": timedelta(seconds=2),
}
"""What both workers are made with."""

_ACTIVITIES = 100  # model calls and tools at the same time, in one process
_MESSAGES = 1_000  # a request's end waits for a place among messages to a server that hangs

NO_MODEL = (
    "no model is configured: set OPENAI_API_KEY, or OPENAI_BASE_URL for any compatible server"
)


class CannotServe(ClearanceError):
    """The worker can't start as asked; the text says what to do."""


@dataclass(frozen=True)
class Serving:
    """What a started worker serves."""

    client: Client
    agents: list[str] | None
    """Their names; None when agents are off."""
    line: str
    """All of it in one line for the log."""


@asynccontextmanager
async def running(
    settings: Settings,
    connection: Mapping[str, Any],
    *,
    only: Only | None = None,
    model_provider: Any = None,
) -> AsyncIterator[Serving]:
    """Run the workers for as long as the context is open; leaving it stops them gracefully.

    Args:
        settings: what to serve.
        connection: how to reach Temporal, as ``Client.connect`` takes it.
        only: one of the two workers alone.
        model_provider: plays the models; left out, the configured one does.

    Raises:
        CannotConnect: Temporal does not answer.
        InvalidKeys: the key file can't be used.
        NotPrepared: search attributes are missing and may not be added; a deployment lacks its build.
        CannotServe: ``only="agents"`` without a model, a broken agents module, policy, file of
            reviewers, key of the ledger's heads.
    """
    policy, reviewers = settings.policy_file(), settings.reviewers_file()
    with _told():
        rules = None if only == "approvals" else rules_of(policy)
    directory = DirectoryActivities(reviewers)
    if only != "agents":
        judged = rules.policy if rules else None
        if reason := unsignable(settings) or directory.problem(judged):
            raise CannotServe(reason)
    telemetry = begin(settings)
    connection = {**connection, **telemetry.options}
    client = await connect(connection, **settings.encryption)
    await prepare(client)
    has_model = model_provider is not None or settings.has_model
    if only == "agents" and not has_model:
        raise CannotServe(NO_MODEL)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(telemetry.end)
        served = [f"connected to {connection['target_host']}, namespace {client.namespace}"]
        served += telemetry.lines
        names, queues = None, []
        if only != "approvals" and has_model:
            provider = model_provider or _models(settings)
            agents, names = await _agents_worker(settings, connection, provider, policy, rules)
            stack.push_async_callback(provider.aclose)
            await stack.enter_async_context(patient(agents))
            queues.append(settings.agents_queue)
            served.append(f"agents on {settings.agents_queue}: {', '.join(names)}")
            served.append(f"policy {policy}" if policy else "no policy file, so every tool waits")
        if only != "agents":
            await stack.enter_async_context(counting(client, settings.approvals_queue))
            ended = Handover(client, Breaker(settings.ledger_address()))
            await stack.enter_async_context(ended)
            approvals = _approvals_worker(settings, client, directory, ended)
            await stack.enter_async_context(patient(approvals))
            queues.append(settings.approvals_queue)
            served.append(f"approvals on {settings.approvals_queue}")
            served += [f"reviewers {reviewers}"] if reviewers else []
            fault = await schedule(client, settings.approvals_queue, settings.reconcile_every)
            served += [fault] if fault else []
        if only is None and not has_model:
            served.append(f"agents are off, {NO_MODEL}")
        await polled(client, queues)
        served += await routed(settings, client)
        yield Serving(client, names, "; ".join(served))


def _approvals_worker(
    settings: Settings, client: Client, directory: DirectoryActivities, ended: Handover
) -> Worker:
    from workflows.approval import ApprovalWorkflow
    from workflows.consumption import ConsumptionWorkflow
    from workflows.notifying import NotifierWorkflow
    from workflows.reconciling import ReconcileWorkflow
    from workflows.sandbox import OURS

    return Worker(
        client,
        task_queue=settings.approvals_queue,
        workflows=[ApprovalWorkflow, ConsumptionWorkflow, NotifierWorkflow, ReconcileWorkflow],
        activities=registered.for_approvals(
            client,
            queue=settings.approvals_queue,
            directory=directory,
            window=settings.notify_digest,
            sender=sender(settings, directory.file),
            ledger=ended.ledger,
            key=settings.ledger_key,
            heads=settings.ledger_heads,
        ),
        interceptors=[ended, InProcess(directory)],
        workflow_runner=OURS,
        max_concurrent_activities=_MESSAGES,
        max_cached_workflows=settings.workflow_cache,
        **versioned(settings, "approvals"),
        **_BOTH,
    )


def sender(settings: Settings, directory: WatchedDirectory) -> Sender:
    """What tells people, as the worker does it. Raises CannotServe: the SMTP URL is none."""
    with _told():
        return Sender.of(
            directory,
            smtp_url=_secret(settings.smtp_url),
            mail_from=settings.mail_from,
            environ=os.environ,
            database=lambda: links_database(settings),
            inbox=lambda: inbox_address(settings),
        )


def _secret(value: SecretStr | None) -> str | None:
    return value.get_secret_value() if value else None


def _models(settings: Settings) -> Any:
    from activities.model import ConfiguredModels

    return ConfiguredModels(
        api_key=_secret(settings.openai_api_key),
        base_url=settings.openai_base_url,
        model=settings.model,
        api=settings.model_api,
    )


async def _agents_worker(
    settings: Settings, connection: Mapping[str, Any], models: Any, policy: Path | None, rules: Any
) -> tuple[Worker, list[str]]:
    # Here, not above: the Agents SDK takes a second to import, and approvals don't need it.
    import agents as agents_sdk
    from temporalio.openai_agents import OpenAIAgentsPlugin

    from activities.model import CALL
    from activities.policy import PolicyActivities
    from tools import inventory, loading, registry, runner
    from workflows.agent import AgentWorkflow

    agents_sdk.set_tracing_disabled(True)
    with _told():
        brought = loading.load_agents(settings.agents)
        if reason := inventory.problem(rules):
            raise CannotServe(reason)
        samples = registered.for_samples(
            settings.state, smtp_url=_secret(settings.smtp_url), mail_from=settings.mail_from
        )
    plugin = OpenAIAgentsPlugin(
        model_params=CALL,
        model_provider=models,
        add_temporal_spans=False,
        mcp_servers=brought.mcp_servers,
    )
    try:
        worker = Worker(
            # In this order: the gate stands before the runner that the first one installs.
            await connect(connection, plugins=[plugin, runner.plugin()], **settings.encryption),
            task_queue=settings.agents_queue,
            workflows=[AgentWorkflow],
            activities=[
                *samples,
                PolicyActivities(policy, settings.decision_keys).load_policy,
                *brought.activities,
            ],
            activity_executor=ThreadPoolExecutor(max_workers=_ACTIVITIES),
            max_concurrent_activities=_ACTIVITIES,
            max_cached_workflows=settings.workflow_cache,
            **versioned(settings, "agents"),
            **_BOTH,
        )
    except ValueError as error:
        raise CannotServe(f"{', '.join(settings.agents)}: {error}") from error
    return worker, registry.names()


def registered_tools(settings: Settings) -> Any:
    """Every tool of every agent there is: a list of ``tools.inventory.ToolSeen``.

    Raises:
        CannotServe: a broken agents module, a broken policy.
    """
    from tools import loading

    with _told():
        return loading.registered_tools(settings.agents, settings.policy_file())


@contextmanager
def _told() -> Iterator[None]:
    """What is wrong with somebody's files, as what keeps us from serving."""
    try:
        yield
    except (ClearanceError, ValueError) as error:
        raise CannotServe(str(error)) from error


def scripted_models() -> Any:
    """What plays the sample agents without any model, for the demo."""
    from activities.scripted import ScriptedModels

    return ScriptedModels()


if __name__ == "__main__":
    from cli.app import main

    main(["worker", *sys.argv[1:]])

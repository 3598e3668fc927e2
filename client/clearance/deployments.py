"""Which builds of the workers there are, and which of them new work goes to (docs/upgrades.md).

One installation has two worker deployments, one for each queue: approvals and agents roll out apart,
and the request of a run that stays with its old build doesn't stay with it.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from temporalio.api.deployment.v1 import WorkerDeploymentInfo
from temporalio.api.enums.v1 import WorkerDeploymentVersionStatus as Status
from temporalio.api.enums.v1 import WorkerVersioningMode
from temporalio.api.taskqueue.v1 import PollerInfo
from temporalio.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
    SetWorkerDeploymentRampingVersionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError

from .away import is_unknown
from .errors import ClearanceError, NotFound
from .filters import quoted
from .workers import at_work, is_alive

Role = Literal["approvals", "agents"]

ROLES: Final[tuple[Role, ...]] = ("approvals", "agents")
"""In the order of a roll-out: new agents may ask what only new approvals understand."""

_WORDS: Final = {
    Status.WORKER_DEPLOYMENT_VERSION_STATUS_CURRENT: "current",
    Status.WORKER_DEPLOYMENT_VERSION_STATUS_RAMPING: "ramping",
    Status.WORKER_DEPLOYMENT_VERSION_STATUS_DRAINING: "draining",
    Status.WORKER_DEPLOYMENT_VERSION_STATUS_DRAINED: "drained",
}
_WHO: Final = "clearance deploy"


class CannotDeploy(ClearanceError):
    """Work can't be sent to this build as things are; nothing was changed. The text says what to do."""


@dataclass(frozen=True)
class Version:
    """One build in one deployment."""

    deployment: str
    build: str
    status: str
    """``current``, ``ramping``, ``draining`` (open runs are pinned to it), ``drained`` or ``inactive``
    (nothing was ever routed to it)."""
    percent: float
    """How much of what is new goes to it."""
    open: int
    """Open workflows whose last task it worked on."""
    pinned: int
    """Those of them that end under it."""
    run: str | None
    """One that does; None where none is pinned."""
    workers: int
    """Processes that poll for it, within the last 150 seconds."""

    @property
    def is_needed(self) -> bool:
        """Whether its workers have to go on. The server says ``drained`` some minutes late."""
        return self.status not in ("drained", "inactive")


@dataclass(frozen=True)
class Deployment:
    """All the builds of one of the two workers."""

    name: str
    queue: str
    current: str | None
    """The build that new work goes to; None: to workers without a version."""
    versions: tuple[Version, ...]
    """Newest first."""
    is_off: bool
    """Whether new work was sent back to workers without a version."""

    def find(self, build: str) -> Version | None:
        """The version with this build."""
        return next((one for one in self.versions if one.build == build), None)

    def takes(self, poller: PollerInfo) -> bool:
        """Whether new work goes to this worker: it is of the current build, or has none where none is."""
        which = poller.deployment_options
        if self.current is None:
            return (
                which.worker_versioning_mode
                != WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED
            )
        return (which.deployment_name, which.build_id) == (self.name, self.current)


def deployment_name(name: str, role: Role) -> str:
    """What Temporal calls the deployment of one of the two workers."""
    return f"{name}-{role}"


async def deployments(client: Client, name: str, queues: Mapping[Role, str]) -> list[Deployment]:
    """Those of the two deployments that a worker has begun.

    Args:
        client: on their namespace.
        name: as CLEARANCE_DEPLOYMENT has it.
        queues: the task queue of each worker.

    Raises:
        RPCError: Temporal doesn't answer, or has no worker versioning.
    """
    found = [await _deployment(client, deployment_name(name, role), queues[role]) for role in ROLES]
    return [one for one in found if one is not None]


async def set_current(client: Client, deployment: Deployment, build: str | None) -> None:
    """Send all new work, and open workflows that upgrade by themselves, to this build.

    Args:
        client: on its namespace.
        deployment: which.
        build: None sends it to workers without a version.

    Raises:
        CannotDeploy: the server refuses, say as a task queue would be left without a worker.
    """
    try:
        await client.workflow_service.set_worker_deployment_current_version(
            SetWorkerDeploymentCurrentVersionRequest(
                namespace=client.namespace,
                deployment_name=deployment.name,
                build_id=build or "",
                identity=_WHO,
                allow_no_pollers=True,  # `usable` has looked, more closely than the server does
            )
        )
    except RPCError as error:
        raise CannotDeploy(f"{deployment.name}: {error.message}") from error


async def ramp(client: Client, deployment: Deployment, build: str, percent: float) -> None:
    """Send part of the new work to this build, the rest to the current one.

    Args:
        client: on its namespace.
        deployment: which.
        build: which gets a part.
        percent: 0 to 100, of what is started, and of open workflows that upgrade by themselves.

    Raises:
        CannotDeploy: the server refuses, say as the build is the current one.
    """
    try:
        await client.workflow_service.set_worker_deployment_ramping_version(
            SetWorkerDeploymentRampingVersionRequest(
                namespace=client.namespace,
                deployment_name=deployment.name,
                build_id=build,
                percentage=percent,
                identity=_WHO,
                allow_no_pollers=True,
            )
        )
    except RPCError as error:
        raise CannotDeploy(f"{deployment.name}: {error.message}") from error


def usable(deployment: Deployment, build: str, *, without_workers: bool = False) -> None:
    """Raise unless work can be sent to this build.

    Raises:
        NotFound: no worker has begun it; names those that are known.
        CannotDeploy: none polls for it now, so that what is sent to it would wait.
    """
    version = deployment.find(build)
    if version is None and not without_workers:
        known = ", ".join(one.build for one in deployment.versions) or "none"
        raise NotFound(
            f"{deployment.name} has no build {build} (known: {known}): start a worker with "
            f"CLEARANCE_BUILD_ID={build} first"
        )
    if not without_workers and version is not None and not version.workers:
        raise CannotDeploy(
            f"no worker of build {build} polls {deployment.queue}: start one with "
            f"CLEARANCE_BUILD_ID={build}, or add --allow-no-pollers"
        )


async def _deployment(client: Client, name: str, queue: str) -> Deployment | None:
    try:
        answer = await client.workflow_service.describe_worker_deployment(
            DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=name)
        )
    except RPCError as error:
        if is_unknown(error):
            return None
        raise
    info = answer.worker_deployment_info
    workers = Counter(
        poller.deployment_options.build_id
        for poller in await at_work(client, queue)
        if poller.deployment_options.deployment_name == name and is_alive(poller)
    )
    routing = info.routing_config
    current = routing.current_deployment_version.build_id or None
    newest = sorted(
        info.version_summaries, key=lambda one: one.create_time.ToNanoseconds(), reverse=True
    )
    versions = [
        await _version(client, info, one, workers[one.deployment_version.build_id])
        for one in newest
    ]
    is_off = current is None and routing.HasField("current_version_changed_time")
    return Deployment(name, queue, current, tuple(versions), is_off)


async def _version(
    client: Client,
    info: WorkerDeploymentInfo,
    found: WorkerDeploymentInfo.WorkerDeploymentVersionSummary,
    workers: int,
) -> Version:
    name, build = info.name, found.deployment_version.build_id
    running = f"TemporalWorkerDeploymentVersion = {quoted(f'{name}:{build}')}"
    running += " AND ExecutionStatus = 'Running'"
    pinned = f"{running} AND TemporalWorkflowVersioningBehavior = 'Pinned'"
    count = (await client.count_workflows(pinned)).count
    named = [one.id async for one in client.list_workflows(pinned, limit=1)] if count else []
    return Version(
        deployment=name,
        build=build,
        status=_WORDS.get(found.status, "inactive"),
        percent=_percent(info, build),
        open=(await client.count_workflows(running)).count,
        pinned=count,
        run=named[0] if named else None,
        workers=workers,
    )


def _percent(info: WorkerDeploymentInfo, build: str) -> float:
    routing = info.routing_config
    if build == routing.ramping_deployment_version.build_id:
        return float(routing.ramping_version_percentage)
    left = 100.0 - float(routing.ramping_version_percentage)
    return left if build == routing.current_deployment_version.build_id else 0.0

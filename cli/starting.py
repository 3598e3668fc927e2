"""What a worker does at its start beside its work: the namespace made ready, which build it is."""

from importlib import metadata
from typing import Any

from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError
from temporalio.worker import WorkerDeploymentConfig

from clearance import ClearanceError, attributes
from clearance.deployments import Role, deployment_name

from .deploy import of
from .settings import Settings

_ON_UPGRADE = {
    # Goes on under the current build, with its next task. For what waits for months and is small: its
    # changes stand behind the names in ``workflows.patches``, and recorded histories prove them.
    "approvals": VersioningBehavior.AUTO_UPGRADE,
    # Ends under the build it began with, whose workers are kept until then. For what runs agents: their
    # tools, prompts and the Agents SDK change with each build, and no patch of ours stands before those.
    "agents": VersioningBehavior.PINNED,
}
"""What becomes of an open workflow when a new build takes over. Not in the workflows' definitions: of
a worker without versioning, Temporal refuses every task that says so."""


class NotPrepared(ClearanceError):
    """Something that a worker needs isn't there, in the namespace or in the settings; the text says what
    to do."""


async def prepare(client: Client) -> None:
    """Make sure that the namespace knows our search attributes. Raises NotPrepared."""
    try:
        await attributes.register(client)
    except RPCError as error:
        absent = ", ".join(key.name for key in await attributes.missing(client))
        raise NotPrepared(
            f"the namespace {client.namespace} lacks the search attributes {absent}, and adding "
            f"them was refused ({error.message}): let its administrator run `clearance setup`"
        ) from error


def versioned(settings: Settings, role: Role) -> dict[str, Any]:
    """What a worker is made with so that it counts as its build.

    Where versioning is off, it only names the release: the SDK would read and hash the code of all
    modules instead, which is a good part of a start.

    Raises:
        NotPrepared: only one of the deployment and the build is named.
    """
    if settings.deployment is None and settings.build_id is None:
        return {"build_id": f"clearance {metadata.version('clearance')}"}
    if settings.deployment is None:
        raise NotPrepared(
            "CLEARANCE_DEPLOYMENT is not set: with CLEARANCE_BUILD_ID a worker belongs to one "
            "(or unset both)"
        )
    if settings.build_id is None:
        raise NotPrepared(
            "CLEARANCE_BUILD_ID is not set: a worker of a deployment says which build it is, "
            "like 1.4.0 or a commit"
        )
    version = WorkerDeploymentVersion(
        deployment_name=deployment_name(settings.deployment, role), build_id=settings.build_id
    )
    return {
        "deployment_config": WorkerDeploymentConfig(
            version=version,
            use_worker_versioning=True,
            default_versioning_behavior=_ON_UPGRADE[role],
        )
    }


async def routed(settings: Settings, client: Client) -> list[str]:
    """Which build this is, and whether anything new comes to it; nothing where versioning is off."""
    build = settings.build_id
    if settings.deployment is None or build is None:
        return []
    said = [f"build {build} of {settings.deployment}"]
    found = {one.name: one.find(build) for one in await of(settings, client)}
    idle = [name for name, version in found.items() if version and not version.percent]
    if idle or not any(found.values()):
        said.append(
            f"nothing new is routed to {' or '.join(idle) or 'it'} here: "
            f"`clearance deploy current {build}`"
        )
    return said

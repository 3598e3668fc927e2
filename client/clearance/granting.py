"""Standing approvals from outside their runs: listing them, and ending one."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pydantic
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.service import RPCError, RPCStatusCode

from . import attributes, contract
from .away import is_unknown
from .errors import InvalidRequest, NotFound, NoWorker, explain
from .fields import Name
from .filters import quoted
from .grants import Grant, Revocation
from .ids import pick, resolve, unknown, whole
from .models import Outcome
from .workers import answered

_AT_ONCE = 20
"""Runs asked at the same time."""

_NAME: pydantic.TypeAdapter[str] = pydantic.TypeAdapter(Name)

_GRANTS: Any = list[Grant]

_Handle = WorkflowHandle[Any, Any]


async def listed(
    client: Client, run: str | None, answer_timeout: timedelta
) -> AsyncIterator[Grant]:
    """``ApprovalClient.grants``. Nothing for a run that has ended: its grants ended with it."""
    found = await _runs(client) if run is None else await _of_one(client, run)
    silent: list[str] = []
    for start in range(0, len(found), _AT_ONCE):
        some = found[start : start + _AT_ONCE]
        answers = await asyncio.gather(
            *(_read(client.get_workflow_handle(id), answer_timeout) for id in some)
        )
        silent += [id for id, answer in zip(some, answers, strict=True) if answer is None]
        for grant in (grant for answer in answers for grant in answer or []):
            yield grant
    if silent:
        raise NoWorker(
            f"no worker answers for {', '.join(silent[:_AT_ONCE])}: start one with `clearance worker` "
            "to see their standing approvals (one whose whole id you know can be revoked without)"
        )


async def revoke(
    client: Client, typed: str, reviewer: str, answer_timeout: timedelta
) -> Revocation:
    """``ApprovalClient.revoke``."""
    try:
        who = _NAME.validate_python(reviewer)
    except pydantic.ValidationError as error:
        raise InvalidRequest(f"reviewer: {explain(error)}") from error
    id = await _resolve(client, whole(typed), answer_timeout)
    run = client.get_workflow_handle(_run_of(id))
    try:
        await run.signal(contract.SIGNAL_REVOKE, {"grant_id": id, "reviewer": who})
    except RPCError as error:
        if not is_unknown(error):
            raise
        raise NotFound(f"{run.id} has ended, and its standing approvals with it") from error
    kept = await _read(run, answer_timeout) or []
    taken = next((one for one in kept if one.id == id and one.revoked_at), None)
    return Revocation(
        grant_id=id,
        run_id=run.id,
        revoked_by=taken.revoked_by or who if taken else who,
        revoked_at=taken and taken.revoked_at,
    )


def _run_of(id: str) -> str:
    return id.rpartition(".")[0]


async def _resolve(client: Client, typed: str, answer_timeout: timedelta) -> str:
    """The whole id of the grant that ``typed`` means."""
    if _run_of(typed) and await _is_running(client, _run_of(typed)):
        run = client.get_workflow_handle(_run_of(typed))
        kept = await _read(run, answer_timeout)
        if any(one.id == typed for one in kept or []):
            return typed
        if kept is None and await _came_with(client, typed):
            return typed
    ids = [grant.id async for grant in listed(client, None, answer_timeout)]
    if found := pick(typed, ids):
        return found
    raise unknown(typed, ids, "`clearance grants` lists the standing approvals")


async def _came_with(client: Client, id: str) -> bool:
    """Whether a standing approval came with this approval: the server knows without any worker."""
    handle = client.get_workflow_handle(id)
    try:
        if (await handle.describe()).status != WorkflowExecutionStatus.COMPLETED:
            return False
        return Outcome.model_validate(await handle.result()).grant is not None
    except (RPCError, pydantic.ValidationError):
        return False


async def _is_running(client: Client, id: str) -> bool:
    """Whether this is an agent run under way."""
    try:
        description = await client.get_workflow_handle(id).describe()
    except RPCError as error:
        if is_unknown(error) or error.status == RPCStatusCode.INVALID_ARGUMENT:
            return False
        raise
    return (
        description.workflow_type == contract.AGENT_WORKFLOW
        and description.status == WorkflowExecutionStatus.RUNNING
    )


async def _of_one(client: Client, run: str) -> list[str]:
    id = await resolve(client, run, workflow_type=contract.AGENT_WORKFLOW)
    return [id] if await _is_running(client, id) else []


async def _runs(client: Client) -> list[str]:
    """The runs under way that have been given a standing approval."""
    query = (
        f"WorkflowType = {quoted(contract.AGENT_WORKFLOW)} AND ExecutionStatus = 'Running' "
        f"AND {attributes.GRANTS.name} > 0"
    )
    return [one.id async for one in client.list_workflows(query, page_size=1_000)]


async def _read(run: _Handle, answer_timeout: timedelta) -> list[Grant] | None:
    """What a run says of its grants; None where nobody answers for it."""
    try:
        asked = run.query(contract.QUERY_GRANTS, result_type=_GRANTS, rpc_timeout=answer_timeout)
        kept: list[Grant] = await answered(run, asked)
    except (RPCError, TimeoutError, WorkflowQueryFailedError):
        return None
    return kept

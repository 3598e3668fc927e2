"""From what a person typed to one id: whole, or any unambiguous prefix or suffix."""

import difflib
from collections.abc import Sequence

from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.service import RPCError, RPCStatusCode

from . import contract
from .away import is_unknown
from .errors import Ambiguous, InvalidRequest, NotFound
from .filters import quoted

_SHOWN = 10


async def resolve(
    client: Client, typed: str, *, workflow_type: str = contract.APPROVAL_WORKFLOW
) -> str:
    """The id of the workflow of that type that ``typed`` means.

    A whole id wins. Otherwise what still runs is searched, then what has ended, for ids that begin
    or end with ``typed``.

    Raises:
        InvalidRequest: empty, over 200 characters, or bytes that are no text.
        Ambiguous: several fit; the text lists them.
        NotFound: none fits; the text lists the nearest.
    """
    return (await described(client, typed, workflow_type=workflow_type)).id


async def described(
    client: Client, typed: str, *, workflow_type: str = contract.APPROVAL_WORKFLOW
) -> WorkflowExecutionDescription:
    """The workflow that ``typed`` means, as the server describes it. Raises like ``resolve``."""
    typed = whole(typed)
    if found := await _of_type(client, typed, workflow_type):
        return found
    everything: list[str] = []
    for running in (True, False):
        ids = await _ids(client, workflow_type, running=running)
        # Once each: a parent that was reset asks again under the same id.
        if id := pick(typed, list(dict.fromkeys(ids))):
            return await client.get_workflow_handle(id).describe()
        everything += ids
    runs = workflow_type == contract.AGENT_WORKFLOW
    lists = "`clearance runs` lists the runs" if runs else "`clearance pending` lists what waits"
    raise unknown(typed, everything, lists)


async def exactly(client: Client, id: str) -> WorkflowExecutionDescription:
    """The request that has this id, as the server describes it. Raises NotFound."""
    try:
        if found := await _of_type(client, id, contract.APPROVAL_WORKFLOW):
            return found
    except RPCError as error:
        if error.status != RPCStatusCode.INVALID_ARGUMENT:  # nothing can have such an id
            raise
    raise NotFound("no request has this id; ids are given whole here")


def whole(typed: str) -> str:
    """What was typed, without the space around it. Raises InvalidRequest for what can be no id."""
    typed = typed.strip()
    if not typed or len(typed) > contract.MAX_ID_CHARS:
        raise InvalidRequest("an id has 1 to 200 characters: `clearance pending` lists them")
    if any("\ud800" <= c <= "\udfff" for c in typed):  # bytes of a command line that are no text
        raise InvalidRequest("an id is text in UTF-8: `clearance pending` lists them")
    return typed


def pick(typed: str, ids: Sequence[str]) -> str | None:
    """The one of ``ids`` that is, or begins or ends with, ``typed``; None where there is none.

    Raises:
        Ambiguous: several fit; the text lists them.
    """
    if typed in ids:
        return typed
    found = [id for id in ids if id.startswith(typed) or id.endswith(typed)]
    if len(found) > 1:
        listed = ", ".join(found[:_SHOWN]) + (" …" if len(found) > _SHOWN else "")
        raise Ambiguous(f"{typed!r} fits {len(found)} ids: {listed}. Type more of it", found)
    return found[0] if found else None


def unknown(typed: str, ids: Sequence[str], else_say: str) -> NotFound:
    """The error that names the nearest of ``ids``, or says ``else_say`` where none is near."""
    nearest = difflib.get_close_matches(typed, ids, n=3, cutoff=0.4)
    hint = f"nearest: {', '.join(nearest)}" if nearest else else_say
    return NotFound(f"nothing has the id {typed!r}; {hint}", nearest)


async def _of_type(
    client: Client, id: str, workflow_type: str
) -> WorkflowExecutionDescription | None:
    try:
        found = await client.get_workflow_handle(id).describe()
    except RPCError as error:
        if is_unknown(error):
            return None
        raise
    return found if found.workflow_type == workflow_type else None


async def _ids(client: Client, workflow_type: str, *, running: bool) -> list[str]:
    """At most 10,000 that run or 1,000 that have ended, newest first."""
    query = (
        f"WorkflowType = {quoted(workflow_type)} "
        f"AND ExecutionStatus {'=' if running else '!='} 'Running'"
    )
    limit = 10_000 if running else 1_000
    return [
        execution.id
        async for execution in client.list_workflows(query, limit=limit, page_size=1_000)
    ]

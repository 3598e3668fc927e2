"""Who has taken an approval's permission to act: one look at the server, no worker needed."""

from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.service import RPCError

from . import contract
from .away import is_unknown
from .permits import Consumption

_UNREADABLE = (KeyError, RuntimeError, TypeError, ValueError)
"""What a converter raises on what it doesn't know, and pydantic on what is no such model."""


async def consumption_of(client: Client, approval_id: str) -> Consumption | None:
    """Who has taken it in time, and what came of it; None where nobody has, or nobody can tell."""
    taken = await read(client, approval_id)
    return taken if taken is not None and taken.at <= taken.until else None


async def read(client: Client, approval_id: str) -> Consumption | None:
    """The same, of one that was taken too late as well."""
    handle = client.get_workflow_handle(contract.consumption_id(approval_id))
    try:
        description = await handle.describe()
    except RPCError as error:
        if not is_unknown(error):
            raise
        return None
    return await _parsed(description, approval_id)


async def _parsed(description: WorkflowExecutionDescription, id: str) -> Consumption | None:
    if description.workflow_type != contract.CONSUMPTION_WORKFLOW:
        return None
    try:
        plain = (await description.memo())[contract.MEMO_CONSUMPTION]
        found = Consumption.model_validate({**plain, "at": description.start_time})
    except _UNREADABLE:
        return None
    return found if found.approval_id == id else None

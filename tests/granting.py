"""What tests of standing approvals share: a policy, calls, and what a run says of its grants."""

import json

from openai.types.responses import ResponseFunctionToolCall

from clearance import attributes
from clearance.grants import Grant

from .agent_runs import Run
from .office import grant
from .support import call, eventually

POLICY = """
    [[checkpoint]]
    checkpoint_id = "large-payments"
    action_pattern = "^pay$"
    when = "args.cents > 5000"

    [[checkpoint]]
    checkpoint_id = "payments"
    action_pattern = "^pay$"

    [[checkpoint]]
    checkpoint_id = "refunds"
    action_pattern = "^refund$"

    [[checkpoint]]
    checkpoint_id = "logins"
    action_pattern = "^log_in$"
"""


def pays(
    cents: int, call_id: str, *, tool: str = "pay", to: str = "Ada"
) -> ResponseFunctionToolCall:
    return call(tool, json.dumps({"to": to, "cents": cents}), call_id)


FIRST = pays(100, "call_1")


REFUND = pays(1, "call_refund", tool="refund")


async def next_of(run: Run, *known: str) -> str:
    """The id of the one request that waits for a person now, apart from the known ones."""

    async def probe() -> str | None:
        left = [id for id in await ungranted(run) if id not in known]
        return left[0] if len(left) == 1 else None

    id = await eventually(probe)
    assert id is not None
    return id


async def ungranted(run: Run) -> list[str]:
    """Open requests without those that only record the use of a grant and close by themselves."""
    found = [one.id async for one in run.approvals.pending(run=run.handle.id)]
    return [id for id in found if (await run.approvals.get(id)).request.grant is None]


async def grants(run: Run) -> list[Grant]:
    """Those the run says it has."""
    return [Grant.model_validate(one) for one in await run.handle.query("grants")]


async def standing(run: Run) -> int | None:
    """How many the lists say it has."""
    return (await run.handle.describe()).typed_search_attributes.get(attributes.GRANTS)


async def granted_and_waiting(run: Run) -> tuple[str, str]:
    """A run that was given a grant for ``pay`` and now waits with a refund: both ids."""
    [waiting] = await run.waits_for()
    await grant(run.approvals, waiting.id)
    return waiting.id, await next_of(run, waiting.id)

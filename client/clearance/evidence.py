"""A run's approvals as evidence: a trace that others check, made from Temporal's own histories.

The format is the JSONL of ``agentack`` (PyPI), schema version 2. What a history doesn't prove is left
out, so that a check of the trace says "incomplete" and never passes what nobody can know.
"""

import asyncio
import json
from collections.abc import Callable, Mapping

from pydantic import BaseModel, ConfigDict, JsonValue
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.service import RPCError

from . import contract, executions
from .away import is_unknown
from .facts import Asked, Facts, Gate
from .ids import resolve
from .pairing import Free
from .proof import asked_by, facts_of
from .tracing import Tracing

_AT_ONCE = 10
"""Histories of approvals that are read at the same time."""

Judge = Callable[[Facts], Free]
"""From a run to which of its calls its policy lets through without a person."""


class Evidence(BaseModel):
    """What can be proved of a run."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    ended: bool
    """Whether the run has ended; of one that goes on, a check says "incomplete"."""
    events: tuple[dict[str, JsonValue], ...]
    """One line of the trace each, in order."""
    notes: tuple[str, ...] = ()
    """What could not be proved, a sentence each."""

    def jsonl(self) -> str:
        """The trace as a file has it: a line of JSON an event, ASCII only."""
        lines = (json.dumps(one, sort_keys=True, separators=(",", ":")) for one in self.events)
        return "".join(f"{line}\n" for line in lines)


def everything_asks(facts: Facts) -> Free:
    """No call is let through: the strictest judge."""
    return lambda tool, arguments: False


async def evidence(client: Client, run_id: str, judge: Judge = everything_asks) -> Evidence:
    """The evidence of one agent's run. No worker is asked; the same histories give the same trace.

    Args:
        client: made by ``clearance.connect``.
        run_id: the run's id, or any unambiguous prefix or suffix of it.
        judge: which calls need no approval by the run's policy; those are left out of the trace.

    Raises:
        NotFound: there is no such run.
        Ambiguous: there are several.
        InvalidRequest: what can be no id.
        InvalidKeys: it is encrypted with a key that isn't here.
    """
    id = await resolve(client, run_id, workflow_type=contract.AGENT_WORKFLOW)
    description = await client.get_workflow_handle(id).describe()
    codec = client.data_converter.payload_codec
    facts = await facts_of(await _history(client, id, description.run_id), codec)
    limit = asyncio.Semaphore(_AT_ONCE)

    async def asked(gate: Gate) -> tuple[str, Asked] | None:
        async with limit:
            try:
                events = await _history(client, gate.approval_id, gate.execution)
            except RPCError as error:
                if not is_unknown(error):
                    raise
                return None  # its retention is over
            return gate.approval_id, await asked_by(events, codec)

    started = [gate for gate in facts.gates if gate.execution]
    found = await asyncio.gather(*map(asked, started))
    return of_facts(id, facts, dict(filter(None, found)), judge(facts))


def of_facts(run_id: str, facts: Facts, asked: Mapping[str, Asked], free: Free) -> Evidence:
    """The evidence that facts are: of a run, and by approval id of its approvals. A pure function."""
    tracing = Tracing(run_id, facts, asked, free)
    events = tuple(tracing.events())
    return Evidence(
        run_id=run_id, ended=facts.end is not None, events=events, notes=tuple(tracing.notes)
    )


async def _history(client: Client, id: str, execution: str) -> list[HistoryEvent]:
    return [event async for event in executions.history(client, id, execution)]

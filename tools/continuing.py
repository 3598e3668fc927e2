"""An agent run that goes on in another execution, because its history has become long.

It does so before a call of the model, with no approval open and no tool running: its whole conversation
is known there, and nothing is lost on the way.
"""

import asyncio
import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from agents import Agent, RunHooks
from pydantic import JsonValue
from temporalio import workflow
from temporalio.exceptions import ApplicationError

from clearance import contract, gate
from clearance.executions import CannotGoOn, HandedOver, starts_again
from clearance.grants import Grant
from clearance.models import Outcome
from clearance.text import one_line
from clearance.views import Execution
from policy.source import Pinned

from .kinds import reachable
from .run import Run, RunContext

_RUNS_GO_ON = "runs-go-on-anew"
"""A patch of runs from before 2026-11-23, looked at only where a history is long: they stay in their one
execution. May go when none of them is open any more."""

_MANY_EVENTS = 10_000
_MANY_BYTES = 20_000_000
"""In a history, before another execution goes on; where the server suggests it, earlier. It ends what
grows to five times that, or two and a half."""

_MOST_EVENTS = 50_000
_MOST_BYTES = 48_000_000
"""Then a run that can't go on fails, and says why, before the server ends it without a word."""

_MAX_CARRIED_BYTES = 1_800_000
"""Of what is handed over, which travels as one payload, of which Temporal takes 2 MB."""

_MAX_OUTCOMES_BYTES = 300_000
"""Of these, of how earlier approvals ended; what goes beyond is only in their own records."""

_MAX_LISTED = 1_000
"""Approvals that a run's result lists, the last ones; each has its own record."""

_STAYS = "its history is long, and what it knows can't be handed over to another execution"


class Carried(HandedOver):
    """What a run hands over to the execution that goes on."""

    pinned: Pinned
    agent: str
    """Whose turn it is."""
    conversation: list[dict[str, JsonValue]]
    """As the model would have been sent it."""
    turns: int
    """Calls of the model so far."""
    asked: int
    """Approvals so far."""
    closed: list[Outcome]
    grants: list[Grant]
    executions: dict[str, Execution]
    attempts: dict[str, tuple[str, int]]
    last: dict[str, str]
    """What each agent said last."""

    def agent_of(self, agent: Agent[Any]) -> Agent[Any]:
        """Whose turn it is, of an agent and those it hands over to. What is only done at a run's
        beginning has been done: its input is not judged again, and no first call of a tool forced.

        Raises:
            CannotGoOn: this worker has no such agent.
        """
        found = named(agent, self.agent)
        if found is None:
            raise CannotGoOn(f"this worker has no agent {self.agent!r}, whose turn it is")
        settings = found.model_settings
        if found.reset_tool_choice and any("call_id" in item for item in self.conversation):
            settings = dataclasses.replace(settings, tool_choice=None)
        return dataclasses.replace(found, input_guardrails=[], model_settings=settings)

    def resumed(self, context: RunContext, prompt: str) -> Run:
        """The run as it was, of the workflow this is called in."""
        gate.resume(self.asked, self.closed)
        return Run(
            context=context,
            pinned=self.pinned,
            prompt=prompt,
            grants=list(self.grants),
            executions=dict(self.executions),
            _attempts=dict(self.attempts),
            _last=dict(self.last),
        )


def named(agent: Agent[Any], name: str) -> Agent[Any] | None:
    """The one of this name, of an agent and those it hands over to; None where that isn't clear."""
    found = [one for one in reachable(agent) if one.name == name]
    return found[0] if len(found) == 1 else None


def brief(outcomes: Sequence[Outcome], room: int = _MAX_OUTCOMES_BYTES) -> list[Outcome]:
    """The last of them, in at most so many bytes, without what their own records have: they travel in a
    payload of 2 MB."""
    kept: list[Outcome] = []
    room = min(room, _MAX_OUTCOMES_BYTES)
    for outcome in reversed(outcomes[-_MAX_LISTED:]):
        if (decision := outcome.decision) is not None:
            decision = decision.model_copy(update={"reason": one_line(decision.reason, 200)})
        one = outcome.model_copy(update={"decision": decision, "edit": None})
        room -= len(one.model_dump_json().encode(errors="replace"))
        if room < 0:
            break
        kept.append(one)
    return kept[::-1]


class Boundaries(RunHooks[Any]):
    """Stands before every call of the model of one run, those of its tools' own agents aside."""

    def __init__(self, run: Run, agent: Agent[Any], *, turns: int = 0) -> None:
        """Of this run, which began with this agent, so many calls ago."""
        self._run = run
        self._agent = agent
        self._before = self._turns = turns
        self._is_stuck = False
        self.carried: Carried | None = None
        """Set when it is time: another execution is to go on with this, and the agent waits."""

    async def on_llm_start(
        self, context: Any, agent: Any, system_prompt: str | None, input_items: list[Any]
    ) -> None:
        """Count the call; or wait for ever, where another execution makes it."""
        begun = self._turns > self._before
        if begun and not gate.pending_approvals() and is_long() and workflow.patched(_RUNS_GO_ON):
            self.carried = self._carry(agent.name, input_items)
            if self.carried is not None:
                await asyncio.Future()
            self._stay()
        self._turns += 1

    def _carry(self, agent: str, conversation: list[Any]) -> Carried | None:
        """What is handed over; None where that can't be, or is too large."""
        run = self._run
        if named(self._agent, agent) is None or starts_again():
            return None
        try:
            carried = Carried(
                execution=workflow.info().first_execution_run_id,
                pinned=run.pinned,
                agent=agent,
                conversation=json.loads(json.dumps(conversation)),
                turns=self._turns,
                asked=gate.asked(),
                closed=brief(gate.closed_approvals()),
                grants=run.grants,
                executions=run.executions,
                attempts=run._attempts,
                last={name: said[: contract.MAX_PROSE_CHARS] for name, said in run._last.items()},
            )
            size = len(carried.model_dump_json().encode())
        except (TypeError, ValueError):  # an item of somebody's that is no JSON
            return None
        return carried if size <= _MAX_CARRIED_BYTES else None

    def _stay(self) -> None:
        """Go on in this execution as long as there is room; say so, once."""
        info = workflow.info()
        events, size = info.get_current_history_length(), info.get_current_history_size()
        if events > _MOST_EVENTS or size > _MOST_BYTES:
            raise ApplicationError(
                f"the run's history is full ({events:,} events, {size:,} bytes), and what it knows "
                "can't be handed over to another execution: split the task, or let its tools answer "
                "more briefly",
                type="HistoryTooLong",
                non_retryable=True,
            )
        if not self._is_stuck:
            self._is_stuck = True
            workflow.upsert_memo({contract.MEMO_LONG: _STAYS})


def is_long() -> bool:
    """Whether the history of this execution is so long that another one should go on."""
    info = workflow.info()
    many = info.get_current_history_length() > _MANY_EVENTS
    return (
        many or info.get_current_history_size() > _MANY_BYTES or info.is_continue_as_new_suggested()
    )

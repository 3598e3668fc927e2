"""What the gate knows of the agent run it stands in: its policy, its grants, what the agent said."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from agents import ModelResponse
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage
from pydantic import JsonValue
from temporalio import workflow
from temporalio.exceptions import ApplicationError

from clearance import attributes, contract, mask
from clearance.grants import Grant, GrantUse
from clearance.models import Outcome
from clearance.views import Execution
from policy import match
from policy.source import Pinned

_MAX_EXECUTIONS = 1_000
"""Remembered for whoever reads a record; what was done before them stays in the history."""


@dataclass(frozen=True)
class RunContext:
    """The run's own settings, handed to tools by the Agents SDK as ``ctx.context``."""

    requester: str | None = None
    approvals_queue: str = contract.APPROVALS_QUEUE
    expires_in: timedelta | None = contract.DEFAULT_EXPIRY


@dataclass
class Run:
    """One agent run. It lives on the workflow's instance, where no tool's context can replace it."""

    context: RunContext
    pinned: Pinned
    prompt: str = ""
    rules: match.Rules = field(init=False)
    """The pinned policy, compiled."""
    grants: list[Grant] = field(default_factory=list)
    stopped: ApplicationError | None = None
    """Set by a rejection or an expiry that has to end the run; nothing on the way can swallow it."""
    executions: dict[str, Execution] = field(default_factory=dict)
    """By approval id: what was approved and has run, the last of it."""
    _attempts: dict[str, tuple[str, int]] = field(default_factory=dict)
    _said: dict[str, str] = field(default_factory=dict)
    _last: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Compile the policy, or take it from another run that went by the same."""
        self.rules = match.rules_of(self.pinned)

    @property
    def secrets(self) -> frozenset[str]:
        """Names of arguments that are masked."""
        return mask.names(self.pinned.policy.secrets)

    def judge(
        self, arguments: Mapping[str, JsonValue], name: str, *also: str, agent: str
    ) -> match.Verdict:
        """What the policy says of a call: the first checkpoint that matches decides.

        Args:
            arguments: of the call.
            name: of the tool, whole.
            also: shorter names that a policy may mean it by. They can stop a call, and never let
                one through: a tool of another server could go by the same.
            agent: the name of the agent that calls.
        """
        requester = self.context.requester or ""
        verdicts = [
            self.rules.judge(one, arguments, agent=agent, requester=requester)
            for one in dict.fromkeys((name, *also))
        ]
        stopping = [one for one in verdicts[1:] if one.gated and one.checkpoint is not None]
        if not stopping:
            return verdicts[0]
        order = [one.checkpoint_id for one in self.rules.policy.checkpoint]
        return min(
            (verdicts[0], *stopping),
            key=lambda one: (
                order.index(one.checkpoint.checkpoint_id) if one.checkpoint else len(order)
            ),
        )

    def heard(self, agent: str, response: ModelResponse) -> None:
        """Keep what the agent said beside its tool calls, or else last before them."""
        parts = [
            part.text or ""  # the plugin builds what a model answered without validating it
            for item in response.output
            if isinstance(item, ResponseOutputMessage)
            for part in item.content
            if part.type == "output_text"
        ]
        if said := "\n".join(parts).strip():
            self._last[agent] = said
        for item in response.output:
            if isinstance(item, ResponseFunctionToolCall):
                self._said[item.call_id] = self._last.get(agent, "")

    def said(self, agent: str, call_id: str | None) -> str:
        """What the agent said as it made this call; empty where it said nothing."""
        return self._said.pop(call_id or "", "") or self._last.get(agent, "")

    def use_grant(
        self, tool: str, checkpoint: str | None, arguments: Mapping[str, JsonValue], now: datetime
    ) -> tuple[Grant, GrantUse] | None:
        """The standing approval that covers this call, if any; with it, one of its uses.

        Conditions see what the reviewers who wrote them saw: masked arguments are masked here too.
        """
        shown, _ = mask.conceal(arguments, self.secrets)
        for grant in self.grants:
            if (
                (grant.tool, grant.checkpoint) == (tool, checkpoint)
                and grant.revoked_at is None
                and now < grant.expires_at
                and len(grant.used_by) < grant.max_uses
                and self._holds(grant, shown)
            ):
                return grant, GrantUse(
                    grant_id=grant.id,
                    granted_by=grant.granted_by,
                    condition=grant.condition,
                    use=len(grant.used_by) + 1,
                    max_uses=grant.max_uses,
                )
        return None

    def _holds(self, grant: Grant, shown: Mapping[str, JsonValue]) -> bool:
        variables: dict[str, JsonValue] = {
            "args": dict(shown),
            "tool": grant.tool,
            "agent": "",
            "requester": self.context.requester or "",
        }
        try:
            return match.holds(grant.condition, variables) is True
        except ValueError:
            return False  # somebody is asked

    def add_grant(self, outcome: Outcome, tool: str, checkpoint: str | None) -> None:
        """Keep what a reviewer allowed beyond the call that was asked about."""
        terms, decision = outcome.grant, outcome.decision
        if terms is None or decision is None or outcome.approved is not True:
            return
        self.grants.append(
            Grant(
                id=outcome.approval_id,
                run_id=workflow.info().workflow_id,
                tool=tool,
                checkpoint=checkpoint,
                condition=terms.condition,
                max_uses=terms.max_uses,
                granted_by=decision.by,
                granted_at=decision.at,
                expires_at=decision.at + terms.expires_in,
            )
        )
        self._publish()

    def attempt(self, tool: str) -> tuple[str | None, int]:
        """Of the next request for a tool: the approval in which changes were requested, if that was
        the last one of the tool; and which attempt this is."""
        before, number = self._attempts.get(tool, (None, 0))
        return before, min(number + 1, contract.MAX_ATTEMPTS)

    def attempted(self, outcome: Outcome, tool: str) -> None:
        """Remember a request for changes; any other outcome of the tool ends the attempts."""
        _, number = self.attempt(tool)
        if outcome.changes_requested:
            self._attempts[tool] = outcome.approval_id, number
        else:
            self._attempts.pop(tool, None)

    def executed(self, approval_id: str, *, failed: bool) -> None:
        """Remember that what was approved has run just now; ``failed``: the tool raised an error."""
        done = Execution(approval_id=approval_id, at=workflow.now(), failed=failed)
        self.executions[approval_id] = done
        if len(self.executions) > _MAX_EXECUTIONS:
            del self.executions[next(iter(self.executions))]

    def revoke(self, who: str, now: datetime, *, id: str | None = None, tool: str = "") -> bool:
        """End the grant with this id, or those of a tool. Returns whether any was in force."""
        found = [
            grant
            for grant in self.grants
            if grant.revoked_at is None and (grant.id == id or (id is None and grant.tool == tool))
        ]
        for grant in found:
            grant.revoked_by, grant.revoked_at = who, now
        if found:
            self._publish()
        return bool(found)

    def _publish(self) -> None:
        """Tell the lists how many grants stand, so that those who list them ask only such runs."""
        standing = sum(grant.revoked_at is None for grant in self.grants)
        workflow.upsert_search_attributes([attributes.GRANTS.value_set(standing)])


def begin(run: Run) -> None:
    """Make ``run`` the one that the gates of this workflow go by, from here to its end."""
    workflow.instance().__dict__["_clearance_run"] = run


def current() -> Run | None:
    """The run of the workflow this is called in; None in a workflow that isn't an agent run of ours."""
    run: Run | None = workflow.instance().__dict__.get("_clearance_run")
    return run

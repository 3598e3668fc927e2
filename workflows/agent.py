"""``AgentWorkflow``: the parent that runs an agent and waits, at no cost, where it must."""

from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    import pydantic
    from agents import Agent, RunConfig, Runner
    from agents.exceptions import AgentsException
    from temporalio.openai_agents import AgentsWorkflowError

    from clearance import contract, gate
    from clearance.errors import explain
    from clearance.runs import AgentResult, AgentRun
    from clearance.views import PendingApproval
    from tools import registry
    from tools.context import RunContext


@workflow.defn(name=contract.AGENT_WORKFLOW)
class AgentWorkflow:
    """One run of a named agent. Model calls are activities; approvals are child workflows."""

    @workflow.run
    async def run(self, run: Any = None, *extra: Any) -> AgentResult:
        """Run the agent to its final answer.

        Args:
            run: an ``AgentRun``. Untyped on the wire and validated here, because this worker's
                converter builds models without validating them where validation fails.
            extra: must be empty; one argument too many makes the run malformed.

        Raises:
            ApplicationError: type ``InvalidRequest`` (malformed run, unknown agent), or the name
                of the Agents SDK's error (``MaxTurnsExceeded``, ``ModelBehaviorError`` ...).
            AgentsWorkflowError: a tool or the model failed for good; the cause says why.
        """
        parsed, agent = _parse([run, *extra] if extra else run)
        try:
            result = await Runner.run(
                agent,
                parsed.prompt,
                context=RunContext(
                    requester=parsed.requester,
                    approvals_queue=parsed.approvals_queue,
                    expires_in=parsed.expires_in,
                ),
                max_turns=parsed.max_turns,
                run_config=RunConfig(
                    # Traces would carry prompts and arguments to a third party.
                    tracing_disabled=True,
                    # A slip of the model must not end a run, and with it the requests that wait.
                    tool_not_found_behavior="return_error_to_model",
                ),
            )
        except AgentsWorkflowError:
            raise
        except AgentsException as error:
            # Temporal would take an unknown exception for a bug and retry the task for ever.
            raise ApplicationError(
                str(error), type=type(error).__name__, non_retryable=True
            ) from error
        return AgentResult(output=str(result.final_output), approvals=gate.closed_approvals())

    @workflow.query(name=contract.QUERY_PENDING)
    def pending_approvals(self) -> list[PendingApproval]:
        """What the run waits for now: id, action, since when."""
        return gate.pending_approvals()


def _parse(run: Any) -> tuple[AgentRun, Agent[Any]]:
    try:
        parsed = AgentRun.model_validate(run)
        return parsed, registry.build(parsed.agent)
    except (pydantic.ValidationError, registry.UnknownAgent) as error:
        text = explain(error) if isinstance(error, pydantic.ValidationError) else str(error)
        raise ApplicationError(
            text, type=contract.ERROR_INVALID_REQUEST, non_retryable=True
        ) from error

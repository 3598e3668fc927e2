"""``AgentWorkflow``: the parent that runs an agent and waits, at no cost, where it must."""

import asyncio
from datetime import timedelta
from typing import Any, NoReturn

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    import pydantic
    from agents import Agent, RunConfig, Runner
    from agents.exceptions import AgentsException, MaxTurnsExceeded
    from temporalio.openai_agents import AgentsWorkflowError

    from activities.policy import PolicyActivities
    from activities.sizing import MAX_BYTES
    from clearance import contract, gate
    from clearance.errors import explain
    from clearance.executions import CannotGoOn
    from clearance.fields import Name
    from clearance.runs import AgentResult, AgentRun
    from clearance.views import PendingApproval
    from policy.source import Pinned
    from tools import continuing, registry, runner
    from tools.continuing import Boundaries, Carried
    from tools.run import Run, RunContext, begin
    from workflows.patches import (
        BEFORE_POLICIES,
        POLICY_IS_PINNED,
        POLICY_IS_READ_IN_PLACE,
    )

_READ_POLICY: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=30),
    "retry_policy": RetryPolicy(maximum_attempts=1),  # the run tries again itself, and says why
}

_LONGEST_PAUSE = timedelta(minutes=5)
"""Between two attempts: each leaves some events behind, and a history takes 50,000."""

_NAME: pydantic.TypeAdapter[str] = pydantic.TypeAdapter(Name)


@workflow.defn(name=contract.AGENT_WORKFLOW)
class AgentWorkflow:
    """One run of a named agent. Model calls are activities; approvals are child workflows."""

    def __init__(self) -> None:
        """Nothing is known of the run until its policy has been read."""
        self._run: Run | None = None
        self._revoked: list[tuple[str, str]] = []
        """By whom, and which grant: what came before the run knows its grants."""

    @workflow.run
    async def run(self, run: Any = None, *extra: Any) -> AgentResult:
        """Run the agent to its final answer.

        Args:
            run: an ``AgentRun``. Untyped on the wire and validated here, because this worker's
                converter builds models without validating them where validation fails.
            extra: must be empty; one argument too many makes the run malformed. Where the run goes on
                from an execution before, what that has handed over, a plain ``Carried``.

        Raises:
            ApplicationError: type ``InvalidRequest`` (malformed run, unknown agent);
                ``CollaborationError`` and ``TimeoutError``, a rejection or an expiry that the
                policy says ends the run; ``Ungatable``, the agent has a tool that nothing could
                stop; ``AnswerTooLarge``, its answer is more than 2,000,000 bytes; or the name of the
                Agents SDK's error (``MaxTurnsExceeded`` ...).
            CannotGoOn: fails the task only: this worker can't read what the run goes on from.
            AgentsWorkflowError: a tool or the model failed for good; the cause says why.
        """
        carried = continuing.Carried.received(extra)
        try:
            parsed, agent = _parse([run, *extra] if extra and carried is None else run)
        except ApplicationError as error:
            if carried is None:
                raise
            raise CannotGoOn(error.message) from None  # the worker before could
        if not runner.installed():
            # Fails this task, not the run: a worker that has the gate can take it up.
            raise RuntimeError(
                "this worker runs agents without the gate: add tools.runner.plugin()"
            )
        context = RunContext(
            requester=parsed.requester,
            approvals_queue=parsed.approvals_queue,
            expires_in=parsed.expires_in,
        )
        self._run = (
            carried.resumed(context, parsed.prompt)
            if carried
            else Run(context=context, pinned=await _policy(), prompt=parsed.prompt)
        )
        for who, grant_id in self._revoked:
            self._run.revoke(who, workflow.now(), id=grant_id)
        begin(self._run)
        hooks = Boundaries(self._run, agent, turns=carried.turns if carried else 0)
        work = asyncio.create_task(_play(agent, parsed, self._run, hooks, carried))
        try:
            await workflow.wait_condition(
                lambda: work.done() or self._stopped() is not None or hooks.carried is not None
            )
        finally:
            # Whatever ended the wait: an agent that goes on would act for a run that is over.
            work.cancel()
        if (stopped := self._stopped()) is not None:
            raise stopped
        if hooks.carried is not None:
            _go_on(run, hooks.carried)
        return _result(await work)

    def _stopped(self) -> ApplicationError | None:
        return self._run.stopped if self._run else None

    @workflow.query(name=contract.QUERY_PENDING)
    def pending_approvals(self) -> list[PendingApproval]:
        """What the run waits for now: id, action, since when."""
        return gate.pending_approvals()

    @workflow.query(name=contract.QUERY_GRANTS)
    def grants(self) -> list[dict[str, Any]]:
        """The standing approvals the run was given, those that have ended too: each a ``Grant``."""
        # As plain JSON: this worker's converter leaves out fields that were never assigned, and the
        # uses of a grant are only ever appended to.
        return [grant.model_dump(mode="json") for grant in self._run.grants] if self._run else []

    @workflow.query(name=contract.QUERY_EXECUTION)
    def execution(self, approval_id: Any = None, *extra: Any) -> dict[str, Any] | None:
        """When the action of one of the run's approvals ran, as a plain ``Execution``.

        None where it didn't, where that isn't known (the model's provider ran it), or where 1,000
        others have run since.
        """
        if self._run is None or extra:
            return None
        found = self._run.executions.get(str(approval_id))
        return None if found is None else found.model_dump(mode="json")

    @workflow.signal(name=contract.SIGNAL_REVOKE)
    def revoke_grant(self, said: Any = None, *extra: Any) -> None:
        """End a standing approval, for the next call already. Malformed ones change nothing.

        Args:
            said: ``{grant_id, reviewer}``; untyped, because a converter that refuses would fail
                the workflow task, again and again.
            extra: must be empty.
        """
        if extra or not isinstance(said, dict):
            return
        try:
            who = _NAME.validate_python(said.get("reviewer"))
        except pydantic.ValidationError:
            return
        grant_id = str(said.get("grant_id"))
        if self._run is None:
            self._revoked.append((who, grant_id))
        else:
            self._run.revoke(who, workflow.now(), id=grant_id)


def _result(output: str) -> AgentResult:
    """What the run answers, with as many of its approvals as there is room for beside that."""
    room = MAX_BYTES - len(AgentResult(output=output).model_dump_json().encode())
    if room < 0:  # the server would refuse it, and the worker try it again without end
        raise ApplicationError(
            f"the run has ended, and its answer is {MAX_BYTES - room:,} bytes, at most {MAX_BYTES:,}: "
            "let the agent answer more briefly, or with a reference",
            type="AnswerTooLarge",
            non_retryable=True,
        )
    return AgentResult(output=output, approvals=continuing.brief(gate.closed_approvals(), room))


def _go_on(run: Any, carried: Carried) -> NoReturn:
    """Another execution goes on; lists still say when the run began."""
    memo = dict(workflow.memo())  # as it was at the beginning, where it isn't given anew
    if isinstance(shown := memo.get(contract.MEMO_RUN), dict):
        began = workflow.info().workflow_start_time.isoformat()
        memo[contract.MEMO_RUN] = {"started_at": began, **shown}
    workflow.continue_as_new(args=[run, carried.model_dump(mode="json")], memo=memo)


async def _policy() -> Pinned:
    """The policy of this run, as its file was at the start: recorded, so that replay agrees.

    Without end: a broken file is mended, and then the run goes on. Until then its memo says why.
    """
    if not workflow.patched(POLICY_IS_READ_IN_PLACE):
        return await _policy_by_task()
    trouble, pause = None, timedelta(seconds=1)
    while True:
        try:
            # Local: it has no task on the server that somebody else could complete.
            plain: dict[str, Any] = await workflow.execute_local_activity_method(
                PolicyActivities.load_policy, **_READ_POLICY
            )
            break
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            if trouble != (trouble := error.message):
                workflow.upsert_memo({contract.MEMO_TROUBLE: trouble})
        await workflow.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
    if trouble is not None:
        workflow.upsert_memo({contract.MEMO_TROUBLE: None})
    return Pinned.model_validate(plain)


async def _policy_by_task() -> Pinned:
    """The same for runs from before."""
    if not workflow.patched(POLICY_IS_PINNED):
        return BEFORE_POLICIES
    plain: dict[str, Any] = await workflow.execute_activity_method(
        PolicyActivities.load_policy,
        start_to_close_timeout=timedelta(seconds=30),
        retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=10)),
    )
    return Pinned.model_validate(plain)


async def _play(
    agent: Agent[Any], run: AgentRun, state: Run, hooks: Boundaries, carried: Carried | None
) -> str:
    try:
        result = await Runner.run(
            carried.agent_of(agent) if carried else agent,
            list[Any](carried.conversation) if carried else run.prompt,
            context=state.context,
            hooks=hooks,
            max_turns=run.max_turns - (carried.turns if carried else 0),
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
        if isinstance(error, MaxTurnsExceeded):  # which only knows of those of this execution
            error = MaxTurnsExceeded(f"Max turns ({run.max_turns}) exceeded")
        raise ApplicationError(str(error), type=type(error).__name__, non_retryable=True) from error
    return str(result.final_output)


def _parse(run: Any) -> tuple[AgentRun, Agent[Any]]:
    try:
        parsed = AgentRun.model_validate(run)
        return parsed, registry.build(parsed.agent)
    except (pydantic.ValidationError, registry.UnknownAgent) as error:
        text = explain(error) if isinstance(error, pydantic.ValidationError) else str(error)
        raise ApplicationError(
            text, type=contract.ERROR_INVALID_REQUEST, non_retryable=True
        ) from error

"""The gate around tools: a call that the run's policy stops waits for a person, in code.

Nothing in a prompt or in the arguments can go round it: the model's call ends here, and what runs
afterwards is what was approved.
"""

import copy
import inspect
import json
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from agents import FunctionTool, HostedMCPTool, RunContextWrapper, ToolOutputText
from agents.tool import MCPToolApprovalFunctionResult, MCPToolApprovalRequest, invoke_function_tool
from agents.tool_context import ToolContext
from pydantic import JsonValue
from temporalio import workflow
from temporalio.exceptions import ApplicationError

from clearance.fields import canonical_json
from clearance.models import Edit, Outcome
from policy.match import Verdict

from .asking import Arguments, answer, ask, in_force, request_for, said, settle, to_run
from .confirmation import tell_model
from .examine import schema_error
from .run import Run, current

RUNS_IN_A_THREAD = "__agents_sync_function_tool__"
"""The Agents SDK's own mark on what invokes a plain ``def``."""

_GATED = "_clearance_gated"

_key: ContextVar[str] = ContextVar("idempotency_key")


def idempotency_key() -> str:
    """The key of the tool call under way, for the activity that has the effect.

    It is the approval's id, and for a call that no person had to allow a UUID that stays the same
    when the activity is retried. Raises LookupError outside a call.
    """
    return _key.get()


def gated(tool: FunctionTool) -> FunctionTool:
    """A copy of ``tool`` that goes by the policy of the run it is called in. Gating twice is once.

    Malformed arguments are told to the model and never shown to a person. The tool receives
    exactly the arguments that were approved. Its own ``needs_approval`` is one more reason to stop.
    """
    if getattr(tool, _GATED, False):
        return tool
    stopped = copy.copy(tool)
    stopped.timeout_seconds = None  # of the tool itself, below; a person takes as long as it takes
    stopped.needs_approval = False  # asked below, of a person, where the SDK would end the run

    async def invoke(ctx: ToolContext[Any], arguments: Arguments) -> Any:
        raw = canonical_json(arguments)
        ctx = copy.copy(ctx)
        ctx.tool_arguments = raw  # the SDK shows them to the tool, too
        if ctx.tool_call is not None:
            ctx.tool_call = ctx.tool_call.model_copy(update={"arguments": raw})
        return await invoke_function_tool(function_tool=tool, context=ctx, arguments=raw)

    async def on_invoke(ctx: ToolContext[Any], raw: str) -> Any:
        run = pinned()
        try:
            arguments = parse(tool.name, raw)
        except ValueError as error:
            return f"Nothing ran: {error}. Correct the arguments and call again."
        verdict = judge(run, ctx, arguments, tool.name, tool.qualified_name)
        if not verdict.gated and not await _wants_approval(tool, ctx, arguments):
            return await _with_key(str(workflow.uuid4()), invoke, ctx, arguments)
        if wrong := schema_error(arguments, tool.params_json_schema):
            return f"Nothing ran: the arguments of {tool.name} are wrong: {wrong}. Correct them."
        try:
            return await _through(run, verdict, tool, ctx, arguments, invoke)
        except ApplicationError as error:
            return tell_model(ctx, error)

    # Kept, because a workflow has no threads: the registry refuses such a tool at the start.
    setattr(on_invoke, RUNS_IN_A_THREAD, getattr(tool.on_invoke_tool, RUNS_IN_A_THREAD, False))
    stopped.on_invoke_tool = on_invoke
    stopped.__dict__[_GATED] = True
    return stopped


def gated_mcp(tool: HostedMCPTool) -> HostedMCPTool:
    """A copy of a tool that the model's provider runs, whose every call asks our policy first.

    The provider is told to ask always. Nobody can change the arguments there, so such a request
    takes only yes or no.
    """

    async def on_approval(request: MCPToolApprovalRequest) -> MCPToolApprovalFunctionResult:
        ctx, call = request.ctx_wrapper, request.data
        run = pinned()
        name = f"{call.server_label}.{call.name}"
        try:
            arguments = parse(name, call.arguments)
        except ValueError as error:
            return {"approve": False, "reason": f"Nothing ran: {error}."}
        verdict = judge(run, ctx, arguments, call.name, name)
        if not verdict.gated:
            return {"approve": True}
        try:
            asked = request_for(
                name,
                arguments,
                run=run,
                checkpoint=verdict.checkpoint,
                agent_message=said(ctx, run),
            )
            outcome = await ask(asked, run)
        except ApplicationError as error:
            return {"approve": False, "reason": tell_model(ctx, error)}
        settle(run, verdict.checkpoint, name, outcome)
        if outcome.approved is True and to_run(asked, outcome, run) == arguments:
            return {"approve": True}
        return {"approve": False, "reason": answer(outcome)}

    config = {**tool.tool_config, "require_approval": "always"}
    return HostedMCPTool(tool_config=config, on_approval_request=on_approval)  # type: ignore[arg-type]


def pinned() -> Run:
    """The run under way. Raises ApplicationError ``NoPolicy`` where none was begun: nothing runs."""
    run = current()
    if run is None:
        raise ApplicationError(
            "no policy is pinned for this workflow, so no tool runs",
            type="NoPolicy",
            non_retryable=True,
        )
    return run


def judge(run: Run, ctx: RunContextWrapper[Any], arguments: Arguments, *names: str) -> Verdict:
    """What the policy says of a call, under any of the names that the tool goes by."""
    agent = getattr(getattr(ctx, "agent", None), "name", "")
    verdicts = [
        run.rules.judge(name, arguments, agent=agent, requester=run.context.requester or "")
        for name in dict.fromkeys(names)
    ]
    return next((verdict for verdict in verdicts if verdict.gated), verdicts[0])


def parse(name: str, raw: str) -> Arguments:
    """A call's arguments. Raises ValueError for what is no JSON object."""
    try:
        arguments: JsonValue = json.loads(raw or "{}", parse_constant=_no_such_number)
    except RecursionError as error:
        raise ValueError(f"the arguments of {name} are nested too deep") from error
    except ValueError as error:
        raise ValueError(f"the arguments of {name} are not JSON: {error}") from error
    if not isinstance(arguments, dict):
        raise ValueError(f"the arguments of {name} are not an object")
    return arguments


def _no_such_number(word: str) -> float:
    raise ValueError(f"{word} is no number in JSON")


async def _wants_approval(tool: FunctionTool, ctx: ToolContext[Any], arguments: Arguments) -> bool:
    """The tool's own word, as its author gave it to the SDK. Only a plain no lets the call through."""
    wants: Any = tool.needs_approval
    if callable(wants):
        wants = wants(ctx, arguments, ctx.tool_call_id)
        if inspect.isawaitable(wants):
            wants = await wants
    return wants is not False


async def _through(
    run: Run,
    verdict: Verdict,
    tool: FunctionTool,
    ctx: ToolContext[Any],
    arguments: Arguments,
    invoke: Callable[[ToolContext[Any], Arguments], Awaitable[Any]],
) -> Any:
    """Ask, unless a standing approval covers the call; then run what was approved, or tell why not."""
    name, checkpoint = tool.qualified_name, verdict.checkpoint
    asked = request_for(
        name,
        arguments,
        run=run,
        checkpoint=checkpoint,
        schema=tool.params_json_schema,
        note=verdict.why if verdict.unclear else "",
        agent_message=said(ctx, run),
    )
    outcome = await _by_grant(run, asked) or await ask(asked, run)
    settle(run, checkpoint, name, outcome)
    if outcome.approved is not True:
        return answer(outcome)
    approved = to_run(asked, outcome, run)
    if error := schema_error(approved, tool.params_json_schema):
        return f"Nothing ran: the arguments that were approved don't fit {name}: {error}"
    output = await _with_key(outcome.approval_id, invoke, ctx, approved)
    return output if outcome.edit is None else _with_changes(outcome.edit, output)


async def _by_grant(run: Run, asked: Any) -> Outcome | None:
    """The outcome by a standing approval, if one covers this call and still does when it counts."""
    found = run.use_grant(asked.tool, asked.checkpoint, asked.arguments, workflow.now())
    if found is None or not asked.grantable:
        return None
    grant, use = found
    place = len(grant.used_by)
    grant.used_by.append("")  # taken at once: calls in parallel must not share a use
    outcome = await ask(
        asked.model_copy(update={"grant": use, "grantable": False, "expires_in": None}), run
    )
    grant.used_by[place] = outcome.approval_id
    return outcome if in_force(grant) and outcome.approved is True else None


async def _with_key(
    key: str,
    invoke: Callable[[ToolContext[Any], Arguments], Awaitable[Any]],
    ctx: ToolContext[Any],
    arguments: Arguments,
) -> Any:
    token = _key.set(key)
    try:
        return await invoke(ctx, arguments)
    finally:
        _key.reset(token)


def _with_changes(edit: Edit, output: Any) -> Any:
    """A tool's output, after the word that it ran with other arguments than the model chose."""
    changes = "; ".join(
        f"{change.name}: {json.dumps(change.before, ensure_ascii=False)} became "
        f"{json.dumps(change.after, ensure_ascii=False)}"
        if change.kind == "changed"
        else f"{change.name} was {change.kind}"
        for change in edit.changes
    )
    note = f"A person changed the arguments before approving ({changes}). It ran with the changes."
    if isinstance(output, list):
        return [ToolOutputText(text=note), *output]
    if type(output).__name__.startswith("ToolOutput"):
        return [ToolOutputText(text=note), output]
    return f"{note}\n{output}"

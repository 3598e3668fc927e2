"""The gate around tools: a call that the run's policy stops waits for a person, in code.

Nothing in a prompt or in the arguments can go round it: the model's call ends here, and what runs
afterwards is what was approved.
"""

import copy
import inspect
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar, overload

from agents import FunctionTool, ToolOutputText
from agents.tool import ToolOriginType, get_function_tool_origin, invoke_function_tool
from agents.tool_context import ToolContext
from pydantic import BaseModel, JsonValue
from temporalio import workflow
from temporalio.exceptions import ApplicationError

from clearance.fields import canonical_json
from clearance.models import Edit, Outcome
from clearance.requests import ApprovalRequest
from policy.model import Checkpoint

from .arguments import Arguments, parse
from .asking import answer, ask, in_force, request_for, said, settle, to_run
from .confirmation import tell_model
from .examine import answer_error, schema_error
from .run import Run, current

RUNS_IN_A_THREAD = "__agents_sync_function_tool__"
"""The Agents SDK's own mark on what invokes a plain ``def``."""

_GATED = "_clearance_gated"

_TOLD_CHARS = 1_000

_NO_TIMES = {
    "expires_in": None,
    **dict.fromkeys(("remind_after", "remind_before", "escalate_to"), ()),
    "escalate_after": None,
}
"""Of a request that is decided as it is made."""

_key: ContextVar[str] = ContextVar("idempotency_key")
_response: ContextVar[JsonValue] = ContextVar("response")

T = TypeVar("T", bound=BaseModel)


def idempotency_key() -> str:
    """The key of the tool call under way, for the activity that has the effect.

    It is the approval's id, and for a call that no person had to allow a UUID that stays the same
    when the activity is retried. Raises LookupError outside a call.
    """
    return _key.get()


@overload
def response() -> JsonValue: ...
@overload
def response(model: type[T]) -> T: ...
def response(model: type[BaseModel] | None = None) -> Any:
    """What the person answered who allowed the tool call under way, where its checkpoint asks for it.

    Args:
        model: the pydantic model to make of it; left out, it is plain JSON, and None where nobody
            was asked for an answer.

    Raises:
        LookupError: outside a call.
        pydantic.ValidationError: the answer is none of that model, or there is none.
    """
    given = _response.get()
    return given if model is None else model.model_validate(given)


def gated(tool: FunctionTool) -> FunctionTool:
    """A copy of ``tool`` that goes by the policy of the run it is called in. Gating twice is once.

    Malformed arguments are told to the model and never shown to a person. The tool receives
    exactly the arguments that were approved. Its own ``needs_approval`` is one more reason to stop.
    """
    if getattr(tool.on_invoke_tool, _GATED, None) is tool.on_invoke_tool:
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
        agent = ctx.agent.name if ctx.agent else ""
        names = _names(tool, ctx)
        verdict = run.judge(arguments, *names, agent=agent)
        why = verdict.why if verdict.gated else await _own_word(tool, ctx, arguments)
        # Also of a call that goes through, where another might not: a tool reads "false" as false
        # and "7" as 7, and a condition doesn't, so what was judged must be what the schema says.
        matters = why is not None or any(map(run.rules.may_gate, names))
        if matters and (wrong := schema_error(arguments, tool.params_json_schema)):
            return f"Nothing ran: the arguments of {tool.name} are wrong: {wrong}. Correct them."
        if why is None:
            with _call(str(workflow.uuid4())):
                return await invoke(ctx, arguments)
        try:
            note = why if verdict.unclear or not verdict.gated else ""
            return await _through(run, verdict.checkpoint, note, tool, ctx, arguments, invoke)
        except ApplicationError as error:
            return tell_model(ctx, error)

    # Kept, because a workflow has no threads: the registry refuses such a tool at the start.
    setattr(on_invoke, RUNS_IN_A_THREAD, getattr(tool.on_invoke_tool, RUNS_IN_A_THREAD, False))
    # On what is called, and naming it: neither a copy of the tool that calls something else nor a
    # wrapper that took over this function's attributes is gated.
    setattr(on_invoke, _GATED, on_invoke)
    stopped.on_invoke_tool = on_invoke
    return stopped


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


def _names(tool: FunctionTool, ctx: ToolContext[Any]) -> tuple[str, ...]:
    """What the tool is called: as the model called it, whole, then without namespace or server."""
    whole = ctx.qualified_tool_name
    origin = get_function_tool_origin(tool)
    if origin is None or origin.type is not ToolOriginType.MCP:
        return whole, tool.qualified_name, tool.name
    # ``include_server_in_tool_names`` puts ``mcp_server__`` before them.
    return whole, tool.name, *(whole[at.start() + 2 :] for at in re.finditer("(?=__)", whole))


async def _own_word(tool: FunctionTool, ctx: ToolContext[Any], arguments: Arguments) -> str | None:
    """Why the tool itself wants a person asked, as its author told the SDK; None where it doesn't.

    Only a plain no lets the call through.
    """
    wants: Any = tool.needs_approval
    if callable(wants):
        try:
            wants = wants(ctx, copy.deepcopy(arguments), ctx.tool_call_id)
            if inspect.isawaitable(wants):
                wants = await wants
        except Exception as error:
            kind = type(error).__name__  # its text may repeat arguments
            return f"Whether {tool.name} needs approval can't be told, so the gate closes: {kind}"
    return None if wants is False else f"{tool.name} itself wants this call approved."


async def _through(
    run: Run,
    checkpoint: Checkpoint | None,
    note: str,
    tool: FunctionTool,
    ctx: ToolContext[Any],
    arguments: Arguments,
    invoke: Callable[[ToolContext[Any], Arguments], Awaitable[Any]],
) -> Any:
    """Ask, unless a standing approval covers the call; then run what was approved, or tell why not."""
    name = tool.qualified_name
    asked = request_for(
        name,
        arguments,
        run=run,
        checkpoint=checkpoint,
        schema=tool.params_json_schema,
        note=note,
        agent_message=said(ctx, run),
    )
    outcome = await _by_grant(run, asked) or await ask(asked, run)
    settle(run, checkpoint, name, outcome)
    if outcome.approved is not True:
        return answer(outcome, name)
    approved = to_run(asked, outcome, run)
    if error := schema_error(approved, tool.params_json_schema):
        return f"Nothing ran: the arguments that were approved don't fit {name}: {error}"
    if asked.response_schema is not None and (error := answer_error(asked, outcome.response)):
        return f"Nothing ran: {error}"
    with _call(outcome.approval_id, outcome.response):
        output = await _recorded(run, outcome, invoke(ctx, approved))
    return output if outcome.edit is None else _with_changes(outcome.edit, output)


async def _recorded(run: Run, outcome: Outcome, work: Awaitable[Any]) -> Any:
    """The output of ``work``; the run remembers that what was approved has run."""
    try:
        output = await work
    except Exception:
        run.executed(outcome.approval_id, failed=True)
        raise
    run.executed(outcome.approval_id, failed=False)
    return output


async def _by_grant(run: Run, asked: ApprovalRequest) -> Outcome | None:
    """The outcome by a standing approval, if one covers this call and still does when it counts."""
    found = run.use_grant(asked.tool or "", asked.checkpoint, asked.arguments, workflow.now())
    if found is None or not asked.grantable:
        return None
    grant, use = found
    place = len(grant.used_by)
    grant.used_by.append("")  # taken at once: calls in parallel must not share a use
    at_once = {"grant": use, "grantable": False, **_NO_TIMES}
    outcome = await ask(asked.model_copy(update=at_once), run)
    grant.used_by[place] = outcome.approval_id
    return outcome if in_force(grant) and outcome.approved is True else None


@contextmanager
def _call(key: str, answered: JsonValue = None) -> Iterator[None]:
    """Let the tool that is called inside know its key, and what a person answered."""
    tokens = _key.set(key), _response.set(answered)
    try:
        yield
    finally:
        _key.reset(tokens[0])
        _response.reset(tokens[1])


def _short(value: JsonValue) -> str:
    """A value as JSON, cut where it is long: the conversation carries it from here on."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _TOLD_CHARS else f"{text[:_TOLD_CHARS]}… ({len(text):,} characters)"


def _with_changes(edit: Edit, output: Any) -> Any:
    """A tool's output, after the word that it ran with other arguments than the model chose."""
    changes = "; ".join(
        f"{change.name}: {_short(change.before)} became {_short(change.after)}"
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

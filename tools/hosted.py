"""The gate around MCP servers that the model's provider calls by itself."""

from agents import HostedMCPTool
from agents.tool import MCPToolApprovalFunctionResult, MCPToolApprovalRequest
from temporalio.exceptions import ApplicationError

from policy.match import Verdict

from .arguments import parse
from .asking import answer, ask, request_for, said, settle, to_run
from .confirmation import tell_model
from .gate import pinned
from .run import Run


def gated_mcp(tool: HostedMCPTool, agent: str) -> HostedMCPTool:
    """A copy of a tool that the model's provider runs, whose every call asks our policy first.

    The provider is told to ask always. Nobody can change the arguments there, so such a request
    takes only yes or no.

    Args:
        tool: as the agent has it; its own approval setting and callback are not asked.
        agent: the name of that agent, which the provider's question doesn't tell.
    """

    async def on_approval(request: MCPToolApprovalRequest) -> MCPToolApprovalFunctionResult:
        ctx, call = request.ctx_wrapper, request.data
        run = pinned()
        name = f"{call.server_label}.{call.name}"
        try:
            arguments = parse(name, call.arguments)
        except ValueError as error:
            return {"approve": False, "reason": f"Nothing ran: {error}."}
        verdict = run.judge(arguments, name, call.name, agent=agent)
        verdict = _doubted(run, verdict, name, call.name)
        if not verdict.gated:
            return {"approve": True}
        try:
            asked = request_for(
                name,
                arguments,
                run=run,
                checkpoint=verdict.checkpoint,
                note=verdict.why if verdict.unclear else "",
                agent_message=said(ctx, run, agent=agent, call_id=call.id),
            )
            outcome = await ask(asked, run)
        except ApplicationError as error:
            return {"approve": False, "reason": tell_model(ctx, error)}
        settle(run, verdict.checkpoint, name, outcome)
        if outcome.approved is True and to_run(asked, outcome, run) == arguments:
            return {"approve": True}
        return {"approve": False, "reason": answer(outcome, name)}

    config = {**tool.tool_config, "require_approval": "always"}
    return HostedMCPTool(tool_config=config, on_approval_request=on_approval)  # type: ignore[arg-type]


def _doubted(run: Run, verdict: Verdict, *names: str) -> Verdict:
    """The verdict on a call whose arguments nobody can check: a condition on them opens nothing.

    We have no schema of such a tool. ``"false"`` may be false there, and is no ``false`` in a
    condition. So the first checkpoint that goes by the arguments stops a call that it let through,
    or passed over.
    """
    if verdict.gated:
        return verdict
    order = [one.checkpoint_id for one in run.rules.policy.checkpoint]
    decided = order.index(verdict.checkpoint.checkpoint_id) if verdict.checkpoint else len(order)
    doubtful = [
        one
        for name in names
        for one in run.rules.covering(name)
        if "args" in (one.when or "") and order.index(one.checkpoint_id) <= decided
    ]
    if not doubtful:
        return verdict
    first = min(doubtful, key=lambda one: order.index(one.checkpoint_id))
    why = (
        f'checkpoint "{first.checkpoint_id}" matches: its arguments can\'t be checked against a '
        "schema, so the condition doesn't let it through"
    )
    return Verdict(True, first, why, unclear=True)

"""What tests of encryption share: a life of requests whose every text is marked, and the database."""

import json
from pathlib import Path
from typing import Any

from agents import ModelResponse

from clearance import ApprovalClient, ApprovalRequest, contract
from clearance.grants import GrantTerms
from cli.settings import Settings

from .agent_runs import Play, Run
from .office import ADA, GRACE, policed
from .support import PlayedModel, call, eventually, says, unique

MARK = "zebrafish"
"""In every text; in no name."""

POLICY = """
    [[checkpoint]]
    checkpoint_id = "payments"
    action_pattern = "^pay$"
    description_template = "zebrafish-template {to}"
    impact = "zebrafish-impact"
    editable = true

    [[checkpoint]]
    checkpoint_id = "refunds"
    action_pattern = "^refund$"
    on_reject = "stop"
"""

KEPT = tuple(
    f"{MARK}-{word}"
    for word in (
        *("prompt", "argument", "edited", "template", "impact", "comment", "question", "answer"),
        *("reason", "refusal", "refund", "stumble", "action", "details", "delegation", "malformed"),
        *("withdrawal", "outcome", "bare", "stored", "confirmed", "said"),
    )
)
"""What Temporal keeps of such a life where nothing is encrypted."""


class Stumbling(PlayedModel):
    """Fails once, so that Temporal keeps the reason while it tries again."""

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        if not self.inputs:
            self.inputs.append(None)
            raise RuntimeError(f"{MARK}-stumble")
        return await super().get_response(*args, **kwargs)


def marked_model() -> PlayedModel:
    """Pays, pays by a standing approval, wants to refund."""
    return Stumbling(
        [says(f"{MARK}-said"), _call("pay", "argument", 1)],
        [_call("pay", "argument", 2)],
        [_call("refund", "refund", 3)],
        [says(f"{MARK}-never")],
    )


def _call(tool: str, word: str, number: int) -> Any:
    arguments = {"to": f"{MARK}-{word}", "cents": number}
    return call(tool, json.dumps(arguments), f"call_{number}")


def marked(settings: Settings) -> Settings:
    """``settings`` with a policy whose texts are marked."""
    return policed(settings, POLICY)


async def live(play: Play) -> list[str]:
    """A run and three requests, to their ends; the ids of all approvals."""
    run = await play.start("payer", f"{MARK}-prompt", requester=GRACE)
    ids = [*await _paid(run), *await asked_directly(play.approvals)]
    return [*ids, *await _ill_treated(play.approvals)]


async def _paid(run: Run) -> list[str]:
    approvals = run.approvals
    [first] = await run.waits_for()
    await approvals.comment(first.id, f"{MARK}-comment", who=ADA)
    await approvals.ask(first.id, f"{MARK}-question", who=ADA)
    await approvals.answer(first.id, f"{MARK}-answer", who=GRACE)
    await approvals.approve(
        first.id,
        reviewer=ADA,
        reason=f"{MARK}-reason",
        changes={"to": f"{MARK}-edited"},
        grant=GrantTerms(condition="args.cents < 3", max_uses=3),
    )

    async def refund() -> str | None:
        found = [one async for one in approvals.pending(run=run.handle.id)]
        return next((one.id for one in found if one.tool == "refund"), None)

    id = await eventually(refund)
    assert id is not None
    await approvals.reject(id, reviewer=ADA, reason=f"{MARK}-refusal")
    *_, innermost = await run.failure()
    assert f"{MARK}-refusal" in str(innermost)
    return [first.id, id]


async def asked_directly(approvals: ApprovalClient) -> list[str]:
    """Two requests of no run: one that is carried out, one that is withdrawn."""
    request = ApprovalRequest(
        action=f"{MARK}-action",
        details=f"{MARK}-details",
        tool="wire",
        audience=(ADA,),
        confirm_phrase=f"{MARK}-confirmed",
    )
    asked = await approvals.request(request)
    await approvals.delegate(asked.id, to=GRACE, who=ADA, reason=f"{MARK}-delegation")
    await approvals.approve(asked.id, reviewer=GRACE, confirmation=f"{MARK}-confirmed")
    await approvals.consume(asked.id, digest=asked.digest, taker="bank")
    await approvals.report(asked.id, taker="bank", succeeded=False, summary=f"{MARK}-outcome")
    withdrawn = await approvals.request(ApprovalRequest(action=f"{MARK}-bare", requester=GRACE))
    await approvals.withdraw(withdrawn.id, who=GRACE, reason=f"{MARK}-withdrawal")
    return [asked.id, withdrawn.id]


async def _ill_treated(approvals: ApprovalClient) -> list[str]:
    """A request that is none, and signals that are none of ours."""
    await approvals.temporal.start_workflow(
        contract.APPROVAL_WORKFLOW,
        {"action": "Wire", f"{MARK}-malformed": 1},
        id=unique("malformed"),
        task_queue=approvals._queue,
    )
    asked = await approvals.request(ApprovalRequest(action="Wait"))
    handle = approvals.temporal.get_workflow_handle(asked.id)
    await handle.signal(contract.SIGNAL_DECIDE, {"reviewer": f"{MARK}-stored"})
    return [asked.id]


def kept(state: Path) -> bytes:
    """Everything in the embedded server's database, with what is not merged into it yet."""
    return b"".join(path.read_bytes() for path in sorted(state.glob("temporal.db*")))

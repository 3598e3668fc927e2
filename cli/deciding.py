"""Deciding a request: approve, as it is or with changes, and reject."""

import shlex
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from clearance import (
    ApprovalRequest,
    ApprovalView,
    GrantTerms,
    InvalidRequest,
    Receipt,
    Refused,
)
from clearance.acts import ActReceipt
from clearance.away import before_sending
from clearance.errors import explain
from clearance.models import Change
from clearance.rules import CHANGED
from clearance.text import one_line, span
from clearance.values import brief

from . import output, session
from .answering import NOTHING_TYPED, line, response_for
from .approvals import As, Id, Json
from .editing import Draft, assignment

Reason = Annotated[str, typer.Option(help="Why; kept in the record, and told to the agent.")]
Digest = Annotated[
    str | None, typer.Option(help="Of the request you read; refused if it has changed since.")
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Run it with this argument instead: JSON, or else text. Repeat it for several; "
        "order.id=3 changes a part of one.",
    ),
]
Grant = Annotated[
    str | None,
    typer.Option(
        metavar="CONDITION",
        help="Approve further calls like it, too, where this CEL expression holds: "
        "'args.amount <= 100', or true.",
    ),
]
Uses = Annotated[
    int | None, typer.Option(metavar="N", help="With --grant: how many; 10 unless said.")
]
Answer = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="What the request asks to be answered: JSON, or else text; or all of it as JSON. "
        "Repeat it for several.",
    ),
]
DecisionId = Annotated[
    str | None,
    typer.Option(
        metavar="ID", help="Of a decision that you send again after a failure: it counts once."
    ),
]
For = Annotated[
    str | None,
    typer.Option("--for", metavar="TIME", help="With --grant: how long, 15m, 2h, 7d; else 1h."),
]


def approve(
    id: Id,
    reason: Reason = "",
    as_: As = None,
    digest: Digest = None,
    set_: Set = None,
    edit: Annotated[
        bool, typer.Option("--edit", help="Change the arguments in an editor first.")
    ] = False,
    editor: Annotated[
        str, typer.Option(metavar="COMMAND", envvar=["VISUAL", "EDITOR"], help="Which editor.")
    ] = "",
    answer: Answer = None,
    confirm: Annotated[
        str | None, typer.Option(metavar="PHRASE", help="What the request asks you to type.")
    ] = None,
    grant: Grant = None,
    uses: Uses = None,
    for_: For = None,
    decision_id: DecisionId = None,
    as_json: Json = False,
) -> None:
    """Approve a request, as it is or with changes: its action will run."""
    settings = session.load()
    said: dict[str, Any] = {"grant": _terms(grant, uses, for_), "confirmation": confirm}
    said |= {"reviewer": session.reviewer(settings, as_), "reason": reason, "channel": "cli"}
    said |= {"decision_id": decision_id}
    wanted = [assignment(one) for one in set_ or []]

    async def work() -> None:
        async with session.sending(settings) as client:
            async with before_sending():
                view = await client.get(id)
            said["digest"] = digest or view.digest
            with Draft(view) as draft:
                changes = await _changed(draft, view, said, wanted, editor=editor if edit else None)
                await _completed(draft, view, said, answer or [])
                receipt = await client.approve(view.id, **said)
        if as_json:
            output.print_json(receipt)
        elif receipt.in_effect:
            output.out(_approved(receipt, changes, said["grant"]))
        else:
            output.out(recorded("approval of", receipt))

    session.run(work())


def reject(
    id: Id,
    reason: Reason = "",
    ask_changes: Annotated[
        bool,
        typer.Option(
            "--ask-changes", help="The agent may try again: --reason says what to change."
        ),
    ] = False,
    as_: As = None,
    digest: Digest = None,
    decision_id: DecisionId = None,
    as_json: Json = False,
) -> None:
    """Reject a request: its action will not run, and the agent is told why."""
    if ask_changes and not reason.strip():
        raise typer.BadParameter("--ask-changes needs --reason: what should be changed?")
    settings = session.load()
    reviewer = session.reviewer(settings, as_)

    async def work() -> Receipt:
        async with session.sending(settings) as client:
            return await client.reject(
                id,
                reviewer=reviewer,
                reason=reason,
                digest=digest,
                changes_requested=ask_changes,
                channel="cli",
                decision_id=decision_id,
            )

    receipt = session.run(work())
    if as_json:
        output.print_json(receipt)
    elif receipt.in_effect:
        output.out(_rejected(receipt, ask_changes=ask_changes))
    else:
        output.out(recorded("rejection of", receipt))


async def phrase_for(request: ApprovalRequest) -> str | None:
    """What somebody types at the terminal where a request asks for a phrase; None where it doesn't.

    Raises:
        InvalidRequest: nothing was typed, or there is no terminal.
    """
    phrase = request.phrase
    if phrase is None:
        return None
    if not sys.stdin.isatty():
        raise InvalidRequest(f"this has to be confirmed: add --confirm {shlex.quote(phrase)}")
    output.ask(f"Type {phrase} to confirm: ")
    if not (typed := await line()):
        raise InvalidRequest(NOTHING_TYPED)
    return typed


async def _changed(
    draft: Draft,
    view: ApprovalView,
    said: dict[str, Any],
    wanted: Sequence[tuple[str, Any]],
    *,
    editor: str | None,
) -> Sequence[Change]:
    """Say what the arguments of a request that waits become; return what is changed in them."""
    if view.status != "pending":
        return ()
    if (wanted or editor is not None) and said["digest"] != view.digest:
        raise Refused(CHANGED)  # the changes are made in what it is now, which nobody read
    for name, value in wanted:
        draft.assign(name, value)
    if editor is not None:
        await draft.edit(editor)
    _, changes = draft.changed()
    if changes:
        output.show_changes(changes)
        said["arguments"] = draft.arguments
    return changes or (view.edit.changes if view.edit else ())


async def _completed(
    draft: Draft, view: ApprovalView, said: dict[str, Any], answer: Sequence[str]
) -> None:
    """Complete what is said to a request that waits: the stage, the answer, the phrase.

    Of one that is closed nothing is asked: the client tells who decided it.
    """
    if view.status != "pending":
        return
    said["stage"] = view.stage if view.request.stages else None
    said["response"] = await response_for(view, answer)
    if said["confirmation"] is None:
        request, _ = draft.changed()
        said["confirmation"] = await phrase_for(request)


def _terms(condition: str | None, uses: int | None, time: str | None) -> GrantTerms | None:
    given: dict[str, Any] = {"max_uses": uses, "expires_in": time and session.duration(time)}
    given = {name: value for name, value in given.items() if value is not None}
    if condition is None:
        if given:
            raise typer.BadParameter("--uses and --for belong to --grant CONDITION")
        return None
    if time == "never":
        raise typer.BadParameter("--for never: further calls are approved for at most 30 days")
    try:
        return GrantTerms(condition=condition, **given)
    except ValidationError as error:
        raise InvalidRequest(f"--grant: {explain(error)}") from error


def _approved(receipt: Receipt, changes: Sequence[Change], terms: GrantTerms | None) -> str:
    with_changes = f"with changes ({brief(changes)})" if changes else ""
    if not receipt.counted:
        return (
            f"Your changes to {receipt.approval_id} are in ({brief(changes)}), but you may not "
            "approve them yourself: somebody else has to."
        )
    if receipt.status == "pending":
        count = f"{receipt.approvals} of {receipt.quorum} approvals"
        return _counted("approval", receipt, count, with_changes)
    said = f"{receipt.approval_id} is approved"
    said += f": {with_changes}." if changes else "."
    if terms:
        said += (
            f" So are up to {terms.max_uses} further calls like it for {span(terms.expires_in)}, "
            f"if {one_line(terms.condition)}: `clearance revoke {receipt.approval_id}` ends that."
        )
    return said


def _rejected(receipt: Receipt, *, ask_changes: bool) -> str:
    if receipt.status == "pending":
        count = f"{receipt.rejections} of {receipt.reject_quorum} rejections"
        return _counted("rejection", receipt, count)
    again = " Its agent is told what to change, and may ask again." if ask_changes else ""
    return f"{receipt.approval_id} is rejected.{again}"


def _counted(what: str, receipt: Receipt, count: str, more: str = "") -> str:
    """One of several that are needed, or the last one of a stage."""
    said = f"Your {what} of {receipt.approval_id} is counted"
    if receipt.next_stage is not None:
        done, now = one_line(receipt.stage or ""), one_line(receipt.next_stage)
        said += f", {more}." if more else "."
        return f"{said} The stage “{done}” is done; “{now}” is asked now."
    said += f": {count}"
    if receipt.stage is not None:
        said += f" in the stage “{one_line(receipt.stage)}”"
    return f"{said}, {more}." if more else f"{said}."


def recorded(what: str, receipt: Receipt | ActReceipt) -> str:
    """What is said of what the server has stored: ``Your approval of`` this request, for instance."""
    return f"Your {what} {receipt.approval_id} is recorded; it takes effect when a worker is back."

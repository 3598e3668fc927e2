"""Asking for an approval from a script: request."""

import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from clearance import ApprovalRequest, InvalidRequest, Outcome, text
from clearance.errors import explain
from clearance.typed import parsed
from clearance.workers import has_worker
from policy.schemas import schema_problem

from . import output, session
from .answering import answered
from .approvals import As, Json

_STAGE = re.compile(r"(?P<name>[^=]+)=(?:(?P<quorum>\d{1,9}) of )?(?P<who>.+)", re.DOTALL)

_EXIT = {
    "approved": 0,
    "rejected": session.EXIT_FAILED,
    "expired": session.EXIT_EXPIRED,
    "withdrawn": session.EXIT_WITHDRAWN,
}


def request(
    action: Annotated[str, typer.Argument(help="What is about to happen, in one sentence.")],
    details: Annotated[
        str, typer.Option(help="What the reviewer has to read; @FILE reads a file, - the input.")
    ] = "",
    tool: Annotated[str | None, typer.Option(help="The tool that will run.")] = None,
    args: Annotated[str, typer.Option(help="Its arguments, a JSON object.")] = "{}",
    risk: Annotated[str, typer.Option(help="low, medium, high or critical.")] = "medium",
    audience: Annotated[
        list[str] | None,
        typer.Option(metavar="WHO,...", help="Who may decide: people and group:NAME."),
    ] = None,
    quorum: Annotated[
        int | None, typer.Option(metavar="N", help="How many of them have to approve; else one.")
    ] = None,
    reject_quorum: Annotated[
        int | None, typer.Option(metavar="N", help="How many have to reject; else one.")
    ] = None,
    stage: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=WHO,...",
            help="One of several steps, each asked after the one before: 'director=ada,bob', or "
            "'board=2 of group:board'. Repeat it in their order; all other terms hold for each.",
        ),
    ] = None,
    expires_in: Annotated[
        str, typer.Option(metavar="TIME", help="Until the deadline: 90s, 15m, 2h, 7d, 2w or never.")
    ] = "7d",
    remind_after: Annotated[
        list[str] | None, typer.Option(metavar="TIME", help="Remind at this age. Repeat it.")
    ] = None,
    remind_before: Annotated[
        list[str] | None,
        typer.Option(metavar="TIME", help="Remind this long before the deadline. Repeat it."),
    ] = None,
    escalate_to: Annotated[
        list[str] | None,
        typer.Option(metavar="WHO,...", help="Who may decide, too, once it is escalated."),
    ] = None,
    escalate_after: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Escalate at this age; else at the deadline."),
    ] = None,
    self_approval: Annotated[
        list[str] | None,
        typer.Option(
            help="Whose own approval counts: requester, editor, or none. Repeat it for both."
        ),
    ] = None,
    response_schema: Annotated[
        str | None,
        typer.Option(
            metavar="JSON", help="JSON Schema of the answer an approval has to carry; @FILE, or -."
        ),
    ] = None,
    editable: Annotated[
        bool, typer.Option("--editable", help="A reviewer may change the arguments.")
    ] = False,
    id: Annotated[
        str | None, typer.Option(help="An id of your own: asking again then asks nothing new.")
    ] = None,
    wait: Annotated[
        bool,
        typer.Option("--wait", help="Wait; exit 0 approved, 1 rejected, 3 expired, 4 withdrawn."),
    ] = False,
    as_: As = None,
    as_json: Json = False,
) -> None:
    """Ask for an approval from any shell script."""
    settings = session.load()
    terms: dict[str, Any] = {
        "audience": _who(audience, "--audience"),
        "quorum": quorum,
        "reject_quorum": reject_quorum,
        "remind_after": _lengths(remind_after),
        "remind_before": _lengths(remind_before),
        "escalate_to": _who(escalate_to, "--escalate-to"),
        "escalate_after": escalate_after,
    }
    if escalate_after is not None:
        terms["escalate_after"] = _lengths([escalate_after])[0]
    try:
        wanted = ApprovalRequest.model_validate(
            {
                "action": action,
                "details": words(details, "--details"),
                "tool": tool,
                "arguments": _object(args, "--args", '{"amount": 80}'),
                "risk": risk,
                **_terms(
                    {name: value for name, value in terms.items() if value not in (None, [])},
                    {"expires_in": session.duration(expires_in)},
                    stage or [],
                ),
                "self_approval": _own(self_approval),
                "response_schema": _schema(response_schema),
                "editable": editable,
                "requester": session.reviewer(settings, as_),
            }
        )
    except ValidationError as error:
        raise InvalidRequest(explain(error)) from error

    async def work() -> int:
        async with session.connected(settings) as client:
            asked = await client.request(wanted, id=id)
            if not await has_worker(client.temporal, settings.approvals_queue):
                output.say(
                    f"No worker serves {settings.approvals_queue}: the request is stored and "
                    "waits until one does (`clearance worker`)."
                )
            if not wait:
                output.print_json(asked) if as_json else output.out(asked.id)
                return 0
            output.say(f"Waiting for a person: clearance approve {asked.id}")
            outcome = await client.wait(asked.id)
        if as_json:
            output.print_json(outcome)
        else:
            _tell(outcome)
        return _EXIT[outcome.status]

    raise typer.Exit(session.run(work()))


def words(value: str, what: str) -> str:
    """``-`` is standard input, ``@FILE`` a file, anything else itself.

    Args:
        value: what was said on the command line.
        what: the option or the argument that it was said with.

    Raises:
        InvalidRequest: it can't be read, or is no UTF-8.
    """
    try:
        if value == "-":
            return sys.stdin.read()
        if value.startswith("@"):
            return Path(value[1:]).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"{what}: {value} can't be read: {error}") from error
    return value


def _tell(outcome: Outcome) -> None:
    """How it ended, on one line; the answer that came with an approval on the next, as JSON."""
    reason = f": {outcome.reason}" if outcome.reason else ""
    status = "rejected, with changes requested" if outcome.changes_requested else outcome.status
    output.out(text.one_line(f"{outcome.approval_id} is {status}{reason}"))
    if outcome.response is not None:
        output.out(answered(outcome.response))


def _object(given: str, what: str, example: str) -> dict[str, Any]:
    """A JSON object. Raises InvalidRequest."""
    try:
        value = parsed(given)
    except ValueError as error:
        raise InvalidRequest(f"{what} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidRequest(f"{what} must be a JSON object, for example {example}")
    return value


def _schema(given: str | None) -> dict[str, Any] | None:
    """A JSON Schema. Raises InvalidRequest: it is none, or none that the gate can go by."""
    if given is None:
        return None
    what = "--response-schema"
    schema = _object(words(given, what), what, '{"type": "string"}')
    if problem := schema_problem(schema):
        raise InvalidRequest(f"{what}: {problem}")
    return schema


def _lengths(given: list[str] | None) -> list[timedelta]:
    """Ages; never is none. Raises typer.BadParameter."""
    lengths = []
    for one in given or []:
        if (length := session.duration(one)) is None:
            raise typer.BadParameter("'never' is no age: leave the option out")
        lengths.append(length)
    return lengths


def _who(given: list[str] | None, option: str) -> list[str]:
    """Names, of which one option may have several, as ``--stage`` has. Raises typer.BadParameter."""
    names = [name.strip() for one in given or [] for name in one.split(",")]
    if not all(names):
        raise typer.BadParameter(f"{option}: a name is empty: write ada,bob")
    return names


def _own(given: list[str] | None) -> list[str] | None:
    """Whose own approval counts. Raises typer.BadParameter."""
    if not given:
        return None
    for one in given:
        if one not in ("requester", "editor", "none"):
            raise typer.BadParameter(
                f"--self-approval takes requester, editor or none, not {one!r}"
            )
    if "none" in given and len(given) > 1:
        raise typer.BadParameter("--self-approval none: then leave the others out")
    return [one for one in given if one != "none"]


def _terms(said: dict[str, Any], time: dict[str, Any], stages: list[str]) -> dict[str, Any]:
    """The terms of a request; with stages, of each of them. Raises typer.BadParameter."""
    if not stages:
        return said | time
    for name in ("audience", "quorum"):
        if name in said:
            raise typer.BadParameter(f"--{name} is said in each --stage: 'board=2 of ada,bob'")
    return {"stages": [said | time | _stage(one) for one in stages]}


def _stage(given: str) -> dict[str, Any]:
    """``NAME=WHO,WHO``, or ``NAME=2 of WHO,WHO,WHO``."""
    found = _STAGE.fullmatch(given)
    if found is None:
        raise typer.BadParameter(
            f"--stage {given}: write NAME=WHO,WHO or NAME=2 of WHO,WHO: who decides in it"
        )
    who = _who([found["who"]], f"--stage {given}")
    quorum = {"quorum": int(found["quorum"])} if found["quorum"] else {}
    return {"name": found["name"], "audience": who, **quorum}

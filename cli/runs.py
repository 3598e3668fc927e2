"""Agent runs: run, runs."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ActivityError, ApplicationError, WorkflowAlreadyStartedError

from clearance import ApprovalClient, InvalidRequest, contract
from clearance.away import persistently
from clearance.codec import words_of
from clearance.errors import ClearanceError, explain
from clearance.runs import AgentResult, AgentRun, list_runs, start_run
from clearance.text import one_line as shown
from clearance.text import span

from . import output, session, tables
from .approvals import Json


class RunFailed(ClearanceError):
    """The agent run ended without an answer; the text says why."""


def run(
    prompt: Annotated[str, typer.Argument(help="What the agent should do.")],
    agent: Annotated[str, typer.Option(help="Which agent.")] = "assistant",
    id: Annotated[str | None, typer.Option(help="An id of your own for the run.")] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Start it and leave.")] = False,
    expires_in: Annotated[
        str, typer.Option(help="How long each approval waits: 15m, 2h, 7d, 2w or never.")
    ] = "7d",
    as_: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Ask as this person.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Start an agent run and follow it to its answer."""
    settings = session.load()
    try:
        wanted = AgentRun(
            agent=agent,
            prompt=prompt,
            requester=session.reviewer(settings, as_),
            approvals_queue=settings.approvals_queue,
            expires_in=session.duration(expires_in),
        )
    except ValidationError as error:
        raise InvalidRequest(explain(error)) from error

    async def work() -> None:
        async with session.connected(settings) as client:
            try:
                handle = await start_run(
                    client.temporal, wanted, id=id, task_queue=settings.agents_queue
                )
            except WorkflowAlreadyStartedError as error:
                raise InvalidRequest(f"a run {id} is under way: choose another id") from error
            await session.tell_unserved(client, settings)
            if no_wait:
                output.print_json({"id": handle.id}) if as_json else output.out(handle.id)
                return
            output.say(f"Run {handle.id} started; Ctrl-C leaves it running.")
            result = await follow(client, handle)
        if as_json:
            output.print_json({"id": handle.id, **result.model_dump(mode="json")})
        else:
            output.out(result.output)

    session.run(work())


async def follow(client: ApprovalClient, handle: WorkflowHandle[Any, Any]) -> AgentResult:
    """Wait for a run's answer and say meanwhile what it waits for.

    Raises:
        RunFailed: the run failed, was cancelled or terminated.
    """
    talk = asyncio.create_task(_narrate(client, handle))
    try:
        return await result_of(handle)
    finally:
        talk.cancel()


async def result_of(handle: WorkflowHandle[Any, Any]) -> AgentResult:
    """A run's answer, however long it takes. Raises RunFailed, and InvalidRequest for one refused."""
    try:
        return AgentResult.model_validate(await persistently(handle.result))
    except WorkflowFailureError as error:
        cause = error.cause
        if isinstance(cause, ApplicationError) and cause.type == contract.ERROR_INVALID_REQUEST:
            raise InvalidRequest(cause.message) from error
        raise RunFailed(f"run {handle.id} failed: {_why(error)}") from error


async def _narrate(client: ApprovalClient, handle: WorkflowHandle[Any, Any]) -> None:
    """Say once what the run newly waits for, and when calls are being retried."""
    told: set[str] = set()
    while True:
        for key, text in await persistently(lambda: _news(client, handle)):
            if key not in told:
                told.add(key)
                output.say(text)
        await asyncio.sleep(0.5)


async def _news(client: ApprovalClient, handle: WorkflowHandle[Any, Any]) -> list[tuple[str, str]]:
    """What there is to say of a run now, each by a key of its own."""
    codec = client.temporal.data_converter.payload_codec
    news = [
        (one.id, f"Waiting for a person: {shown(one.action)}\n  clearance approve {one.id}")
        async for one in client.pending(run=handle.id)
    ]
    description = await handle.describe()
    for call in description.raw_description.pending_activities:
        if call.attempt > 1 and call.HasField("last_failure"):
            kind, reason = call.activity_type.name, await words_of(call.last_failure, codec)
            news.append((f"{kind} {reason}", f"Retrying {kind}: {shown(reason)}"))
    if trouble := await description.memo_value(contract.MEMO_TROUBLE, None):
        news.append((f"load_policy {trouble}", f"Retrying load_policy: {shown(str(trouble))}"))
    if long := await description.memo_value(contract.MEMO_LONG, None):
        news.append((f"long {long}", f"Going on, but {shown(str(long))}"))
    return news


def _why(error: WorkflowFailureError) -> str:
    """The innermost reason of a failure, which is the one that names what to do."""
    reason: BaseException = error.cause
    where = ""
    while reason.__cause__ is not None:
        if isinstance(reason, ActivityError):
            where = f"{reason.activity_type}: "
        reason = reason.__cause__
    return f"{where}{reason}"


def runs(
    running: Annotated[bool, typer.Option("--running", help="Only those under way.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most this many.")] = 50,
    as_json: Json = False,
) -> None:
    """List agent runs, newest first, and what each of them waits for."""
    settings = session.load()

    async def work() -> None:
        async with session.connected(settings) as client:
            found = [r async for r in list_runs(client.temporal, running=running, limit=limit)]
            waiting: dict[str, list[str]] = {}
            async for one in client.pending():
                waiting.setdefault(one.run_id or "", []).append(one.id)
        if as_json:
            output.print_json(
                [{**r.model_dump(mode="json"), "waits_for": waiting.get(r.id, [])} for r in found]
            )
            return
        if not found:
            output.say("No agent has run yet.")
            return
        now = datetime.now(UTC)
        table = tables.table("ID", "AGENT", "STATUS", "AGE", "WAITS FOR", "PROMPT")
        for r in found:
            table.add_row(
                tables.text(r.id),
                tables.text(r.agent),
                r.status,
                span(now - r.started_at),
                tables.text(", ".join(waiting.get(r.id, []))),
                tables.text(r.prompt),
            )
        tables.console().print(table)

    session.run(work())

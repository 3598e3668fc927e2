"""``clearance demo``: the whole story in one terminal, with a real effect at its end."""

import asyncio
import contextlib
import gc
import importlib
import secrets
import shutil
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from temporalio.client import WorkflowExecutionStatus

from clearance import ApprovalClient
from clearance.errors import AlreadyDecided, Refused
from clearance.runs import AgentResult, AgentRun, list_runs, start_run
from clearance.views import ApprovalView
from policy.source import SAMPLE

from . import embedded, logs, output, session, tables, web
from .answers import Answers
from .runs import result_of
from .settings import EmbeddedServer, Settings

_QUEUE = "clearance-demo"
"""Agents queue of its own, so that a worker with other settings never plays the demo."""


@dataclass(frozen=True)
class Scenario:
    """What the agent is told, and how to see in the world whether it happened."""

    prompt: str
    effect: Callable[[Path], str]


def _mails(folder: Path) -> str:
    mails = sorted(folder.glob("outbox/*.eml"), key=lambda path: path.stat().st_mtime)
    if not mails:
        return "The outbox is empty: nothing was sent."
    to, subject = (
        next(line for line in mails[-1].read_text().splitlines() if line.startswith(header))
        for header in ("To:", "Subject:")
    )
    return f"In the outbox: {mails[-1]}\n  {to}\n  {subject}"


_BY_SMTP = "CLEARANCE_SMTP_URL is set: approved mail went out by that server, none to the outbox."


def _rows(query: str, words: str) -> Callable[[Path], str]:
    def read(folder: Path) -> str:
        with sqlite3.connect(folder / "shop.db") as db:
            return words.format(db.execute(query).fetchone()[0], folder / "shop.db")

    return read


SCENARIOS = {
    "email": Scenario("Tell Ada that her order A-1001 has shipped.", _mails),
    "refund": Scenario(
        "Ada returned order A-1001. Refund what she paid.",
        _rows("SELECT count(*) FROM refunds", "Refunds in the ledger: {} ({})."),
    ),
    "cleanup": Scenario(
        "Delete the customers nobody has seen since 2020-01-01.",
        _rows("SELECT count(*) FROM customers", "Customers in the table: {} of 5 ({})."),
    ),
}


def demo(
    scenario: Annotated[str, typer.Argument(help="email, refund or cleanup.")] = "email",
    answer: Annotated[
        str | None, typer.Option(help="approve or reject, instead of asking you.")
    ] = None,
) -> None:
    """Watch an agent stop for a person: embedded server, worker, agent, your answer, real effect."""
    if scenario not in SCENARIOS:
        raise typer.BadParameter(f"{scenario!r}: the scenarios are {', '.join(SCENARIOS)}")
    if answer not in (None, "approve", "reject"):
        raise typer.BadParameter(f"--answer takes approve or reject, not {answer!r}")
    settings = session.load()
    if settings.has_model:
        server = settings.openai_base_url or "OpenAI"
        player = f"the model {settings.model or '(default)'} at {server} plays the agent"
    else:
        player = "no model key is set, so a scripted model plays the agent"
    output.out(f"Clearance demo, {scenario}: {player}.")
    session.run(_play(settings, scenario, answer))


async def _play(settings: Settings, name: str, answer: str | None) -> None:
    task = cast("asyncio.Task[None]", asyncio.current_task())
    for number in (signal.SIGTERM, signal.SIGHUP):
        # As Ctrl-C does: unwind, so that the worker stops first and then the server.
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    async with AsyncExitStack() as stack:
        # The Agents SDK takes a second to import; the server takes one to start. Both at once.
        importing = asyncio.create_task(asyncio.to_thread(importlib.import_module, "worker"))
        server = EmbeddedServer.find(settings.state)
        if server is None:
            server = await stack.enter_async_context(embedded.server(settings.state))
        logs.configure(settings.log_format, file=settings.state / "demo.log")
        output.out(f"Temporal runs at {server.address}, its UI at {server.ui}")
        session.elsewhere(settings, server)
        process = await importing
        folder = settings.state / "demo"
        serving = await stack.enter_async_context(
            process.running(
                settings.model_copy(
                    update={
                        "state": folder,
                        "agents_queue": _QUEUE,
                        "policy": settings.policy_file() or SAMPLE,
                    }
                ),
                {"target_host": server.address},
                model_provider=None if settings.has_model else process.scripted_models(),
            )
        )
        client = session.client_of(settings, serving.client)
        run_id, result = await _run(client, settings, name, folder)
        following = asyncio.create_task(result)
        answers = Answers(answer)
        if answer is None:
            await stack.enter_async_context(_inbox_beside(settings, client, answers))
        try:
            await _answer_all(client, settings, run_id, following, answers)
        except asyncio.CancelledError:
            output.say(f"\n{run_id} is left waiting; the same command goes on with it.")
            raise
        output.out(f"\nThe agent: {(await following).output}")
        by_smtp = name == "email" and settings.smtp_url
        output.out(_BY_SMTP if by_smtp else SCENARIOS[name].effect(folder))


async def _run(
    client: ApprovalClient, settings: Settings, name: str, folder: Path
) -> tuple[str, Coroutine[Any, Any, AgentResult]]:
    """The run of this scenario: the one that still waits from last time, else a new one."""
    left = [r async for r in list_runs(client.temporal, running=True) if r.id.startswith("demo-")]
    left = [r for r in left if await _goes_on(client, r.id)]
    mine = [r.id for r in left if r.agent == name]
    if mine:
        output.out(f"The run {mine[0]} was left waiting when this ended last time. It goes on.")
        handle = client.temporal.get_workflow_handle(mine[0])
        return handle.id, result_of(handle)
    if not left:
        # A fresh shop and an empty outbox; the worker has the ledger beside them open.
        shutil.rmtree(folder / "outbox", ignore_errors=True)
        for file in folder.glob("shop.db*"):
            file.unlink()
    handle = await start_run(
        client.temporal,
        AgentRun(
            agent=name,
            prompt=SCENARIOS[name].prompt,
            requester=session.reviewer(settings, None),
            approvals_queue=settings.approvals_queue,
        ),
        id=f"demo-{name}-{secrets.token_hex(2)}",
        task_queue=_QUEUE,
    )
    output.out(f"You, to the agent: {SCENARIOS[name].prompt}")
    return handle.id, result_of(handle)


async def _goes_on(client: ApprovalClient, id: str) -> bool:
    """Whether it does: the list of runs may be a second late."""
    found = await client.temporal.get_workflow_handle(id).describe()
    return found.status == WorkflowExecutionStatus.RUNNING


@asynccontextmanager
async def _inbox_beside(
    settings: Settings, client: ApprovalClient, answers: Answers
) -> AsyncIterator[None]:
    """The inbox, started once the first question is on the screen: it must not hold that up."""

    async def run() -> None:
        await answers.asks.wait()
        await web.beside(settings, client, answers.interrupt)

    running = asyncio.create_task(run())
    try:
        yield
    finally:
        # The process is about to end. What the worker leaves half-run is told of on the terminal if it
        # is collected before (sdk-python pull request 1849), as loading the inbox would make happen.
        gc.disable()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def _answer_all(
    client: ApprovalClient,
    settings: Settings,
    run_id: str,
    following: "asyncio.Task[AgentResult]",
    answers: Answers,
) -> None:
    """Show every request of the run and decide it, until the run has ended."""
    while not following.done():
        waiting = [one async for one in client.pending(run=run_id)]
        if not waiting:
            await asyncio.wait([following], timeout=0.05)
            continue
        view = await client.get(waiting[-1].id)  # the oldest
        if view.status == "pending":
            tables.console().print(tables.request_panel(view))
            output.say(f"From another terminal here: clearance approve {view.id}")
            answers.asks.set()
            await _answer_one(client, settings, view, answers)
        while view.id in [one.id async for one in client.pending(run=run_id)]:
            await asyncio.sleep(0.05)


async def _answer_one(
    client: ApprovalClient, settings: Settings, view: ApprovalView, answers: Answers
) -> None:
    """Whoever is first: the keyboard here, or anybody elsewhere."""
    here = asyncio.create_task(answers.decision(view.current.phrase))
    elsewhere = asyncio.create_task(client.wait(view.id))
    await asyncio.wait([here, elsewhere], return_when=asyncio.FIRST_COMPLETED)
    if not elsewhere.done():
        approved, reason, phrase = await here
        try:
            await client.decide(
                view.id,
                approved=approved,
                reviewer=session.reviewer(settings, None),
                reason=reason,
                digest=view.digest,
                channel="cli",
                confirmation=phrase,
            )
        except AlreadyDecided:
            pass  # elsewhere was faster; told below
        except Refused as error:  # by a policy of yours: somebody else decides, or with an answer
            output.say(f"{error}. Waiting for a decision from elsewhere.")
    here.cancel()
    outcome = await elsewhere
    who = f" by {outcome.decision.by}" if outcome.decision else ""
    output.out(f"\n{outcome.approval_id} is {outcome.status}{who}.")

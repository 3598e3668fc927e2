"""The commands by name: which module each is in, imported only when it is called.

To import them all takes several times as long as most of them work.
"""

import gc
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any, Final, NamedTuple, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group


class Listed(NamedTuple):
    """A command as the help lists it."""

    name: str
    panel: str
    where: str
    """Its function, or the Typer app of its group, as ``module:attribute`` of this room."""

    help: str
    """The first paragraph of its own help."""


COMMANDS: Final = (
    Listed(
        "demo",
        "Start",
        "demo:demo",
        "Watch an agent stop for a person: embedded server, worker, agent, your answer, real effect.",
    ),
    Listed(
        "up",
        "Start",
        "serve:up",
        "Run an embedded Temporal server, the worker and the inbox; state is kept in .clearance.",
    ),
    Listed(
        "worker",
        "Start",
        "serve:worker",
        "Run the worker process against the configured Temporal, until SIGTERM or Ctrl-C.",
    ),
    Listed("run", "Agents", "runs:run", "Start an agent run and follow it to its answer."),
    Listed(
        "runs",
        "Agents",
        "runs:runs",
        "List agent runs, newest first, and what each of them waits for.",
    ),
    Listed("pending", "Approvals", "approvals:pending", "List what waits for a person."),
    Listed(
        "show",
        "Approvals",
        "approvals:show",
        "Show one request whole: what will run, who decided, everything that happened to it.",
    ),
    Listed(
        "approve",
        "Approvals",
        "deciding:approve",
        "Approve a request, as it is or with changes: its action will run.",
    ),
    Listed(
        "reject",
        "Approvals",
        "deciding:reject",
        "Reject a request: its action will not run, and the agent is told why.",
    ),
    Listed(
        "comment",
        "Approvals",
        "acts:comment",
        "Say something about a request without deciding it.",
    ),
    Listed(
        "ask",
        "Approvals",
        "acts:ask",
        "Ask whoever made a request something, without deciding it.",
    ),
    Listed(
        "answer",
        "Approvals",
        "acts:answer",
        "Answer a reviewer's question about a request that you asked for.",
    ),
    Listed(
        "delegate",
        "Approvals",
        "acts:delegate",
        "Hand a request over: somebody else may decide it for you; you still may, too.",
    ),
    Listed(
        "withdraw",
        "Approvals",
        "acts:withdraw",
        "Withdraw a request that you asked for: its action will not run.",
    ),
    Listed(
        "history",
        "Approvals",
        "history:history",
        "List what has ended, newest first: who decided, when, and why.",
    ),
    Listed(
        "request", "Approvals", "requesting:request", "Ask for an approval from any shell script."
    ),
    Listed(
        "grants",
        "Approvals",
        "grants:grants",
        "List the calls that were approved in advance, of the agent runs under way.",
    ),
    Listed(
        "revoke",
        "Approvals",
        "grants:revoke",
        "End a standing approval: from the next call on, a person is asked again.",
    ),
    Listed(
        "web",
        "Inbox",
        "web:web",
        "Run the inbox against the configured Temporal, until SIGTERM or Ctrl-C.",
    ),
    Listed(
        "sign-in",
        "Inbox",
        "web:sign_in",
        "Print a link that signs you in to the inbox of this machine: once, within ten minutes.",
    ),
    Listed(
        "link",
        "Inbox",
        "links:link",
        "Print a link by which one person sees one request, and decides it in two clicks.",
    ),
    Listed(
        "mcp",
        "Approvals",
        "mcp:mcp",
        "Serve the Model Context Protocol on standard input and output, for a reviewer's assistant.",
    ),
    Listed(
        "setup",
        "Operate",
        "admin:setup",
        "Register what Clearance needs in the configured namespace: its search attributes.",
    ),
    Listed(
        "doctor",
        "Operate",
        "admin:doctor",
        "Check server, search attributes, workers, policy, reviewers and model; exit 1 on a fault.",
    ),
    Listed("token", "Inbox", "tokens:app", "API tokens of services."),
    Listed("keys", "Operate", "keys:app", "Key files: what encrypts, what signs."),
    Listed(
        "audit", "Operate", "audit:app", "The record: what was decided and done, and its proof."
    ),
    Listed("policy", "Operate", "policy:app", "Which tools wait for whom."),
    Listed("deploy", "Operate", "deploy:app", "Which build of the workers new work goes to."),
    Listed("notify", "Operate", "webhooks:notify", "By which channels people are told."),
    Listed("webhook", "Operate", "webhooks:webhook", "Webhooks that other services are told by."),
)
"""In the order of the help."""


class Deferred(TyperCommand):
    """A command known by its line in the help."""

    def __init__(self, listed: Listed) -> None:
        """Know it, without its module."""
        super().__init__(listed.name, help=listed.help, rich_help_panel=listed.panel)
        self._listed = listed

    def load(self) -> TyperCommand | TyperGroup:
        """The command itself, from its module."""
        module, attribute = self._listed.where.split(":")
        found = getattr(import_module(f"{__package__}.{module}"), attribute)
        name, panel = self._listed.name, self._listed.panel
        alone = typer.Typer()
        if isinstance(found, typer.Typer):
            alone.add_typer(found, name=name, rich_help_panel=panel)
        else:
            alone.command(name, rich_help_panel=panel)(found)
        return cast(TyperCommand | TyperGroup, get_group(alone).commands[name])

    def make_context(self, *args: Any, **kwargs: Any) -> typer.Context:
        """The context of the command itself: for its call, its help or its completion."""
        try:
            command = self.load()
            gc.freeze()
        finally:
            gc.enable()  # which ``app.main`` has disabled
        return command.make_context(*args, **kwargs)  # type: ignore[return-value]


class Commands(TyperGroup):
    """Every command of ``clearance``."""

    def __init__(self, *, listed: Sequence[Listed] = COMMANDS, **how: Any) -> None:
        """List them; ``how`` as Typer's own groups."""
        super().__init__(**how | {"commands": [Deferred(one) for one in listed]})


app = typer.Typer(
    cls=Commands,
    help="A durable approval gate between an AI agent and an action that can't be undone.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """A durable approval gate between an AI agent and an action that can't be undone."""

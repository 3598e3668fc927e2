"""The policy file: check, explain."""

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import JsonValue

from clearance import InvalidRequest, mask
from clearance.text import one_line
from clearance.typed import parsed
from policy import reviewers
from policy.directory import NOBODY
from policy.match import Rules
from policy.model import Policy
from policy.source import BrokenPolicy, load
from policy.together import mismatches

from . import output, session, tables
from .approvals import Json
from .explaining import asked_of, facts
from .settings import Settings

app = typer.Typer(help="Which tools wait for whom.", no_args_is_help=True)

File = Annotated[
    Path | None,
    typer.Argument(metavar="FILE", help="The policy; left out, the one the worker goes by."),
]


@app.command()
def check(file: File = None, as_json: Json = False) -> None:
    """Check the policy and the file of reviewers, and list which checkpoint covers which tool."""
    settings, path, policy = _open(file)
    people = _people(settings, policy)
    import worker

    seen = worker.registered_tools(settings)
    rules = Rules(policy)
    uncovered = sorted({one.tool for one in seen if not one.asks and _free(rules, one.tool)})
    if as_json:
        tools = [{**one._asdict(), "covered_by": _reach(rules, one.tool)} for one in seen]
        about: dict[str, Any] = {"source": path and str(path), "default": policy.default}
        about |= {"checkpoints": len(policy.checkpoint), "reviewers": people}
        output.print_json({**about, "tools": tools, "uncovered": uncovered})
    else:
        output.out(f"{path or 'No policy file'}: {_summary(policy)}")
        if people:
            output.out(people)
        table = tables.table("AGENT", "TOOL", "COVERED BY")
        for one in seen:
            covered = "a person, always" if one.asks else _covered(rules, one.tool)
            table.add_row(*map(tables.text, (one.agent, one.tool, covered)))
        tables.console().print(table)
        if uncovered:
            output.out(f"Warning: nobody is asked about {', '.join(uncovered)}.")
    problems = list(dict.fromkeys(one.problem for one in seen if one.problem))
    for problem in problems:
        output.say(problem)
    if problems:
        raise typer.Exit(session.EXIT_FAILED)


@app.command()
def explain(
    tool: Annotated[str, typer.Argument(help="The tool's name.")],
    args: Annotated[str, typer.Option(metavar="JSON", help="Its arguments, an object.")] = "{}",
    agent: Annotated[str, typer.Option(metavar="NAME", help="The agent that calls it.")] = "",
    as_: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Who started the agent's run.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The policy; left out, the one the worker goes by."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what would happen to one call of a tool, why, and what a person would be shown."""
    arguments = _arguments(args)
    settings, path, policy = _open(file)
    requester = session.reviewer(settings, as_)
    verdict = Rules(policy).judge(tool, arguments, agent=agent, requester=requester)
    shown, masked = mask.conceal(arguments, mask.names(policy.secrets))
    why = mask.scrub(verdict.why, arguments, masked)
    asked = asked_of(tool, shown, verdict, requester) if verdict.gated else None
    if as_json:
        about: dict[str, Any] = {
            "tool": tool,
            "source": path and str(path),
            "gated": verdict.gated,
            "why": why,
        }
        about |= {"checkpoint": verdict.checkpoint and verdict.checkpoint.checkpoint_id}
        output.print_json({**about, "request": asked and asked.keys})
        return
    output.out(f"{one_line(tool)} {'waits for a person' if verdict.gated else 'goes through'}.")
    output.out(f"Why: {one_line(why)}")
    if asked:
        tables.console().print(facts(asked))


def _open(file: Path | None) -> tuple[Settings, Path | None, Policy]:
    """The settings, with the policy file to go by in them; that file; what it says.

    Raises:
        typer.Exit: it is broken, and every problem has been told.
    """
    settings = session.load()
    path = file or settings.policy_file()
    if path is None:
        return settings, None, Policy()
    try:
        policy = load(path).policy
    except BrokenPolicy as error:
        for problem in error.problems:
            output.say(problem)
        raise typer.Exit(session.EXIT_USAGE) from error
    return settings.model_copy(update={"policy": path}), path, policy


def _people(settings: Settings, policy: Policy) -> str | None:
    """What the file of reviewers holds, in a line; None where there is none.

    Raises:
        typer.Exit: it is broken, or doesn't go with the policy, and every problem has been told.
    """
    path = settings.reviewers_file()
    try:
        directory = reviewers.load(path) if path else NOBODY
        problems = list(mismatches(policy, directory))
    except BrokenPolicy as error:
        problems = error.problems
    for problem in problems:
        output.say(problem)
    if problems:
        raise typer.Exit(session.EXIT_FAILED)
    return f"{path}: {directory.summary()}; {directory.channels.summary()}" if path else None


def _summary(policy: Policy) -> str:
    count = len(policy.checkpoint)
    line = f"{count} checkpoint{'' if count == 1 else 's'}, default {policy.default}"
    return line if count or policy.default == "allow" else f"{line}: every tool waits for a person"


def _named(tool: str) -> bool:
    """Not so an MCP server, whose tools have names once it is asked for them."""
    return not tool.startswith("[")


def _free(rules: Rules, tool: str) -> bool:
    """Whether it goes through only because no checkpoint is about it."""
    return rules.policy.default == "allow" and not rules.covering(tool) and _named(tool)


def _reach(rules: Rules, tool: str) -> list[dict[str, Any]]:
    """The checkpoints whose pattern covers the tool, and which of them can decide about a call."""
    found: list[dict[str, Any]] = []
    settled = False
    for one in rules.covering(tool) if _named(tool) else []:
        facts = {"conditional": one.when is not None, "allow": one.allow, "reached": not settled}
        found.append({"checkpoint_id": one.checkpoint_id, **facts})
        settled = settled or one.when is None
    return found


def _covered(rules: Rules, tool: str) -> str:
    if not _named(tool):
        return "each of its tools by its own name"
    words = {"conditional": "if", "allow": "allows"}
    reach = _reach(rules, tool)
    parts = []
    for one in reach:
        marks = [word for key, word in words.items() if one[key]]
        marks = marks if one["reached"] else ["never reached"]
        parts.append(one["checkpoint_id"] + (f" ({', '.join(marks)})" if marks else ""))
    default = "default gate" if rules.policy.default == "gate" else "goes through"
    if all(one["conditional"] for one in reach):
        parts.append(f"else {default}" if reach else f"nobody: {default}")
    return ", ".join(parts)


def _arguments(given: str) -> dict[str, JsonValue]:
    """The value of --args. Raises InvalidRequest."""
    try:
        value: JsonValue = parsed(given)
    except ValueError as error:
        raise InvalidRequest(f"--args: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidRequest("--args: not an object: write '{\"name\": value}'")
    return value

"""audit trace: the approvals of a run as evidence that others check."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue, ValidationError

from clearance.errors import InvalidRequest
from clearance.evidence import everything_asks, evidence
from clearance.facts import Facts
from clearance.pairing import Free
from policy.match import rules_of
from policy.model import Policy

from . import output, session


def trace(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run, or a part of its id.")],
    to: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write it there, for you alone.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Also the calls that the policy lets through.")
    ] = False,
) -> None:
    """Write what a run proposed, was allowed and did as a trace for agentack; no worker is needed."""
    settings = session.load()

    async def work() -> None:
        async with session.connected(settings) as client:
            found = await evidence(client.temporal, run, everything_asks if every else by_policy)
        if to is None:
            print(found.jsonl(), end="", flush=True)  # noqa: T201
        else:
            _write(to, found.jsonl())
        for note in found.notes:
            output.say(f"Not proved: {note}" if found.ended else f"Not proved yet: {note}")

    session.run(work())


def by_policy(facts: Facts) -> Free:
    """Which calls the run's own policy lets through; none where it can't be read any more."""
    try:
        rules = rules_of(Policy.model_validate(facts.policy))
    except ValidationError:
        return everything_asks(facts)
    known = bool(facts.policy)

    def free(tool: str, arguments: Mapping[str, JsonValue]) -> bool:
        said = rules.judge(tool, arguments, agent=facts.agent, requester=facts.requester)
        return known and not said.gated

    return free


def _write(to: Path, text: str) -> None:
    """Arguments are nobody else's to read. Raises InvalidRequest where it can't be written."""
    try:
        mode = stat.S_IRUSR | stat.S_IWUSR
        with os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
            file.write(text)
    except OSError as error:
        raise InvalidRequest(f"{to}: {error.strerror}") from error

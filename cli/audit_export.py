"""The ledger's rows for other programs: audit export."""

import csv
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from clearance.errors import Ambiguous, InvalidRequest, NotFound
from clearance.text import visible

from . import output, session
from .history import moment_of

if TYPE_CHECKING:
    from store.ledger import Ledger

_COLUMNS = (
    *("position", "at", "request", "event", "kind", "who", "on_behalf_of", "channel", "reason"),
    *("status", "action", "tool", "checkpoint", "requester", "risk", "run_id", "digest"),
    *("queue", "execution", "previous", "hash"),
)

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""How a cell begins that a spreadsheet may take for more than text."""


def export(
    format: Annotated[
        str, typer.Option(help="jsonl: all of each row. csv: what fits a table.")
    ] = "jsonl",
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only what happened from then on.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only what happened before then.")
    ] = None,
    reviewer: Annotated[str | None, typer.Option(help="Only what this person did.")] = None,
    tool: Annotated[str | None, typer.Option(help="Only of this tool.")] = None,
    id: Annotated[str | None, typer.Option(metavar="ID", help="Only of this request.")] = None,
    to: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write it there, for you alone.")
    ] = None,
) -> None:
    """Write the ledger's rows, an event each, in order."""
    if format not in _WRITERS:
        raise typer.BadParameter(f"--format: {format!r}; they are {' and '.join(_WRITERS)}")
    now = datetime.now(UTC)
    narrowed: dict[str, Any] = {
        "since": moment_of(since, "--since", now),
        "until": moment_of(until, "--until", now, whole_day=True),
        "reviewer": reviewer,
        "tool": tool,
    }
    settings = session.load()
    from store.ledger import Ledger

    if to is not None and to.exists():
        raise InvalidRequest(f"{to} is there already, and nothing was written: name another file")

    async def work() -> int:
        async with Ledger.open(settings.ledger_address(), create=False) as ledger:
            narrowed["id"] = None if id is None else await _whole(ledger, id)
            with _file(to) as file:
                return await _WRITERS[format](file, ledger.rows(**narrowed))

    count = session.run(work())
    if to is not None:
        output.say(f"{count:,} row{'' if count == 1 else 's'} written to {to}.")


async def _whole(ledger: "Ledger", typed: str) -> str:
    """The id that somebody meant. One that still waits is found by its whole id only."""
    found = await ledger.matching(typed) if typed else []
    if len(found) > 1:
        raise Ambiguous(f"{typed!r} may be {found[0]} or {found[1]}: write more of it", found)
    if not found and not await ledger.has(typed):
        raise NotFound(f"the ledger has no request {typed!r}")
    return found[0] if found else typed


@contextmanager
def _file(path: Path | None) -> Iterator[IO[str]]:
    """Where it is written: whole or not at all, and for nobody else to read."""
    if path is None:
        yield sys.stdout
        return
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise InvalidRequest(f"{path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


async def _jsonl(file: IO[str], rows: AsyncIterator[Any]) -> int:
    """ASCII only: no character in it can act on a terminal. Returns how many rows there were."""
    count = 0
    async for row in rows:
        count += 1
        chained = {"position": row.position, "previous": row.previous, "hash": row.hash}
        file.write(json.dumps({**chained, "body": json.loads(row.body)}) + "\n")
    return count


async def _csv(file: IO[str], rows: AsyncIterator[Any]) -> int:
    """Returns how many rows there were."""
    count = 0
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_COLUMNS)
    async for row in rows:
        count += 1
        body = json.loads(row.body)
        asked = body.get("asked", {}).get("request", {})
        said = {**body["event"], **body, "action": asked.get("action"), "status": row.status}
        said |= {"position": row.position, "event": row.sequence, "hash": row.hash}
        said |= {"previous": row.previous}
        writer.writerow([_cell(said.get(name)) for name in _COLUMNS])
    return count


def _cell(value: object) -> str:
    """As text; after an apostrophe where a spreadsheet might calculate it."""
    text = visible("" if value is None else str(value))
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


_WRITERS = {"jsonl": _jsonl, "csv": _csv}

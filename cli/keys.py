"""Key files: keys new, rotate, list, public."""

from pathlib import Path
from typing import Annotated

import typer

from clearance import keyfile, keys
from clearance.text import moment

from . import output, tables
from .approvals import Json

app = typer.Typer(help="Key files: what encrypts, what signs.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(metavar="FILE", help="The key file.")]


@app.command()
def new(
    file: File,
    kind: Annotated[str, typer.Option(help=f"{' or '.join(keys.KINDS)}.")] = "encryption",
) -> None:
    """Make a key file with one key, that only you can read. Keep a copy: nothing replaces it."""
    if kind not in keys.KINDS:
        raise typer.BadParameter(f"--kind: {kind!r}; they are {', '.join(keys.KINDS)}")
    ring = keys.new(keys.KINDS[kind])
    keyfile.create(file, ring)
    output.out(f"{file} has the key {ring.current}.")


@app.command()
def rotate(
    file: File,
    now: Annotated[
        bool, typer.Option("--now", help="Use the key that waits; where none does, a new one.")
    ] = False,
) -> None:
    """Add a key, which waits until every process knows it; with --now it is used from then on."""
    ring = keyfile.change(file, now=now)
    if now:
        output.out(f"{file} uses the key {ring.current}; the others stay readable.")
        return
    output.out(f"{file} has the key {ring.waiting}, and still uses {ring.current}.")
    output.say(f"Copy it to wherever the file is, then: clearance keys rotate {file} --now")


@app.command("list")
def list_(file: File, as_json: Json = False) -> None:
    """List the keys of a file, never what they are."""
    ring = keyfile.read(file)
    if as_json:
        output.print_json(
            [
                {"id": one.id, "created": one.created.isoformat(), "use": _use(ring, one.id)}
                for one in ring.keys.values()
            ]
        )
        return
    table = tables.table("ID", "CREATED", "USE")
    for one in ring.keys.values():
        table.add_row(tables.text(one.id), moment(one.created), _use(ring, one.id))
    tables.console().print(table)


def _use(ring: keys.KeyRing, id: str) -> str:
    if ring.current is None:
        return "public"
    return {ring.current: "current", ring.waiting: "waits"}.get(id, "kept")


@app.command()
def public(file: File) -> None:
    """Print the public keys of a file of signing keys, as CLEARANCE_DECISION_KEYS takes them."""
    from clearance import signing

    ring = keyfile.read(file, keys.KINDS["signing"])
    output.out(keys.dumped(signing.public_ring(ring)).rstrip())

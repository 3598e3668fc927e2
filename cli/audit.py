"""The audit: audit verify, export, head, key, reconcile, trace."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clearance import InvalidRequest

from . import audit_export, audit_reconcile, audit_trace, output, session
from .approvals import Json
from .settings import Settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from clearance.signatures import DecisionKey
    from store.ledger import Fault, Head, SignedHead, Verified

app = typer.Typer(
    help="The record: what was decided and done, and its proof.", no_args_is_help=True
)


@app.command()
def verify(
    heads: Annotated[
        list[Path] | None,
        typer.Option(
            "--head",
            metavar="FILE",
            help="Signed heads to hold it against; unless given, those of CLEARANCE_LEDGER_HEADS.",
        ),
    ] = None,
    keys: Annotated[
        list[str] | None,
        typer.Option(
            "--key",
            metavar="PUBLIC",
            help="Who may have signed them: what `audit key` printed, or a file with it. Unless "
            "given, that of CLEARANCE_LEDGER_KEY.",
        ),
    ] = None,
    decision_keys: Annotated[
        Path | None,
        typer.Option(
            "--decision-keys",
            metavar="FILE",
            help="All public keys that requests may ever have pinned, as `keys public` prints them.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Go through the whole ledger for rows that were changed, taken out, put in or moved.

    Signed decisions are checked against the keys that their requests pin.
    """
    settings = session.load()
    signed, forged = _heads(settings, heads, keys or [])
    trusted = _decision_keys(decision_keys) if decision_keys else None
    from store.ledger import Ledger

    async def work() -> "Verified":
        async with Ledger.open(settings.ledger_address(), create=False) as ledger:
            return await ledger.verify(signed, trusted)

    found = session.run(work())
    found.add(*forged)
    if as_json:
        shown = [vars(one) for one in found.faults]
        said = {"rows": found.rows, **found.head._asdict(), "heads": found.heads}
        said |= {"signed_decisions": found.signed}
        output.print_json({**said, "faults": shown, "faults_in_all": found.count})
    else:
        _tell(found)
    if found.count:
        raise typer.Exit(session.EXIT_FAILED)


def _tell(found: "Verified") -> None:
    for one in found.faults:
        output.out(_line(one))
    if more := found.count - len(found.faults):
        output.out(f"... and {more:,} more")
    faults = {0: "no fault", 1: "1 fault"}.get(found.count, f"{found.count:,} faults")
    heads = {0: "no signed head", 1: "1 signed head"}.get(
        found.heads, f"{found.heads} signed heads"
    )
    if found.signed:
        heads += f", {found.signed:,} signed decision{'s' if found.signed > 1 else ''}"
    output.out(f"{found.rows:,} rows, {heads}: {faults}")
    output.out(f"head {found.head.position} {found.head.hash}")


def _line(fault: "Fault") -> str:
    where = (
        ("row", fault.position),
        ("request", fault.request),
        ("execution", fault.execution),
        ("event", fault.sequence),
    )
    return ", ".join(f"{name} {at}" for name, at in where if at is not None) + f": {fault.text}"


def _heads(
    settings: Settings, files: list[Path] | None, keys: list[str]
) -> "tuple[list[SignedHead], list[Fault]]":
    """The heads to go by, and a fault for each that nobody who may has signed."""
    from store.ledger import Fault, heads

    if files is None:
        configured = settings.ledger_heads
        files = [configured] if configured and configured.exists() else []
    found = [one for path in files for one in heads.read(path)]
    trusted = [_public(key) for key in keys]
    if not keys and settings.ledger_key:
        trusted.append(heads.load_key(settings.ledger_key).public_key())
    if not trusted:
        if found:
            output.say("Nobody's signature was checked: say with --key who may have signed.")
        return found, []
    good = [one for one in found if heads.check(one, trusted)]
    text = "a head of this position has no signature of that key"
    return good, [Fault(text, one.position) for one in found if one not in good]


def _decision_keys(path: Path) -> "list[DecisionKey]":
    from clearance import keyfile
    from clearance.keys import DECISION_KEYS, encoded
    from clearance.signatures import DecisionKey

    ring = keyfile.KeyFile(path, DECISION_KEYS).ring()
    return [DecisionKey(id=one.id, key=encoded(one.data)) for one in ring.keys.values()]


def _public(given: str) -> "Ed25519PublicKey":
    from store.ledger import heads

    try:
        is_file = Path(given).is_file()
    except (OSError, ValueError):
        is_file = False
    if not is_file and not _KEY.fullmatch(given.strip()):
        raise InvalidRequest(f"--key: there is no file {given}, and it is no public key itself")
    return heads.load_public(Path(given).read_text() if is_file else given)


_KEY = re.compile(r"[A-Za-z0-9+/]{43}=")


@app.command()
def head(
    sign: Annotated[
        bool, typer.Option("--sign", help="With the key of CLEARANCE_LEDGER_KEY.")
    ] = False,
) -> None:
    """Print the position and the hash of the last row: who keeps them can prove all before it."""
    settings = session.load()
    if sign and settings.ledger_key is None:
        raise InvalidRequest("CLEARANCE_LEDGER_KEY: name the key; `clearance audit key` makes one")
    from store.ledger import Ledger, heads

    async def work() -> "Head":
        async with Ledger.open(settings.ledger_address(), create=False) as ledger:
            return await ledger.head()

    last = session.run(work())
    if sign and settings.ledger_key is not None:
        signed = heads.sign(last, heads.load_key(settings.ledger_key))
        output.out(json.dumps(signed.model_dump()))
    else:
        output.out(json.dumps(last._asdict()))


@app.command()
def key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the private key goes.")],
) -> None:
    """Make the key that signs the ledger's heads, and print the public one."""
    from store.ledger import heads

    output.out(heads.new_key(file))
    output.say(
        f"{file} signs: CLEARANCE_LEDGER_KEY={file}. What was printed checks: keep it apart."
    )


app.command()(audit_export.export)
app.command()(audit_reconcile.reconcile)
app.command()(audit_trace.trace)

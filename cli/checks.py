"""What of an installation is checked without Temporal: how heads are signed, how people are told."""

from datetime import datetime
from pathlib import Path

from clearance import InvalidRequest
from clearance.text import moment
from policy.channels import Channels

from .settings import Settings, unset

Check = tuple[str, bool, str]
"""What was looked at, whether it is well, and what was found."""


def unsignable(settings: Settings) -> str | None:
    """Why no head of the ledger could be signed as it is set; None where nothing is wrong."""
    from store.ledger import heads

    key, file = settings.ledger_key, settings.ledger_heads
    try:
        if key is not None:
            _there(key, "`clearance audit key` makes a key")
            heads.load_key(key)
    except (InvalidRequest, OSError) as error:
        return f"CLEARANCE_LEDGER_KEY: {error}"
    try:
        if file is not None:
            _there(file.parent, "it is where signed heads go", folder=True)
            heads.read(file) if file.exists() else []
    except (InvalidRequest, OSError) as error:
        return f"CLEARANCE_LEDGER_HEADS: {error}"
    return None


def _there(path: Path, hint: str, *, folder: bool = False) -> None:
    """Raise InvalidRequest where there is no such file or folder."""
    if not (path.is_dir() if folder else path.exists()):
        raise InvalidRequest(f"there is no {'folder' if folder else 'file'} {path}: {hint}")


async def signed_heads(settings: Settings) -> Check:
    """Who signs the ledger's heads, and how far they go."""
    from store import CannotStore
    from store.ledger import Ledger, heads

    key, file = settings.ledger_key, settings.ledger_heads
    if fault := unsignable(settings):
        return ("heads", False, fault)
    if key is None or file is None:
        lacks = {"CLEARANCE_LEDGER_KEY": key, "CLEARANCE_LEDGER_HEADS": file}
        missing = " and ".join(name for name, value in lacks.items() if value is None)
        return ("heads", key is file, f"off: the worker signs none without {missing}")
    signer = f"signed by {heads.key_id(heads.load_key(key).public_key())}"
    found = heads.read(file) if file.exists() else []
    if not found:
        return ("heads", True, f"{signer}; none in {file} yet")
    try:
        async with Ledger.open(settings.ledger_address(), create=False) as ledger:
            behind = (await ledger.head()).position - found[-1].position
    except CannotStore as error:
        return ("heads", False, str(error))
    at = f"last at {moment(datetime.fromisoformat(found[-1].at))}"
    if behind < 0:
        return ("heads", False, f"{signer}, {at}; the ledger ends before: `clearance audit verify`")
    return ("heads", True, f"{signer}, {at}, {behind:,} rows ago")


def channels(settings: Settings, told: Channels) -> Check:
    """Whether the messages that the file of reviewers names can be sent from here."""
    if not told and not told.webhooks:
        return ("channels", True, "nobody is told: reviewers.toml names no channel")
    everyone = ", everyone with an address by mail" if told.mail_everyone else ""
    found = f"{told.summary()}{everyone}"
    faults = []
    if told.mails and settings.smtp_url is None:
        faults.append("no mail goes out: set CLEARANCE_SMTP_URL")
    if missing := unset(told.variables):
        faults.append(f"not set here: {', '.join(missing)}")
    mail = "; mail by CLEARANCE_SMTP_URL" if told.mails and settings.smtp_url else ""
    return ("channels", not faults, "; ".join([found + mail, *faults]))

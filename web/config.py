"""What an inbox is told at its start. It reads no environment itself."""

import ipaddress
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from clearance import contract

DEFAULT_PORT = 8234


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _site(value: str) -> str:
    try:
        parts = urlsplit(value)
        ours = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        ours = False
    if not ours or parts.path not in ("", "/") or parts.query or parts.fragment or parts.username:
        raise ValueError("write it like https://approvals.example.com, with nothing behind")
    return value.rstrip("/")


def _issuer(value: str) -> str:
    parts = urlsplit(value)
    safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    if not safe or not parts.hostname:
        raise ValueError("write its https address: who somebody is must not be told in the open")
    return value


def _networks(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        try:
            ipaddress.ip_network(value)
        except ValueError as error:
            raise ValueError(f"{value!r} is no address like 10.0.0.7 or 10.0.0.0/24") from error
    return values


def _rate(value: str) -> str:
    import limits  # slow to load, and every command reads this module

    limits.parse(value)
    return value


Port = Annotated[int, Field(ge=0, le=65_535)]
Site = Annotated[str, AfterValidator(_site)]
"""``https://approvals.example.com``: no path behind it."""
Issuer = Annotated[str, AfterValidator(_issuer)]
"""An https address; http only on this machine."""
Networks = Annotated[tuple[str, ...], AfterValidator(_networks)]
"""Addresses or networks: ``10.0.0.7``, ``10.0.0.0/24``."""
Rate = Annotated[str, AfterValidator(_rate)]
"""How often, as ``limits`` writes it: ``10/minute``."""


class Oidc(BaseModel):
    """An OpenID Connect provider that says who somebody is."""

    model_config = ConfigDict(frozen=True)

    issuer: Issuer
    """Its address; ``/.well-known/openid-configuration`` below it tells the rest."""

    client_id: str
    client_secret: SecretStr | None = None
    """None for a public client; the code is bound by PKCE either way."""

    name_claim: str = "email"
    """The claim that is a person's name here, as audiences and ``reviewers.toml`` write it."""

    accept_unverified: bool = False
    """Whether an email address counts that the provider does not call verified: only where nobody
    can choose their own there."""

    groups_claim: str = "groups"
    """The claim that lists their groups, ``finance`` for ``group:finance``."""


class Rates(BaseModel):
    """How often somebody may try. Each instance counts for itself."""

    model_config = ConfigDict(frozen=True)

    sign_in: Rate = "20/minute"
    """Ways in that are tried from one address: links, a provider's answers."""

    failed_token: Rate = "20/minute"  # noqa: S105 - a rate
    """Tokens that don't hold, from one address."""

    codec: Rate = "1200/minute"
    """What one operator may have decrypted: Temporal's pages ask for each event."""

    act: Rate = "600/minute"
    """What one person, token or link may change: decisions, comments, new requests."""


class WebConfig(BaseModel):
    """Where an inbox listens, how it is reached, and who tells it who somebody is."""

    model_config = ConfigDict(frozen=True)

    host: str = "127.0.0.1"
    port: Port = DEFAULT_PORT
    """0 for one that the system picks."""

    public_url: Site | None = None
    """As reviewers reach it, ``https://approvals.example.com``; left out, where it listens."""

    proxies: Networks = ()
    """Whose ``X-Forwarded-For`` and ``-Proto`` are believed."""

    database: str
    """An SQLAlchemy address: ``sqlite:///path`` or ``postgresql://...``."""

    ledger: str | None = None
    """Of the audit ledger, likewise; None for none."""

    oidc: Oidc | None = None
    rates: Rates = Rates()
    reviewers: Path | None = None
    """``reviewers.toml``, to know who is in which group; None where there is none."""

    temporal_ui: str | None = None
    """Address of Temporal's own pages; None where there are none to link to."""

    approvals_queue: str = contract.APPROVALS_QUEUE

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return is_loopback(self.host)

    @property
    def local(self) -> bool:
        """Whether people sign in by a link that a command prints."""
        return self.loopback and self.oidc is None

    @property
    def secure(self) -> bool:
        """Whether browsers reach it by https."""
        return (self.public_url or "").startswith("https://")

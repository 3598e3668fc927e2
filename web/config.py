"""What an inbox is told at its start. It reads no environment itself."""

import ipaddress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr

from clearance import contract

DEFAULT_PORT = 8234


class Oidc(BaseModel):
    """An OpenID Connect provider that says who somebody is."""

    model_config = ConfigDict(frozen=True)

    issuer: str
    """Its address; ``/.well-known/openid-configuration`` below it tells the rest."""

    client_id: str
    client_secret: SecretStr | None = None
    """None for a public client; the code is bound by PKCE either way."""

    name_claim: str = "email"
    """The claim that is a person's name here, as audiences and ``reviewers.toml`` write it."""

    groups_claim: str = "groups"
    """The claim that lists their groups, ``finance`` for ``group:finance``."""


class WebConfig(BaseModel):
    """Where an inbox listens, how it is reached, and who tells it who somebody is."""

    model_config = ConfigDict(frozen=True)

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    """0 for one that the system picks."""

    public_url: str | None = None
    """As reviewers reach it, ``https://approvals.example.com``; left out, where it listens."""

    proxies: tuple[str, ...] = ()
    """Addresses whose ``X-Forwarded-For`` and ``-Proto`` are believed."""

    database: str
    """An SQLAlchemy address: ``sqlite:///path`` or ``postgresql://...``."""

    oidc: Oidc | None = None
    reviewers: Path | None = None
    """``reviewers.toml``, to know who is in which group; None where there is none."""

    temporal_ui: str | None = None
    """Address of Temporal's own pages; None where there are none to link to."""

    approvals_queue: str = contract.APPROVALS_QUEUE

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def local(self) -> bool:
        """Whether people sign in by a link that a command prints."""
        return self.loopback and self.oidc is None

    @property
    def secure(self) -> bool:
        """Whether browsers reach it by https."""
        return (self.public_url or "").startswith("https://")

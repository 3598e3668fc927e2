"""Every setting, read once at the entry point from the environment and passed down from there."""

import json
import os
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import AnyHttpUrl, BaseModel, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from clearance import contract
from clearance.connect import DEFAULT_ADDRESS, load_settings
from web.config import Issuer, Port, Site

from .formats import BuildId, Database, DeploymentName, Digest, Names, Period, Proxies


class Settings(BaseSettings):
    """``CLEARANCE_*``, and the two names OpenAI's own client reads.

    How Temporal is reached is not here: ``temporalio.envconfig`` reads that (TEMPORAL_ADDRESS,
    TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS..., TOML profiles).
    """

    model_config = SettingsConfigDict(
        env_prefix="CLEARANCE_", populate_by_name=True, env_ignore_empty=True, extra="forbid"
    )

    approvals_queue: str = contract.APPROVALS_QUEUE
    """Task queue of the approvals."""

    agents_queue: str = contract.AGENTS_QUEUE
    """Task queue of the agents and their activities."""

    deployment: DeploymentName | None = None
    """Switches worker versioning on: the name before ``-approvals`` and ``-agents`` of the two worker
    deployments in Temporal (docs/upgrades.md). Unset: off."""

    build_id: BuildId | None = None
    """Which build this worker is; a worker of a deployment needs it."""

    workflow_cache: int = Field(1_000, ge=0)
    """How many requests, and how many runs, a worker keeps in memory (docs/performance.md); the others it
    reads again from Temporal when something happens to them."""

    agents: Names = ()
    """Modules with agents of your own, separated by commas."""

    policy: Path | None = None
    """The policy file; unless set, ``checkpoints.toml`` where the command is called, if it is there."""

    reviewers: Path | None = None
    """People, groups, delegations; unless set, ``reviewers.toml`` where the command is called, if it
    is there."""

    reviewer: str | None = None
    """Who decides from this command line; the system's user name unless set."""

    state: Path = Path(".clearance")
    """Folder of the embedded server and of what the sample agents write."""

    model: str | None = None
    """Name of the model for agents that name none."""

    model_api: Literal["responses", "chat_completions"] = "responses"
    """Which of OpenAI's two protocols the model server speaks."""

    smtp_url: SecretStr | None = None
    """``smtp://user:password@host:port``; without it, mail becomes .eml files in the state folder."""

    notify_digest: Digest = timedelta(seconds=60)
    """How long somebody's messages wait for more, to be told together: ``0s`` is not at all."""

    mail_from: str = "clearance@localhost"
    """From address of what the sample agents send."""

    openai_api_key: SecretStr | None = Field(None, validation_alias="OPENAI_API_KEY")
    """Key of the model server."""

    openai_base_url: str | None = Field(None, validation_alias="OPENAI_BASE_URL")
    """Address of any OpenAI-compatible server."""

    web_host: str = "127.0.0.1"
    """Where the inbox listens; beyond this machine only with a provider or an API token."""

    web_port: Port | None = None
    """8234 unless set; `clearance up` and `demo` take a free one where that is taken."""

    public_url: Site | None = None
    """As reviewers reach the inbox, where a proxy stands before it."""

    trusted_proxies: Proxies = ()
    """Proxies that are believed from where somebody calls: addresses or networks, with commas."""

    database_url: SecretStr | None = None
    """Where the inbox keeps tokens, sessions and links; unless set, a SQLite file in the state folder."""

    ledger_url: Database | None = None
    """Where the audit ledger is; unless set, a SQLite file in the state folder."""

    ledger_key: Path | None = None
    """The private key that signs the ledger's heads (`clearance audit key`)."""

    ledger_heads: Path | None = None
    """A file that signed heads are appended to; not where the ledger is."""

    reconcile_every: Period = timedelta(minutes=5)
    """How often the worker has the ledger reconciled with Temporal; ``never`` leaves it to people."""

    oidc_issuer: Issuer | None = None
    """An OpenID Connect provider that says who somebody is."""

    oidc_client_id: str | None = None
    """As whom the inbox is registered there."""

    oidc_client_secret: SecretStr | None = None
    """Its secret there; none for a public client."""

    oidc_name_claim: str = "email"
    """The claim that is a person's name here."""

    oidc_accept_unverified: bool = False
    """Whether an email address counts that the provider doesn't call verified."""

    oidc_groups_claim: str = "groups"
    """The claim that lists a person's groups."""

    encryption_keys: Path | None = None
    """The key file by which everything that Temporal keeps is encrypted."""

    hash_requester: bool = False
    """Whether Temporal's index holds a requester's name only as a hash; needs the key file."""

    signing_keys: Path | None = None
    """The key file that signs decisions: the inbox's, or a command line's that may sign."""

    decision_keys: Path | None = None
    """The public keys that new requests pin: only decisions that one of them has signed count."""

    metrics: str | None = None
    """Where the worker offers its metrics to Prometheus: a port of this machine, ``127.0.0.1:9464``."""

    log_format: Literal["text", "json"] = "text"
    """Of what worker and inbox write to standard error."""

    otlp_endpoint: AnyHttpUrl | None = Field(None, validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")
    """A collector of OpenTelemetry traces; the SDK reads the other ``OTEL_*`` names itself."""

    temporal_ui: str | None = None
    """Temporal's own pages, to link to from a run; unless set, those of the embedded server."""

    def policy_file(self) -> Path | None:
        """The policy to go by; None where there is none, so that every tool waits."""
        here = Path("checkpoints.toml")
        return self.policy or (here if here.exists() else None)

    def reviewers_file(self) -> Path | None:
        """The directory to ask who somebody is; None where there is none."""
        here = Path("reviewers.toml")
        return self.reviewers or (here if here.exists() else None)

    def database_address(self) -> str:
        """Of the inbox's database."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.state / 'clearance.db'}"

    def ledger_address(self) -> str:
        """Of the ledger's database."""
        if self.ledger_url is not None:
            return self.ledger_url.get_secret_value()
        return f"sqlite:///{self.state / 'ledger.db'}"

    @property
    def encryption(self) -> dict[str, Any]:
        """How payloads are encrypted, as ``clearance.connect`` takes it."""
        return {"keys": self.encryption_keys, "hash_requester": self.hash_requester}

    @property
    def has_model(self) -> bool:
        """Whether there is anywhere to send model calls."""
        return self.openai_api_key is not None or self.openai_base_url is not None


class _LeftBehind(BaseModel):
    """What a running process leaves in the state folder for other commands to find it."""

    FILE: ClassVar[str]

    pid: int
    started: float
    """Of the process, so that a reused pid is not taken for it."""

    @classmethod
    def path(cls, state: Path) -> Path:
        """The file in the state folder."""
        return state / cls.FILE

    @classmethod
    def find(cls, state: Path) -> Self | None:
        """The one that was started last with this state folder, if it runs."""
        try:
            found = cls.model_validate(json.loads(cls.path(state).read_text()))
        except (OSError, ValueError, ValidationError):
            return None
        return found if found._alive() else None

    def _alive(self) -> bool:
        import psutil  # here: most commands find nothing to ask it about

        try:
            return psutil.Process(self.pid).create_time() == self.started
        except (OSError, psutil.Error):
            return False


class EmbeddedServer(_LeftBehind):
    """A running embedded server."""

    FILE = "server.json"

    address: str
    ui: str

    starter: int = 0
    """The process that started it, and stops it."""

    def is_kept(self) -> bool:
        """Whether that process still lives: orphaned, the server is about to end."""
        import psutil

        try:
            return psutil.Process(self.pid).ppid() == self.starter
        except psutil.Error:
            return False


class RunningInbox(_LeftBehind):
    """A running inbox, for ``clearance sign-in`` and ``link``."""

    FILE = "inbox.json"

    url: str


def unset(names: Iterable[str]) -> list[str]:
    """Those of some variables that this process's environment doesn't have."""
    return [name for name in names if not os.environ.get(name, "").strip()]


def inbox_address(settings: Settings) -> str | None:
    """Where reviewers reach the inbox; None where it isn't configured, and none runs here."""
    found = None if settings.public_url else RunningInbox.find(settings.state)
    return found.url if found else settings.public_url


def links_database(settings: Settings) -> str | None:
    """The database of the inbox that people reach; None where nothing says that it is the one known
    here: it is not configured, and no inbox runs with this state folder."""
    known = settings.database_url is not None or RunningInbox.find(settings.state) is not None
    return settings.database_address() if known else None


def temporal_settings(settings: Settings) -> dict[str, Any]:
    """How to reach Temporal: as configured, else the embedded server that runs here, else the default.

    Raises:
        CannotConnect: the configuration can't be read.
    """
    embedded = EmbeddedServer.find(settings.state)
    return load_settings(embedded.address if embedded else DEFAULT_ADDRESS)

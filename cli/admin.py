"""Looking after an installation: setup, doctor."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import typer
from temporalio.client import Client
from temporalio.service import RPCError

from clearance import CannotConnect, attributes, connect
from clearance.codec import encryption_of
from clearance.deployments import Deployment
from clearance.ended import Ended
from clearance.keys import InvalidKeys
from clearance.text import span
from clearance.workers import at_work, is_alive, silence
from policy import reviewers
from policy.source import BrokenPolicy, load

from . import deploy, output, session
from .approvals import Json
from .checks import Check, channels, signed_heads
from .settings import EmbeddedServer, Settings, temporal_settings

_RECONCILED_WITHIN = timedelta(minutes=15)
"""The schedule brings what is missing within five minutes."""


def setup() -> None:
    """Register what Clearance needs in the configured namespace: its search attributes."""
    settings = session.load()

    async def work() -> list[str]:
        async with session.connected(settings) as client:
            return await attributes.register(client.temporal)

    added = session.run(work())
    output.out(f"Added {', '.join(added)}." if added else "Everything is there already.")


def doctor(as_json: Json = False) -> None:
    """Check server, search attributes, workers, policy, reviewers and model; exit 1 on a fault."""
    settings = session.load()
    checks = session.run(_examine(settings))
    if as_json:
        output.print_json([{"check": c, "ok": ok, "finding": text} for c, ok, text in checks])
    else:
        for name, ok, text in checks:
            output.out(f"{'ok ' if ok else '!! '} {name}: {text}")
    if not all(ok for _, ok, _ in checks):
        raise typer.Exit(session.EXIT_FAILED)


async def _examine(settings: Settings) -> list[Check]:
    found = temporal_settings(settings)
    address = found["target_host"]
    embedded = EmbeddedServer.find(settings.state)
    kind = "embedded" if embedded and embedded.address == address else "configured"
    unreadable = None
    try:
        try:
            client = await connect(found, **settings.encryption)
        except InvalidKeys as error:
            unreadable = ("encryption", False, str(error))
            client = await _plainly(found)
    except CannotConnect as error:
        away = [("temporal", False, str(error)), *([unreadable] if unreadable else [])]
        return [*away, _signing(settings), await signed_heads(settings), *_files(settings)]
    checks = [("temporal", True, f"{address} ({kind}), namespace {client.namespace}")]
    absent = [key.name for key in await attributes.missing(client)]
    checks.append(
        ("search attributes", not absent, f"missing {', '.join(absent)}: run `clearance setup`")
        if absent
        else ("search attributes", True, "all registered")
    )
    checks.append(unreadable or _encryption(client))
    checks.append(_signing(settings))
    rolled_out, deployment = await deploy.examined(settings, client)
    for what, queue in (
        ("approvals", settings.approvals_queue),
        ("agents", settings.agents_queue),
    ):
        checks.append(await _worker(client, what, queue, rolled_out.get(queue)))
    checks += deployment
    checks.append(await _ledger(settings, client))
    checks.append(await signed_heads(settings))
    return [*checks, *_files(settings)]


async def _plainly(found: dict[str, Any]) -> Client:
    """Connect without any key: nothing is read that is encrypted. Raises CannotConnect."""
    try:
        async with asyncio.timeout(10):
            client = await Client.connect(**found)
            await client.count_workflows("WorkflowId = '-'")
            return client
    except (RPCError, RuntimeError, TimeoutError, ValueError) as error:
        raise CannotConnect(f"cannot reach Temporal at {found['target_host']}") from error


def _files(settings: Settings) -> list[Check]:
    """Of what the files and settings here say."""
    checks = [_policy(settings), *_reviewers(settings)]
    checks.append(
        ("model", True, f"{settings.model or 'default'} at {settings.openai_base_url or 'OpenAI'}")
        if settings.has_model
        else ("model", False, "set OPENAI_API_KEY, or OPENAI_BASE_URL for a compatible server")
    )
    return checks


def _encryption(client: Client) -> Check:
    encryption = encryption_of(client)
    if encryption is None or (key := encryption.current) is None:
        return ("encryption", True, "off: Temporal keeps what is asked as it is")
    hashed = ", requesters hashed" if encryption.hashes else ""
    return ("encryption", True, f"on, by the key {key}{hashed}")


def _signing(settings: Settings) -> Check:
    name = "signed decisions"
    if settings.signing_keys is None and settings.decision_keys is None:
        return (name, True, "off: requests made here take decisions without a signature")
    from clearance import signing

    try:
        pinned = signing.pinned_from(settings.decision_keys)() if settings.decision_keys else ()
        current = signing.Signer(settings.signing_keys).current if settings.signing_keys else None
    except InvalidKeys as error:
        return (name, False, str(error))
    ids = ", ".join(one.id for one in pinned) or "no key"
    if current is None:
        return (name, True, f"requests made here pin {ids}; nothing is signed here")
    if pinned and current not in pinned:
        mend = "write that anew by `clearance keys public`"
        return (
            name,
            False,
            f"{current.id} signs here and isn't in {settings.decision_keys}: {mend}",
        )
    return (name, True, f"{current.id} signs here; requests made here pin {ids}")


async def _ledger(settings: Settings, client: Client) -> Check:
    from store import CannotStore, NoDatabase
    from store.ledger import Ledger
    from store.ledger.reconciling import behind

    ended = Ended(client, settings.approvals_queue)
    try:
        async with Ledger.open(settings.ledger_address(), create=False) as ledger:
            head = await ledger.head()
            missing = await behind(ledger, ended)
    except NoDatabase:
        return ("ledger", True, "there is none yet: the worker makes it")
    except CannotStore as error:
        return ("ledger", False, str(error))
    except RPCError as error:
        return ("ledger", False, f"Temporal doesn't say what has ended: {error.message}")
    rows = f"{head.position:,} rows, head {head.hash[:16]}"
    if missing:
        due = datetime.now(UTC) - _RECONCILED_WITHIN
        late = any(one.close_time is not None and one.close_time < due for one in missing)
        lacks = f"lacks {len(missing):,} requests that have ended"
        return ("ledger", not late, f"{rows}; {lacks}: `clearance audit reconcile` brings them")
    return ("ledger", True, f"{rows}; nothing that has ended is missing")


def _policy(settings: Settings) -> Check:
    path = settings.policy_file()
    if path is None:
        return ("policy", True, "there is no checkpoints.toml here, so every tool waits")
    try:
        pinned = load(path)
    except BrokenPolicy as error:
        return ("policy", False, _first(error))
    count = len(pinned.policy.checkpoint)
    return ("policy", True, f"{path}: {count} checkpoints, default {pinned.policy.default}")


def _reviewers(settings: Settings) -> list[Check]:
    path = settings.reviewers_file()
    if path is None:
        none = "there is no reviewers.toml here: no groups, no delegations, nobody is told"
        return [("reviewers", True, none)]
    try:
        found = reviewers.load(path)
    except BrokenPolicy as error:
        return [("reviewers", False, _first(error))]
    return [
        ("reviewers", True, f"{path}: {found.summary()}"),
        channels(settings, found.channels),
    ]


def _first(error: BrokenPolicy) -> str:
    more = f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
    return error.problems[0] + more


async def _worker(
    client: Client, what: str, queue: str, deployment: Deployment | None = None
) -> Check:
    polling = await at_work(client, queue)
    if deployment is not None and polling:
        polling = [one for one in polling if deployment.takes(one)]
        if not polling:
            build = f"build {deployment.current}" if deployment.current else "no build"
            found = f"new work goes to workers of {build}, and none of them polls {queue}"
            return (f"{what} worker", False, found)
    if polling:
        if any(map(is_alive, polling)):
            return (f"{what} worker", True, f"polls {queue}")
        silent = span(min(map(silence, polling)))
        found = f"polled {queue} {silent} ago and not since: it may have been killed"
        return (f"{what} worker", False, f"{found}; run `clearance worker`")
    return (f"{what} worker", False, f"none polls {queue}: run `clearance worker`")

"""Every feature of a request whose price is measured: how it is asked for, and how it is decided."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from aiosmtpd.handlers import Sink
from aiosmtpd.smtp import SMTP
from pydantic import SecretStr
from temporalio.client import Client, WorkflowHandle

from clearance import ApprovalClient, ApprovalRequest, Stage, contract, keyfile, keys
from clearance.grants import GrantUse
from clearance.notices import Destination, notifier_id
from clearance.signatures import DecisionKey
from clearance.signing import Signer, decision_keys, public_ring
from cli.settings import Settings

from . import ours
from .contenders import (
    Contender,
    Decide,
    OnTemporal,
    ours_by_client,
    ours_by_signal,
    ours_decided,
)
from .ours import Parent

ADA, GRACE, MARY = PEOPLE = ("ada@example.com", "grace@example.com", "mary@example.com")
TOLD = "told@example.com"
"""Is told by mail; nobody else is told anything."""

REVIEWERS = f"""
[people."{TOLD}"]
notify = ["mail"]
"""

SOON = timedelta(milliseconds=300)

WIRE = ApprovalRequest(action="Wire 42.00 to ACME", tool="wire", arguments={"cents": 4_200})


@asynccontextmanager
async def mail_sink() -> AsyncIterator[str]:
    """The URL of a mail server that takes everything and keeps nothing."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Sink()), "127.0.0.1", 0)
    try:
        yield f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@dataclass(frozen=True)
class Priced:
    """A case of which an approval's history is counted."""

    contender: Contender
    encrypted: bool = False
    also: str | None = None
    """A workflow that works for it, too; it sends two mails."""


class Keys:
    """A key file of each kind in a folder."""

    def __init__(self, folder: Path) -> None:
        """Make them."""
        self.encryption, self.signing = folder / "encryption.json", folder / "signing.json"
        self.public = folder / "public.json"
        keyfile.create(self.encryption, keys.new(keys.KINDS["encryption"]))
        keyfile.create(self.signing, keys.new(keys.KINDS["signing"]))
        ring = public_ring(keyfile.read(self.signing))
        self.public.write_text(keys.dumped(ring))
        self.pinned: tuple[DecisionKey, ...] = decision_keys(ring)

    def client(self, temporal: Client, **how: Any) -> ApprovalClient:
        """One that signs."""
        return ApprovalClient(
            temporal, signer=Signer(self.signing), decision_keys=lambda: self.pinned, **how
        )


class Features:
    """What the cases need: queues, keys, a mail server."""

    def __init__(self, folder: Path, smtp: str) -> None:
        """In a folder, with a mail server at this URL."""
        self._keys = Keys(folder)
        self._smtp = smtp
        self.queue, self._encrypted = "features", "features-encrypted"

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path) -> AsyncIterator["Features"]:
        """With a mail server for as long as the context is open."""
        async with mail_sink() as smtp:
            yield cls(folder, smtp)

    def settings(self, folder: Path) -> Sequence[Settings]:
        """Of the workers: of one as it comes, told whom to tell; of one that encrypts."""
        reviewers = folder / "reviewers.toml"
        reviewers.write_text(REVIEWERS)
        told = Settings(
            approvals_queue=self.queue,
            state=folder / "plain",
            reviewers=reviewers,
            smtp_url=SecretStr(self._smtp),
            notify_digest=timedelta(0),
            reconcile_every=None,
        )
        encrypted = Settings(
            approvals_queue=self._encrypted,
            state=folder / "encrypted",
            encryption_keys=self._keys.encryption,
            reconcile_every=None,
        )
        return told, encrypted

    def priced(self, clients: dict[bool, Client]) -> list[Priced]:
        """The cases, for clients that encrypt (True) and don't."""
        client, queue = clients[False], self.queue
        approvals = ApprovalClient(client, task_queue=queue)

        def by_update(name: str, **terms: Any) -> Priced:
            who = terms.get("audience", (ADA,))[0]
            request = WIRE.model_copy(update=terms)
            return Priced(
                ours_by_client(approvals, queue, f"{name}, update", request=request, reviewer=who)
            )

        def decided(name: str, decide: Decide, **terms: Any) -> Priced:
            request = WIRE.model_copy(update=terms)
            return Priced(ours_decided(client, queue, f"{name}, update", request, decide))

        told = by_update("an audience, told by mail", audience=(TOLD,))
        notifier = notifier_id(queue, Destination(who=TOLD, channel="mail"))
        hidden = ApprovalClient(clients[True], task_queue=self._encrypted)
        return [
            Priced(ours_by_signal(client, queue)),
            by_update("plain"),
            by_update("no deadline", expires_in=None),
            by_update("an audience", audience=PEOPLE),
            Priced(told.contender, also=notifier),
            decided("two of three", _by(approvals, ADA, GRACE), audience=PEOPLE, quorum=2),
            decided("two stages", _by(approvals, ADA, GRACE), stages=_stages()),
            decided("a change of the arguments", _changing(approvals), editable=True),
            decided("a comment", _commenting(approvals)),
            decided(
                "a reminder",
                _after(approvals, "reminded", ADA),
                audience=(ADA,),
                remind_after=(SOON,),
            ),
            decided(
                "an escalation",
                _after(approvals, "escalated", GRACE),
                audience=(ADA,),
                escalate_to=(GRACE,),
                escalate_after=SOON,
            ),
            Priced(_granted(client, queue)),
            Priced(
                ours_by_client(
                    self._keys.client(client, task_queue=queue),
                    *(queue, "a signed decision, update"),
                    request=WIRE.model_copy(update={"decision_keys": self._keys.pinned}),
                )
            ),
            Priced(
                ours_by_client(hidden, self._encrypted, "encrypted, update", request=WIRE),
                encrypted=True,
            ),
        ]


def _stages() -> tuple[Stage, ...]:
    return (Stage(name="first", audience=(ADA,)), Stage(name="second", audience=(GRACE,)))


def _granted(client: Client, queue: str) -> Contender:
    """A call that a standing approval allows, which its run was given by another request before."""

    async def start(id: str) -> WorkflowHandle[Any, Any]:
        use = GrantUse(grant_id=f"{id}.0", granted_by=ADA, condition="true", use=1, max_uses=10)
        asked = WIRE.model_copy(update={"grant": use})
        return await client.start_workflow(
            Parent.run, args=[asked, queue], id=id, task_queue=ours.parents(queue)
        )

    async def nobody(id: str) -> None:
        """It closes by itself."""

    name = "use of a standing approval, update"
    return OnTemporal(name, client, start, nobody, contract.QUERY_VIEW)


def _by(approvals: ApprovalClient, *people: str) -> Decide:
    async def decide(id: str) -> None:
        for who in people:
            assert (await approvals.approve(id, reviewer=who)).in_effect

    return decide


def _changing(approvals: ApprovalClient) -> Decide:
    async def decide(id: str) -> None:
        receipt = await approvals.approve(id, reviewer=ADA, arguments={"cents": 4_000})
        assert receipt.in_effect

    return decide


def _commenting(approvals: ApprovalClient) -> Decide:
    async def decide(id: str) -> None:
        await approvals.comment(id, "The invoice is the right one", who=GRACE)
        assert (await approvals.approve(id, reviewer=ADA)).in_effect

    return decide


def _after(approvals: ApprovalClient, kind: str, who: str) -> Decide:
    """Decides as soon as the record has an event of that kind."""

    async def decide(id: str) -> None:
        while all(event.kind != kind for event in (await approvals.get(id)).events):
            await asyncio.sleep(SOON.total_seconds() / 10)
        assert (await approvals.approve(id, reviewer=who)).in_effect

    return decide

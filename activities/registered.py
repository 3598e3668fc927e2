"""What each of the two workers registers."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client

from store.ledger.breaker import Breaker

from .directory import DirectoryActivities
from .keeping import KeepingActivities
from .mail import MailActivities
from .reconciling import ReconcilingActivities
from .sending import Sender, SendingActivities
from .shop import ShopActivities
from .telling import TellingActivities


def for_approvals(
    client: Client,
    *,
    queue: str,
    directory: DirectoryActivities,
    window: timedelta,
    sender: Sender,
    ledger: Breaker,
    key: Path | None,
    heads: Path | None,
) -> Sequence[Callable[..., Any]]:
    """The activities of approvals and of those who tell of them.

    Args:
        client: reaches the namespace of the approvals.
        queue: theirs.
        directory: says who somebody is; its file, how they are reached.
        window: how long their messages wait for more.
        sender: sends them.
        ledger: keeps what has ended.
        key: signs the ledger's heads, which are appended to the file ``heads``.
        heads: none without a key.
    """
    telling = TellingActivities(client, directory.file, queue=queue, window=window)
    reconciling = ReconcilingActivities(client, queue, ledger, key=key, heads=heads)
    return [
        *directory.activities,
        *KeepingActivities(ledger).activities,
        *reconciling.activities,
        *telling.activities,
        *SendingActivities(sender).activities,
    ]


def for_samples(
    state: Path, *, smtp_url: str | None, mail_from: str
) -> Sequence[Callable[..., Any]]:
    """The activities of the sample agents, which keep what they do in the folder ``state``.

    Raises:
        ValueError: the SMTP URL is none.
    """
    mail = MailActivities(smtp_url=smtp_url, outbox=state / "outbox", sender=mail_from)
    shop = ShopActivities(state / "shop.db")
    return [
        mail.send_email,
        shop.look_up_order,
        shop.issue_refund,
        shop.list_stale_customers,
        shop.delete_records,
    ]

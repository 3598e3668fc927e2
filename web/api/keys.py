"""``Idempotency-Key``: the same thing sent twice is one thing.

As in draft-ietf-httpapi-idempotency-key-header, but a key may stand without its quotation marks.
"""

import hashlib
from typing import Annotated

from fastapi import Header

from .auth import Service

IdempotencyKey = Annotated[
    str | None,
    Header(
        description="Chosen by you, a UUID for instance: 1 to 255 printable ASCII characters. Send the "
        "same one again after a failure, and it is done once. It belongs to your token.",
        min_length=1,
        max_length=255,
        pattern=r"^[!-~]+$",
    ),
]


def key_of(service: Service, key: str | None, of: str = "") -> str | None:
    """A key that no other token can make, in the form of ``clearance.fields.Key``; None for none.

    Args:
        service: whose key it is.
        key: as it was sent.
        of: what it is a key of, where one request takes several kinds of things.
    """
    if key is None:
        return None
    return hashlib.sha256(f"{service.token_id}\n{of}\n{key}".encode()).hexdigest()[:40]

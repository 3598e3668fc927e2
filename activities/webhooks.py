"""Telling other services by HTTP, signed as Standard Webhooks says (standardwebhooks.com)."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook as Signer

from clearance.notices import Notice
from policy.channels import ENV, Webhook, check_secret, check_url

from .reaching import Resolve, post, resolve
from .unsent import NotSent

TEST = "clearance.test"
"""The type of an event that is sent only to see whether it arrives."""

_GONE = 410


def event(notice: Notice, url: str | None) -> dict[str, Any]:
    """What a webhook is told of a notice. ``url`` is where the request is seen, after signing in."""
    return {
        "type": f"approval.{notice.kind}",
        "timestamp": notice.at.astimezone(UTC).isoformat(),
        "data": {
            "id": notice.approval_id,
            "status": notice.kind if notice.ends else "pending",
            "action": notice.action,
            "tool": notice.tool,
            "requester": notice.requester,
            "run_id": notice.run_id,
            "risk": notice.risk,
            "deadline": notice.deadline and notice.deadline.astimezone(UTC).isoformat(),
            "stage": notice.stage,
            "by": notice.by,
            "reason": notice.reason,
            "url": url,
        },
    }


def trial() -> dict[str, Any]:
    """An event of the type ``clearance.test``."""
    return {"type": TEST, "timestamp": datetime.now(UTC).isoformat(), "data": {}}


class Webhooks:
    """Signs and sends."""

    def __init__(self, environ: Mapping[str, str], resolve: Resolve = resolve) -> None:
        """``environ`` is where addresses and secrets are that a file doesn't hold."""
        self._environ = environ
        self._resolve = resolve

    async def send(self, to: Webhook, key: str, body: Mapping[str, Any]) -> None:
        """Tell it; a status from 200 to 299 says that it was told.

        Args:
            to: whom.
            key: the event's idempotency key: the same again gets the same ``webhook-id``.
            body: ``type``, ``timestamp`` and ``data``.

        Raises:
            NotSent: it wasn't told; for good after a 410, or where address or secret are none.
        """
        status, _ = await self.call(to, key, body)
        if status == _GONE:
            raise NotSent("it answered 410: it wants no more of this", final=True)
        if not 200 <= status < 300:
            told = " (redirects are not followed)" if 300 <= status < 400 else ""
            raise NotSent(f"it answered {status}{told}")

    async def call(
        self, to: Webhook, key: str, body: Mapping[str, Any]
    ) -> tuple[int, dict[str, str]]:
        """The status of the answer, and the headers that were sent. Raises NotSent."""
        url, secret = self._value(to.url), self._value(to.secret)
        try:
            check_url(url, private=to.allow_private)
            check_secret(secret)
        except ValueError as error:
            raise NotSent(f"[webhooks.{to.name}]: {error}", final=True) from None
        data = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        headers = _headers(secret, key, data)
        status = await post(
            url,
            data.encode(),
            headers,
            allow_private=to.allow_private,
            resolve=self._resolve,
        )
        return status, headers

    def _value(self, said: str) -> str:
        if not said.startswith(ENV):
            return said
        return variable(self._environ, said.removeprefix(ENV))


def variable(environ: Mapping[str, str], name: str) -> str:
    """What stands in an environment variable. Raises NotSent, for good, where it isn't set."""
    if not (value := environ.get(name, "").strip()):
        raise NotSent(f"the worker's environment has no {name}", final=True)
    return value


def _headers(secret: str, key: str, data: str) -> dict[str, str]:
    id, now = f"msg_{hashlib.sha256(key.encode()).hexdigest()[:32]}", datetime.now(UTC)
    return {
        "content-type": "application/json",
        "user-agent": "clearance",
        "webhook-id": id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Signer(secret).sign(id, now, data),
    }

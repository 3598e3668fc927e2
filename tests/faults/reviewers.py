"""People who decide, by the client, the command line and the API; what they are told is noted first."""

import asyncio
import json
import random
import uuid
from typing import Any

import httpx
from temporalio.service import RPCError

from clearance import ApprovalClient, CannotConnect, ClearanceError, Refused
from clearance.errors import Ambiguous, NotFound

from .world import ADA, World

AWAY = (CannotConnect, NotFound, Ambiguous, RPCError, OSError, httpx.HTTPError, TimeoutError)
"""Nobody knows, and the same may be sent again. NotFound: of what was asked a moment ago, while the
server comes back."""

_PAUSE = 0.3


class Reviewers:
    """They answer requests, and try again with the same decision until they know what became of it."""

    def __init__(self, world: World, client: ApprovalClient, chance: random.Random) -> None:
        """Who go through the proxy, as everybody."""
        self._world, self._client, self._chance = world, client, chance
        self._api = httpx.AsyncClient(base_url=world.inbox, timeout=20)

    async def close(self) -> None:
        """End the connections."""
        await self._api.aclose()

    async def decide(
        self, id: str, reviewer: str, *, approved: bool = True, way: str | None = None, **how: Any
    ) -> str:
        """Have somebody decide; ``in effect``, ``recorded`` or ``refused``, as they were told.

        Args:
            id: the request.
            reviewer: who decides.
            approved: what.
            way: ``client``, ``cli`` or ``api``; by chance, unless said.
            how: what only the client takes.
        """
        ways = ["client", "client"] + ["cli"] * (self._chance.random() < 0.3)
        ways += ["api", "api"] if reviewer == ADA and "ada" in self._world.tokens else []
        way = "client" if how else way or self._chance.choice(ways)
        key = uuid.uuid4().hex
        while True:
            told = await getattr(self, f"_by_{way}")(id, reviewer, approved, key, how)
            if told is not None:
                break
            await asyncio.sleep(_PAUSE)
        answer, status, counted_as = told
        said = {"id": id, "reviewer": reviewer, "approved": approved, "way": way}
        self._world.journal.note("answer", answer=answer, status=status, key=counted_as, **said)
        return str(answer)

    async def _by_client(
        self, id: str, reviewer: str, approved: bool, key: str, how: dict[str, Any]
    ) -> tuple[str, str, str] | None:
        try:
            receipt = await self._client.decide(
                id, approved=approved, reviewer=reviewer, decision_id=key, **how
            )
        except Refused:
            return "refused", "", key
        except AWAY:
            return None
        return "in effect" if receipt.in_effect else "recorded", receipt.status, key

    async def _by_cli(
        self, id: str, reviewer: str, approved: bool, key: str, how: dict[str, Any]
    ) -> tuple[str, str, str] | None:
        verb = "approve" if approved else "reject"
        code, said = await self._world.command(
            verb, id, "--as", reviewer, "--decision-id", key, "--json"
        )
        if code == 0:
            receipt = json.loads(said)
            effect = "in effect" if receipt["recorded_at"] else "recorded"
            return effect, receipt["status"], key
        refused = code == 1 and not any(word in said for word in ("no request", "answer", "reach"))
        return ("refused", "", key) if refused else None

    async def _by_api(
        self, id: str, reviewer: str, approved: bool, key: str, how: dict[str, Any]
    ) -> tuple[str, str, str] | None:
        headers = {"Authorization": f"Bearer {self._world.tokens['ada']}", "Idempotency-Key": key}
        try:
            view = await self._api.get(f"/api/v1/requests/{id}", headers=headers)
            if view.status_code != 200:
                return None
            verdict = {"approved": approved, "digest": view.json()["digest"]}
            if view.json()["request"]["stages"]:
                verdict["stage"] = view.json()["stage"]
            answer = await self._api.post(
                f"/api/v1/requests/{id}/decision", headers=headers, json=verdict
            )
        except AWAY:
            return None
        if answer.status_code in (200, 202):
            receipt = answer.json()
            effect = "in effect" if answer.status_code == 200 else "recorded"
            return effect, receipt["status"], receipt["decision_id"]
        return ("refused", "", key) if answer.status_code in (403, 409) else None


async def tried(call: Any) -> Any:
    """What ``call()`` returns, once nobody is away. Raises what isn't of that kind."""
    while True:
        try:
            return await call()
        except Refused:
            raise
        except (*AWAY, ClearanceError):
            await asyncio.sleep(_PAUSE)

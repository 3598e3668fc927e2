"""What goes on all the time: runs and requests of every kind, each taken to its end."""

import asyncio
import contextlib
import json
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
from temporalio.exceptions import WorkflowAlreadyStartedError

from clearance import ApprovalClient, ApprovalRequest, Stage
from clearance.contract import child_id
from clearance.grants import GrantTerms
from clearance.runs import AgentRun, start_run

from .bank import Payment
from .reviewers import AWAY, Reviewers, tried
from .world import ADA, BOB, CLEO, World

_PAUSE = 0.3

Kind = Callable[[str], Awaitable[None]]


class Traffic:
    """Begins one after the other until it is stopped, some at the same time."""

    def __init__(self, world: World, client: ApprovalClient, seed: int) -> None:
        """``client`` goes through the proxy; ``seed`` says what comes, and who decides how."""
        self._world, self._client = world, client
        self._chance = random.Random(seed)  # noqa: S311 - hides nothing
        self._reviewers = Reviewers(world, client, self._chance)
        self._number, self._seed = 0, seed
        self._open: dict[str, list[str]] = defaultdict(list)
        """Requests of each scenario."""
        self._stopped = asyncio.Event()
        self.under_way = set[str]()
        """What has begun, and isn't over."""
        outside = [self.outside, self.outside] if world.tokens else []
        self._kinds: list[Kind] = [
            *(self.plain, self.rejected, self.quorum, self.staged, self.edited, self.expiring),
            *(self.granted, self.asked, self.delegated, self.raced, self.unasked, *outside),
        ]

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopped.set()

    async def run(self, at_once: int = 6) -> None:
        """Until it is stopped, and what had begun is over."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(at_once):
                    group.create_task(self._lane())
        finally:
            await self._reviewers.close()

    async def _lane(self) -> None:
        while not self._stopped.is_set():
            self._number += 1
            number = self._number
            kind = self._kinds[number % len(self._kinds)]
            self.under_way.add(ref := f"{kind.__name__}-{self._seed}-{number}")
            await kind(ref)
            for id in self._open.pop(ref, []):
                await self._end(id)
            self.under_way.discard(ref)
            await asyncio.sleep(self._chance.uniform(0, 0.3))

    async def plain(self, ref: str) -> None:
        """A run that pays once, and twice what needs nobody."""
        await self._start(ref, "free", "plain", "free")
        await self._decide_when_asked(child_id(ref, 1), ADA)

    async def unasked(self, ref: str) -> None:
        """A run whose request several people answer at the same moment, one of them no."""
        await self._start(ref, "plain")
        await self._asked(id := child_id(ref, 1))
        await asyncio.gather(
            self._reviewers.decide(id, ADA),
            self._reviewers.decide(id, CLEO, approved=False),
            self._reviewers.decide(id, BOB, way="client"),  # who isn't asked
        )

    async def rejected(self, ref: str) -> None:
        """A run that may not."""
        await self._start(ref, "plain")
        await self._decide_when_asked(child_id(ref, 1), ADA, approved=False)

    async def quorum(self, ref: str) -> None:
        """A run of which two of three have to approve, at the same moment."""
        await self._start(ref, "quorum")
        await self._asked(id := child_id(ref, 1))
        await asyncio.gather(*(self._reviewers.decide(id, one) for one in (ADA, BOB, CLEO)))

    async def staged(self, ref: str) -> None:
        """A run of which a clerk, then a director has to approve."""
        await self._start(ref, "staged")
        await self._decide_when_asked(id := child_id(ref, 1), ADA)
        await self._reviewers.decide(id, CLEO, way="client")  # refused where Ada's is only recorded

    async def edited(self, ref: str) -> None:
        """A run that pays another sum than it wanted."""
        await self._start(ref, "edited")
        await self._asked(id := child_id(ref, 1))
        await self._reviewers.decide(id, CLEO, changes={"cents": 7})

    async def expiring(self, ref: str) -> None:
        """A run whose reviewers are late, or nearly."""
        await self._start(ref, "expiring")
        await self._asked(id := child_id(ref, 1))
        await asyncio.sleep(self._chance.uniform(0, 3.5))
        await self._reviewers.decide(id, CLEO)

    async def granted(self, ref: str) -> None:
        """A run that pays three times, and asks once."""
        await self._start(ref, "plain", "plain", "plain")
        await self._asked(id := child_id(ref, 1))
        grant = GrantTerms(condition="args.cents < 1000", max_uses=5)
        await self._reviewers.decide(id, CLEO, grant=grant)

    async def asked(self, ref: str) -> None:
        """A request of nobody's run, in stages."""
        stages = (Stage(name="one", audience=(ADA, BOB)), Stage(name="two", audience=(CLEO,)))
        await self._ask(ref, ApprovalRequest(action=f"Pay {ref}", stages=stages))
        await self._reviewers.decide(ref, BOB)
        await self._reviewers.decide(ref, CLEO, stage=2)

    async def delegated(self, ref: str) -> None:
        """One that Ada hands to Bob."""
        await self._ask(ref, ApprovalRequest(action=f"Pay {ref}", audience=(ADA,)))
        act = f"{ref}-handed"
        await tried(lambda: self._client.delegate(ref, to=BOB, who=ADA, act_id=act))
        await self._reviewers.decide(ref, BOB)

    async def raced(self, ref: str) -> None:
        """One that is decided just as it expires."""
        soon = timedelta(seconds=2)
        request = ApprovalRequest(action=f"Pay {ref}", audience=(ADA, BOB), expires_in=soon)
        await self._ask(ref, request)
        await asyncio.sleep(self._chance.uniform(1.5, 2.1))
        await asyncio.gather(
            self._reviewers.decide(ref, ADA), self._reviewers.decide(ref, BOB, approved=False)
        )

    async def outside(self, ref: str) -> None:
        """One of a service's, whose permission two takers want."""
        arguments = {"kind": "outside", "cents": 5, "ref": ref}
        wanted = {"action": f"Pay {ref}", "tool": "pay", "arguments": arguments, "audience": [ADA]}
        status, asked = await self._post("agent", "/requests", {**wanted, "id": ref})
        if status not in (201, 409):  # 409: it was asked, and the answer was lost
            raise AssertionError(asked)
        self._world.journal.note("asked", id=ref)
        await self._reviewers.decide(ref, ADA)
        ended = await tried(lambda: self._client.wait(ref))
        digest = {"digest": ended.digest}
        takers = [
            self._post(one, f"/requests/{ref}/consumption", digest) for one in ("agent", "rival")
        ]
        for taker, (status, permit) in zip(
            ("agent", "rival"), await asyncio.gather(*takers), strict=True
        ):
            if status != 200:
                continue
            self._world.journal.note("permit", id=ref, taker=taker)
            self._world.bank.pay(Payment(key=permit["approval_id"], arguments=permit["arguments"]))
            done = {"succeeded": True, "summary": "paid"}
            await self._post(taker, f"/requests/{ref}/consumption/outcome", done)

    async def _start(self, ref: str, *kinds: str) -> None:
        """Start a run that pays once for each kind."""
        calls = [
            {"kind": kind, "cents": 5, "ref": f"{ref}.{place}"} for place, kind in enumerate(kinds)
        ]
        for one in calls:
            if one["kind"] == "free":
                self._world.journal.note("free", ref=one["ref"])
        run = AgentRun(agent="teller", prompt=json.dumps(calls))

        async def start() -> None:
            with contextlib.suppress(WorkflowAlreadyStartedError):  # whose answer was lost
                await start_run(self._client.temporal, run, id=ref)

        await tried(start)
        self._world.journal.note("started", id=ref)

    async def _ask(self, ref: str, request: ApprovalRequest) -> None:
        await tried(lambda: self._client.request(request, id=ref))
        self._world.journal.note("asked", id=ref)
        self._open[ref].append(ref)

    async def _end(self, id: str) -> None:
        """See that a request ends: what was recorded of its decisions may have been refused since."""
        while True:
            for _ in range(8):
                if (await tried(lambda: self._client.summary(id))).status != "pending":
                    return
                await asyncio.sleep(_PAUSE)
            for reviewer in (ADA, BOB, CLEO):
                await self._reviewers.decide(id, reviewer, way="client")

    async def _asked(self, id: str) -> None:
        """Wait until a run has asked for this."""
        while True:
            try:
                await self._client.summary(id)
            except AWAY:
                await asyncio.sleep(_PAUSE)
            else:
                self._open[id.rpartition(".")[0]].append(id)
                return self._world.journal.note("asked", id=id)

    async def _decide_when_asked(self, id: str, reviewer: str, **how: Any) -> None:
        await self._asked(id)
        await self._reviewers.decide(id, reviewer, **how)

    async def _post(self, token: str, path: str, body: Any) -> tuple[int, Any]:
        """What the API answers, once it does; with a key, so that it is done once."""
        headers = {"Authorization": f"Bearer {self._world.tokens[token]}"}
        if "id" not in body:
            headers["Idempotency-Key"] = path
        async with httpx.AsyncClient(base_url=self._world.inbox, timeout=20) as api:
            while True:
                try:
                    answer = await api.post(f"/api/v1{path}", json=body, headers=headers)
                except AWAY:
                    pass
                else:
                    if answer.status_code < 500 and answer.status_code not in (404, 429):
                        return answer.status_code, answer.json()
                await asyncio.sleep(_PAUSE)

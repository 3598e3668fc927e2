"""The world that actions change: a bank that takes each key once, and the agent that pays by it.

Workers find the agent by ``CLEARANCE_AGENTS``, and the bank by ``FAULTS_BANK``.
"""

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from agents import Agent, function_tool
from pydantic import BaseModel
from temporalio import activity, workflow
from temporalio.common import RetryPolicy

from activities.model import CALL
from tools.gate import idempotency_key

if "FAULTS_BANK" in os.environ:  # in a worker: a call whose worker was killed is given up sooner
    CALL.heartbeat_timeout = timedelta(seconds=8)

_TABLES = """
    CREATE TABLE IF NOT EXISTS payments (key TEXT PRIMARY KEY, arguments TEXT, at REAL);
    CREATE TABLE IF NOT EXISTS arrivals (key TEXT, arguments TEXT, attempt INTEGER, at REAL);
"""


class Payment(BaseModel):
    """What the bank is told to do."""

    key: str
    arguments: dict[str, Any]


class Arrival(NamedTuple):
    """Somebody told the bank, perhaps again."""

    key: str
    arguments: dict[str, Any]


class Bank:
    """A file of payments."""

    def __init__(self, path: Path) -> None:
        """In this file, made if need be."""
        self._path = path
        with self._open() as file:
            file.executescript(_TABLES)

    def pay(self, payment: Payment, attempt: int = 1) -> None:
        """Pay once for each key; note that somebody came in any case."""
        said = json.dumps(payment.arguments)
        with self._open() as file, file:
            row = (payment.key, said, attempt, time.time())
            file.execute("INSERT INTO arrivals VALUES (?, ?, ?, ?)", row)
            file.execute(
                "INSERT OR IGNORE INTO payments VALUES (?, ?, ?)", (payment.key, said, time.time())
            )

    def payments(self) -> list[Arrival]:
        """What was paid."""
        return self._all("payments")

    def arrivals(self) -> list[Arrival]:
        """Who came."""
        return self._all("arrivals")

    def _all(self, table: str) -> list[Arrival]:
        with self._open() as file:
            rows = file.execute(f"SELECT key, arguments FROM {table} ORDER BY at").fetchall()  # noqa: S608
        return [Arrival(key, json.loads(said)) for key, said in rows]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=30)) as file:
            yield file


@activity.defn
def transfer(payment: Payment) -> str:
    """Have the bank pay."""
    Bank(Path(os.environ["FAULTS_BANK"])).pay(payment, activity.info().attempt)
    return "paid"


@function_tool
async def pay(kind: str, cents: int, ref: str) -> str:
    """Pay somebody. ``kind`` says by which checkpoint."""
    arguments = {"kind": kind, "cents": cents, "ref": ref}
    return await workflow.execute_activity(
        transfer,
        Payment(key=idempotency_key(), arguments=arguments),
        start_to_close_timeout=timedelta(seconds=5),
        retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=2)),
    )


AGENTS = {"teller": lambda: Agent(name="teller", instructions="Pay.", tools=[pay])}
ACTIVITIES = [transfer]

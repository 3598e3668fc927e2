"""A little shop in SQLite: the orders, refunds and customer records the samples work on."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel
from temporalio import activity
from temporalio.exceptions import ApplicationError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, customer TEXT, item TEXT, cents INTEGER);
CREATE TABLE IF NOT EXISTS refunds (
    idempotency_key TEXT PRIMARY KEY, order_id TEXT NOT NULL REFERENCES orders(id),
    cents INTEGER NOT NULL CHECK (cents > 0), at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE IF NOT EXISTS customers (id INTEGER PRIMARY KEY, name TEXT, last_seen TEXT);
CREATE TABLE IF NOT EXISTS deletions (
    idempotency_key TEXT PRIMARY KEY, deleted INTEGER NOT NULL, content TEXT);
"""
_VERSION = 2
"""1 had no ``deletions.content``."""

_ORDERS = [("A-1001", "Ada Lovelace", "Difference engine, second-hand", 12_900)]
_CUSTOMERS = [
    (1, "Ada Lovelace", "2026-10-02"),
    (2, "Charles Babbage", "2019-03-14"),
    (3, "Mary Somerville", "2018-11-29"),
    (4, "Grace Hopper", "2026-09-17"),
    (5, "Alan Turing", "2017-06-23"),
]


class Refund(BaseModel):
    """Money back for an order, in cents."""

    order_id: str
    cents: int
    idempotency_key: str


class Customer(BaseModel):
    """Who is meant: the id alone would tell a reviewer nothing."""

    id: int
    name: str


class Deletion(BaseModel):
    """Customer records to delete."""

    customers: list[Customer]
    idempotency_key: str


class ShopActivities:
    """Reads and writes one SQLite file. Every write is one transaction, keyed, so a repeat is none."""

    def __init__(self, database: Path) -> None:
        """Use this file; it is made and filled with sample rows when first needed."""
        self._database = database

    @activity.defn
    def look_up_order(self, order_id: str) -> str:
        """An order in words. Raises ApplicationError ``UnknownOrder``."""
        with self._connection() as db:
            row = db.execute("SELECT * FROM orders WHERE id = ?", (order_id,)).fetchone()
            if row is None:
                raise _final("UnknownOrder", f"there is no order {order_id}")
            refunded = db.execute(
                "SELECT coalesce(sum(cents), 0) FROM refunds WHERE order_id = ?", (order_id,)
            ).fetchone()[0]
        return (
            f"{row['id']}: {row['item']} for {row['customer']}, "
            f"{row['cents'] / 100:.2f} paid, {refunded / 100:.2f} refunded"
        )

    @activity.defn
    def issue_refund(self, refund: Refund) -> str:
        """Write the refund once.

        Raises:
            ApplicationError: ``UnknownOrder``, ``RefundTooHigh``; ``IdempotencyConflict`` where the
                key stands for another refund already. Nothing was written.
        """
        said = f"refunded {refund.cents / 100:.2f} for {refund.order_id}"
        with self._connection() as db:
            known = db.execute(
                "SELECT order_id, cents FROM refunds WHERE idempotency_key = ?",
                (refund.idempotency_key,),
            ).fetchone()
            if known is not None:
                if tuple(known) != (refund.order_id, refund.cents):
                    raise _conflict(refund.idempotency_key)
                return said
            order = db.execute(
                "SELECT cents FROM orders WHERE id = ?", (refund.order_id,)
            ).fetchone()
            if order is None:
                raise _final("UnknownOrder", f"there is no order {refund.order_id}")
            refunded = db.execute(
                "SELECT coalesce(sum(cents), 0) FROM refunds WHERE order_id = ?",
                (refund.order_id,),
            ).fetchone()[0]
            if not 0 < refund.cents <= order["cents"] - refunded:
                raise _final("RefundTooHigh", f"{refund.order_id} can't be refunded that much")
            db.execute(
                "INSERT INTO refunds (idempotency_key, order_id, cents) VALUES (?, ?, ?)",
                (refund.idempotency_key, refund.order_id, refund.cents),
            )
        return said

    @activity.defn
    def list_stale_customers(self, before: str) -> str:
        """The customers last seen before a date (YYYY-MM-DD), a line each."""
        with self._connection() as db:
            rows = db.execute(
                "SELECT * FROM customers WHERE last_seen < ? ORDER BY id", (before,)
            ).fetchall()
        return "\n".join(
            f"{row['id']}: {row['name']}, last seen {row['last_seen']}" for row in rows
        )

    @activity.defn
    def delete_records(self, deletion: Deletion) -> str:
        """Delete customers, once; only those whose id and name are both as given.

        Raises:
            ApplicationError: ``IdempotencyConflict``, the key stands for another deletion already.
                Nothing was deleted.
        """
        customers = json.dumps([one.model_dump() for one in deletion.customers])
        content = hashlib.sha256(customers.encode()).hexdigest()
        with self._connection() as db:
            known = db.execute(
                "SELECT deleted, content FROM deletions WHERE idempotency_key = ?",
                (deletion.idempotency_key,),
            ).fetchone()
            if known is not None and known["content"] not in (content, None):
                raise _conflict(deletion.idempotency_key)
            if known is None:
                deleted = db.execute(
                    # As one value: SQLite takes no more than 32,766, and no number over 64 bits.
                    "DELETE FROM customers WHERE (id, name) IN"
                    " (SELECT value ->> 'id', value ->> 'name' FROM json_each(?))",
                    (customers,),
                ).rowcount
                db.execute(
                    "INSERT INTO deletions VALUES (?, ?, ?)",
                    (deletion.idempotency_key, deleted, content),
                )
            else:
                deleted = known["deleted"]
        return f"deleted {deleted} records"

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        self._database.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self._database, timeout=30, isolation_level=None)
        try:
            db.row_factory = sqlite3.Row
            db.executescript(_SCHEMA)
            # The write lock first: reading and then writing must be one step, between processes too.
            db.execute("BEGIN IMMEDIATE")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                db.executemany("INSERT OR IGNORE INTO orders VALUES (?, ?, ?, ?)", _ORDERS)
                db.executemany("INSERT OR IGNORE INTO customers VALUES (?, ?, ?)", _CUSTOMERS)
            if version == 1:
                db.execute("ALTER TABLE deletions ADD COLUMN content TEXT")
            if version < _VERSION:
                db.execute(f"PRAGMA user_version = {_VERSION}")
            yield db
            db.execute("COMMIT")
        finally:
            db.close()  # without COMMIT, everything since BEGIN is undone


def _conflict(key: str) -> ApplicationError:
    return _final("IdempotencyConflict", f"{key} was used for something else: nothing was done")


def _final(kind: str, message: str) -> ApplicationError:
    return ApplicationError(message, type=kind, non_retryable=True)

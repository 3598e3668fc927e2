"""The tables of the ledger."""

import sqlalchemy as sa

from store.migrating import Schema

tables = sa.MetaData()

Words = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Compared byte by byte on both databases: times in order, and ids by how they begin."""

ledger = sa.Table(
    "ledger",
    tables,
    # Not of the database's own counting: that leaves gaps.
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("request", Words, nullable=False),
    sa.Column("execution", Words, nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("queue", Words, nullable=False),
    sa.Column("at", Words, nullable=False),
    sa.Column("kind", Words, nullable=False),
    sa.Column("who", Words),
    sa.Column("tool", Words),
    sa.Column("checkpoint", Words),
    sa.Column("requester", Words),
    sa.Column("risk", Words),
    sa.Column("run", Words),
    sa.Column("status", Words),
    sa.Column("reviewer", Words),
    sa.Column("closed_at", Words),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("previous", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.UniqueConstraint("request", "execution", "sequence", name="ledger_once"),
)
"""One row an event. Everything it says is in ``body``; ``queue`` to ``closed_at`` repeat some of that to
be searched by, those from ``status`` on only where the request ended with the row."""

_has_ended = ledger.c.closed_at.is_not(None)
for _name, *_before in (("ended",), ("ended_by", "reviewer"), ("ended_of", "tool")):
    sa.Index(
        f"ledger_{_name}",
        *(ledger.c[name] for name in ("queue", *_before, "closed_at", "position")),
        sqlite_where=_has_ended,
        postgresql_where=_has_ended,
    )

marks = sa.Table(
    "ledger_marks",
    tables,
    sa.Column("name", Words, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
"""How far others are with their work on the ledger; no part of what it says."""

SCHEMA = Schema(name="ledger", latest="ledger_1", tables=tables)

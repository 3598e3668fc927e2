"""The ledger, and what keeps anybody from changing it by mistake."""

import sqlalchemy as sa
from alembic import op

revision = "ledger_1"
down_revision = None

_SQLITE = """
CREATE TRIGGER ledger_{name} BEFORE {act}
BEGIN SELECT RAISE(ABORT, 'the ledger is only appended to'); END
"""

# INSERT OR REPLACE deletes what is in its place, and no trigger hears of that.
_TAKEN = """INSERT ON ledger WHEN EXISTS (
  SELECT 1 FROM ledger WHERE rowid = NEW.rowid OR position = NEW.position
  OR (request = NEW.request AND execution = NEW.execution AND sequence = NEW.sequence)
)"""

_POSTGRESQL = """
CREATE FUNCTION ledger_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the ledger is only appended to'; END $$;
CREATE TRIGGER ledger_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger
FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_kept();
"""


def upgrade() -> None:
    """Make the tables and the triggers."""
    words = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    needed = ("request", "execution", "queue", "at", "kind")
    searched = ("who", "tool", "checkpoint", "requester", "risk", "run")
    ending = ("status", "reviewer", "closed_at")
    op.create_table(
        "ledger",
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        *(sa.Column(name, words, nullable=False) for name in needed),
        *(sa.Column(name, words) for name in (*searched, *ending)),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.UniqueConstraint("request", "execution", "sequence", name="ledger_once"),
    )
    ended = sa.text("closed_at IS NOT NULL")
    for name, *before in (("ended",), ("ended_by", "reviewer"), ("ended_of", "tool")):
        op.create_index(
            f"ledger_{name}",
            "ledger",
            ["queue", *before, "closed_at", "position"],
            sqlite_where=ended,
            postgresql_where=ended,
        )
    op.create_table(
        "ledger_marks",
        sa.Column("name", words, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(_SQLITE.format(name="not_changed", act="UPDATE ON ledger"))
        op.execute(_SQLITE.format(name="not_deleted", act="DELETE ON ledger"))
        op.execute(_SQLITE.format(name="not_replaced", act=_TAKEN))
    else:
        op.execute(_POSTGRESQL)

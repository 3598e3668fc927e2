"""The ledger, and what keeps anybody from changing it by mistake."""

import sqlalchemy as sa
from alembic import op

revision = "ledger_1"
down_revision = None

_SQLITE = """
CREATE TRIGGER ledger_{name} BEFORE {act} ON ledger
BEGIN SELECT RAISE(ABORT, 'the ledger is only appended to'); END
"""

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
        op.execute(_SQLITE.format(name="not_changed", act="UPDATE"))
        op.execute(_SQLITE.format(name="not_deleted", act="DELETE"))
    else:
        op.execute(_POSTGRESQL)

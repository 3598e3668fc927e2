"""What somebody with all rights on a SQLite file can do to the ledger in it."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any


def unguarded(path: Path) -> None:
    """Without the triggers, which keep nobody out who may drop them."""
    change(path, "DROP TRIGGER ledger_not_changed")
    change(path, "DROP TRIGGER ledger_not_deleted")
    change(path, "DROP TRIGGER ledger_not_replaced")


def change(path: Path, statement: str, *values: Any) -> None:
    """Run a statement on it."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(statement, values)

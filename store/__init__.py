"""The databases: what an inbox has to remember beside Temporal, and the ledger of all that was decided.

SQLite files, or PostgreSQL where several instances share them. Secrets are kept as their SHA-256 only;
they are random and long, so that nothing slower is needed.
"""

from .database import Store
from .engine import CannotStore, NoDatabase
from .links import Link
from .sessions import Session
from .tokens import ApiToken

__all__ = ["ApiToken", "CannotStore", "Link", "NoDatabase", "Session", "Store"]

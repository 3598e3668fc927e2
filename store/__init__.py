"""What an inbox has to remember beside Temporal: who may call it, who is signed in, which links hold.

In an SQL database: a SQLite file, or PostgreSQL where several instances share it. Secrets are kept as
their SHA-256 only; they are random and long, so that nothing slower is needed.
"""

from .database import Store
from .links import Link
from .sessions import Session
from .tokens import ApiToken

__all__ = ["ApiToken", "Link", "Session", "Store"]

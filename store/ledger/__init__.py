"""The audit ledger: every event of every request in an SQL database, each row chained to the one before.

Temporal forgets what has ended; this doesn't. Rows are only appended. ``docs/audit.md`` says how to
verify it without this program, and what it doesn't protect against.
"""

from . import heads
from .heads import SignedHead, sign_head
from .ledger import Ledger
from .paging import is_ours
from .reading import Head, LedgerAway, Written
from .rows import rows_of
from .verifying import Fault, Verified

__all__ = [
    "Fault",
    "Head",
    "Ledger",
    "LedgerAway",
    "SignedHead",
    "Verified",
    "Written",
    "heads",
    "is_ours",
    "rows_of",
    "sign_head",
]

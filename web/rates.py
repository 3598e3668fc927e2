"""How often somebody may try: counted in this process, for each kind of thing and each caller."""

import time

import limits
from limits.strategies import FixedWindowRateLimiter

from clearance import ClearanceError

from .config import Rates


class TooMany(ClearanceError):
    """Somebody tried too often; nothing was done. ``wait`` is for how many seconds they have to."""

    def __init__(self, wait: int) -> None:
        """Say how long."""
        super().__init__(f"that was too often: try again in {wait} s")
        self.wait = wait


class Limiter:
    """What each caller has left of each rate. Keys are kept as long as their window lasts."""

    def __init__(self, rates: Rates) -> None:
        """Nothing counted yet."""
        self._counts = FixedWindowRateLimiter(limits.storage.MemoryStorage())
        self._rates = {name: limits.parse(rate) for name, rate in rates}

    def hit(self, kind: str, key: str) -> None:
        """Count one try of a kind (a field of ``Rates``).

        Raises:
            TooMany: none was left.
        """
        if not self._counts.hit(self._rates[kind], kind, key):
            raise TooMany(self._wait(kind, key))

    def check(self, kind: str, key: str) -> None:
        """Raise TooMany where none is left; count nothing."""
        if not self._counts.test(self._rates[kind], kind, key):
            raise TooMany(self._wait(kind, key))

    def _wait(self, kind: str, key: str) -> int:
        stats = self._counts.get_window_stats(self._rates[kind], kind, key)
        return max(1, int(stats.reset_time - time.time()) + 1)

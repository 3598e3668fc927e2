"""Reading the policy, once for each run at its start."""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from clearance.signatures import DecisionKey
from policy import match
from policy.model import Policy
from policy.source import BrokenPolicy, Pinned, load

NO_FILE = Pinned(digest=hashlib.sha256().hexdigest(), source="(no policy file)", policy=Policy())
"""Where there is no policy, every tool waits for a person."""

_MAX_SAID = 2_000
"""Characters of what is wrong with a file: each attempt leaves them in the run's history."""


def rules_of(path: Path | None) -> match.Rules:
    """A policy file's rules, compiled. Raises BrokenPolicy."""
    return match.rules_of(NO_FILE if path is None else load(path))


class PolicyActivities:
    """Reads one policy file, as it is at that moment."""

    def __init__(self, path: Path | None, decision_keys: Path | None = None) -> None:
        """Read this file, None where there is none; and the keys that the requests of runs pin.

        Raises:
            InvalidKeys: the keys can't be read.
        """
        self._path = path
        self._decision_keys: Callable[[], tuple[DecisionKey, ...]] = tuple
        if decision_keys is not None:
            from clearance.signing import pinned_from  # which loads cryptography

            self._decision_keys = pinned_from(decision_keys)

    @activity.defn
    async def load_policy(self) -> dict[str, Any]:
        """A ``policy.source.Pinned`` as plain JSON, to be recorded with the run.

        Raises:
            ApplicationError: type ``BrokenPolicy``; once the file is mended, the run goes on.
        """
        # Not among the tools: where those have taken all threads, runs begin nevertheless.
        return await asyncio.to_thread(self._load)

    def _load(self) -> dict[str, Any]:
        try:
            pinned = NO_FILE if self._path is None else load(self._path)
        except BrokenPolicy as error:
            # Without the cause: readers of a failure go to the innermost one, and this says it best.
            raise ApplicationError(str(error)[:_MAX_SAID], type="BrokenPolicy") from None
        pinned = pinned.model_copy(update={"decision_keys": self._decision_keys()})
        plain = pinned.model_dump(mode="json", exclude={"policy"})
        return {**plain, "policy": pinned.policy.model_dump(mode="json", exclude_defaults=True)}

"""What a policy says of a call. Pure and deterministic: it runs inside workflows.

Nothing here ever raises for a call's sake: what can't be judged is gated.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from pydantic import JsonValue

from clearance.text import one_line

from .condition import Call, condition_error, holds, kept
from .model import Checkpoint, Policy
from .pattern import compiled
from .source import Pinned

__all__ = ["Rules", "Verdict", "condition_error", "holds", "rules_of"]

_KEPT_NAMES = 1_000
"""Tools whose covering checkpoints are remembered."""


@dataclass(frozen=True)
class Verdict:
    """Whether a call waits for a person."""

    gated: bool

    checkpoint: Checkpoint | None
    """The one that matched; None where the policy's default decides."""

    why: str
    """In one sentence, for the record."""

    unclear: bool = False
    """Whether it is gated because its condition can't be evaluated, which the reviewer is told."""


class Rules:
    """A policy ready to judge calls. Patterns are compiled here, conditions when first needed."""

    def __init__(self, policy: Policy) -> None:
        """Compile the patterns of ``policy``, which were checked when it was made."""
        self.policy = policy
        # One by one, not as an RE2 set: a set over many patterns can fail to compile, and when it
        # runs out of memory it says "no match", which would open gates. Names repeat: answers are kept.
        self._patterns = [compiled(one.action_pattern) for one in policy.checkpoint]
        self._covering: dict[str, list[Checkpoint]] = {}

    def judge(
        self,
        tool: str,
        args: Mapping[str, JsonValue],
        *,
        agent: str = "",
        requester: str = "",
    ) -> Verdict:
        """Whether this call waits for a person: the first checkpoint that matches decides.

        A checkpoint whose condition can't be evaluated for this call matches, and gates even if it
        says ``allow``.
        """
        if not _is_text(tool):
            return Verdict(True, None, "the tool's name is no text, so the gate closes", True)
        call = Call({"args": args, "tool": tool, "agent": agent, "requester": requester})
        for one in self.covering(tool):
            name = f'checkpoint "{one.checkpoint_id}"'
            try:
                if one.when is not None and not kept(one.when).holds(call):
                    continue
            except ValueError as error:
                why = f"and its condition can't be evaluated, so the gate closes: {error}"
                return Verdict(True, one, f"{name} matches: {_terms(one, '')}, {why}", unclear=True)
            verb = "lets it through" if one.allow else "matches"
            return Verdict(not one.allow, one, f"{name} {verb}: {_terms(one, one.when or '')}")
        default = self.policy.default
        return Verdict(
            default != "allow", None, f'no checkpoint matches; the default is "{default}"'
        )

    def covering(self, tool: str) -> list[Checkpoint]:
        """All checkpoints whose pattern matches the name, in order, whatever their conditions."""
        if not _is_text(tool):
            return []
        found = self._covering.get(tool)
        if found is None:
            pairs = zip(self._patterns, self.policy.checkpoint, strict=True)
            found = [one for pattern, one in pairs if pattern.search(tool)]
            if len(self._covering) >= _KEPT_NAMES:
                self._covering.clear()
            self._covering[tool] = found
        return list(found)

    def may_gate(self, tool: str) -> bool:
        """Whether any call of this tool could wait for a person.

        The first checkpoint that covers it tells: a condition might hold, and might not be
        evaluable, so only one that allows without any lets every call through.
        """
        if not _is_text(tool):
            return True
        if first := self.covering(tool)[:1]:
            return not (first[0].allow and first[0].when is None)
        return self.policy.default != "allow"


def rules_of(policy: Pinned | Policy) -> Rules:
    """The rules of a policy; of a pinned one compiled once for all the runs that have it."""
    return _kept(policy) if isinstance(policy, Pinned) else Rules(policy)


@lru_cache(maxsize=16)
def _kept(pinned: Pinned) -> Rules:
    return Rules(pinned.policy)


def _is_text(name: str) -> bool:
    """Whether it can be searched: RE2 reads UTF-8, which has no half surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _terms(one: Checkpoint, condition: str) -> str:
    terms = f'pattern "{one_line(one.action_pattern, 100)}"'
    return f"{terms}, condition {one_line(condition, 200)}" if condition else terms

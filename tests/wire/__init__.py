"""What the models on the wire looked like when they were recorded, and whether they still take that.

As a program, ``python -m tests.wire``: record their JSON schemas as they are now, in ``schemas.json``.
"""

from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from clearance import (
    Act,
    ActReceipt,
    ApprovalRequest,
    ApprovalView,
    Decision,
    Execution,
    Grant,
    Outcome,
    PendingApproval,
    Receipt,
)
from clearance.notices import Delivery, Destination, Notice, Notifying, Telling
from clearance.permits import Consumption, OutcomeReceipt, Permit, Report, Taking
from clearance.runs import AgentResult, AgentRun, RunSummary

SCHEMAS: Final = Path(__file__).parent / "schemas.json"

MODELS: Final[dict[str, type[BaseModel]]] = {
    model.__name__: model
    for model in (
        *(Act, ActReceipt, AgentResult, AgentRun, ApprovalRequest, ApprovalView, Consumption),
        *(Decision, Delivery, Destination, Execution, Grant, Notice, Notifying, Outcome),
        *(OutcomeReceipt, PendingApproval, Permit, Receipt, Report, RunSummary, Taking, Telling),
    )
}

_AT_MOST = ("maxLength", "maximum", "exclusiveMaximum", "maxItems", "maxProperties")
_AT_LEAST = ("minLength", "minimum", "exclusiveMinimum", "minItems", "minProperties")


def current() -> dict[str, Any]:
    """The schemas of today."""
    return {name: model.model_json_schema() for name, model in sorted(MODELS.items())}


def narrowed(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Where a schema no longer takes what it took: fields removed or required, values ruled out."""
    return _Comparison(old, new).faults(old, new, "")


class _Comparison:
    def __init__(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        self._roots = (old, new)
        self._seen: set[tuple[str, str]] = set()

    def faults(self, old: dict[str, Any], new: dict[str, Any], at: str) -> list[str]:
        pair = (str(old.get("$ref")), str(new.get("$ref")))
        if pair in self._seen:
            return []
        if "$ref" in old and "$ref" in new:
            self._seen.add(pair)
        old, new = self._resolved(old, 0), self._resolved(new, 1)
        if "anyOf" in old or "anyOf" in new:
            return [
                fault
                for one in old.get("anyOf", [old])
                for fault in self._fits_one(one, new.get("anyOf", [new]), at)
            ]
        return [*_values(old, new, at), *self._fields(old, new, at), *self._items(old, new, at)]

    def _resolved(self, schema: dict[str, Any], side: int) -> dict[str, Any]:
        if "$ref" not in schema:
            return schema
        found: dict[str, Any] = self._roots[side]["$defs"][schema["$ref"].rsplit("/", 1)[1]]
        return found

    def _fits_one(self, old: dict[str, Any], several: list[dict[str, Any]], at: str) -> list[str]:
        tried = [self.faults(old, one, at) for one in several]
        return [] if [] in tried else min(tried, key=len)

    def _fields(self, old: dict[str, Any], new: dict[str, Any], at: str) -> list[str]:
        before, now = old.get("properties", {}), new.get("properties", {})
        faults = [f"{at}.{name} is gone" for name in before if name not in now]
        required = set(new.get("required", ())) - set(old.get("required", ()))
        faults += [f"{at}.{name} is required now" for name in sorted(required)]
        for name in before.keys() & now.keys():
            faults += self.faults(before[name], now[name], f"{at}.{name}")
        others, allowed = (one.get("additionalProperties", True) for one in (old, new))
        if allowed is False and others is not False:
            faults.append(f"{at} takes no other fields now")
        if isinstance(others, dict) and isinstance(allowed, dict):
            faults += self.faults(others, allowed, f"{at}.*")
        return faults

    def _items(self, old: dict[str, Any], new: dict[str, Any], at: str) -> list[str]:
        if isinstance(new.get("items"), dict):
            return self.faults(old.get("items", {}), new["items"], f"{at}[]")
        return []


def _values(old: dict[str, Any], new: dict[str, Any], at: str) -> list[str]:
    faults = []
    kind, before = new.get("type"), old.get("type")
    if kind is not None and kind != before and (before, kind) != ("integer", "number"):
        faults.append(f"{at} is {kind} now, and was {before or 'anything'}")
    words, said = (
        one.get("enum", [one["const"]] if "const" in one else None) for one in (new, old)
    )
    if words is not None and (said is None or set(map(str, said)) - set(map(str, words))):
        faults.append(f"{at} is one of {words} now")
    faults += [
        f"{at}: another {limit}"
        for limit in ("pattern", "format")
        if limit in new and new[limit] != old.get(limit)
    ]
    for limits, sign in ((_AT_MOST, 1), (_AT_LEAST, -1)):
        faults += [
            f"{at}: {limit} is {new[limit]} now"
            for limit in limits
            if limit in new and (limit not in old or sign * new[limit] < sign * old[limit])
        ]
    return faults
